"""The queue keeps order, time and room."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from softshare.models import build
from softshare.queue import Summary, workers
from softshare.queue.campaign import Job
from softshare.queue.place import Place
from softshare.recipe import for_profile
from softshare.records import Run, weights
from softshare.training.watch import Watch

SMALL, LARGE = "wrn-28-1", "wrn-28-10"


def at_once(pretended: Any) -> int:
    running, most = 0, 0
    for event, _ in pretended.log:
        running += 1 if event == "start" else -1
        most = max(most, running)
    return most


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_runs_start_in_the_plans_order_and_as_many_as_there_is_room_for(
    job: Callable[..., Job], pretended: Any, work: Callable[..., Summary], workers: int
) -> None:
    jobs = [job(SMALL, seed) for seed in range(5)]
    summary = work(jobs, workers=workers)
    assert [which for event, which in pretended.log if event == "start"] == jobs
    assert at_once(pretended) == workers
    assert sorted(summary.done) == sorted(each.recipe.path for each in jobs)
    assert not (summary.failed or summary.left or summary.stopped)


def test_on_a_gpu_small_networks_share_it_and_large_ones_do_not(
    job: Callable[..., Job], pretended: Any, work: Callable[..., Summary]
) -> None:
    work([job(SMALL, seed) for seed in range(4)], device="cuda", workers=8)
    assert at_once(pretended) == 4
    pretended.log.clear()
    work([job(LARGE, seed) for seed in range(3)], device="cuda", workers=8)
    assert at_once(pretended) == 1


def test_what_runs_out_of_memory_beside_others_gets_the_device_to_itself(
    job: Callable[..., Job], pretended: Any, work: Callable[..., Summary]
) -> None:
    jobs = [job(SMALL, seed) for seed in range(3)]
    pretended.endings = {jobs[0]: "crowded"}
    summary = work(jobs, device="cuda", workers=8)
    assert len(summary.done) == 3
    assert not summary.failed
    assert [which for event, which in pretended.log if event == "start"].count(jobs[0]) == 2


@pytest.mark.parametrize("number", [2, 3])
def test_so_do_all_that_run_out_of_memory_together(
    job: Callable[..., Job], pretended: Any, work: Callable[..., Summary], number: int
) -> None:
    """The last of them is found when the others have left, and may have had the device since."""
    jobs = [job(SMALL, seed) for seed in range(3)]
    pretended.endings = dict.fromkeys(jobs[:number], "crowded")
    summary = work(jobs, device="cuda", workers=8)
    assert not summary.failed
    assert sorted(summary.done) == sorted(each.recipe.path for each in jobs)


def test_what_runs_out_of_memory_alone_has_failed(
    job: Callable[..., Job], pretended: Any, work: Callable[..., Summary]
) -> None:
    pretended.endings = {job(LARGE): "memory"}
    summary = work([job(LARGE), job(LARGE, 1)], device="cuda", workers=8)
    assert summary.failed == {job(LARGE): "a reason"}
    assert [which for event, which in pretended.log if event == "start"] == [
        job(LARGE, s) for s in (0, 1)
    ]


def test_a_run_of_which_not_an_epoch_fits_is_passed_over(
    job: Callable[..., Job], work: Callable[..., Summary]
) -> None:
    large, small = job(LARGE), job(SMALL)
    summary = work([large, small], budget=100.0)
    assert summary.done == [small.recipe.path]
    assert summary.left == [large]


def test_failures_are_noted_and_the_rest_goes_on(
    job: Callable[..., Job], pretended: Any, work: Callable[..., Summary]
) -> None:
    jobs = [job(SMALL, seed) for seed in range(4)]
    pretended.endings = {jobs[0]: "failed", jobs[1]: "busy", jobs[2]: "stopped"}
    summary = work(jobs)
    assert summary.failed == {jobs[0]: "a reason"}
    assert summary.busy == [jobs[1]]
    assert summary.stopped == {jobs[2]: "a reason"}
    assert summary.done == [jobs[3].recipe.path]


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (1, 2, 0, 3)])
def test_what_is_tuned_waits_while_its_network_is_being_trained(
    job: Callable[..., Job], pretended: Any, work: Callable[..., Summary], order: tuple[int, ...]
) -> None:
    """Whichever run of this queue trains it; those after it go on, and no run is passed over."""
    base = job("swrn-28-1-2")
    tuned = [job("swrn-28-1-2", fold=t, tune=3) for t in (0.9, 0.8)]
    jobs = [(base, *tuned, job(SMALL))[i] for i in order]
    summary = work(jobs, workers=3)
    assert [which for event, which in pretended.log if event == "start"][:2] == [jobs[0], jobs[3]]
    trained = pretended.log.index(("end", jobs[0]))
    for waited in jobs[1:3]:
        assert waited == base or pretended.log.index(("start", waited)) > trained
    assert {each.recipe.path for each in jobs} == {*summary.done, base.recipe.path}
    assert not (summary.busy or summary.left)


def test_a_missing_data_set_is_asked_for_once(
    job: Callable[..., Job], pretended: Any, work: Callable[..., Summary]
) -> None:
    jobs = [job(SMALL, seed) for seed in range(3)] + [job("scnn")]
    pretended.endings = {jobs[0]: "data"}
    summary = work(jobs, workers=1)
    assert list(summary.failed) == jobs[:3]
    assert summary.done == [jobs[3].recipe.path]


def test_any_other_file_that_is_missing_is_missed_by_one_run_alone(
    make_run: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as the weights of a network to be tuned."""
    monkeypatch.setenv("SOFTSHARE_DATA", str(tmp_path))
    base = for_profile("swrn-16-1-2", profile="smoke", examples=64)
    net = build(base.model, in_channels=1)
    weights.keep(make_run(base), net, tmp_path / "runs").save(tmp_path / "runs")
    (weights_file,) = tmp_path.glob("runs/**/*.safetensors")
    weights_file.unlink()
    for recipe, kind, text in (
        (replace(base, fold=0.5, tune=1), "failed", "There are no weights"),
        (for_profile("wrn-10-1", "cifar10-jpeg"), "data", "cifar10-jpeg is not in"),
    ):
        found = workers._ending(Job(recipe, (), "x"), tmp_path / "runs", "cpu", Watch())
        assert found[0] == kind
        assert found[1].startswith(text)


def test_a_run_that_another_queue_has_recorded_is_not_started(
    job: Callable[..., Job], work: Callable[..., Summary], tmp_path: Path
) -> None:
    jobs = [job(SMALL, seed) for seed in range(2)]
    Run(jobs[0].recipe, result={"test_error": 5.0}).save(tmp_path / "runs")
    assert work(jobs).done == [jobs[1].recipe.path]


def test_a_gpu_takes_many_runs_at_once_only_where_their_kernels_overlap(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("softshare.queue.place.cores", lambda: 16)
    monkeypatch.setattr("softshare.queue.place._MPS", tmp_path / "none")
    monkeypatch.delenv("CUDA_MPS_PIPE_DIRECTORY", raising=False)
    gpu = torch.device("cuda")
    assert (Place.here(gpu).workers, Place.here(gpu, 5).workers) == (2, 5)
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(tmp_path))
    assert Place.here(gpu).workers == 8
