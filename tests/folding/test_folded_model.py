"""What a folded model goes through: files, copies, precision, compilation, refusals."""

from __future__ import annotations

import copy
import io
import pickle
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.convnext import CNBlock

import softshare as ss
from softshare.folding.folded_model import FoldedModel
from softshare.folding.folded_weights import FoldedWeights
from softshare.folding.looping import Loop, unrolled
from softshare.model_file import serialised, serialised_size
from softshare.sharing import banks
from softshare.storage import Damaged


def linears(layers: int = 6) -> nn.Sequential:
    return nn.Sequential(*[nn.Linear(5, 5) for _ in range(layers)])


def transformer() -> nn.Module:
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    return nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)


PARTS = ("self_attn.in_proj_weight", "self_attn.out_proj", "linear1", "linear2")
BUILDERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "wrn": (lambda: ss.build("swrn-28-1"), (2, 3, 32, 32)),
    "mixed": (lambda: ss.build("swrn-28-1-2"), (2, 3, 32, 32)),
    "path": (lambda: ss.share(ss.models.PathNetwork(8, 6)), (2, 2, 9, 9)),
    "linear": (lambda: ss.share(linears()), (3, 5)),
    "attention": (
        lambda: ss.share(
            transformer(), groups={p: [f"layers.{i}.{p}" for i in range(3)] for p in PARTS}
        ),
        (2, 5, 8),
    ),
    "plain": (linears, (3, 5)),
}


def model(name: str) -> tuple[nn.Module, Tensor]:
    """A model in which layers of each group are alike by twos: 1 2 1 2 ..."""
    torch.manual_seed(0)
    build, shape = BUILDERS[name]
    net = build()
    with torch.no_grad():
        for bank in banks(net).values():
            for i in range(2, len(bank.layers)):
                bank.coefficients[i] = bank.coefficients[i - 2] * (-0.5 - 0.1 * i)
            if name == "mixed":  # three ties, two templates
                bank.coefficients[5] = torch.tensor([0.3, 0.4])
        if name == "plain":
            for i in range(2, 6):
                net[i].weight.copy_(-1.5 * net[i - 2].weight)
    return net, torch.randn(shape)


def folded(name: str, loops: bool = True) -> tuple[FoldedModel, Tensor]:
    net, x = model(name)
    made = ss.fold(net, 0.999, loops=loops)
    assert any(len(tie) > 1 for group in made.report.groups for tie in group.ties)
    return made, x


def shared_places(net: nn.Module) -> list[list[str]]:
    """Names of parameters that are one object."""
    found: dict[int, list[str]] = {}
    for name, parameter in net.named_parameters(remove_duplicate=False):
        found.setdefault(id(parameter), []).append(name)
    return [names for names in found.values() if len(names) > 1]


# --- Files -------------------------------------------------------------------------------------


@pytest.mark.parametrize("loops", [True, False])
@pytest.mark.parametrize("name", BUILDERS)
def test_what_was_saved_comes_back(name, loops, tmp_path):
    net, x = model(name)
    made = ss.fold(net, 0.999, loops=loops)
    with torch.no_grad():
        for tensor in (*made.parameters(), *made.buffers()):
            if tensor.is_floating_point():
                tensor.add_(0.1 * torch.rand_like(tensor))  # as training does
    path = tmp_path / "folded.safetensors"
    made.save(path)
    assert path.stat().st_size == made.report.bytes_after
    others = [net, BUILDERS[name][0], BUILDERS[name][0]()]
    others += [ss.unshare(net)] if banks(net) else []
    for like in others:
        kept = copy.deepcopy(like.state_dict()) if isinstance(like, nn.Module) else {}
        back = FoldedModel.load(path, like=like)
        assert type(back) is type(made)
        assert back.report == made.report
        assert list(back.state_dict()) == list(made.state_dict())
        assert shared_places(back) == shared_places(made)
        for mode in (True, False):
            got = copy.deepcopy(back).train(mode)(x)
            torch.testing.assert_close(got, copy.deepcopy(made).train(mode)(x), rtol=0, atol=0)
        for key, value in kept.items():
            torch.testing.assert_close(like.state_dict()[key], value, rtol=0, atol=0)


def frozen(net: nn.Sequential) -> None:
    net[1][1].requires_grad_(False)


def evaluated(net: nn.Sequential) -> None:
    net[0].eval()


def hooked(net: nn.Sequential) -> None:
    net[3].register_forward_hook(lambda *_: None)


def towers() -> nn.Sequential:
    return nn.Sequential(
        *[nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Tanh()) for _ in range(4)]
    )


@pytest.mark.parametrize(
    ("differ", "loops"), [(frozen, ["2_to_3"]), (evaluated, ["1_to_3"]), (hooked, ["0_to_2"])]
)
def test_blocks_that_differed_when_folded_are_the_same_loops_again(differ, loops, tmp_path):
    net = ss.share(towers(), 1)
    differ(net)
    made, x = ss.fold(net), torch.randn(3, 4)
    assert [loop.path for loop in made.report.loops] == loops
    made.save(tmp_path / "a")
    for like in (towers, towers().eval(), net):
        back = FoldedModel.load(tmp_path / "a", like=like)
        assert back.report == made.report and list(back._modules) == list(made._modules)
        torch.testing.assert_close(back.eval()(x), made.eval()(x), rtol=0, atol=0)


def test_loops_of_loops_come_back(tmp_path):
    net, tau = ss.share(linears(12)), [0, 1, 1, 2, 1, 2] * 2
    with torch.no_grad():
        for bank in banks(net).values():
            bank.coefficients.copy_(torch.eye(12)[tau] * torch.linspace(-1, 2, 12)[:, None])
    made, x = ss.fold(net), torch.randn(3, 5)
    assert str(made.report.groups[0].program) == "2×(1 2 2×(2 3))"
    made.save(tmp_path / "a")
    back = FoldedModel.load(tmp_path / "a", like=linears(12))
    assert sum(isinstance(module, Loop) for module in back.modules()) == 2
    assert back.report == made.report
    torch.testing.assert_close(back.eval()(x), made.eval()(x), rtol=0, atol=0)


def test_blocks_that_cannot_loop_as_the_file_says_are_refused(tmp_path):
    ss.fold(ss.share(towers(), 1)).save(tmp_path / "a")
    like = towers()
    evaluated(like)
    with pytest.raises(ValueError, match="first and iteration 2 differ in training: False and Tr"):
        FoldedModel.load(tmp_path / "a", like=like)
    like = towers()
    like.__class__ = type("Stepping", (nn.Sequential,), {"forward": lambda self, x: x})
    with pytest.raises(ValueError, match=r"no nn\.Sequential with the blocks 0 to 3 to loop"):
        FoldedModel.load(tmp_path / "a", like=like)


def test_models_of_the_paper_load_by_name(tmp_path):
    made, x = folded("wrn")
    made.save(tmp_path / "a")
    back = FoldedModel.load(tmp_path / "a", like="swrn-28-1")
    torch.testing.assert_close(back.eval()(x), made.eval()(x), rtol=0, atol=0)
    with pytest.raises(ValueError, match=r"folded from another architecture.*the file lacks"):
        FoldedModel.load(tmp_path / "a", like="swrn-28-2")
    with pytest.raises(ValueError, match=r"another architecture.*No layer or weight is called"):
        FoldedModel.load(tmp_path / "a", like="swrn-16-1")
    with pytest.raises(ValueError, match="another architecture"):
        FoldedModel.load(tmp_path / "a", like=linears())


@pytest.mark.parametrize("name", BUILDERS)
def test_files_hold_each_number_once(name, tmp_path):
    made, _ = folded(name)
    numbers = sum(t.numel() * t.element_size() for t in {*made.parameters(), *made.buffers()})
    made.save(tmp_path / "a")
    size = (tmp_path / "a").stat().st_size
    assert numbers < size < numbers + 200 * len(made.state_dict()) + 3000
    safetensors = pytest.importorskip("safetensors.torch")
    tensors = safetensors.load_file(tmp_path / "a")
    assert sum(t.numel() * t.element_size() for t in tensors.values()) == numbers


def test_damaged_and_foreign_files_are_refused(tmp_path):
    made, _ = folded("linear")
    path = tmp_path / "folded"
    made.save(path)
    whole = path.read_bytes()
    for content in (b"", b"not this", whole[:-7], whole[:40]):
        path.write_bytes(content)
        with pytest.raises(Damaged, match="damaged"):
            FoldedModel.load(path, like=linears())
    save = pytest.importorskip("safetensors.torch").save_file
    save({"a": torch.ones(2)}, path)
    with pytest.raises(ValueError, match="holds no folded model"):
        FoldedModel.load(path, like=linears())
    with pytest.raises(FileNotFoundError, match="no folded model at"):
        FoldedModel.load(tmp_path / "nothing", like=linears())


def test_buffers_that_share_memory_are_kept_apart(tmp_path):
    net = linears(3)
    both = torch.arange(6.0)
    net.register_buffer("first", both[:3])
    net.register_buffer("all", both)
    ss.share(net, 1)
    made = ss.fold(net, inputs=torch.randn(2, 5))
    made.save(tmp_path / "a")
    again = FoldedModel.load(tmp_path / "a", like=net)
    assert torch.equal(again.all, both) and torch.equal(again.first, both[:3])


class Scaled(nn.Linear):
    """Keeps a number beside its parameters, as a tensor or not."""

    def __init__(self, tensor: bool = False) -> None:
        super().__init__(5, 5)
        self.scale, self.tensor = 2.0, tensor

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * self.scale

    def get_extra_state(self) -> object:
        return torch.tensor(self.scale) if self.tensor else {"scale": self.scale}

    def set_extra_state(self, state: object) -> None:
        raise AssertionError("not asked for")


@pytest.mark.parametrize("tensor", [True, False])
def test_what_a_file_could_not_give_back_is_refused(tensor, tmp_path):
    net = ss.share(nn.Sequential(Scaled(tensor), Scaled(tensor)), 1)
    made = ss.fold(net, inputs=torch.randn(2, 5), loops=False)
    sentence = r"parameters and buffers.* neither: 0\._extra_state, 1\._extra_state\. .*buffer"
    with pytest.raises(ValueError, match=sentence):
        made.save(tmp_path / "a")
    assert not any(tmp_path.iterdir())


def test_the_example_of_the_book_runs(tmp_path, monkeypatch, capsys):
    page = (Path(__file__).resolve().parents[2] / "book" / "own_model.md").read_text()
    code = page.partition("## Fold it")[2].partition("```python")[2].partition("```")[0]
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(code, names)
    assert names["again"].report == names["folded"].report
    assert "0_to_7 runs 8×(0)" in capsys.readouterr().out


# --- Copies and moves --------------------------------------------------------------------------


@pytest.mark.parametrize("name", BUILDERS)
def test_copies_are_like_it_and_their_own(name):
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
def test_ties_outlive_every_move(name):
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


@pytest.mark.parametrize("name", BUILDERS)
def test_steps_keep_ties(name):
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


# --- What is asked of it -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["wrn", "mixed", "path"])
def test_parameters_and_operations_are_counted_once(name):
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


@pytest.mark.parametrize("name", BUILDERS)
def test_scales_and_rows_are_not_decayed(name):
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
def test_autocast_checkpointing_and_functional_calls(name):
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


def test_torch_fx_is_refused_where_it_would_compute_something_else():
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
def test_what_is_wrapped_is_folded_and_loaded(one_process, wrap, tmp_path):
    net, x = model("linear")
    wrapped = wrap(net)
    made = ss.fold(wrapped, 0.999, inputs=x)
    assert type(made) is type(ss.fold(net, 0.999)) and made.report.gap < 1e-6
    made.save(tmp_path / "a")
    for like in (wrapped, lambda: wrapped):
        back = FoldedModel.load(tmp_path / "a", like=like)
        assert type(back) is type(made)
        assert torch.equal(back(x), made(x))


def test_channels_last_reaches_folded_weights():
    made, x = folded("wrn", loops=False)
    expected = made.eval()(x)
    made.to(memory_format=torch.channels_last)
    for module in made.modules():
        if isinstance(module, FoldedWeights):
            assert module.weight.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(made(x), expected, rtol=1e-4, atol=1e-4)


def test_weights_are_computed_and_not_assigned():
    made, _ = folded("linear", loops=False)
    with pytest.raises(AttributeError, match=r"Linear.weight is computed.*change weight_tie"):
        made[0].weight = nn.Parameter(torch.zeros(5, 5))
    assert repr(made[0]) == "FoldedLinear(in_features=5, out_features=5, bias=True)"


# --- What can be folded ------------------------------------------------------------------------


def test_plain_models_fold_where_weights_are_parallel():
    net, x = model("plain")
    made = ss.fold(net, 0.999, inputs=x)
    (group,) = made.report.groups
    assert group.schedule == (1, 2, 1, 2, 1, 2)
    assert made.report.gap < 1e-5
    assert str(made.report.loops[0]) == "0_to_5 runs 3×(0 1)"
    assert type(made)(*linears(2)) is not None
    untouched = ss.fold(linears(), 0.999, inputs=x)
    assert untouched.report.groups[0].schedule == (1, 2, 3, 4, 5, 6)
    assert untouched.report.parameters_after == untouched.report.parameters_before
    assert untouched.report.gap == 0


def test_parts_that_were_shared_by_themselves_fold():
    torch.manual_seed(0)
    net = nn.Sequential(linears(3), nn.Tanh(), linears(3), nn.Linear(5, 5))
    ss.share(net[0], 1)
    ss.share(net[2], 1)
    x = torch.randn(4, 5)
    made = ss.fold(net, inputs=x)
    assert [g.layers for g in made.report.groups] == [
        ("0.0", "0.1", "0.2"),
        ("2.0", "2.1", "2.2"),
    ]
    assert [loop.path for loop in made.report.loops] == ["0.0_to_2", "2.0_to_2"]
    assert type(made[3]) is nn.Linear
    assert made.report.gap < 1e-6
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in made.modules())


def convnext(drop: Callable[[int], float]) -> nn.Sequential:
    blocks = [CNBlock(4, 0.5, drop(i)) for i in range(4)]
    for block in blocks:
        nn.init.uniform_(block.layer_scale, 0.5, 1.0)
    return nn.Sequential(*blocks)


def test_vectors_with_axes_of_length_one_are_each_iterations_own(tmp_path):
    torch.manual_seed(0)
    net, x = ss.share(convnext(lambda _: 0.0), 1), torch.randn(2, 4, 6, 6)
    made = ss.fold(net, 1, inputs=x)
    assert [loop.path for loop in made.report.loops] == ["0_to_3"]
    assert made[0].body.layer_scale.shape == (4, 4, 1, 1)
    assert made.report.gap < 1e-5
    made.save(tmp_path / "a")
    back = FoldedModel.load(tmp_path / "a", like=net).to(memory_format=torch.channels_last)
    torch.testing.assert_close(back(x), net(x))


def test_blocks_whose_settings_differ_are_tied_and_no_loop():
    net = ss.share(convnext(lambda i: 0.1 * i), 1)
    report = ss.fold(net, 1, inputs=torch.randn(2, 4, 6, 6)).report
    assert not report.loops and [len(g.ties) for g in report.groups] == [1, 1, 1]


def test_activations_between_layers_join_the_loop_and_alone_are_none():
    torch.manual_seed(0)
    layers = [nn.Linear(4, 4) for _ in range(3)]
    net = nn.Sequential(nn.ReLU(), nn.ReLU(), *[m for a in layers for m in (a, nn.Tanh())])
    made = ss.fold(ss.share(net, 1), inputs=torch.randn(2, 4))
    assert list(made._modules) == ["0", "1", "2_to_7"]
    assert made[2].count == 3 and made.report.gap < 1e-6


def test_one_activation_between_all_layers_joins_the_loop(tmp_path):
    torch.manual_seed(0)
    relu = nn.ReLU()
    net = nn.Sequential(*[m for _ in range(3) for m in (nn.Linear(4, 4), relu)], relu, relu)
    made = ss.fold(ss.share(net, 1), inputs=torch.randn(2, 4))
    assert list(made._modules) == ["0_to_5", "6", "7"]
    assert made[0].count == 3 and made.report.gap < 1e-6
    FoldedModel.save(made, tmp_path / "a")
    assert FoldedModel.load(tmp_path / "a", like=net).report == made.report
    again = nn.Linear(4, 4)
    net = nn.Sequential(again, relu, again, relu, nn.Linear(4, 4), relu)
    assert not ss.fold(ss.share(net, 1), inputs=torch.randn(2, 4)).report.loops


def test_blocks_with_weights_of_their_own_are_no_loop():
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.common, self.own = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.own(self.common(x))

    net = nn.Sequential(*[Block() for _ in range(3)])
    ss.share(net, 1, [[f"{i}.common" for i in range(3)]])
    made = ss.fold(net, inputs=torch.randn(2, 4))
    assert list(made._modules) == ["0", "1", "2"]
    assert [runs for _, runs in made.report.repeats(made.report.groups[0])] == [False]
    assert "single layers, tied" in str(made.report)


def test_modules_used_in_two_places_stay_where_they_are():
    net = nn.Module()
    net.body = linears(3)
    net.last = net.body[2]
    net.forward = lambda x: net.last(net.body(x))
    ss.share(net, 1)
    del net.forward
    net.__class__ = type("Twice", (nn.Module,), {"forward": lambda s, x: s.last(s.body(x))})
    made = ss.fold(net, inputs=torch.randn(2, 5))
    assert list(made.body._modules) == ["0_to_1", "2"]
    assert made.last is made.body[1] and made.report.gap < 1e-6


class Steps(nn.Module):
    """Goes through its blocks itself, in one of several ways."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way, self.blocks = way, linears(4)

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        if self.way == "number":
            return self.blocks[3](self.blocks[0](x))
        found = []
        for block in self.blocks:
            branches = {"residual": x + block(x), "small branch": x + 1e-3 * block(x)}
            x = branches.get(self.way, block(x))
            found.append(x)
        return found if self.way == "collects" else x


@pytest.mark.parametrize("way", ["number", "residual", "small branch", "collects"])
def test_a_model_that_steps_through_its_blocks_is_not_made_to_loop(way):
    torch.manual_seed(0)
    net, x = ss.share(Steps(way), 1), torch.randn(2, 5)
    with pytest.raises(ValueError, match=r"by number, or steps through them\. Pass loops=False"):
        ss.fold(net, inputs=x)
    assert ss.fold(net, inputs=x, loops=False).report.gap < 1e-6


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")
def test_a_part_in_torchscript_is_let_be():
    torch.manual_seed(0)
    scripted = torch.jit.script(nn.BatchNorm1d(5))
    net = ss.share(nn.Sequential(*[nn.Linear(5, 5) for _ in range(3)], scripted), 1)
    before, x = copy.deepcopy(net.state_dict()), torch.randn(4, 5)
    made = ss.fold(net, 1, inputs=x)
    assert made.report.gap < 1e-6
    torch.testing.assert_close(net.state_dict(), before, rtol=0, atol=0)


def test_a_large_output_hides_no_change_of_a_small_one():
    class Two(Steps):
        def forward(self, x: Tensor) -> list[Tensor]:
            return [1e4 * x, super().forward(x)]

    with pytest.raises(ValueError, match="steps through them"):
        ss.fold(ss.share(Two("residual"), 1), inputs=torch.randn(2, 5))


def test_noise_hides_no_change_that_is_larger():
    class Noisy(Steps):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) + 0.01 * torch.rand(2, 5)

    torch.manual_seed(0)
    with pytest.raises(ValueError, match="steps through them"):
        ss.fold(ss.share(Noisy("residual"), 1), inputs=torch.randn(2, 5))
    assert ss.fold(ss.share(Noisy("plain"), 1), inputs=torch.randn(2, 5)).report.loops


def test_steps_that_loops_do_not_change_are_no_reason_to_refuse():
    net, x = ss.share(Steps("plain"), 1), torch.randn(2, 5)
    made = ss.fold(net, inputs=x)
    assert made.report.gap < 1e-6 and len(made.blocks) == 1


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("name", ["wrn", "path"])
def test_loops_that_run_what_ran_before_are_no_reason_to_refuse_at_any_precision(name, dtype):
    net, x = model(name)
    made = ss.fold(net.to(dtype), 0.9, inputs=x.to(dtype))
    assert any(loop.path for loop in made.report.loops)


@pytest.mark.parametrize("hidden", [-torch.inf, torch.nan])
@pytest.mark.parametrize("way", ["residual", "plain"])
def test_outputs_that_are_not_finite_hide_nothing(way, hidden):
    class Masked(Steps):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).masked_fill(torch.arange(5) == 2, hidden)

    net, x = ss.share(Masked(way), 1), torch.randn(2, 5)
    if way == "residual":
        with pytest.raises(ValueError, match="steps through them"):
            ss.fold(net, inputs=x)
    report = ss.fold(net, inputs=x, loops=way == "plain").report
    shown = net(x)[:, torch.arange(5) != 2].abs().max().item()
    assert report.gap < 1e-6 and report.largest_output == pytest.approx(shown)


def test_a_number_that_loops_make_infinite_is_a_difference():
    class Uncounted(Steps):
        def forward(self, x: Tensor) -> Tensor:
            return self.blocks(x).masked_fill(torch.tensor(len(self.blocks) < 4), torch.inf)

    net, x = ss.share(Uncounted("plain"), 1), torch.randn(2, 5)
    with pytest.raises(ValueError, match="by number, or steps through them"):
        ss.fold(net, inputs=x)


@dataclass
class Answer:
    scores: Tensor


@pytest.mark.parametrize("answer", [Answer, lambda x: x > 0, lambda x: x + torch.nan])
def test_loops_that_inputs_cannot_check_are_refused(answer):
    class Answers(Steps):
        def forward(self, x: Tensor) -> Any:
            return answer(super().forward(x))

    net, x = ss.share(Answers("plain"), 1), torch.randn(2, 5)
    with pytest.raises(ValueError, match=r"nothing can be compared: the model returns no finite"):
        ss.fold(net, inputs=x)
    assert ss.fold(net, inputs=None).report.loops
    assert "no finite number" in str(ss.fold(net, inputs=x, loops=False).report)


def test_a_model_that_draws_numbers_folds():
    class Noisy(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            return torch.randn_like(super().forward(x))

    net = nn.Sequential(linears(4), Noisy())
    assert ss.fold(ss.share(net, 1), inputs=torch.randn(2, 5)).report.loops


class Writes(nn.Module):
    """Normalises its input in place, and counts its calls in a buffer, by which it divides."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = linears(4)
        self.register_buffer("calls", torch.ones(()))
        self.register_buffer("unused", None)

    def forward(self, x: Tensor, more: dict[str, Tensor]) -> Tensor:
        self.calls += 1
        x.sub_(0.5).div_(0.25)
        return self.layers(x + more["y"].mul_(2)) / self.calls


@pytest.mark.parametrize("loops", [True, False])
def test_what_a_model_writes_is_written_into_copies(loops):
    torch.manual_seed(0)
    net, x, y = ss.share(Writes(), 1), torch.randn(2, 5), torch.randn(2, 5)
    given = x.clone(), {"y": y.clone()}
    made = ss.fold(net, inputs=given, loops=loops)
    assert made.report.gap < 1e-5
    assert torch.equal(given[0], x) and torch.equal(given[1]["y"], y)
    assert made.calls == net.calls == 1
    torch.testing.assert_close(made(x.clone(), {"y": y.clone()}), net(x, {"y": y}))


def test_outputs_whose_shapes_depend_on_the_weights_are_not_compared():
    class Positive(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[x > 0]

    torch.manual_seed(0)
    net = nn.Sequential(linears(6), Positive())
    report = ss.fold(ss.share(net), 0, inputs=torch.randn(20, 5)).report
    assert report.gap is None
    assert "not measured, because the shapes that the model returns depend on" in str(report)


@pytest.mark.parametrize(
    ("shape", "why"),
    [
        (4, "input_shape is the shape of one example.*Sequential has 4"),
        ((0, 4), r"input_shape is the shape of one example.*Sequential has \(0, 4\)"),
        ((8, 8, 3), ".*mat1 and mat2 shapes cannot be multiplied"),
    ],
)
def test_noise_that_a_model_cannot_take_is_not_measured(shape, why):
    net = ss.share(linears(3), 1)
    net.input_shape = shape
    made = ss.fold(net)
    text = f"not measured, because the model cannot be run on noise of its input_shape: {why}"
    assert re.search(text, str(made.report))
    assert type(made.report).from_json(made.report.to_json()) == made.report
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        ss.fold(net, inputs=torch.zeros(2, 8, 8, 3))


@pytest.mark.parametrize("name", ["report", "save", "load", "to_onnx", "to_bytes", "metadata"])
def test_names_of_a_models_own_are_not_replaced(name, tmp_path):
    def own(self: nn.Module) -> int:
        return 7

    by_class = linears(3)
    by_class.__class__ = type("Kept", (nn.Sequential,), {name: own})
    by_value = linears(3)
    setattr(by_value, name, {"made": "today"})
    path = tmp_path / "a"
    ss.fold(ss.share(linears(3), 1)).save(path)
    for net in (by_class, by_value):
        for refused in (lambda net=net: ss.fold(net), lambda net=net: FoldedModel.load(path, net)):
            with pytest.raises(ValueError, match=rf"uses {name} for something else; rename that"):
                refused()


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"threshold": 1.5}, "from 0 to 1; got 1.5"),
        ({"threshold": "high"}, "a number from 0 to 1; got 'high'"),
        ({"inputs": "noise"}, "inputs is a tensor, a tuple .* got str 'noise'"),
    ],
)
def test_what_makes_no_sense_is_refused(asked, sentence):
    net, _ = model("linear")
    with pytest.raises(ValueError, match=sentence):
        ss.fold(net, **asked)


def test_models_that_cannot_be_folded_are_refused():
    with pytest.raises(ValueError, match="Folding needs two or more weights of equal shape"):
        ss.fold(nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2)))
    made, _ = folded("linear")
    for net in (made, nn.Sequential(made)):
        with pytest.raises(ValueError, match="folded already"):
            ss.fold(net)
    with pytest.raises(ValueError, match="needs shared layers"):
        ss.lsm(made)
    with pytest.raises(ValueError, match="needs a model with shared layers"):
        ss.unshare(made)


# --- The report --------------------------------------------------------------------------------


@pytest.mark.parametrize("metadata", [None, {"note": 'a "quoted" line\n and an é'}])
@pytest.mark.parametrize("length", [1, 9, 11, 1000])  # offsets of more and more digits
def test_the_size_of_a_file_is_known_before_it_is_written(length, metadata):
    kinds = (torch.int64, torch.float16, torch.bool, torch.float32, torch.bfloat16, torch.float64)
    net = nn.Module()
    for number, kind in enumerate(kinds):
        net.register_buffer(f"wägung_{number}", torch.zeros(length, 3, dtype=kind))
        net.register_buffer(f"again_{number}", net.get_buffer(f"wägung_{number}"))
        net.register_buffer(f"one_{number}", torch.zeros((), dtype=kind))
    assert serialised_size(net, metadata) == len(serialised(net, metadata))
    net.register_buffer("other", torch.zeros(3, dtype=torch.float8_e4m3fn))
    assert serialised_size(net, metadata) == len(serialised(net, metadata))


def test_the_report_says_what_was_measured():
    net, x = model("wrn")
    made = ss.fold(net, 0.999, inputs=x)
    report = made.report
    expected = (net.eval()(x) - made.eval()(x)).abs().max().item()
    assert report.gap == pytest.approx(expected, abs=1e-6)
    save = pytest.importorskip("safetensors.torch").save
    assert report.bytes_before == len(save(net.state_dict()))
    assert report.bytes_after == len(made.to_bytes()) < report.bytes_before
    text = str(report).splitlines()
    assert text[0] == "Folded at similarity 0.999: 18 of 18 layers tied into 6."
    assert f"{report.parameters_after:,}".replace(",", " ") in text[1]
    assert "stage2: 6 layers, 2 weights" in text
    assert "  3×(1 2): whole blocks, runs as a loop" in text
    assert "  stage2.1_to_3 runs 3×(stage2.1)" in text
    silent = ss.fold(net, 0.999, inputs=None).report
    assert silent.gap is silent.rounding is None and "not measured" in str(silent)


def test_reports_travel_as_text():
    made, _ = folded("mixed")
    assert type(made.report).from_json(made.report.to_json()) == made.report
    for text in ("", "{}", "[]", '{"groups": [{}], "loops": []}'):
        with pytest.raises(ValueError, match="no report of a folding"):
            type(made.report).from_json(text)
