"""What `share` changes of a model, what it leaves, and that `unshare` takes it back."""

import copy
import inspect
import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import softshare as ss
from softshare.sharing.bank import TemplateBank
from softshare.sharing.initialisation import initial_coefficients


class Stack(nn.Module):
    """Convolutions with normalisation, a method beside forward, and an option to forward."""

    def __init__(self, kind: type, norm: type, layers: int = 4, **options) -> None:
        super().__init__()
        self.enter = kind(2, 6, 1)
        self.body = nn.ModuleList([kind(6, 6, 3, padding=1, **options) for _ in range(layers)])
        self.norms = nn.ModuleList([norm(6) for _ in range(layers)])

    def encode(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        for layer, norm in zip(self.body, self.norms, strict=True):
            x = x + F.relu(norm(layer(x)))
        return x

    def forward(self, x: Tensor, *, scale: float = 1.0) -> Tensor:
        return scale * self.encode(x).flatten(2).mean(2)


class Tables(nn.Module):
    """Raw parameters: tables looked up like embeddings, a list of matrices, vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.randn(9, 4))
        self.second = nn.Parameter(torch.randn(9, 4))
        self.mixers = nn.ParameterList([torch.randn(4, 4) for _ in range(3)])
        self.gain, self.shift = (nn.Parameter(torch.randn(4)) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        x = F.embedding(x, self.first) * F.embedding(x, self.second)
        for mixer in self.mixers:
            x = torch.tanh(x @ mixer)
        return x * self.gain + self.shift


def transformer():
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    return nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)


ATTENTION = ["self_attn.in_proj_weight", "self_attn.out_proj", "linear1", "linear2"]
MODELS = {
    "linear": (lambda: nn.Sequential(*[nn.Linear(5, 5) for _ in range(4)]), (3, 5), None),
    "conv1d": (lambda: Stack(nn.Conv1d, nn.BatchNorm1d), (3, 2, 7), None),
    "conv2d": (lambda: Stack(nn.Conv2d, nn.BatchNorm2d), (3, 2, 6, 6), None),
    "conv3d": (lambda: Stack(nn.Conv3d, nn.BatchNorm3d), (3, 2, 4, 4, 4), None),
    "depthwise": (lambda: Stack(nn.Conv2d, nn.BatchNorm2d, groups=6), (3, 2, 6, 6), None),
    "reflecting": (
        lambda: Stack(nn.Conv2d, nn.BatchNorm2d, padding_mode="reflect", bias=False),
        (3, 2, 6, 6),
        None,
    ),
    "transposed": (lambda: Stack(nn.ConvTranspose2d, nn.BatchNorm2d), (3, 2, 6, 6), None),
    "attention": (
        transformer,
        (3, 7, 8),
        {part: [f"layers.{i}.{part}" for i in range(3)] for part in ATTENTION},
    ),
    "tables": (
        Tables,
        None,
        [["first", "second"], ["mixers.0", "mixers.1", "mixers.2"], ["gain", "shift"]],
    ),
    "wrn": (lambda: ss.build("wrn-16-1"), (3, 3, 32, 32), None),
    "path": (lambda: ss.models.PathNetwork(4, 8), (3, 2, 8, 8), None),
}


def example(shape):
    return torch.randint(9, (3, 5)) if shape is None else torch.randn(shape)


def made(name, seed=0):
    torch.manual_seed(seed)
    build, shape, groups = MODELS[name]
    return build(), example(shape), groups


def train(net, x, steps=3):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    for _ in range(steps):
        optimizer.zero_grad()
        net(x).square().mean().backward()
        optimizer.step()


def linears(n=4, size=4):
    return nn.Sequential(*[nn.Linear(size, size) for _ in range(n)])


def banks(net):
    return [m for m in net.modules() if isinstance(m, TemplateBank)]


@pytest.mark.parametrize("init", ["orthogonal", "identity"])
@pytest.mark.parametrize("name", MODELS)
def test_as_many_templates_as_layers_keep_the_function(name, init):
    net, x, groups = made(name)
    before = net(x)
    assert ss.share(net, groups=groups, init=init) is net
    assert len(banks(net)) >= 1
    torch.testing.assert_close(net(x), before, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("layers", [2, 6, 18])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("init", ["orthogonal", "identity"])
def test_as_many_templates_as_layers_keep_the_weights_to_their_rounding(init, dtype, layers):
    torch.manual_seed(0)
    net = linears(layers, 9).to(dtype)
    before = torch.stack([layer.weight.detach() for layer in net])
    ss.share(net, init=init)
    after = torch.stack([layer.weight.detach() for layer in net])
    error = (after - before).abs().max() / before.abs().max()
    assert error <= (10 * torch.finfo(dtype).eps if init == "orthogonal" else 0)


def test_a_seed_draws_the_same_coefficients_in_every_precision():
    def seeded():
        return torch.Generator().manual_seed(0)

    drawn = initial_coefficients(6, 4, generator=seeded())
    for dtype in (torch.float32, torch.float64):
        bank = banks(ss.share(linears(6).to(dtype), 4, generator=seeded()))[0]
        torch.testing.assert_close(bank.coefficients.detach().float(), drawn)
        assert dtype is torch.float64 or torch.equal(bank.coefficients, drawn)


@pytest.mark.parametrize("name", MODELS)
def test_unshare_gives_back_a_plain_model_of_the_same_function(name):
    net, x, groups = made(name)
    original = copy.deepcopy(net)
    ss.share(net, 2, groups)
    train(net, x)
    shared = ss.groups(net)
    plain = ss.unshare(net)

    assert [(p, type(m)) for p, m in plain.named_modules()] == [
        (p, type(m)) for p, m in original.named_modules()
    ]
    assert list(plain.state_dict()) == list(original.state_dict())
    assert [n for n, _ in plain.named_parameters()] == [n for n, _ in original.named_parameters()]
    assert all(isinstance(p, nn.Parameter) and p.is_leaf for p in plain.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in plain.modules())
    for mode in (True, False):
        torch.testing.assert_close(
            copy.deepcopy(plain).train(mode)(x), copy.deepcopy(net).train(mode)(x)
        )
    assert ss.groups(net) == shared  # net itself stays shared
    before = copy.deepcopy(plain.state_dict())
    train(plain, x)
    for layer in itertools.chain(*shared.values()):
        weight = layer if layer in before else f"{layer}.weight"
        assert not torch.equal(plain.state_dict()[weight], before[weight])


@pytest.mark.parametrize("name", ["conv2d", "attention", "tables"])
def test_training_is_that_of_weights_summed_layer_by_layer(name):
    net, x, groups = made(name)
    net, x = net.double(), x.double() if x.is_floating_point() else x
    plain = copy.deepcopy(net)
    ss.share(net, 2, groups)
    rest = dict(plain.named_parameters())
    twins = []  # (templates, coefficients, full names of the weights) of every bank
    for bank in banks(net):
        T, A = bank.templates.detach().unflatten(0, (2, -1)), bank.coefficients.detach()
        names = [layer if layer in rest else f"{layer}.weight" for layer in bank.layers]
        twins.append((T.clone().requires_grad_(), A.clone().requires_grad_(), names))
    for weight in itertools.chain(*(names for _, _, names in twins)):
        del rest[weight]
    leaves = [leaf for T, A, _ in twins for leaf in (T, A)] + [*rest.values()]
    own, other = torch.optim.SGD(net.parameters(), lr=0.05), torch.optim.SGD(leaves, lr=0.05)
    for _ in range(4):
        mixed = {
            weight: alpha[0] * T[0] + alpha[1] * T[1]
            for T, A, names in twins
            for weight, alpha in zip(names, A, strict=True)
        }
        wanted = torch.func.functional_call(plain, {**rest, **mixed}, (x,))
        got = net(x)
        torch.testing.assert_close(got, wanted)
        for optimizer, y in ((own, got), (other, wanted)):
            optimizer.zero_grad()
            y.square().sum().backward()
            optimizer.step()
    for bank, (T, A, _) in zip(banks(net), twins, strict=True):
        torch.testing.assert_close(bank.templates.view_as(T), T)
        torch.testing.assert_close(bank.coefficients, A)


def test_fewer_templates_start_as_the_least_squares_approximation():
    net = linears(5)
    W = torch.stack([layer.weight.detach() for layer in net]).flatten(1)  # (L, n)
    ss.share(net, templates=2)
    A = banks(net)[0].coefficients.detach()
    fitted = A @ torch.linalg.lstsq(A, W).solution
    torch.testing.assert_close(torch.stack([layer.weight for layer in net]).flatten(1), fitted)


@pytest.mark.parametrize("templates", [2, 4])
def test_the_lsm_begins_without_a_look_at_the_weights(templates):
    drawn = linears(4)
    alike = nn.Sequential(*[copy.deepcopy(drawn[0]) for _ in drawn])
    begin = []
    for net in (drawn, alike):
        ss.share(net, templates, generator=torch.Generator().manual_seed(0))
        begin += ss.lsm(net).values()
    assert torch.equal(*begin)


@pytest.mark.parametrize("init", ["uniform", "normal", "sparse-uniform", "sparse-normal"])
def test_other_inits_start_at_the_first_weights(init):
    net = linears(5)
    W = torch.cat([layer.weight.detach() for layer in net[:3]])
    ss.share(net, 3, init=init)
    assert torch.equal(banks(net)[0].templates, W)


def test_class_signature_and_call_sites_stay():
    net, x, _ = made("conv2d")
    signature = inspect.signature(net.forward)
    before = net(x, scale=2.0)
    ss.share(net)
    assert type(net) is Stack
    assert inspect.signature(net.forward) == signature
    assert "forward" not in net.__dict__
    torch.testing.assert_close(net(x, scale=2.0), before)
    assert all(isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3) for layer in net.body)
    assert inspect.signature(net.body[0].forward) == inspect.signature(nn.Conv2d(1, 1, 1).forward)


def test_a_sequential_stays_a_sequence_of_its_layers():
    net = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
    layers = list(net)
    ss.share(net)
    assert type(net) is nn.Sequential
    assert len(net) == 3
    assert all(a is b for a, b in zip(net, layers, strict=True))
    assert [name for name, _ in net.named_children()] == ["0", "1", "2"]
    net.append(nn.Tanh())
    assert net(torch.ones(1, 3)).abs().max() < 1


def test_a_layer_called_by_itself_has_its_weight_and_gradient():
    net, _, _ = made("conv2d")
    plain = copy.deepcopy(net)
    ss.share(net)
    y = torch.randn(2, 6, 5, 5)
    for layer, twin in zip(net.body, plain.body, strict=True):
        torch.testing.assert_close(layer(y), twin(y), atol=1e-5, rtol=1e-4)
    bank = banks(net)[0]
    net.body[2](y).sum().backward()
    plain.body[2](y).sum().backward()
    # W_2 alone is used, so dL/dT_j = alpha_2j dL/dW_2
    expected = bank.coefficients.detach()[2].view(-1, 1, 1, 1, 1) * plain.body[2].weight.grad
    torch.testing.assert_close(bank.templates.grad.view_as(expected), expected)
    assert not bank.coefficients.grad[[0, 1, 3]].any()


def test_methods_beside_forward_work():
    net, x, _ = made("conv2d")
    before = net.encode(x)
    ss.share(net)
    torch.testing.assert_close(net.encode(x), before, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["linear", "attention", "wrn"])
@pytest.mark.parametrize("training", [True, False])
def test_one_product_a_group_and_pass(operations, name, training):
    net, x, groups = made(name)
    net.train(training)

    def products(net):
        with operations() as ran:
            net(x)
        return ran["mm"]

    before = products(net)
    ss.share(net, 2, groups)
    assert products(net) - before == len(banks(net))
    assert products(ss.unshare(net)) == before


def test_backward_of_a_model_writes_no_zeros(operations):
    net, x, _ = made("wrn")
    plain = copy.deepcopy(net)
    ss.share(net)
    counts = []
    for model in (plain, net):
        loss = model(x).sum()
        with operations() as ran:
            loss.backward()
        counts.append(ran)
    for name in ("zeros", "new_zeros", "zeros_like", "select_backward", "zero_"):
        assert counts[1][name] == counts[0][name]
    assert counts[1]["mm"] - counts[0]["mm"] == 2 * len(banks(net))


def test_channels_last_reaches_the_weights():
    net, _, _ = made("wrn")
    net.to(memory_format=torch.channels_last)
    ss.share(net, 2)
    later = ss.share(made("wrn")[0], 2).to(memory_format=torch.channels_last)
    for model in (net, later):
        for name in ss.groups(model)["stage2"]:
            weight = model.get_submodule(name).weight
            assert weight.is_contiguous(memory_format=torch.channels_last)
    deep = nn.Sequential(nn.Conv3d(2, 2, 3), nn.Conv3d(2, 2, 3))
    ss.share(deep.to(memory_format=torch.channels_last_3d))
    assert deep[1].weight.is_contiguous(memory_format=torch.channels_last_3d)
    plain = ss.unshare(net)
    assert plain.stage2[1].conv1.weight.is_contiguous(memory_format=torch.channels_last)


def test_two_weights_of_one_module():
    net, x, groups = made("tables")
    ss.share(net, groups=groups[:1])
    ss.share(net, groups=groups[2:])
    assert isinstance(net, Tables)
    before = net(x)
    again = copy.deepcopy(net)
    torch.testing.assert_close(again(x), before)
    assert type(ss.unshare(net)) is Tables
    torch.testing.assert_close(ss.unshare(net)(x), before)


def test_the_users_hooks_stay():
    net = linears(3)
    calls = []
    net.register_forward_hook(lambda *_: calls.append("after"))
    net.register_forward_pre_hook(lambda *_: calls.append("before"))
    plain = ss.unshare(ss.share(net))
    plain(torch.ones(1, 4))
    assert calls == ["before", "after"]


def test_the_generator_decides():
    draws = [
        banks(ss.share(linears(), 2, generator=torch.Generator().manual_seed(seed)))[0]
        for seed in (1, 1, 2)
    ]
    assert torch.equal(draws[0].coefficients, draws[1].coefficients)
    assert not torch.equal(draws[0].coefficients, draws[2].coefficients)
