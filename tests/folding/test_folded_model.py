"""What a folded model goes through: copies, moves, steps, precision, compilation."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

import softshare as ss
from softshare.folding.folded_model import FoldedModel
from softshare.folding.folded_weights import FoldedWeights
from softshare.folding.looping import Loop, unrolled
from softshare.sharing import banks


def test_copies_are_like_it_and_their_own(model, folded, shared_places, name):
    made, x = folded(name)
    expected = made.eval()(x)
    saved = io.BytesIO()
    torch.save(made.state_dict(), saved)
    saved.seek(0)
    state = torch.load(saved, weights_only=True)
    other = ss.fold(model(name)[0], 0.999)
    for parameter in other.parameters():
        nn.init.normal_(parameter)
    other.load_state_dict(state, assign=True)
    averaged = torch.optim.swa_utils.AveragedModel(made).module
    for twin in (copy.deepcopy(made), pickle.loads(pickle.dumps(made)), averaged, other):
        assert type(twin) is type(made)
        assert twin.report == made.report
        assert shared_places(twin) == shared_places(made)
        torch.testing.assert_close(twin.eval()(x), expected)
        assert not {id(p) for p in twin.parameters()} & {id(p) for p in made.parameters()}


@pytest.mark.parametrize("name", ["wrn", "mixed", "linear", "attention"])
def test_ties_outlive_every_move(folded, shared_places, name):
    made, _ = folded(name, loops=False)
    places = shared_places(made)
    assert places
    for move in (
        lambda net: net.double(),
        lambda net: net.to(memory_format=torch.channels_last),
        lambda net: net.to("meta"),
        lambda net: net.to_empty(device="cpu"),
    ):
        move(made)
        assert shared_places(made) == places


def test_steps_keep_ties(folded, shared_places, name):
    made, x = folded(name)
    optimizer = torch.optim.SGD(ss.param_groups(made), lr=0.01, momentum=0.9)
    before = [p.detach().clone() for p in made.parameters()]
    places = shared_places(made)
    losses = []
    for _ in range(5):
        optimizer.zero_grad()
        loss = made.train()(x).square().mean()
        loss.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in made.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert shared_places(made) == places
    moved = [not torch.equal(a, b) for a, b in zip(before, made.parameters(), strict=True)]
    assert sum(moved) > 0.8 * len(moved)
    flat = [m.unrolled() for m in made.modules() if isinstance(m, Loop)]
    for block in (module for modules in flat for module in modules):
        for layer in block.modules():
            if isinstance(layer, FoldedWeights) and "tie" in dict(layer._computed)["weight"]:
                expected = layer.weight_scale * layer.weight_tie
                torch.testing.assert_close(layer.weight, expected)


@pytest.mark.parametrize("name", ["wrn", "mixed", "path"])
def test_parameters_and_operations_are_counted_once(model, name):
    net, _ = model(name)
    made = ss.fold(net, 0.999)
    shape = (3, 32, 32) if name != "path" else (2, 32, 32)
    count, before = ss.count(made, shape), ss.count(net, shape)
    assert count.parameters == sum(p.numel() for p in set(made.parameters()))
    assert count.parameters == made.report.parameters_after < before.parameters
    assert count.macs == before.macs
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        made.eval()(torch.zeros(1, *shape))  # mixes as it runs, iteration by iteration
    assert counter.get_total_flops() // 2 == count.macs + count.mixing_macs
    assert (count.mixing_macs > 0) is (name == "mixed")
    assert ss.fold(net, 0.999, loops=False).report.parameters_after == count.parameters


def test_scales_and_rows_are_not_decayed(folded, name):
    made, _ = folded(name)
    decayed, free = (group["params"] for group in ss.param_groups(made))
    names = {id(p): n for n, p in made.named_parameters()}
    assert sorted(map(id, [*decayed, *free])) == sorted(names)
    for parameters, is_free in ((decayed, False), (free, True)):
        for parameter in parameters:
            assert names[id(parameter)].endswith(("_scale", "_mix")) is is_free


class Recomputed(nn.Linear):
    """A layer that checkpoints itself, with a gain that its gradient needs again."""

    def __init__(self, reentrant: bool) -> None:
        super().__init__(5, 5)
        self.reentrant, self.gain = reentrant, nn.Parameter(torch.rand(5))

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return self.inside(x)
        return checkpoint(self.inside, x, use_reentrant=self.reentrant)

    def inside(self, x: Tensor) -> Tensor:
        return torch.tanh(super().forward(x) * self.gain)


@pytest.mark.parametrize("reentrant", [True, False])
def test_blocks_that_checkpoint_themselves_train_without_loops(reentrant):
    torch.manual_seed(0)
    net = ss.share(nn.Sequential(*[Recomputed(reentrant) for _ in range(4)]), 1)
    x = torch.randn(4, 5, requires_grad=True)
    flat = ss.fold(net, 1, inputs=x, loops=False)
    gradients = []
    for mode in (True, False):
        flat.train(mode)(x).square().sum().backward()
        gradients.append(x.grad)
        x.grad = None
    torch.testing.assert_close(*gradients)
    looping = ss.fold(net, 1, inputs=x)
    with pytest.raises(AttributeError, match=r"checkpoint themselves.* loops=False"):
        looping(x).square().sum().backward()


@pytest.mark.parametrize("name", ["wrn", "mixed", "linear"])
def test_autocast_checkpointing_and_functional_calls(folded, name):
    made, x = folded(name)
    made.train()
    twin = copy.deepcopy(made)
    made(x).square().sum().backward()
    checkpoint(twin, x.clone().requires_grad_(), use_reentrant=False).square().sum().backward()
    for a, b in zip(made.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad)
    made.eval()
    exact = made(x)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(made(x).float(), exact, rtol=0.1, atol=0.1)
        layer = next(m for m in made.modules() if isinstance(m, FoldedWeights))
        if not any(isinstance(m, Loop) for m in made.modules()):
            assert layer.weight.dtype == torch.float32
    doubled = {n: 2 * p if "weight" in n else p for n, p in made.named_parameters()}
    torch.testing.assert_close(functional_call(made, dict(made.named_parameters()), (x,)), exact)
    assert not torch.allclose(functional_call(made, doubled, (x,)), exact)


@pytest.mark.parametrize("mode", [True, False])
@pytest.mark.parametrize("templates", [None, 2])
def test_compiles_whole(templates, mode):
    """With loops, and with weights that a loop's iterations still mix."""
    torch.manual_seed(0)
    net = ss.share(ss.models.PathNetwork(5, 4), templates)
    with torch.no_grad():
        (bank,) = banks(net).values()
        bank.coefficients[3:5] = bank.coefficients[1:3]
        bank.coefficients[3] *= -2
    made = ss.fold(net, 0.9999).train(mode)
    assert any(isinstance(m, Loop) for m in made.modules())
    assert made.report.groups[0].mixes is (templates == 2)
    x = torch.randn(2, 2, 7, 7)
    plain = copy.deepcopy(made)
    whole = torch.compile(made, fullgraph=True, backend="aot_eager")
    for model in (whole, plain):
        model(x).square().sum().backward()
    torch.testing.assert_close(whole(x), plain(x))
    for a, b in zip(made.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-4)


class Residual(nn.Module):
    """Its kernel is three wide, so that three scales would multiply it without an error."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x)


@pytest.mark.parametrize("count", [3, 4])
def test_a_weight_in_a_loop_is_there_while_the_loop_runs(count):
    made = ss.fold(ss.share(nn.Sequential(*[Residual() for _ in range(count)]), 1))
    assert not any(hasattr(module, "weight") for module in made.modules())
    with pytest.raises(AttributeError, match=r"has a weight in each iteration.*unrolled\(net\)"):
        _ = made[0].body.conv.weight
    with pytest.raises(AttributeError, match="'FoldedConv2d' object has no attribute 'wait'"):
        _ = made[0].body.conv.wait
    assert sum(hasattr(module, "weight") for module in unrolled(made).modules()) == count


def test_torch_fx_is_refused_where_it_would_compute_something_else(folded):
    made, x = folded("wrn")
    trace = torch.fx.symbolic_trace(unrolled(made.eval()))
    torch.testing.assert_close(trace(x), made(x))
    with pytest.raises(ValueError, match=r"torch\.fx writes down .*unrolled\(net\)"):
        torch.fx.symbolic_trace(made)


@pytest.fixture
def one_process(tmp_path: Path) -> Iterator[None]:
    """What DistributedDataParallel asks for."""
    torch.distributed.init_process_group("gloo", f"file://{tmp_path}/s", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def compiled(net: nn.Module) -> nn.Module:
    return torch.compile(net, backend="eager")


PARALLEL = nn.parallel.DistributedDataParallel
WRAPPED: dict[str, Callable[[nn.Module], nn.Module]] = {
    "compiled": compiled,
    "parallel": PARALLEL,
    "compiled in parallel": lambda net: PARALLEL(compiled(net)),
    "parallel, compiled": lambda net: compiled(PARALLEL(net)),
}


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_what_is_wrapped_is_folded_and_loaded(model, one_process, wrap, tmp_path):
    net, x = model("linear")
    wrapped = wrap(net)
    made = ss.fold(wrapped, 0.999, inputs=x)
    assert type(made) is type(ss.fold(net, 0.999)) and made.report.gap < 1e-6
    made.save(tmp_path / "a")
    for like in (wrapped, lambda: wrapped):
        back = FoldedModel.load(tmp_path / "a", like=like)
        assert type(back) is type(made)
        assert torch.equal(back(x), made(x))


def test_channels_last_reaches_folded_weights(folded):
    made, x = folded("wrn", loops=False)
    expected = made.eval()(x)
    made.to(memory_format=torch.channels_last)
    for module in made.modules():
        if isinstance(module, FoldedWeights):
            assert module.weight.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(made(x), expected, rtol=1e-4, atol=1e-4)


def test_weights_are_computed_and_not_assigned(folded):
    made, _ = folded("linear", loops=False)
    with pytest.raises(AttributeError, match=r"Linear.weight is computed.*change weight_tie"):
        made[0].weight = nn.Parameter(torch.zeros(5, 5))
    assert repr(made[0]) == "FoldedLinear(in_features=5, out_features=5, bias=True)"
