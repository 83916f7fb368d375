"""What `fold` makes of a model: against a plain copy whose weights are tied by hand."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.func import functional_call
from torchvision.models.resnet import Bottleneck, ResNet

import softshare as ss
from softshare.folding import folding
from softshare.folding.folded_model import FoldedModel
from softshare.folding.looping import Loop
from softshare.sharing import banks


class Tables(nn.Module):
    """Weights of the root itself, two of them in one module, and a list of matrices."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = (nn.Parameter(torch.randn(4, 4)) for _ in range(2))
        self.mixers = nn.ParameterList([torch.randn(4, 4) for _ in range(4)])

    def forward(self, x: Tensor, *, gain: float = 1.0) -> Tensor:
        x = x @ self.first + x @ self.second
        for mixer in self.mixers:
            x = torch.tanh(x @ mixer)
        return gain * x


def transformer() -> nn.Module:
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    return nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)


def bottleneck() -> nn.Module:
    net = ResNet(Bottleneck, [1, 4, 3, 1], width_per_group=8)
    net.groups = {
        f"layer{n} {conv}": [f"layer{n}.{i}.{conv}" for i in range(1, blocks)]
        for n, blocks in ((2, 4), (3, 3))
        for conv in ("conv1", "conv2", "conv3")
    }
    return net


def attention_groups() -> dict[str, list[str]]:
    parts = ["self_attn.in_proj_weight", "self_attn.out_proj", "linear1", "linear2"]
    return {part: [f"layers.{i}.{part}" for i in range(4)] for part in parts}


MODELS = {
    "wrn": (lambda: ss.build("wrn-28-1"), (2, 3, 32, 32), None),
    "path": (lambda: ss.models.PathNetwork(8, 6), (2, 2, 9, 9), None),
    "bottleneck": (bottleneck, (2, 3, 32, 32), lambda net: net.groups),
    "attention": (transformer, (2, 5, 8), lambda net: attention_groups()),
    "linear": (lambda: nn.Sequential(*[nn.Linear(5, 5) for _ in range(6)]), (3, 5), None),
    "tables": (
        Tables,
        (3, 4),
        lambda net: [["first", "second"], [f"mixers.{i}" for i in range(4)]],
    ),
}
PATTERNS = ((1, 2, 1, 2), (1, 1), (1, 2, 3, 3), (1,))


def shared(
    name: str, noise: float = 0.03, templates: int | None = None, pattern: int = 0
) -> tuple[nn.Module, Tensor]:
    """A shared model in which layers are nearly alike by a pattern, with all signs and sizes."""
    torch.manual_seed(0)
    build, shape, groups = MODELS[name]
    net = build()
    ss.share(net, templates, groups and groups(net))
    plant(net, noise, pattern)
    return net, torch.randn(shape)


def plant(net: nn.Module, noise: float, pattern: int) -> None:
    with torch.no_grad():
        for number, bank in enumerate(banks(net).values()):
            A = bank.coefficients
            period = PATTERNS[(number + pattern) % len(PATTERNS)]
            tau = [period[i % len(period)] - 1 for i in range(len(A))]
            rows = torch.linalg.qr(torch.randn(max(A.shape[1], 4), max(A.shape[1], 4)))[0]
            signs = torch.tensor([(-1.0) ** i * (0.5 + 0.3 * (i % 4)) for i in range(len(A))])
            A.copy_(rows[tau, : A.shape[1]] * signs[:, None])
            A.add_(noise * A.norm(dim=1, keepdim=True) * F.normalize(torch.randn_like(A)))
        for module in net.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.uniform_(module.running_var, 0.5, 1.5)


def tied_by_hand(net: nn.Module, folded: FoldedModel) -> tuple[nn.Module, dict[str, tuple]]:
    """A plain copy with weights s R, and (s, R) of each tied layer from a singular vector."""
    plain = ss.unshare(net)
    parts: dict[str, tuple] = {}
    named = dict(plain.named_parameters())
    for group in folded.report.groups:
        for tie in group.ties:
            names = [layer if layer in named else f"{layer}.weight" for layer in tie]
            W = torch.stack([named[name].detach().flatten() for name in names]).double()
            R = torch.linalg.svd(F.normalize(W, dim=1), full_matrices=False)[2][0]
            for name, w in zip(names, W, strict=True):
                parts[name] = (w @ R, R.view_as(named[name]), tie)
                with torch.no_grad():
                    named[name].copy_(parts[name][0] * parts[name][1])
    return plain, parts


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("loops", [True, False])
@pytest.mark.parametrize("templates", [None, 2])
@pytest.mark.parametrize("name", MODELS)
def test_the_folded_model_is_the_tied_one_with_its_gradients(name, templates, loops, training):
    net, x = shared(name, templates=templates)
    x = x.double()
    folded = ss.fold(net.double(), 0.9, loops=loops)
    assert any(len(tie) > 1 for group in folded.report.groups for tie in group.ties)
    plain, _ = tied_by_hand(net, folded)
    results = []
    for model in (folded, plain):
        model.train(training)
        y = x.clone().requires_grad_()
        out = model(y)
        out.square().sum().backward()
        results.append((out.detach(), y.grad))
    for got, expected in zip(*results, strict=True):
        torch.testing.assert_close(got, expected, atol=1e-8, rtol=1e-6)
    buffers = [
        sum(b.double().sum() for n, b in m.named_buffers() if "running" in n)
        for m in (folded, plain)
    ]
    assert float(buffers[0]) == pytest.approx(float(buffers[1]), rel=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_gradients_of_all_layers_add_up_in_their_tie(name):
    net, x = shared(name)
    folded = ss.fold(net.double(), 0.9, loops=False)
    plain, _ = tied_by_hand(net, folded)
    for model in (folded, plain):
        model.train()
        model(x.double()).square().sum().backward()
    by_hand = dict(plain.named_parameters())
    seen = 0
    for path, module in folded.named_modules():
        for attribute, parts in getattr(module, "_computed", ()):
            own = f"{path}.{attribute}".lstrip(".")
            if "tie" not in parts:
                continue
            tie = getattr(module, f"{attribute}_tie")
            scale = getattr(module, f"{attribute}_scale")
            expected = (by_hand[own].grad * tie).sum()  # dL/ds_i = <dL/dW_i, R>
            torch.testing.assert_close(scale.grad, expected, rtol=1e-4, atol=1e-6)
            total = torch.zeros_like(tie)
            for other, twin in folded.named_modules():
                for named, kinds in getattr(twin, "_computed", ()):
                    if "tie" in kinds and getattr(twin, f"{named}_tie") is tie:
                        weight = by_hand[f"{other}.{named}".lstrip(".")]
                        total += getattr(twin, f"{named}_scale") * weight.grad
            torch.testing.assert_close(tie.grad, total.detach(), rtol=1e-4, atol=1e-6)
            seen += 1
    assert seen > 1


@pytest.mark.parametrize("templates", [None, 2, 1])
@pytest.mark.parametrize("name", MODELS)
def test_layers_that_are_tied_exactly_fold_without_loss(name, templates):
    net, x = shared(name, noise=0.0, templates=templates)
    folded = ss.fold(net, 1.0, inputs=x)
    report = folded.report
    assert report.gap <= 1e-5 * max(1, report.largest_output)
    assert report.rounding <= 1e-5 * max(1, report.largest_output)
    assert report.parameters_after <= report.parameters_before
    assert any(len(tie) > 1 for group in report.groups for tie in group.ties)


@pytest.mark.parametrize("name", MODELS)
def test_the_model_stays_as_it_is(name):
    net, x = shared(name)
    net.train()
    next(net.children()).eval()
    modes = [m.training for m in net.modules()]
    state = copy.deepcopy(net.state_dict())
    kinds = [type(m) for m in net.modules()]
    hooks = [len(m._forward_hooks) for m in net.modules()]
    folded = ss.fold(net, 0.9, inputs=x)
    assert kinds == [type(m) for m in net.modules()]
    assert hooks == [len(m._forward_hooks) for m in net.modules()]
    assert modes == [m.training for m in net.modules()]
    assert folded.training and not next(folded.children()).training
    for key, value in net.state_dict().items():
        torch.testing.assert_close(value, state[key], rtol=0, atol=0)
    assert {id(p) for p in net.parameters()}.isdisjoint({id(p) for p in folded.parameters()})
    assert isinstance(folded, FoldedModel) and isinstance(folded, MODELS_CLASSES[name])
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in folded.modules())


MODELS_CLASSES = {
    "wrn": ss.models.WideResNet,
    "path": ss.models.PathNetwork,
    "bottleneck": ResNet,
    "attention": nn.TransformerEncoder,
    "linear": nn.Sequential,
    "tables": Tables,
}


@pytest.mark.parametrize("name", ["wrn", "path", "linear"])
def test_sign_and_size_of_a_layer_stay_in_its_scale(name):
    net, x = shared(name)
    with torch.no_grad():
        for bank in banks(net).values():
            bank.coefficients.mul_(torch.linspace(-4, 3.1, len(bank.layers))[:, None])
    x = x.double()
    one = ss.fold(net.double(), 0.9, inputs=x)
    assert [g.schedule for g in one.report.groups] == [
        g.schedule for g in ss.fold(shared(name)[0], 0.9).report.groups
    ]
    plain, parts = tied_by_hand(net, one)
    torch.testing.assert_close(one.eval()(x), plain.eval()(x), atol=1e-7, rtol=1e-6)
    for group in one.report.groups:
        for tie in group.ties:
            named = [layer if layer in parts else f"{layer}.weight" for layer in tie]
            assert len({round(float(parts[n][0]), 5) for n in named}) == len(tie)


@pytest.mark.parametrize("name", ["wrn", "path", "attention", "tables"])
def test_training_trains_what_is_shared_through_all_layers(name):
    """Steps on (s, R) of a plain model, called with weights s R, are those of the folded one."""
    net, x = shared(name)
    folded = ss.fold(net.double(), 0.9).train()
    plain, _ = tied_by_hand(net, folded)
    plain.train()
    flat = ss.fold(net, 0.9, loops=False)  # only for the same starting point
    leaves: dict[int, Tensor] = {}
    recipe: dict[str, tuple[Tensor, Tensor]] = {}
    for path, module in flat.named_modules():
        for attribute, parts in getattr(module, "_computed", ()):
            assert parts == ("scale", "tie")
            tie = getattr(module, f"{attribute}_tie")
            R = leaves.setdefault(id(tie), tie.detach().clone().requires_grad_())
            s = getattr(module, f"{attribute}_scale").detach().clone().requires_grad_()
            recipe[f"{path}.{attribute}".lstrip(".")] = (s, R)
    rest = [p for n, p in plain.named_parameters() if n not in recipe]
    by_hand = [*leaves.values(), *(s for s, _ in recipe.values()), *rest]
    x = x.double()

    def run(_: nn.Module) -> Tensor:
        weights = {name: s * R for name, (s, R) in recipe.items()}
        return functional_call(plain, weights, (x,))

    losses = []
    for model, parameters, call in (
        (folded, list(folded.parameters()), lambda net: net(x)),
        (plain, by_hand, run),
    ):
        optimizer = torch.optim.SGD(parameters, lr=0.01, momentum=0.9)
        for _ in range(4):
            optimizer.zero_grad()
            loss = call(model).square().mean()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert losses[3] < losses[0]
    assert losses[:4] == pytest.approx(losses[4:], rel=1e-6)


def blocks(schedules: dict[str, list[int]], depth: int) -> nn.Module:
    """A wide ResNet whose stages have these schedules."""
    net = ss.build(f"swrn-{depth}-1")
    with torch.no_grad():
        for label, bank in banks(net).items():
            tau = schedules.get(label, list(range(len(bank.layers))))
            scales = 0.5 + 0.1 * torch.arange(float(len(tau)))
            bank.coefficients.copy_(torch.eye(len(tau))[tau] * scales[:, None])
    return net


@pytest.mark.parametrize(
    ("schedule", "kept", "loops"),
    [
        ([0, 1, 0, 1, 0, 1], ["0", "1_to_3"], {"1_to_3": 3}),
        ([0, 0, 0, 0, 0, 0], ["0", "1_to_3"], {"1_to_3": 3}),
        ([0, 1, 2, 3, 2, 3], ["0", "1", "2_to_3"], {"2_to_3": 2}),
        ([0, 1, 0, 1, 2, 3], ["0", "1_to_2", "3"], {"1_to_2": 2}),
        ([0, 1, 2, 1, 2, 3], ["0", "1", "2", "3"], {}),  # a loop across blocks
        ([0, 1, 1, 1, 1, 2], ["0", "1", "2", "3"], {}),
        ([0, 0, 1, 1, 2, 2], ["0", "1", "2", "3"], {}),  # within blocks
        ([0, 1, 2, 3, 4, 5], ["0", "1", "2", "3"], {}),
    ],
)
def test_runs_of_blocks_become_loops(schedule, kept, loops):
    folded = ss.fold(blocks({"stage2": schedule}, 28), 0.99)
    assert list(folded.stage2._modules) == kept
    found = {n: m.count for n, m in folded.stage2.named_modules() if isinstance(m, Loop)}
    assert found == loops
    assert not any(isinstance(m, Loop) for m in (*folded.stage1, *folded.stage3))
    report = folded.report
    assert [loop.path for loop in report.loops] == [f"stage2.{path}" for path in loops]
    runs = [runs for _, runs in report.repeats(report.groups[1])]
    assert all(runs) if loops else not any(runs)
    assert report.gap < 1e-5 * report.largest_output
    calls: list[int] = []
    for module in folded.stage2.modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3):
            module.register_forward_hook(lambda *_: calls.append(1))
    folded.eval()(torch.zeros(1, 3, 32, 32))
    assert len(calls) == 8  # every layer still runs, in a loop or not


def test_loops_of_loops_of_blocks():
    inner = [0, 1, 2, 3, 2, 3]
    net = blocks({"stage1": inner + inner}, 46)
    folded = ss.fold(net, 0.99)
    _, outer = folded.stage1
    assert outer.count == 2 and list(outer.body._modules) == ["0", "1"]
    assert outer.body[1].count == 2
    names = {n for n, _ in folded.named_parameters() if n.startswith("stage1.1_to_6")}
    assert "stage1.1_to_6.body.1.body.conv1.weight_scale" in names
    assert folded.stage1.get_submodule("1_to_6.body.1.body.conv1").weight_scale.shape == (2, 2)
    assert str(folded.report.groups[0].program) == "2×(1 2 2×(3 4))"
    assert all(runs for _, runs in folded.report.repeats(folded.report.groups[0]))
    assert [loop.path for loop in folded.report.loops if loop.path] == [
        "stage1.1_to_6",
        "stage1.1_to_6.body.1",
    ]
    assert folded.report.gap < 1e-5 * folded.report.largest_output
    flat = ss.fold(net, 0.99, loops=False)
    x = torch.randn(2, 3, 32, 32)
    for mode in (True, False):
        got, expected = (model.train(mode)(x) for model in (folded, flat))
        torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-4)


def chain(layers: int, width: int, generator: torch.Generator) -> nn.Sequential:
    """Blocks of `width` linear layers, each layer normalised."""
    net = nn.Sequential()
    for _ in range(layers // width):
        parts: list[nn.Module] = []
        for _ in range(width):
            parts += [nn.Linear(3, 3), nn.BatchNorm1d(3)]
        net.append(nn.Sequential(*parts))
    for tensor in net.parameters():
        nn.init.normal_(tensor, generator=generator)
    return net.double()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 2), min_size=2, max_size=5),
    st.lists(st.integers(0, 5), min_size=3, max_size=10),
    st.integers(1, 2),
    st.integers(0, 1000),
)
def test_unrolling_any_schedule_gives_the_tied_network(pattern, order, width, seed):
    """Blocks drawn from a few kinds, in any order: loops, loops of loops, and none."""
    generator = torch.Generator().manual_seed(seed)
    kinds = [(kind, (kind + seed) % 3)[:width] for kind in pattern]
    tau = [tie for i in order for tie in kinds[i % len(kinds)]]
    net = chain(len(tau), width, generator)
    ss.share(net, init="identity")
    (bank,) = banks(net).values()
    with torch.no_grad():
        size = torch.randn(len(tau), 1, generator=generator, dtype=torch.float64)
        bank.coefficients.copy_(torch.eye(max(3, len(tau)))[tau, : len(tau)].double() * size)
    x = torch.randn(4, 3, generator=generator).double()
    looping, flat = (ss.fold(net, 0.999, inputs=x, loops=loops) for loops in (True, False))
    for report in (looping.report, flat.report):
        assert report.gap < 1e-8 * max(1, report.largest_output)
    (group,) = looping.report.groups
    first = list(dict.fromkeys(tau))
    assert group.schedule == tuple(1 + first.index(tie) for tie in tau)
    assert group.program.unroll() == group.schedule
    for mode in (True, False):
        got, expected = (model.train(mode)(x) for model in (looping, flat))
        torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-6)
    runs = [m for m in looping.modules() if isinstance(m, Loop)]
    assert len(runs) == sum(bool(loop.path) for loop in looping.report.loops)
    assert not any(isinstance(m, Loop) for m in flat.modules())


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.floats(0, 1), st.integers(0, 10_000))
def test_random_coefficients_fold_to_their_folding(k, threshold, seed):
    generator = torch.Generator().manual_seed(seed)
    net = ss.share(chain(6, 1, generator), k, generator=generator)
    x = torch.randn(4, 3, generator=generator).double()
    folded = ss.fold(net, threshold, inputs=x)
    (bank,) = banks(net).values()
    T = bank.templates.detach().reshape(k, -1)
    part = folding(bank.coefficients, threshold, bank.layers, gram=T @ T.T)
    plain = ss.unshare(net)
    with torch.no_grad():
        for row, block in zip(part.coefficients @ T, plain, strict=True):
            block[0].weight.copy_(row.view(3, 3))
    assert folded.report.groups[0].schedule == part.schedule
    assert folded.report.parameters_after == 54 + part.parameters(9)
    for mode in (True, False):
        got, expected = (model.train(mode)(x) for model in (folded, plain))
        torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-6)


def test_frozen_groups_stay_frozen():
    net, _ = shared("linear")
    net.requires_grad_(False)
    net[0].bias.requires_grad_()
    folded = ss.fold(net, 0.9, loops=False)
    assert [n for n, p in folded.named_parameters() if p.requires_grad] == ["0.bias"]


@pytest.mark.slow
def test_the_network_of_imagenet_folds():
    net = ss.build("swrn-50-2")
    with torch.no_grad():
        for bank in banks(net).values():
            last = len(bank.layers) - 1
            bank.coefficients[last] = -2 * bank.coefficients[last - 1]
    folded = ss.fold(net, 0.999)
    assert [len(g.ties) for g in folded.report.groups] == [
        len(group) - 1 for group in ss.groups(net).values()
    ]
    assert [loop.path for loop in folded.report.loops] == [
        "layer1.1_to_2", "layer2.2_to_3", "layer3.4_to_5", "layer4.1_to_2"
    ]  # fmt: skip
    assert folded.report.rounding < 1e-4 * folded.report.largest_output
    assert folded.report.gap < 1e-4 * folded.report.largest_output
    assert folded.report.bytes_after < folded.report.bytes_before
