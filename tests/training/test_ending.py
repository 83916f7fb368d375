"""What follows the last epoch may be cut off at any moment; nothing is trained again for it."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from softshare import storage
from softshare.models import build
from softshare.queue.estimate import Estimate
from softshare.queue.place import Place
from softshare.recipe import Recipe, for_profile
from softshare.records import Run, weights
from softshare.records.holding import LATER, checkpoint_of, unmeasured
from softshare.sharing import banks
from softshare.training import folded_error, train
from softshare.training.cost import cost
from softshare.training.folded_score import measure
from softshare.training.image_task import ImageTask
from softshare.training.loop import Training
from softshare.training.step import Step
from softshare.training.tasks import task_for
from softshare.training.watch import Stopped, Watch

ASKED: dict[str, Any] = {"model": "swrn-16-1-2", "profile": "smoke", "examples": 384, "epochs": 4}
RECIPE = for_profile(**ASKED)
QUIET: dict[str, Any] = {"device": "cpu", "progress": False}


def after_an_epoch() -> Watch:
    class OneEpoch(Watch):
        def note(self, done: int, total: int, seconds: float) -> None:
            self.ask()

    return OneEpoch()


def trained(run: Run) -> list[Any]:
    """What is there before the foldings are measured."""
    return [run.result, run.curves, run.coefficients, run.model, run.data, run.weights]


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(**ASKED, **QUIET, runs=tmp_path_factory.mktemp("straight") / "runs")


@pytest.fixture
def no_more_steps(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Once called, nothing may be trained any more."""

    def refuse() -> None:
        monkeypatch.setattr(Step, "__call__", lambda *_: pytest.fail("a step was taken"))

    return refuse


class Hurried(Watch):
    """Without time once so much is scored; by default four epochs, kept weights and a folding."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, most: int = 6) -> None:
        super().__init__()
        scores, self.scored = ImageTask.scores, 0

        def counted(*arguments: Any) -> dict[str, float]:
            self.scored += 1
            self.asked = self.scored >= most
            return scores(*arguments)

        monkeypatch.setattr(ImageTask, "scores", counted)


def cut_off(folder: Path, straight: Run) -> Path:
    """A run whose foldings were not all measured when its time was over."""
    with pytest.MonkeyPatch.context() as patch, pytest.warns(UserWarning, match="The foldings of"):
        watch = Hurried(patch)
        run = train(**ASKED, **QUIET, runs=folder / "runs", watch=watch)
    assert watch.scored == 6, "it leaves at the next one"
    assert run == Run.load(folder / "runs" / run.path)
    assert trained(run) == trained(straight)
    assert run.folded == []
    assert run.origin["folded"] == f"{LATER}, or fold RECORD --measure"
    return checkpoint_of(RECIPE, folder / "runs")


def test_what_is_trained_is_recorded_where_there_is_no_time_to_measure(
    essence: Callable, straight: Run, tmp_path: Path, no_more_steps: Callable
) -> None:
    saved, here = cut_off(tmp_path, straight), Place("cpu", 1, 1, tmp_path / "runs")
    assert not here.recorded(RECIPE), "a queue goes on with it"
    assert here.begun(RECIPE) == RECIPE.total_epochs
    no_more_steps()
    run = train(**ASKED, **QUIET, runs=tmp_path / "runs")
    assert essence(run) == essence(straight)
    assert "folded" not in run.origin
    assert {"date", "engine", "commit"} < set(run.origin)
    assert here.recorded(RECIPE)
    assert not saved.exists()


def test_foldings_of_the_whole_network_are_kept_where_there_is_no_time_for_those_of_groups(
    essence: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_more_steps: Callable
) -> None:
    asked = ASKED | {"epochs": 7}
    straight = train(**asked, **QUIET, runs=tmp_path / "straight" / "runs")
    assert straight.folded_alone
    runs, here = tmp_path / "runs", Place("cpu", 1, 1, tmp_path / "runs")
    before = asked["epochs"] + 1 + 2 * len(straight.folded)
    with monkeypatch.context() as patch, pytest.warns(UserWarning, match="The foldings of"):
        run = train(**asked, **QUIET, runs=runs, watch=Hurried(patch, before + 1))
    assert run == Run.load(runs / run.path)
    assert run.folded == straight.folded
    assert run.folded_alone == {}
    assert not here.recorded(run.recipe), "a queue goes on with it"
    no_more_steps()

    def of_a_group(*arguments: Any) -> list[dict[str, float]]:
        assert arguments[5:], "the whole network's are there"
        return measure(*arguments)

    monkeypatch.setattr(folded_error, "measure", of_a_group)
    again = train(**asked, **QUIET, runs=runs)
    assert essence(again) == essence(straight)
    assert again.cost["folding_seconds"] > run.cost["folding_seconds"]
    assert here.recorded(run.recipe)


def test_killed_while_measuring_it_goes_on_with_that(
    essence: Callable, straight: Run, tmp_path: Path, start: Callable, no_more_steps: Callable
) -> None:
    def die(runs: str, asked: dict) -> None:
        import os
        import signal

        from softshare.training import folded_score, train

        folded_score.recalibrate = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        train(**asked, runs=runs, device="cpu", progress=False)

    process = start(die, str(tmp_path / "runs"), ASKED)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    no_more_steps()
    whole = Run.load(tmp_path / "runs" / straight.path)
    assert trained(whole) == trained(straight)
    assert whole.folded == []
    assert essence(train(**ASKED, **QUIET, runs=tmp_path / "runs")) == essence(straight)
    assert not checkpoint_of(RECIPE, tmp_path / "runs").exists()


@pytest.fixture
def no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a large network."""
    monkeypatch.setattr(weights, "LIMIT", 0)


def test_without_checkpoint_and_weights_it_is_trained_again(
    essence: Callable,
    straight: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    no_weights: None,
) -> None:
    """The record stays until there is another one; a large network keeps no weights."""
    runs, here = tmp_path / "runs", Place("cpu", 1, 1, tmp_path / "runs")
    with monkeypatch.context() as patch, pytest.warns(UserWarning, match=rf"are {LATER}\.$"):
        run = train(**ASKED, **QUIET, runs=runs, watch=Hurried(patch, 5))
    assert (run.folded, run.weights) == ([], {})
    assert run.origin["folded"] == LATER, "fold --measure would find no weights"
    checkpoint_of(RECIPE, runs).unlink()
    assert not here.recorded(RECIPE)
    with pytest.raises(Stopped):
        train(**ASKED, **QUIET, runs=runs, watch=after_an_epoch())
    assert Run.load(runs / run.path) == run
    assert not here.recorded(RECIPE)
    assert here.begun(RECIPE) == 1
    assert essence(train(**ASKED, **QUIET, runs=runs)) == replace(essence(straight), weights={})
    assert here.recorded(RECIPE)


@pytest.mark.parametrize("kept", [{}, {"folded": [{"threshold": 1.0}]}, {"weights": {"bytes": 9}}])
def test_what_has_foldings_or_weights_is_not_trained_again(
    kept: dict[str, Any], straight: Run, tmp_path: Path
) -> None:
    bare = {"folded": [], "weights": {}, "origin": {"folded": LATER}}
    run = replace(straight, **(bare | kept))
    assert unmeasured(run, "cpu", tmp_path / "runs") == (not kept)


def test_foldings_stand_beside_the_curves_of_their_own_training(
    essence: Callable, straight: Run, tmp_path: Path
) -> None:
    """Trained again to the end and killed there, the record is still that of another training."""
    cut_off(tmp_path, straight)
    runs = tmp_path / "runs"
    run = Run.load(runs / straight.path)
    other = [error + 1 for error in run.curves["test_error"]]
    result = {"test_error": other[-1]}
    replace(run, curves=run.curves | {"test_error": other}, result=result).save(runs)
    assert essence(train(**ASKED, **QUIET, runs=runs)) == essence(straight)


def elsewhere(saved: Path) -> None:
    storage.save_checkpoint(saved, storage.load_checkpoint(saved) | {"place": "cuda in bfloat16"})


def several(saved: Path) -> None:
    place = {"place": "cpu in float32, 2 processes"}
    storage.save_checkpoint(saved, storage.load_checkpoint(saved) | place)


def damaged(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[:-100])


@pytest.mark.parametrize("change", [elsewhere, several, damaged, Path.unlink])
def test_a_record_whose_checkpoint_is_of_no_use_here_is_found_as_it_is(
    change: Callable, straight: Run, tmp_path: Path, no_more_steps: Callable
) -> None:
    saved = cut_off(tmp_path, straight)
    change(saved)
    no_more_steps()
    run = train(**ASKED, **QUIET, runs=tmp_path / "runs")
    assert run.folded == []
    assert run == Run.load(tmp_path / "runs" / run.path)
    assert Place("cpu", 1, 1, tmp_path / "runs").recorded(RECIPE)
    assert saved.exists() == (change is not Path.unlink), "where it was made it is gone on from"


def test_the_checkpoint_of_another_version_trains_nothing_anew(
    straight: Run, tmp_path: Path, no_more_steps: Callable
) -> None:
    saved = cut_off(tmp_path, straight)
    state = storage.load_checkpoint(saved)
    state["fits"]["shapes"].popitem()
    storage.save_checkpoint(saved, state)
    no_more_steps()
    with pytest.warns(UserWarning, match=rf"^The checkpoint {re.escape(str(saved))} is of other"):
        assert train(**ASKED, **QUIET, runs=tmp_path / "runs").folded == []


def test_a_plain_network_is_recorded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved, save = [], Run.save

    def noting(run: Run, root: Any) -> Path:
        saved.append(run)
        return save(run, root)

    monkeypatch.setattr(Run, "save", noting)
    run = train(**{**ASKED, "model": "wrn-10-1"}, **QUIET, runs=tmp_path / "runs")
    assert saved == [run]


@pytest.mark.parametrize(
    ("model", "limit", "kept"), [("wrn-10-1", 10**6, 4), ("swrn-16-1-2", 0, 4), ("wrn-10-1", 0, 3)]
)
def test_the_last_epoch_is_kept_unless_a_record_is_all_that_follows(
    essence: Callable,
    model: str,
    limit: int,
    kept: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Cut off before it, a large plain network redoes what its last checkpoint lacks: an epoch."""
    monkeypatch.setattr(weights, "LIMIT", limit)
    asked, runs = ASKED | {"model": model}, tmp_path / "runs"
    straight = train(**asked, **QUIET, runs=tmp_path / "straight" / "runs")
    done, an_epoch = [], Training._epoch

    def noting(training: Training, epoch: int, bar: Any) -> Any:
        done.append(epoch)
        return an_epoch(training, epoch, bar)

    def interrupted(run: Run, root: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Training, "_epoch", noting)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Run, "save", interrupted)
        train(**asked, **QUIET, runs=runs, checkpoint_seconds=0)
    saved = storage.load_checkpoint(checkpoint_of(straight.recipe, runs))
    assert saved["curves"]["epoch"] == [1, 2, 3, 4][:kept]
    assert essence(train(**asked, **QUIET, runs=runs)) == essence(straight)
    assert done == [0, 1, 2, 3, *range(kept, 4)]


# ------------------------------------------------------------------------------- how long it takes


@pytest.mark.parametrize("model", ["swrn-16-1-2", "swrn-28-1-3"])
def test_measuring_costs_what_passes_through_the_network(model: str) -> None:
    recipe = for_profile(model, profile="smoke", examples=384, epochs=40)
    task = task_for(recipe, torch.device("cpu"))
    net = build(model, **task.model_settings)
    torch.manual_seed(0)
    for bank in banks(net).values():
        nn.init.normal_(bank.coefficients)  # no two ties grow at one threshold
    passed = 0

    def counting(module: nn.Module, inputs: tuple[Tensor, ...], outputs: Tensor) -> None:
        nonlocal passed
        passed += len(inputs[0])

    net.register_forward_hook(counting)  # a copy keeps it
    measure(net, task, recipe.total_epochs - 1)
    found = cost(recipe)
    reckoned = found.folding / (found.flops / 3)
    assert passed / 1.5 <= reckoned <= 2 * passed


def test_what_is_not_measured_costs_nothing() -> None:
    trial = {"examples": 96, "epochs": 1}
    assert cost(for_profile("wrn-28-10")).folding == 0
    assert cost(for_profile("swrn-28-10-2", fold=0.9, tune=3)).folding == 0
    assert cost(for_profile("swrn-16-1-2", profile="smoke", **trial)).folding == 0
    assert cost(Recipe("swrn-28-10-2")).folding > cost(Recipe("swrn-28-10-2")).epoch


def test_an_estimate_ends_with_measuring() -> None:
    assert Estimate(10.0, 3, start=1.0, folding=5.0).seconds == 36.0
    assert Estimate(10.0, 3, start=1.0, folding=5.0).least == 11.0
    assert Estimate(10.0, 0, start=1.0, folding=5.0).least == 6.0
