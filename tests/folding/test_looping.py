"""A loop computes, trains and travels as the modules that it was made of do."""

import copy
import io
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from softshare.folding.looping import Loop
from softshare.models.path_network import PathLayer
from softshare.models.wide_resnet import Block
from softshare.sharing.bank import TemplateBank
from softshare.sharing.shared_weights import share_weight


class Scaled(nn.Linear):
    """A linear layer that runs a common weight at a size of its own."""

    def __init__(self, common):
        super().__init__(*reversed(common.shape))
        del self.weight
        self.common, self.weight_scale = common, nn.Parameter(torch.rand(()) + 0.5)

    @property
    def weight(self):
        return self.weight_scale * self.common


def tie(modules):
    """Gives all modules the convolutions and linear layers of the first, as folding does."""
    for module in modules[1:]:
        for mine, first in zip(module.modules(), modules[0].modules(), strict=True):
            if isinstance(mine, (nn.Conv2d, nn.Linear)):
                mine.weight, mine.bias = first.weight, first.bias
    return modules


def pre_activation(count=3):
    return tie([Block(4, 4) for _ in range(count)])


def path_layers(count=3):
    return tie([PathLayer(4) for _ in range(count)])


def untied(count=3):
    return [PathLayer(4) for _ in range(count)]


def scaled(count=3):
    common = nn.Parameter(torch.randn(4, 4) / 2)
    return [nn.Sequential(Scaled(common), nn.BatchNorm1d(4), nn.ReLU()) for _ in range(count)]


def mixed(count=3):
    """Each iteration asks one bank for the same two rows of coefficients."""
    bank = TemplateBank(torch.randn(2, 4, 4, 3, 3) / 6, torch.randn(2, 2), layers="ab")
    modules = [Block(4, 4) for _ in range(count)]
    for module in modules:
        for row, conv in enumerate((module.conv1, module.conv2)):
            share_weight(conv, "weight", bank, row)
            conv._modules["weight_bank"] = bank
    return modules


def nested(count=2):
    inner = tie([PathLayer(4) for _ in range(3 * count)])
    last = tie([PathLayer(4) for _ in range(count)])
    return [nn.Sequential(Loop(inner[3 * i : 3 * i + 3]), last[i]) for i in range(count)]


def unlooped(modules):
    """The same layers, one after the other, with no loop in them."""
    flat = []
    for module in modules:
        for part in module if isinstance(module, nn.Sequential) else [module]:
            flat += unlooped(part.unrolled()) if isinstance(part, Loop) else [part]
    return flat


BODIES = {
    "pre-activation blocks": (pre_activation, (5, 4, 6, 6)),
    "path layers": (path_layers, (5, 4, 6, 6)),
    "nothing in common": (untied, (5, 4, 6, 6)),
    "scaled linear layers": (scaled, (6, 4)),
    "weights of a bank": (mixed, (5, 4, 6, 6)),
    "a loop in a loop": (nested, (5, 4, 6, 6)),
}
each_body = pytest.mark.parametrize("body", BODIES)


def disturb(module):
    """Numbers that no two iterations have in common by chance."""
    with torch.no_grad():
        for tensor in (*module.parameters(), *module.buffers()):
            if tensor.is_floating_point() and tensor.dim() < 3:
                tensor.add_(torch.rand_like(tensor))
    return module


def both(body, seed=0):
    """The same layers as a loop and one after the other, and an input."""
    torch.manual_seed(seed)
    make, shape = BODIES[body]
    modules = disturb(nn.ModuleList(make()))
    plain = nn.Sequential(*unlooped(list(copy.deepcopy(modules))))
    return Loop(list(modules)), plain, torch.randn(shape)


def train(net, x, steps=3):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, nesterov=True)
    for _ in range(steps):
        optimizer.zero_grad()
        net(x).square().mean().backward()
        optimizer.step()
    return net


def same_numbers(loop, plain):
    """The loop's iterations hold the numbers of the plain layers."""
    mine = nn.Sequential(*unlooped(loop.unrolled())).state_dict()
    theirs = plain.state_dict()
    assert list(mine) == list(theirs)
    for name in mine:
        torch.testing.assert_close(mine[name], theirs[name], msg=lambda m, n=name: f"{n}: {m}")


@each_body
@pytest.mark.parametrize("training", [True, False])
def test_same_output_and_gradients_after_real_steps(body, training):
    loop, plain, x = both(body)
    same_numbers(loop, plain)
    train(loop, x)
    train(plain, x)
    same_numbers(loop, plain)
    assert sum(p.numel() for p in loop.parameters()) == sum(p.numel() for p in plain.parameters())
    loop.train(training)
    plain.train(training)
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    outputs = [net(i) for net, i in zip((loop, plain), inputs, strict=True)]
    torch.testing.assert_close(*outputs)
    for output in outputs:
        output.square().sum().backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad)
    gradients = [sum(p.grad.square().sum() for p in net.parameters()) for net in (loop, plain)]
    torch.testing.assert_close(*gradients)
    same_numbers(loop, plain)  # the running statistics of this pass too


@each_body
def test_it_runs_one_body(body):
    loop, _, x = both(body)
    seen = []
    loop.body.register_forward_hook(lambda module, *_: seen.append(module))
    loop(x)
    assert seen == [loop.body] * loop.count


@each_body
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies(body, copied):
    loop, plain, x = both(body)
    train(loop, x)
    twin = copied(loop)
    assert not {id(p) for p in twin.parameters()} & {id(p) for p in loop.parameters()}
    before = copy.deepcopy(loop.state_dict())
    train(twin, x)
    for name, tensor in loop.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    same_numbers(twin, train(train(plain, x), x))


@each_body
def test_state_dict_round_trip(body):
    loop, _, x = both(body)
    train(loop, x)
    file = io.BytesIO()
    torch.save(loop.state_dict(), file)
    file.seek(0)
    other, _, _ = both(body, seed=1)
    other.load_state_dict(torch.load(file, weights_only=True))
    torch.testing.assert_close(other.eval()(x), loop.eval()(x))


@pytest.mark.parametrize("body", ["scaled linear layers", "weights of a bank", "a loop in a loop"])
def test_compiled_whole(body):
    torch.compiler.reset()
    loop, plain, x = both(body)
    compiled = torch.compile(loop, fullgraph=True, backend="aot_eager")
    for training in (True, False):
        loop.train(training)
        plain.train(training)
        outputs = compiled(x), plain(x)
        torch.testing.assert_close(*outputs)
        for output in outputs:
            output.square().sum().backward()
    for a, b in zip(plain.parameters(), unrolled_gradients(loop, plain), strict=True):
        torch.testing.assert_close(a.grad, b)
    same_numbers(loop, plain)


def unrolled_gradients(loop, plain):
    """Gradients of the loop, in the order of the plain layers' parameters."""
    twin = copy.deepcopy(loop)
    with torch.no_grad():
        for a, b in zip(twin.parameters(), loop.parameters(), strict=True):
            a.copy_(b.grad)
    return nn.Sequential(*unlooped(twin.unrolled())).parameters()


@each_body
def test_other_dtypes_layouts_and_autocast(body):
    loop, plain, x = both(body)
    loop.eval(), plain.eval()
    for convert in ({"dtype": torch.float64}, {"memory_format": torch.channels_last}):
        nets = [copy.deepcopy(net).to(**convert) for net in (loop, plain)]
        y = x.to(**convert) if x.dim() == 4 or "dtype" in convert else x
        torch.testing.assert_close(nets[0](y), nets[1](y))
        train(nets[0].train(), y)
        same_numbers(nets[0], train(nets[1].train(), y))
    with torch.autocast("cpu", torch.bfloat16):
        outputs = loop(x), plain(x)
    torch.testing.assert_close(*outputs)


@each_body
@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointed(body, reentrant):
    loop, plain, x = both(body)
    loop.eval(), plain.eval()  # a recomputed BN would count its batch twice, with or without loop
    x.requires_grad_()
    checkpoint(loop, x, use_reentrant=reentrant).square().sum().backward()
    gradient, x.grad = x.grad, None
    plain(x).square().sum().backward()
    torch.testing.assert_close(gradient, x.grad)
    for a, b in zip(plain.parameters(), unrolled_gradients(loop, plain), strict=True):
        torch.testing.assert_close(a.grad, b)


def test_common_parameters_stay_once():
    loop, _, _ = both("path layers")
    shapes = {name: tuple(p.shape) for name, p in loop.named_parameters()}
    assert shapes == {
        "body.conv.weight": (4, 4, 3, 3),
        "body.bn.weight": (3, 4),
        "body.bn.bias": (3, 4),
    }
    assert {name: tuple(b.shape) for name, b in loop.named_buffers()} == {
        "body.bn.running_mean": (3, 4),
        "body.bn.running_var": (3, 4),
        "body.bn.num_batches_tracked": (3,),
    }
    loop(torch.randn(2, 4, 5, 5))
    assert loop.body.bn.num_batches_tracked.tolist() == [1, 1, 1]
    assert {id(m.conv.weight) for m in loop.unrolled()} == {id(loop.body.conv.weight)}


def test_convolutions_of_their_own_keep_their_memory_format():
    loop, _, _ = both("nothing in common")
    assert loop.body.conv.weight.shape == (12, 4, 3, 3)
    loop.to(memory_format=torch.channels_last)
    layouts = []
    loop.body.conv.register_forward_pre_hook(
        lambda conv, _: layouts.append(conv.weight.is_contiguous(memory_format=torch.channels_last))
    )
    loop(torch.randn(2, 4, 5, 5))
    assert layouts == [True] * 3


def test_nested_loops_stack_twice():
    loop, _, _ = both("a loop in a loop")
    assert loop.body[0].body.bn.weight.shape == (2, 3, 4)
    assert loop.body[1].bn.weight.shape == (2, 4)
    assert [type(m[0]) for m in loop.unrolled()] == [Loop, Loop]


class Average(nn.Module):
    """Divides by a running size: a buffer that the graph uses, updated in place or replaced."""

    def __init__(self, replaced):
        super().__init__()
        self.replaced = replaced
        self.register_buffer("size", torch.rand(()) + 1)

    def forward(self, x):
        new = 0.9 * self.size + 0.1 * x.detach().abs().mean()
        if self.replaced:
            self.size = new
        else:
            self.size.copy_(new)
        return x / self.size


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("replaced", [True, False])
def test_buffers_that_the_graph_uses(replaced, training):
    torch.manual_seed(0)
    modules = [Average(replaced).train(training) for _ in range(3)]
    plain = nn.Sequential(*copy.deepcopy(modules))
    loop, x = Loop(modules), torch.randn(4, requires_grad=True)
    gradients = [torch.autograd.grad(net(x).square().sum(), x)[0] for net in (loop, plain)]
    torch.testing.assert_close(*gradients)
    same_numbers(loop, plain)
    assert isinstance(loop.body.size, torch.Tensor)
    assert loop.body.size.shape == (3,)


class Fails(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x):
        raise RuntimeError("broken body")


def test_a_failing_body_leaves_the_loop_whole():
    loop = Loop([Fails(), Fails()])
    with pytest.raises(RuntimeError, match="broken body"):
        loop(torch.zeros(1))
    assert loop.body.weight.shape == (2,)
    assert isinstance(loop.body.weight, nn.Parameter)


def test_functional_call_and_its_gradient():
    loop, _, x = both("path layers")
    loop.eval()
    values = {name: p.detach().clone() for name, p in loop.named_parameters()}
    call = torch.func.functional_call
    torch.testing.assert_close(call(loop, values, (x,)), loop(x))
    got = torch.func.grad(lambda v: call(loop, v, (x,)).square().sum())(values)
    loop(x).square().sum().backward()
    for name, parameter in loop.named_parameters():
        torch.testing.assert_close(got[name], parameter.grad)


def test_an_ensemble_by_vmap():
    loop, _, x = both("path layers")
    loops = [disturb(copy.deepcopy(loop)).eval() for _ in range(3)]
    outputs = torch.vmap(lambda state: torch.func.functional_call(loops[0], state, (x,)))(
        torch.func.stack_module_state(loops)
    )
    torch.testing.assert_close(outputs, torch.stack([each(x) for each in loops]))


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace")
def test_traced():
    loop, plain, x = both("path layers")
    traced = torch.jit.trace(loop.eval(), x)
    y = torch.randn_like(x)
    torch.testing.assert_close(traced(y), plain.eval()(y))


def test_a_tensor_used_twice_in_an_iteration_is_stacked_once():
    modules = [nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3)) for _ in range(2)]
    for module in modules:
        module[1].weight = module[0].weight
    plain = nn.Sequential(*copy.deepcopy(modules))
    loop, x = Loop(modules), torch.randn(2, 3)
    assert len(list(loop.parameters())) == 3
    torch.testing.assert_close(loop(x), plain(x))
    first, second = loop.unrolled()
    assert first[0].weight is first[1].weight is not second[0].weight


def with_hook():
    layer = nn.Linear(2, 2)
    layer.register_forward_hook(lambda *_: None)
    return layer


def half_tied():
    layers = [nn.Linear(2, 2) for _ in range(3)]
    layers[1].weight = layers[0].weight
    return layers


def crossed():
    pairs = [nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)) for _ in range(2)]
    pairs[1][1].weight = pairs[0][0].weight
    return pairs


def twice():
    return [nn.Linear(2, 2)] * 2


def frozen():
    return [nn.Linear(2, 2), nn.Linear(2, 2).requires_grad_(False)]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (list, "two or more iterations"),
        (lambda: [nn.Linear(2, 2)], r"two or more iterations.*\['Linear'\]"),
        (lambda: [nn.Linear(2, 2), F.relu], "each a module"),
        (twice, "the same module twice"),
        (lambda: [nn.Linear(2, 2), nn.Identity()], "differ in class: Linear and Identity"),
        (lambda: [nn.Linear(2, 2), nn.Linear(2, 3)], r"weight: \(2, 2\).* and \(3, 2\)"),
        (lambda: [nn.Linear(2, 2), nn.Linear(2, 2, bias=False)], "bias: .* and none"),
        (lambda: [Block(4, 4), Block(4, 4, dropout=0.5)], r"dropout.p: 0.0 and 0.5"),
        (lambda: [Block(4, 4), Block(4, 4, 2)], "the first and iteration 2 differ in .*shortcut"),
        (lambda: [nn.Linear(2, 2), nn.Linear(2, 2).double()], "float32.* and .*float64"),
        (lambda: [nn.Linear(2, 2), nn.Linear(2, 2).eval()], "training: True and False"),
        (lambda: [with_hook(), with_hook()], "_forward_hooks"),
        (frozen, "trained.* and .*not trained"),
        (half_tied, "weight is used in more than one iteration"),
        (crossed, "0.weight is used in more than one iteration|1.weight is used in more"),
        (lambda: [nn.Sequential(nn.Linear(2, 2)) for _ in "ab"] + [nn.Sequential()], "modules"),
    ],
)
def test_what_cannot_loop_says_why(make, message):
    with pytest.raises(ValueError, match=message):
        Loop(make())


def test_threads_take_turns():
    loop, plain, _ = both("path layers")
    loop.eval(), plain.eval()
    inputs = [torch.randn(1, 4, 3, 3) for _ in range(4)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with torch.no_grad(), ThreadPoolExecutor(4) as pool:
            outputs = list(pool.map(lambda x: [loop(x) for _ in range(25)], inputs))
    finally:
        sys.setswitchinterval(interval)
    for x, each in zip(inputs, outputs, strict=True):
        for output in each:
            torch.testing.assert_close(output, plain(x))
