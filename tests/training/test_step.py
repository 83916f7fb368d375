"""A step is the same step however it is driven, and goes on where a faster way fails."""

from __future__ import annotations

import copy
import gc
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from softshare import models
from softshare.recipe import Recipe, for_profile
from softshare.training import step
from softshare.training.engine import ENGINES, engine_for, tuned
from softshare.training.precision import precision_for
from softshare.training.step import Step

CPU, GPU = torch.device("cpu"), torch.device("cuda")
NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
MODELS = {  # at these inits no similarity is 0, where |cos| has a kink and rounding decides
    "wrn-10-1": Recipe("wrn-10-1"),
    "swrn-16-1-2": Recipe("swrn-16-1-2", recurrence=0.05, init="uniform"),
    "scnn-r": for_profile("scnn-r", init="uniform"),
    "unit": Recipe("swrn-16-1-2", init="uniform", coefficients="unit"),
    "fixed": Recipe("swrn-16-1-2", init="uniform", coefficients="fixed"),
}


def net_of(recipe: Recipe) -> nn.Module:
    torch.manual_seed(0)
    return models.build(recipe.model, init=recipe.init)


def batches(recipe: Recipe, sizes: list[int]) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    found = []
    for n in sizes:
        if recipe.model == "scnn-r":
            x = torch.randint(2, (n, 2, 8, 8), generator=generator).float()
            y = torch.randint(2, (n, 1, 8, 8), generator=generator).float()
        else:
            x = torch.randn(n, 3, 16, 16, generator=generator)
            y = torch.randint(10, (n,), generator=generator)
        found.append((x, y))
    return found


def loss_of(recipe: Recipe) -> Callable[[Tensor, Tensor], Tensor]:
    paths = recipe.model == "scnn-r"
    return F.binary_cross_entropy_with_logits if paths else F.cross_entropy


def follow(
    recipe: Recipe, sizes: list[int], dtype: torch.dtype = torch.float32, **how: Any
) -> tuple[list[float], Step]:
    """The losses of some steps, at two rates."""
    stepper = Step(net_of(recipe).to(dtype), recipe, loss_of(recipe), **how)
    losses = []
    for i, (x, y) in enumerate(batches(recipe, sizes)):
        if i == len(sizes) // 2:
            stepper.set_rate(recipe.lr / 5)
        x, y = x.to(stepper.device, dtype), y.to(stepper.device)
        losses.append(stepper(x, y).item())
    return losses, stepper


def assert_same(one: tuple[list[float], Step], two: tuple[list[float], Step], tol: float) -> None:
    assert len(set(one[0])) > 1, "else nothing was trained"
    assert two[0] == pytest.approx(one[0], rel=tol, abs=tol)
    mine, yours = one[1].net.state_dict(), two[1].net.state_dict()
    for name, value in mine.items():
        torch.testing.assert_close(yours[name], value, rtol=tol, atol=tol)


@pytest.mark.parametrize("name", MODELS)
def test_a_step_is_the_one_written_out_by_hand(name: str) -> None:
    recipe = MODELS[name]
    sizes = [4, 4, 4]
    mine = follow(recipe, sizes)
    net = net_of(recipe).to(memory_format=torch.channels_last)
    alpha = [p for n, p in net.named_parameters() if n.endswith("coefficients")]
    rest = [p for n, p in net.named_parameters() if not n.endswith("coefficients")]
    trained = [] if recipe.coefficients == "fixed" else alpha
    unit = alpha if recipe.coefficients == "unit" else []
    for A in unit:
        A.data /= A.data.square().sum(1, keepdim=True).sqrt()
    optimizer: Any = (
        torch.optim.Adam([*rest, *trained], lr=recipe.lr)
        if recipe.optimizer == "adam"
        else torch.optim.SGD(
            [{"params": rest, "weight_decay": 5e-4}, {"params": trained}],
            lr=recipe.lr,
            momentum=0.9,
            nesterov=True,
        )
    )
    losses = []
    for i, (x, y) in enumerate(batches(recipe, sizes)):
        for group in optimizer.param_groups:
            group["lr"] = recipe.lr / (1 if i < 1 else 5)
        loss = loss_of(recipe)(net(x.contiguous(memory_format=torch.channels_last)), y)
        losses.append(loss.item())
        for A in alpha:
            cosines = F.cosine_similarity(A[:, None], A[None], dim=2)
            loss = loss - recipe.recurrence * cosines.abs().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        for A in unit:
            A.data /= A.data.square().sum(1, keepdim=True).sqrt()
    assert mine[0] == pytest.approx(losses, rel=1e-4)
    for p, q in zip(net.parameters(), mine[1].net.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_a_compiled_step_is_traced_whole_and_is_the_eager_step(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Traced as one graph, for full batches alone; the last of an epoch is smaller."""
    traced = []

    def backend(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable:
        traced.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    sizes = [4, 4, 3, 4, 4, 3]
    eager = follow(MODELS[name], sizes)
    compiled = follow(MODELS[name], sizes, engine="compiled")
    assert compiled[1].engine == "compiled"
    assert len(traced) == 1
    assert_same(eager, compiled, 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_a_compiled_step_computes_what_the_eager_step_does(name: str) -> None:
    """In float64: where a gradient is next to nothing, Adam makes whole steps of rounding."""
    sizes = [4, 4, 3, 4, 4, 3]
    compiled = follow(MODELS[name], sizes, torch.float64, engine="compiled")
    assert compiled[1].engine == "compiled"
    assert_same(follow(MODELS[name], sizes, torch.float64), compiled, 1e-6)


def test_where_compiling_fails_training_says_so_and_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable:
        raise OSError("no compiler here\nand more")

    recipe, sizes = MODELS["wrn-10-1"], [4, 4, 3, 4]
    eager = follow(recipe, sizes)
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=broken))
    with pytest.warns(UserWarning, match=r"^Compiling the step failed \(.*\); training goes on wi"):
        fallen = follow(recipe, sizes, engine="compiled")
    assert fallen[1].engine == "eager"
    assert_same(eager, fallen, 0.0)


@pytest.mark.parametrize("engine", ["graphs", "compiled graphs"])
def test_where_recording_fails_training_says_so_and_goes_on(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No CUDA graph can be recorded of a step on a CPU, and none is tried before it is warm."""
    tried = []

    def refuse(*arguments: Any) -> None:
        tried.append(arguments)
        raise RuntimeError("not here")

    recipe, sizes = MODELS["wrn-10-1"], [4] * 6
    monkeypatch.setattr(step, "GraphReplay", refuse)
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    eager = follow(recipe, sizes)
    with pytest.warns(UserWarning, match=r"^Recording a CUDA graph failed \(not here\); training"):
        fallen = follow(recipe, sizes, engine=engine)
    assert len(tried) == 1
    assert fallen[1].engine == {"graphs": "eager", "compiled graphs": "compiled"}[engine]
    assert_same(eager, fallen, 1e-5)


def test_a_fault_of_the_loss_is_no_fault_of_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(outputs: Tensor, targets: Tensor) -> Tensor:
        raise ArithmeticError("the loss is wrong")

    recipe = MODELS["wrn-10-1"]
    stepper = Step(net_of(recipe), recipe, wrong, engine="graphs")
    with pytest.raises(ArithmeticError, match="the loss is wrong"), pytest.warns(UserWarning):
        stepper(*batches(recipe, [4])[0])


def test_what_a_faster_way_held_is_given_back_before_the_step_is_taken_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A step that ran out of memory must not keep it."""

    class Held: ...

    held: list[weakref.ref] = []

    def full(self: Step, inputs: Tensor, targets: Tensor) -> Tensor:
        activations = Held()
        held.append(weakref.ref(activations))
        raise torch.OutOfMemoryError("CUDA out of memory")

    def take(self: Step, *arguments: Any) -> Tensor:
        assert held[0]() is None
        return torch.zeros(())

    recipe = MODELS["wrn-10-1"]
    monkeypatch.setattr(Step, "_fast", full)
    monkeypatch.setattr(Step, "_take", take)
    stepper = Step(net_of(recipe), recipe, F.cross_entropy, engine="graphs")
    with pytest.warns(UserWarning, match="CUDA out of memory"):
        stepper(*batches(recipe, [4])[0])
    assert stepper.engine == "eager"


@pytest.mark.parametrize("engine", ["eager", "compiled"])
@pytest.mark.parametrize("name", MODELS)
def test_no_step_leaves_anything_of_its_graph_behind(
    name: str, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that outlives its step draws the stream of that step into a recording, and ends it."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    recipe = MODELS[name]
    stepper = Step(net_of(recipe), recipe, loss_of(recipe), engine=engine)
    trained = [p for p in stepper.net.parameters() if p.requires_grad]

    def node(p: Tensor) -> Any:
        with torch.enable_grad():
            return torch.autograd.graph.get_gradient_edge(p).node  # made anew if there is none

    for p in trained:
        p.register_post_accumulate_grad_hook(lambda p: node(p).metadata.update(seen=True))
    kept = node(trained[0])
    gc.disable()
    try:
        for batch in batches(recipe, [4, 4]):
            stepper(*batch)
            assert stepper.engine == engine
            assert kept.metadata == {"seen": True}, "else this test sees nothing"
            assert not any(node(p).metadata for p in trained[1:])
    finally:
        gc.enable()


def test_a_step_goes_on_from_its_state() -> None:
    recipe = MODELS["swrn-16-1-2"]
    straight = follow(recipe, [4, 4, 4, 4])
    one = Step(net_of(recipe), recipe, F.cross_entropy)
    given = batches(recipe, [4, 4, 4, 4])
    losses = [one(*given[0]).item(), one(*given[1]).item()]
    other = Step(net_of(recipe), recipe, F.cross_entropy)
    other.load_state(copy.deepcopy(one.state()))
    other.set_rate(recipe.lr / 5)
    losses += [other(*given[2]).item(), other(*given[3]).item()]
    assert losses == straight[0]
    assert_same(straight, (losses, other), 0.0)


# ----------------------------------------------------------------------- which engine, what numbers


@pytest.mark.parametrize(
    ("flops", "steps", "alone", "engine"),
    [
        (4e12, 391 * 200, True, "compiled graphs"),  # WRN 28-10, batch 128
        (4e12, 391 * 30, True, "graphs"),
        (4e13, 391 * 30, True, "compiled"),  # as large as no network of the paper
        (4e13, 391, True, "eager"),
        (6.5e11, 391 * 30, True, "graphs"),  # WRN 28-4
        (6.5e11, 391 * 200, True, "compiled graphs"),
        (6.5e11, 391 * 200, False, "eager"),
        (5.6e10, 25_000, True, "graphs"),  # SCNN
        (5.6e10, 25_000, False, "eager"),
    ],
)
def test_graphs_are_for_small_steps_and_compiling_for_long_runs(
    flops: float, steps: int, alone: bool, engine: str
) -> None:
    assert engine_for(GPU, flops, steps, alone=alone) == engine
    assert engine_for(CPU, flops, steps, alone=alone) == "eager"


def test_the_engine_can_be_chosen_by_word_and_by_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for engine in ENGINES:
        assert engine_for(GPU, 4e12, 10**6, engine) == engine
        monkeypatch.setenv("SOFTSHARE_ENGINE", engine)
        assert engine_for(GPU, 4e12, 10**6) == engine
    assert engine_for(GPU, 4e12, 10**6, "auto") == "compiled graphs"
    monkeypatch.setenv("SOFTSHARE_ENGINE", "turbo")
    for asked in (None, "turbo"):
        with pytest.raises(ValueError, match=r"engine is auto, eager, .*; got 'turbo'"):
            engine_for(CPU, 1.0, 1, asked)
    for device, alone in ((CPU, True), (GPU, False)):
        with pytest.raises(ValueError, match="CUDA graphs need a GPU and one process"):
            engine_for(device, 1.0, 1, "graphs", alone)
    with pytest.raises(ValueError, match="Several processes train eagerly; got engine='compiled'"):
        engine_for(GPU, 1.0, 1, "compiled", alone=False)


def test_a_cpu_computes_large_steps_in_bfloat16_if_it_has_instructions_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for has in (False, True):
        monkeypatch.setattr("softshare.training.precision._has_bf16_products", lambda has=has: has)
        assert precision_for(CPU, 1e11) == (torch.bfloat16 if has else torch.float32)
        assert precision_for(CPU, 1e9) == torch.float32
        assert precision_for(CPU, 1e9, "bfloat16") == torch.bfloat16
        assert precision_for(CPU, 1e11, "float32") == torch.float32
        assert precision_for(CPU, 1e9, "auto") == torch.float32
    with pytest.raises(ValueError, match=r"precision is auto, float32 or bfloat16; got 'half'\."):
        precision_for(CPU, 1e9, "half")


def test_a_gpu_that_only_emulates_bfloat16_computes_in_float32(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An Ampere beside a Turing card, whatever device is the current one."""
    known = {torch.device("cuda:0"): (8, 0), torch.device("cuda:1"): (7, 5)}
    monkeypatch.setattr(torch.cuda, "get_device_capability", known.__getitem__)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    found = [precision_for(device) for device in known]
    assert found == [torch.bfloat16, torch.float32]
    assert precision_for(torch.device("cuda:1"), asked="bfloat16") == torch.bfloat16


def test_settings_of_pytorch_are_left_as_they_were() -> None:
    cudnn = torch.backends.cudnn
    before = cudnn.benchmark, cudnn.allow_tf32
    for device in (CPU, GPU):
        with pytest.raises(KeyError), tuned(device):
            inside = (True, False) if device == GPU else before
            assert (cudnn.benchmark, cudnn.allow_tf32) == inside
            raise KeyError
        assert (cudnn.benchmark, cudnn.allow_tf32) == before


# --------------------------------------------------------------------------------------- on a GPU


@NEEDS_GPU
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", MODELS)
def test_every_engine_takes_the_same_steps_on_a_gpu(name: str, engine: str) -> None:
    """Ten steps at two rates, two of them of a smaller batch.

    In float64: ten steps make of float32's rounding as much as a step left out does.
    """
    recipe, sizes = MODELS[name], [8, 8, 8, 8, 5, 8, 8, 8, 8, 5]
    how: dict[str, Any] = {"device": "cuda", "precision": torch.float32, "dtype": torch.float64}
    eager = follow(recipe, sizes, **how)
    other = follow(recipe, sizes, **how, engine=engine)
    assert other[1].engine == engine, "nothing fell back"
    assert_same(eager, other, 1e-4)


@NEEDS_GPU
@pytest.mark.parametrize("engine", ["eager", "graphs"])
def test_no_step_waits_for_the_gpu(engine: str, no_waiting: Callable) -> None:
    recipe = MODELS["swrn-16-1-2"]
    stepper = Step(net_of(recipe), recipe, F.cross_entropy, "cuda", engine=engine)
    given = [(x.cuda(), y.cuda()) for x, y in batches(recipe, [8] * 8)]
    for x, y in given[:5]:
        stepper(x, y)
    with no_waiting():
        for x, y in given[5:]:
            stepper(x, y)


@NEEDS_GPU
@pytest.mark.parametrize("engine", ["graphs", "compiled graphs"])
def test_dropout_draws_anew_at_each_replay(engine: str) -> None:
    """At learning rate 0 the losses of one batch differ by the masks alone."""
    recipe = Recipe("wrn-10-1", dropout=0.5, lr=0.0, momentum=0.0)
    torch.manual_seed(0)
    net = models.build("wrn-10-1", dropout=0.5)
    stepper = Step(net, recipe, F.cross_entropy, "cuda", engine=engine)
    x, y = (t.cuda() for t in batches(recipe, [16])[0])
    losses = {stepper(x, y).item() for _ in range(12)}
    assert stepper.engine == engine
    assert len(losses) == 12
