"""Whole runs on a GPU: nothing waits, nothing goes stale, what was stopped goes on."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from softshare import storage
from softshare.models import build
from softshare.recipe import Recipe, for_profile
from softshare.records import Run
from softshare.training import train
from softshare.training.engine import tuned
from softshare.training.step import Step
from softshare.training.tasks import Task, predictor, task_for
from softshare.training.watch import Stopped, Watch

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
GPU, ENGINES = "cuda", ["eager", "graphs"]
RECIPES = {  # six batches of 16 and one of 4, by SGD and by Adam
    "swrn-16-1-2": for_profile("swrn-16-1-2", "digits", examples=100, batch_size=16, cutout=4),
    "scnn-r": for_profile("scnn-r", examples=100, batch_size=16, phases=1, epochs=6),
}


def start(recipe: Recipe, engine: str) -> tuple[Task, Step]:
    device = torch.device(GPU)
    task = task_for(recipe, device)
    torch.manual_seed(recipe.seed)
    net = build(recipe.model, **task.model_settings)
    return task, Step(net, recipe, task.loss, device, engine=engine)


def epochs(task: Task, step: Step, numbers: range) -> torch.Tensor:
    """The losses of these epochs, another rate every other one; on the device."""
    losses = torch.zeros(len(numbers), task.steps, device=GPU)
    step.net.train()
    with tuned(step.device):
        for row, epoch in enumerate(numbers):
            step.set_rate(step.optimizer.defaults["lr"] / (1 + epoch // 2))
            for number, batch in enumerate(task.batches(epoch)):
                losses[row, number] = step(*batch)
    return losses


def evaluated(net: nn.Module, task: Task) -> torch.Tensor:
    inputs, _ = next(task.batches(0))
    return predictor(net, torch.float32)(inputs)


def apart(one: torch.Tensor, two: torch.Tensor) -> float:
    return ((one - two).norm() / two.norm()).item()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", RECIPES)
def test_nothing_waits_for_the_gpu_within_an_epoch(
    name: str, engine: str, no_waiting: Callable
) -> None:
    """Neither drawing and augmenting a batch, nor a step of it, nor noting its loss."""
    task, step = start(RECIPES[name], engine)
    epochs(task, step, range(2))
    step.set_rate(step.optimizer.defaults["lr"])
    epochs(task, step, range(1))  # recorded at this rate
    with no_waiting():
        losses = epochs(task, step, range(1))
    assert step.engine == engine
    assert losses.isfinite().all()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", RECIPES)
def test_what_is_scored_is_what_was_trained(name: str, engine: str) -> None:
    """Replays change parameters behind PyTorch's version counters; no baked weight outlives them.

    A network that is built anew from the state has never baked anything.
    """
    task, step = start(RECIPES[name], engine)
    seen = []
    for epoch in range(4):
        epochs(task, step, range(epoch, epoch + 1))
        fresh = build(RECIPES[name].model, **task.model_settings).to(GPU)
        fresh.load_state_dict(step.net.state_dict())
        fresh = fresh.to(memory_format=torch.channels_last)
        for _ in range(2):
            seen.append(evaluated(step.net, task))
            assert apart(seen[-1], evaluated(fresh, task)) < 1e-2
    assert step.engine == engine
    assert apart(seen[0], seen[-1]) > 0.1, "else nothing was trained"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", RECIPES)
def test_a_step_goes_on_from_a_checkpoint(name: str, engine: str, tmp_path: Path) -> None:
    """The optimiser's state is on the device again, where recorded steps count and average."""
    task, step = start(RECIPES[name], engine)
    epochs(task, step, range(2))
    storage.save_checkpoint(tmp_path / "a.pt", copy.deepcopy(step.state()))
    _, other = start(RECIPES[name], engine)
    other.load_state(storage.load_checkpoint(tmp_path / "a.pt"))
    kept = {value.device.type for s in other.optimizer.state.values() for value in s.values()}
    assert kept == {GPU}
    losses, again = epochs(task, step, range(2, 4)), epochs(task, other, range(2, 4))
    assert other.engine == engine
    torch.testing.assert_close(again[0, 0], losses[0, 0], rtol=0.02, atol=0.01)
    torch.testing.assert_close(again.mean(), losses.mean(), rtol=0.2, atol=0.1)


def test_recording_again_and_again_takes_no_more_memory() -> None:
    task, step = start(RECIPES["swrn-16-1-2"], "graphs")
    used = []
    for turn in range(6):
        step.set_rate(0.1 / (turn + 1))
        for batch in task.batches(turn):
            step(*batch)
        torch.cuda.synchronize()
        used.append(torch.cuda.memory_reserved())
    assert step.engine == "graphs"
    assert used[-1] <= 1.5 * used[1]


class After(Watch):
    """Leaves once so many epochs are done."""

    def __init__(self, epochs: int) -> None:
        super().__init__()
        self.epochs = epochs

    def note(self, done: int, total: int, seconds: float) -> None:
        self.asked = done >= self.epochs


@pytest.mark.parametrize("name", RECIPES)
def test_a_run_that_was_stopped_goes_on(name: str, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"examples": 100, "batch_size": 16, "epochs": 6, "seed": 3}
    settings |= {"runs": tmp_path / "runs", "device": GPU, "engine": "graphs", "progress": False}
    settings |= {"profile": "smoke"} | ({"phases": 1} if name == "scnn-r" else {})
    with pytest.raises(Stopped):
        train(name, watch=After(2), **settings)
    run = train(name, watch=After(99), **settings)
    assert run == Run.load(tmp_path / "runs" / run.path)
    assert run.curves["epoch"] == [1, 2, 3, 4, 5, 6]
    assert (run.origin["engine"], run.origin["precision"]) == ("graphs", "bfloat16")
    assert run.cost["peak_memory_bytes"] > 0
    assert run.folded or "folded" in run.origin
