"""A shared model goes wherever a plain one goes."""

import copy
import io
import pickle

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.utils import prune
from torch.nn.utils.parametrize import register_parametrization
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.checkpoint import checkpoint

import softshare as ss
from softshare.models.path_network import PathNetwork
from softshare.sharing.bank import TemplateBank
from softshare.sharing.refusals import is_folded


class Encoder(nn.TransformerEncoder):
    """Three layers whose attention shares too."""

    def __init__(self):
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        super().__init__(layer, 3, enable_nested_tensor=False)

    def sharing_groups(self):
        parts = ("self_attn.in_proj_weight", "self_attn.out_proj", "linear1", "linear2")
        return {part: [f"layers.{i}.{part}" for i in range(3)] for part in parts}


# PyTorch asks mixed weights for their .grad and hides the warning, but not where it is an error
QUIET = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
NETS = {
    "convolutions": (lambda: PathNetwork(4, 8), (3, 2, 6, 6)),
    "attention": (Encoder, (3, 5, 8)),
}


@pytest.fixture(params=NETS)
def both(request):
    """A shared model and an input."""
    torch.manual_seed(0)
    build, shape = NETS[request.param]
    return ss.share(build(), 2), torch.randn(shape)


@pytest.fixture
def net():
    torch.manual_seed(0)
    return ss.share(PathNetwork(4, 8), 2)


@pytest.fixture
def x():
    return torch.randn(6, 2, 6, 6, generator=torch.Generator().manual_seed(1))


def bank_of(net):
    return next(m for m in net.modules() if isinstance(m, TemplateBank))


def gradients(net, x, forward=None):
    net.zero_grad()
    (net if forward is None else forward)(x).square().sum().backward()
    return {name: p.grad.clone() for name, p in net.named_parameters()}


def train(net, x, steps=3):
    optimizer = torch.optim.SGD(ss.param_groups(net), lr=0.01, momentum=0.9, nesterov=True)
    for _ in range(steps):
        optimizer.zero_grad()
        net(x).square().mean().backward()
        optimizer.step()
    return net


def same(one, other, **tolerance):
    assert list(one) == list(other)
    for name in one:
        torch.testing.assert_close(
            one[name], other[name], msg=lambda m, n=name: f"{n}: {m}", **tolerance
        )


def unpickled(net):
    return pickle.loads(pickle.dumps(net))


def saved(net):
    file = io.BytesIO()
    torch.save(net, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("copied", [copy.deepcopy, unpickled, saved])
def test_copies_are_whole_and_apart(both, copied):
    net, x = both
    before = net(x)  # also once used
    twin = copied(net)
    assert type(twin) is type(net)
    assert list(twin.state_dict()) == list(net.state_dict())
    assert not {id(p) for p in twin.parameters()} & {id(p) for p in net.parameters()}
    torch.testing.assert_close(twin(x), before)
    same(gradients(twin, x), gradients(net, x))
    start = copy.deepcopy(net.state_dict())
    train(twin, x)
    same(net.state_dict(), start)
    assert not torch.allclose(twin(x), before, atol=1e-4)
    same(train(copied(net), x).state_dict(), train(net, x).state_dict())
    assert ss.groups(twin) == ss.groups(net)
    torch.testing.assert_close(ss.unshare(twin)(x), twin(x))


def test_a_copy_made_in_the_middle_of_a_pass(net, x):
    copies = []
    net.body[2].register_forward_hook(lambda *_: copies.append(copy.deepcopy(net)))
    net(x)
    copies[0].body[2]._forward_hooks.clear()
    same(gradients(copies[0], x), gradients(copies[0], x))


def test_state_dict_into_a_fresh_model(both):
    net, x = both
    train(net, x)
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    file.seek(0)
    state = torch.load(file, weights_only=True)
    stored = [name for name in state if "bank" in name]
    assert len(stored) == 2 * len(ss.groups(net))  # templates and coefficients, once a group
    shared = sum(state[name].numel() for name in stored)
    assert shared == sum(p.numel() for n, p in net.named_parameters() if "bank" in n)
    torch.manual_seed(9)
    fresh = ss.share(type(net)() if isinstance(net, Encoder) else PathNetwork(4, 8), 2)
    assert fresh.load_state_dict(state).missing_keys == []
    torch.testing.assert_close(fresh(x), net(x))
    other = ss.share(Encoder() if isinstance(net, Encoder) else PathNetwork(4, 8), 1)
    with pytest.raises(RuntimeError, match="size mismatch"):
        other.load_state_dict(state)


def test_autocast_mixes_in_float32(net, x):
    weights = []
    net.body[1].conv.register_forward_pre_hook(lambda layer, _: weights.append(layer.weight))
    exact = gradients(net, x)
    with torch.autocast("cpu", torch.bfloat16):
        y = net(x)
        S = ss.lsm(net)["body"]
        penalty = ss.recurrence_penalty(net)
        net.body[0].conv(torch.randn(1, 8, 4, 4))  # a layer by itself
    assert y.dtype == torch.bfloat16
    assert {w.dtype for w in weights} == {torch.float32}
    assert torch.equal(*weights)
    assert S.dtype == penalty.dtype == torch.float32
    torch.testing.assert_close(S, ss.lsm(net)["body"], rtol=0, atol=0)
    net.zero_grad()
    y.float().square().sum().backward()
    bank = bank_of(net)
    assert bank.coefficients.grad.dtype == bank.templates.grad.dtype == torch.float32
    wanted = exact["body.0.conv.weight_bank.coefficients"]
    cosine = F.cosine_similarity(bank.coefficients.grad.flatten(), wanted.flatten(), dim=0)
    assert cosine > 0.99


@pytest.mark.parametrize("order", ["one by one", "two forward, two backward"])
def test_gradients_accumulate(net, x, order):
    net.eval()  # batch statistics are not additive
    whole = gradients(net, x)
    net.zero_grad()
    if order == "one by one":
        for half in x.chunk(2):
            net(half).square().sum().backward()
    else:
        losses = [net(half).square().sum() for half in x.chunk(2)]
        for loss in losses:
            loss.backward()
    same({n: p.grad for n, p in net.named_parameters()}, whole, atol=1e-4, rtol=1e-4)


class Checkpointed(nn.Module):
    """Blocks recomputed in backward."""

    def __init__(self, net, reentrant):
        super().__init__()
        self.net, self.reentrant = net, reentrant

    def forward(self, x):
        x = self.net.enter(x)
        for layer in self.net.body:
            x = checkpoint(layer, x, use_reentrant=self.reentrant)
        return self.net.leave(x)


@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("root", ["shared inside", "shared outside"])
@pytest.mark.parametrize("autocast", [True, False])
def test_checkpointed_blocks(net, x, reentrant, root, autocast):
    net.eval()  # a recomputed BN would count its batch twice, with or without sharing
    whole = gradients(net, x)
    inner = Checkpointed(net, reentrant)
    if root == "shared outside":
        inner = Checkpointed(ss.unshare(net), reentrant)
        ss.share(inner, 2, [[f"net.{name}" for name in ss.groups(net)["body"]]])
        twin = bank_of(inner)
        with torch.no_grad():
            for own, other in zip(twin.parameters(), bank_of(net).parameters(), strict=True):
                own.copy_(other)
        net = inner.net
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        got = gradients(net, x, inner)
    tolerance = {"atol": 0.5, "rtol": 0.2} if autocast else {"atol": 1e-4, "rtol": 1e-4}
    same(got, whole, **tolerance)


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_whole_model_checkpointed(both, reentrant):
    net, x = both
    net.eval()
    whole = gradients(net, x)
    x = x.clone().requires_grad_()
    same(gradients(net, x, lambda x: checkpoint(net, x, use_reentrant=reentrant)), whole)


@pytest.mark.parametrize("ema", [True, False])
def test_averaged_models(both, ema):
    net, x = both
    options = {"multi_avg_fn": get_ema_multi_avg_fn(0.5)} if ema else {}
    average = AveragedModel(net, **options).eval()
    states = []
    with torch.no_grad():
        average(x)
    for _ in range(3):
        train(net, x, 1)
        average.update_parameters(net)
        states.append({n: p.detach().clone() for n, p in net.named_parameters()})
        got, weights = average(x), [0.5, 0.5] if ema else [1 / len(states)] * len(states)
        wanted = states[0]
        for later in states[1:] if ema else ():
            wanted = {n: 0.5 * wanted[n] + 0.5 * later[n] for n in wanted}
        if not ema:
            wanted = {
                n: sum(w * s[n] for w, s in zip(weights, states, strict=True)) for n in wanted
            }
        same(dict(average.module.named_parameters()), wanted, atol=1e-5, rtol=1e-4)
        with torch.no_grad():
            torch.testing.assert_close(average(x), got)


def test_an_average_by_hand_is_seen_from_eval_on(net, x):
    average = copy.deepcopy(net).eval()
    with torch.no_grad():
        average(x)
    train(net, x)
    for mine, theirs in zip(average.parameters(), net.parameters(), strict=True):
        mine.data.mul_(0.9).add_(theirs.data, alpha=0.1)
    average.eval()
    with torch.no_grad():
        torch.testing.assert_close(average(x), ss.unshare(average)(x))


@QUIET
@pytest.mark.parametrize("training", [True, False])
def test_compiled_whole(both, training):
    torch._dynamo.reset()
    net, x = both
    net.train(training)
    compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
    for _ in range(2):  # anew when the weights have changed
        twin = copy.deepcopy(net)
        if training:
            same(gradients(net, x, compiled), gradients(twin, x), atol=1e-4, rtol=1e-4)
        else:
            with torch.no_grad():
                torch.testing.assert_close(compiled(x), twin(x), atol=1e-5, rtol=1e-4)
        with torch.no_grad():
            for p in net.parameters():
                p.mul_(1.1)
    assert bank_of(net)._open is None


@QUIET
def test_compiled_block_by_block(net, x):
    torch._dynamo.reset()
    wanted = gradients(net, x)
    for layer in net.body:
        layer.compile(fullgraph=True, backend="aot_eager")
    same(gradients(net, x), wanted, atol=1e-5, rtol=1e-4)


@QUIET
def test_one_product_a_pass_where_the_compiler_gives_up(net, x, operations):
    torch._dynamo.reset()
    net.enter.register_forward_hook(lambda *_: torch._dynamo.graph_break())
    compiled = torch.compile(net, backend="eager")
    wanted = net(x)
    torch.testing.assert_close(compiled(x), wanted, atol=1e-5, rtol=1e-4)
    with operations() as ran:
        torch.testing.assert_close(compiled(x), wanted, atol=1e-5, rtol=1e-4)
    assert ran["mm"] == 1


@QUIET
@pytest.mark.slow
@pytest.mark.timeout(900)  # a C++ compiler runs
@pytest.mark.parametrize("training", [True, False])
def test_compiled_by_inductor(training):
    torch._dynamo.reset()
    torch.manual_seed(0)
    net, x = ss.share(PathNetwork(2, 4), 1).train(training), torch.randn(3, 2, 6, 6)
    compiled, twin = torch.compile(net, fullgraph=True), copy.deepcopy(net)
    if training:
        same(gradients(net, x, compiled), gradients(twin, x), atol=1e-3, rtol=1e-3)
    else:
        with torch.no_grad():
            torch.testing.assert_close(compiled(x), twin(x), atol=1e-4, rtol=1e-4)


def train_half(rank, folder):
    """One of two processes that take two steps, each on its half of a batch."""
    import torch.distributed as dist

    import softshare as ss
    from softshare.models.path_network import PathNetwork

    dist.init_process_group("gloo", f"file://{folder}/store", rank=rank, world_size=2)
    net = ss.share(PathNetwork(4, 8), 2).double()
    net.load_state_dict(torch.load(f"{folder}/start.pt", weights_only=True))
    for layer in net.body:
        layer.bn.eval()  # half a batch has other statistics
    x, y = torch.load(f"{folder}/batch.pt", weights_only=True)
    wrapped = torch.nn.parallel.DistributedDataParallel(net)
    optimizer = torch.optim.SGD(ss.param_groups(wrapped, 0.1), lr=0.1)
    half = slice(4 * rank, 4 * rank + 4)
    for step in range(2):
        optimizer.zero_grad()
        (wrapped(x[half]) - y[half]).square().mean().backward()
        gradients = {name: p.grad for name, p in net.named_parameters()}
        torch.save(gradients, f"{folder}/gradients-{rank}-{step}.pt")
        optimizer.step()
    torch.save(net.state_dict(), f"{folder}/end-{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_take_the_step_of_one(tmp_path, start):
    torch.manual_seed(0)
    net = ss.share(PathNetwork(4, 8), 2).double()
    x, y = torch.randn(8, 2, 5, 5).double(), torch.randn(8, 1, 5, 5).double()
    torch.save(net.state_dict(), tmp_path / "start.pt")
    torch.save((x, y), tmp_path / "batch.pt")
    workers = [start(train_half, rank, str(tmp_path)) for rank in (0, 1)]
    for worker in workers:
        worker.join(240)
        assert worker.exitcode == 0
    for layer in net.body:
        layer.bn.eval()
    optimizer = torch.optim.SGD(ss.param_groups(net, 0.1), lr=0.1)
    for step in range(2):
        optimizer.zero_grad()
        (net(x) - y).square().mean().backward()
        for rank in (0, 1):
            got = torch.load(tmp_path / f"gradients-{rank}-{step}.pt", weights_only=True)
            same(got, {n: p.grad for n, p in net.named_parameters()})
        optimizer.step()
    for rank in (0, 1):
        end = torch.load(tmp_path / f"end-{rank}.pt", weights_only=True)
        same(end, dict(net.state_dict()))


def test_sharded_at_its_root(both, tmp_path):
    net, x = both
    twin = copy.deepcopy(net)
    dist.init_process_group("gloo", f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        fully_shard(net, mesh=init_device_mesh("cpu", (1,)))
        for model in (net, twin):
            train(model, x)
        torch.testing.assert_close(net(x), twin(x))
    finally:
        dist.destroy_process_group()


# a strict export warns of every attribute that a forward pass sets, also of those it sets back
@pytest.mark.filterwarnings("ignore:While compiling, we found certain side effects")
@pytest.mark.parametrize("strict", [True, False])
def test_export(both, strict):
    net, x = both
    net.eval()
    wanted = net(x).detach()
    program = torch.export.export(net, (x,), strict=strict)
    torch.testing.assert_close(program.module()(x), wanted)
    stored = [name for name in program.state_dict if name.endswith("templates")]
    assert len(stored) == len(ss.groups(net))
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    torch.testing.assert_close(torch.export.load(file).module()(x), wanted)
    assert all(bank._open is None for bank in net.modules() if isinstance(bank, TemplateBank))


class Reads(nn.Module):
    """Asks its layers for their weights."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        return F.linear(F.linear(x, self.a.weight), self.b.weight)


def test_torch_fx_traces_what_unshare_gives():
    net, x = ss.share(Reads(), 1), torch.randn(2, 4)
    torch.testing.assert_close(torch.fx.symbolic_trace(ss.unshare(net))(x), net(x))
    with pytest.raises(ValueError, match=r"torch.fx cannot follow .* trace softshare.unshare\(net"):
        torch.fx.symbolic_trace(net)


def test_onnx(net, x, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    net.eval()
    wanted = net(x).detach().numpy()
    path = tmp_path / "net.onnx"
    torch.onnx.export(net, (x,), path, dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(path)
    (name,) = [i.name for i in session.get_inputs()]
    (got,) = session.run(None, {name: x.numpy()})
    np.testing.assert_allclose(got, wanted, atol=1e-4, rtol=1e-3)


def test_functional_call_and_its_gradient(both):
    net, x = both
    net.eval()
    values = {n: p.detach().clone() for n, p in net.named_parameters()}
    torch.testing.assert_close(torch.func.functional_call(net, values, (x,)), net(x))
    got = torch.func.grad(lambda v: torch.func.functional_call(net, v, (x,)).square().sum())(values)
    same(got, gradients(net, x), atol=1e-4, rtol=1e-4)


def test_gradients_of_each_example_by_vmap(net, x):
    net.eval()
    values = {n: p.detach() for n, p in net.named_parameters()}
    buffers = dict(net.named_buffers())

    def loss(values, one):
        return torch.func.functional_call(net, (values, buffers), (one[None],)).square().sum()

    each = torch.func.vmap(torch.func.grad(loss), (None, 0))(values, x)
    same({n: g.sum(0) for n, g in each.items()}, gradients(net, x), atol=1e-4, rtol=1e-4)


def test_a_layer_alone_under_functional_transforms(net):
    layer, y = net.body[0].conv, torch.randn(1, 8, 4, 4)
    values = {n: p.detach() for n, p in layer.named_parameters()}
    got = torch.func.grad(lambda v: torch.func.functional_call(layer, v, (y,)).square().sum())(
        values
    )
    layer(y).square().sum().backward()
    same(got, {n: p.grad for n, p in layer.named_parameters()})


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_dtypes(both, dtype):
    net, x = both
    exact = net(x)
    twin = copy.deepcopy(net).to(dtype)
    assert {p.dtype for p in twin.parameters()} == {dtype}
    y = twin(x.to(dtype))
    assert y.dtype == dtype
    torch.testing.assert_close(
        y.float(), exact, atol=0.15 if dtype == torch.bfloat16 else 1e-4, rtol=0.1
    )
    y.sum().backward()
    assert all(p.grad.dtype == dtype for p in twin.parameters())
    train(twin, x.to(dtype))


class Mask(nn.Module):
    """Keeps the greater half of a tensor's numbers."""

    def __init__(self, whole):
        super().__init__()
        self.register_buffer("kept", whole.abs() > whole.abs().median())

    def forward(self, whole):
        return whole * self.kept


def test_templates_are_pruned_for_good_by_a_parametrization(net, x):
    bank = bank_of(net)
    mask = Mask(bank.templates.detach())
    register_parametrization(bank, "templates", mask)
    train(net, x)
    assert not bank.templates[~mask.kept].any() and bank.templates[mask.kept].all()
    net.eval()
    for made in (ss.unshare(net), ss.fold(net, 1, inputs=x), copy.deepcopy(net)):
        torch.testing.assert_close(made.eval()(x), net(x))


def test_templates_are_pruned_once_by_pytorchs_prune(net, x):
    bank = bank_of(net)
    prune.l1_unstructured(bank, "templates", 0.5)
    prune.remove(bank, "templates")
    assert (bank.templates == 0).float().mean() == 0.5
    train(net, x)  # fills them
    torch.testing.assert_close(ss.unshare(net)(x), net(x))


def test_templates_are_initialised_one_by_one():
    net = ss.share(nn.Sequential(*[nn.Conv2d(32, 32, 3, padding=1) for _ in range(4)]), 3).eval()
    x = torch.randn(1, 32, 4, 4)
    with torch.no_grad():
        before = net(x)
        for T in bank_of(net).templates.detach().chunk(3):
            nn.init.kaiming_normal_(T, mode="fan_out")
            assert T.shape == net[0].weight.shape
            assert T.std().item() == pytest.approx((2 / (32 * 9)) ** 0.5, rel=0.05)
        assert not torch.equal(net(x), before)  # nothing that was kept runs on


def test_on_the_meta_device():
    with torch.device("meta"):
        net = ss.share(PathNetwork(4, 8), 2)
        assert net(torch.empty(2, 2, 6, 6)).shape == (2, 1, 6, 6)
    net.to_empty(device="cpu")
    net.load_state_dict(ss.share(PathNetwork(4, 8), 2).state_dict())
    assert net(torch.randn(2, 2, 6, 6)).isfinite().all()


def test_a_model_may_use_our_private_names_for_its_own():
    """What is shared or folded is told by its type."""

    class FoldedModel(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = (nn.Linear(4, 4) for _ in "abc")
            self._slots = self._mixed = ("of", "my", "own")

        def sharing_groups(self):
            return {"mine": ["a", "b"]}

        def forward(self, x):
            return self.c(self.b(self.a(x)))

    net = ss.share(FoldedModel(), 2)
    assert ss.groups(net) == {"mine": ["a", "b"]}
    assert not is_folded(net)
