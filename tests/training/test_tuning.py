"""Fine-tuning after folding: a run of its own that goes on from another's kept weights."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import softshare as ss
from softshare.folding.folded_model import FoldedModel
from softshare.folding.network import fold
from softshare.paper import matching
from softshare.paper.file import read
from softshare.recipe import for_profile
from softshare.records import Run, load_runs, weights
from softshare.training import train
from softshare.training.tasks import predictor, task_for

pytestmark = pytest.mark.usefixtures("few_held_out")
BASE: dict[str, Any] = {"profile": "smoke", "examples": 96, "batch_size": 32, "epochs": 2}
ASKED: dict[str, Any] = {"model": "swrn-16-1-2", **BASE, "fold": 0.02, "tune": 2}
QUIET: dict[str, Any] = {"device": "cpu", "progress": False}


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run, Path]:
    """A tuned run, the one that it goes on from, and their folder."""
    root = tmp_path_factory.mktemp("tuned") / "runs"
    run = train(**ASKED, **QUIET, runs=root)
    (base,) = load_runs(root, tune=0)
    return run, base, root


def test_the_base_is_trained_and_kept_first(tuned: tuple[Run, Run, Path]) -> None:
    run, base, root = tuned
    assert base.recipe == run.recipe.base == for_profile("swrn-16-1-2", **BASE)
    assert len(load_runs(root)) == 2
    assert base.curves["lr"] == [0.1, 0.004]
    assert run.curves["lr"] == [0.004, 0.004], "the last rate of the schedule"
    assert run.curves["epoch"] == [1, 2]
    assert train(**ASKED, **QUIET, runs=root) == run, "found, not trained"


def test_the_record_is_of_the_folded_network(tuned: tuple[Run, Run, Path]) -> None:
    run, base, root = tuned
    start = fold(base.network(root), 0.02)
    assert run.model["parameters"] == start.report.parameters_after
    assert run.model["macs"] == base.model["macs"]
    assert run.model["schedules"] == {g.group: list(g.schedule) for g in start.report.groups}
    assert any(len(set(s)) < len(s) for s in run.model["schedules"].values()), "something folds"
    assert "+fold=0.02+tune=2/" in run.path


def test_its_kept_weights_are_the_folded_network(tuned: tuple[Run, Run, Path]) -> None:
    run, base, root = tuned
    net = run.network(root)
    assert isinstance(net, FoldedModel)
    assert sum(p.numel() for p in net.parameters()) == run.model["parameters"]
    task = task_for(run.recipe, torch.device("cpu"))
    error = task.scores(predictor(net, torch.float32), epoch=1)["test_error"]
    assert error == run.weights["test_error"]
    assert abs(error - run.test_error) <= 2
    start = fold(base.network(root), 0.02, inputs=None)
    pairs = zip(net.named_parameters(), start.parameters(), strict=True)
    still = [name for (name, a), b in pairs if torch.equal(a, b)]
    assert all(n.endswith("conv1.weight_scale") for n in still), "BN follows: it changes nothing"


def test_tuning_is_the_plain_loop_on_the_folded_network(tuned: tuple[Run, Run, Path]) -> None:
    """The same steps by hand, on the batches that come after those of the base."""
    run, base, root = tuned
    net = fold(base.network(root), 0.02, inputs=None).to(memory_format=torch.channels_last)
    task = task_for(base.recipe, torch.device("cpu"))
    groups = ss.param_groups(net, 5e-4)
    optimizer = torch.optim.SGD(groups, lr=0.004, momentum=0.9, nesterov=True)
    net.train()
    losses = []
    for images, labels in task.batches(base.recipe.total_epochs):
        images = images.contiguous(memory_format=torch.channels_last)
        loss = torch.nn.functional.cross_entropy(net(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    assert run.curves["loss"][0] == pytest.approx(torch.stack(losses).mean().item(), rel=1e-5)


def test_it_serves_no_row_of_the_paper(make_run: Callable[..., Run], tmp_path: Path) -> None:
    tables = read()[0]["tables"]
    for model, name in (("swrn-28-10-2", "table1"), ("swrn-28-1-2", "table1"), ("scnn", "figure5")):
        base = make_run(for_profile(model), 0.25)
        run = make_run(for_profile(model, fold=0.9, tune=3), 0.5)
        assert run.path != base.path
        for each in (base, run):
            each.save(tmp_path / model)
        assert ss.reproduce(name, train=False, runs=tmp_path / model).runs == [base]
        if name == "table1":
            assert matching.place(base, name, tables) is not None
            assert ss.compare([run, base], name).equals(ss.compare([base], name))
            assert not any(matching.stands_in(run.recipe, row) for row in tables[name]["rows"])


def test_a_curriculum_is_tuned_on_its_last_phase(tmp_path: Path) -> None:
    few = {"profile": "smoke", "examples": 8, "batch_size": 4, "phases": 2}
    run = train("scnn-r", **few, fold=0.5, tune=2, **QUIET, runs=tmp_path / "runs")
    assert run.curves["phase"] == [2, 2]
    assert run.curves["lr"] == [0.01, 0.01]
    assert "body" in run.model["schedules"]


def test_killed_while_tuning_it_ends_in_the_same_record(
    tuned: tuple[Run, Run, Path], tmp_path: Path, start: Callable
) -> None:
    def die(runs: str, asked: dict) -> None:
        import os
        import signal

        from softshare.training import train
        from softshare.training.image_task import ImageTask

        batches = ImageTask.batches

        def until(task: Any, epoch: int) -> Any:
            if task.recipe.tune and epoch == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            return batches(task, epoch)

        ImageTask.batches = until
        train(**asked, runs=runs, device="cpu", progress=False, checkpoint_seconds=0)

    process = start(die, str(tmp_path / "runs"), ASKED)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    (saved,) = tmp_path.glob("checkpoints/*.pt")
    resumed = train(**ASKED, **QUIET, runs=tmp_path / "runs")
    assert replace(resumed, cost={}, origin={}) == replace(tuned[0], cost={}, origin={})
    assert not saved.exists()


def test_an_interrupted_base_goes_on_too(
    tuned: tuple[Run, Run, Path], tmp_path: Path, interrupt: Callable
) -> None:
    with interrupt():
        train(**ASKED, **QUIET, runs=tmp_path / "runs", checkpoint_seconds=0)
    run = train(**ASKED, **QUIET, runs=tmp_path / "runs")
    assert replace(run, cost={}, origin={}) == replace(tuned[0], cost={}, origin={})


def test_without_kept_weights_there_is_nothing_to_go_on_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "LIMIT", 0)
    with pytest.raises(ValueError, match=r"starts from the weights of .*, which has none beside"):
        train(**ASKED, **QUIET, runs=tmp_path / "runs")
    assert len(load_runs(tmp_path / "runs")) == 1, "the base's own record stays"
