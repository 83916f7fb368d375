"""The queue keeps order, time and room."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import pytest
import torch

from softshare.models import build
from softshare.queue import Queue, Summary, workers
from softshare.queue.campaign import Job
from softshare.queue.device_speed import Speed
from softshare.queue.estimate import Estimate, Estimator
from softshare.queue.narration import Narrator
from softshare.queue.place import Place
from softshare.recipe import for_profile
from softshare.records import Run, weights
from softshare.records.holding import checkpoint_of
from softshare.training.watch import Watch

SMALL, LARGE = "wrn-28-1", "wrn-28-10"


def at_once(pretended: Any) -> int:
    running, most = 0, 0
    for event, _ in pretended.log:
        running += {"start": 1, "end": -1}.get(event, 0)
        most = max(most, running)
    return most


def started(pretended: Any) -> list[Job]:
    return [which for event, which in pretended.log if event == "start"]


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
    """At first the next run is there already, prepared; the second time nothing is."""
    pretended.endings = {job(LARGE): "memory"}
    summary = work([job(LARGE), job(LARGE, 1)], device="cuda", workers=8)
    assert summary.failed == {job(LARGE): "a reason"}
    assert started(pretended) == [job(LARGE, s) for s in (0, 0, 1)]
    second = pretended.log.index(("dismiss", job(LARGE, 1)))
    assert pretended.log[second + 1 :][:3] == [
        (event, job(LARGE)) for event in ("prepare", "start", "end")
    ]


def test_on_a_gpu_the_next_run_is_prepared_while_one_is_at_work(
    job: Callable[..., Job], pretended: Any, work: Callable[..., Summary]
) -> None:
    one, two, three = jobs = [job(LARGE, seed) for seed in range(3)]
    summary = work(jobs, device="cuda", workers=8)
    assert pretended.log == [
        *(("prepare", one), ("start", one), ("prepare", two)),
        *(("end", one), ("start", two), ("prepare", three)),
        *(("end", two), ("start", three), ("end", three)),
    ]
    assert len(summary.done) == 3 and not (summary.left or summary.failed)


def test_what_would_not_fit_at_its_turn_is_not_prepared_and_a_shorter_one_is(
    job: Callable[..., Job], pretended: Any, work: Callable[..., Summary], speed: Speed
) -> None:
    one, two, short = job(LARGE), job(LARGE, 1), job(SMALL, epochs=1)
    long = Estimator(speed, [], "cpu").estimate(one.recipe).seconds
    summary = work([one, two, short], device="cuda", workers=8, budget=1.5 * long, whole=True)
    assert ("prepare", short) == pretended.log[2] and pretended.log[3] == ("end", one)
    assert summary.left == [], "it was over sooner than was thought, and all had their turn"
    assert started(pretended) == [one, two, short]
    assert pretended.log.index(("dismiss", short)) < pretended.log.index(("start", two))


def test_on_a_cpu_nothing_is_prepared_beside_runs_that_need_its_cores(
    job: Callable[..., Job], pretended: Any, work: Callable[..., Summary]
) -> None:
    work([job(LARGE, seed) for seed in range(3)], workers=1)
    assert [event for event, _ in pretended.log] == ["prepare", "start", "end"] * 3


def test_what_was_prepared_and_is_not_wanted_any_more_is_dismissed(
    job: Callable[..., Job],
    pretended: Any,
    work: Callable[..., Summary],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another queue has recorded it meanwhile; what comes after it begins."""
    one, two, three = jobs = [job(LARGE, seed) for seed in range(3)]
    monkeypatch.setattr(
        Place,
        "recorded",
        lambda place, recipe: recipe == two.recipe and ("end", one) in pretended.log,
    )
    summary = work(jobs, device="cuda", workers=8)
    assert started(pretended) == [one, three]
    assert ("dismiss", two) in pretended.log
    assert sorted(summary.done) == sorted(each.recipe.path for each in (one, three))


@pytest.mark.parametrize("kind", ["data", "busy", "failed"])
def test_what_fails_while_it_is_prepared_has_failed(
    job: Callable[..., Job], pretended: Any, work: Callable[..., Summary], kind: str
) -> None:
    one, two, three = jobs = [job(LARGE), job(LARGE, 1), job("scnn")]
    pretended.endings, pretended.early = {two: kind}, True
    summary = work(jobs, device="cuda", workers=8)
    assert two not in started(pretended)
    assert sorted(summary.done) == sorted(each.recipe.path for each in (one, three))
    assert (summary.busy, list(summary.failed)) == (([two], []) if kind == "busy" else ([], [two]))


@pytest.mark.parametrize("kind", ["memory", "killed", "stopped"])
def test_what_lacks_memory_or_time_while_it_is_prepared_waits_for_its_turn(
    job: Callable[..., Job], pretended: Any, work: Callable[..., Summary], kind: str
) -> None:
    one, two = jobs = [job(LARGE), job(LARGE, 1)]
    pretended.endings, pretended.early = {two: kind}, True
    summary = work(jobs, device="cuda", workers=8)
    assert started(pretended)[:2] == jobs
    assert summary.done[0] == one.recipe.path


def test_a_run_trains_from_its_turn_on_and_leaves_nothing_if_that_never_comes(
    tmp_path: Path,
) -> None:
    recipe = for_profile("wrn-10-1", profile="smoke", examples=32, batch_size=32, epochs=1)
    runs, job = tmp_path / "runs", Job(recipe, (), "x")

    def prepared() -> workers.Worker:
        worker = workers.Worker(job, Estimate(1.0, 1), runs, "cpu", 1, time.monotonic() + 200)
        while not checkpoint_of(recipe, runs).with_suffix(".lock").is_file():
            time.sleep(0.1)
        assert not wait([worker.pipe], timeout=1.5), "it has nothing to say before its turn"
        return worker

    dismissed = prepared()
    dismissed.close()
    assert not list(runs.rglob("*.json"))
    checkpoint_of(recipe, runs).with_suffix(".lock").unlink()
    worker = prepared()
    worker.go()
    while not worker.ending:
        wait([worker.pipe], timeout=1.0)
        worker.hear()
    worker.close()
    assert worker.ending == workers.Ending("done", recipe.path)
    assert Run.load(runs / recipe.path).origin.get("runs_at_once", 1) == 1


def test_a_run_of_which_not_an_epoch_fits_is_passed_over(
    job: Callable[..., Job], work: Callable[..., Summary]
) -> None:
    large, small = job(LARGE), job(SMALL)
    summary = work([large, small], budget=100.0)
    assert summary.done == [small.recipe.path]
    assert summary.left == [large]


def test_a_run_whose_end_does_not_fit_is_passed_over_where_asked_to(
    job: Callable[..., Job], work: Callable[..., Summary], speed: Speed
) -> None:
    """Also for want of the time in which its foldings are measured."""
    long, short = job("swrn-28-10"), job(SMALL)
    estimate = Estimator(speed, [], "cpu").estimate(long.recipe)
    assert estimate.least < estimate.seconds - estimate.folding < estimate.seconds
    budget = estimate.seconds - estimate.folding / 2
    assert work([long, short], budget=budget, whole=True).done == [short.recipe.path]
    assert work([long], budget=estimate.seconds + 10, whole=True).done == [long.recipe.path]


def test_otherwise_it_is_begun(
    job: Callable[..., Job], work: Callable[..., Summary], speed: Speed
) -> None:
    long = job("swrn-28-10")
    estimate = Estimator(speed, [], "cpu").estimate(long.recipe)
    assert work([long], budget=estimate.least + 10).done == [long.recipe.path]


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


@pytest.mark.parametrize("leaves", [False, True])
def test_real_runs_one_after_the_other_each_prepared_beside_the_one_before(
    job: Callable[..., Job],
    speed: Speed,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    leaves: bool,
) -> None:
    monkeypatch.setattr(Place, "shared", True)
    size = {"examples": 32, "batch_size": 32, "epochs": 10_000 if leaves else 2}
    jobs = [
        Job(for_profile("wrn-10-1", profile="smoke", seed=seed, **size), (), "x")
        for seed in range(3)
    ]
    place, estimator = Place("cpu", 1, 1, tmp_path / "runs"), Estimator(speed, [], "cpu")
    deadline, seen = time.monotonic() + (3000 if leaves else 200), []  # else none is prepared
    queue = Queue(jobs, place, estimator, Narrator(quiet=True), deadline, 10.0)
    prepare = queue._prepare

    def watched(*arguments: Any) -> None:
        prepare(*arguments)
        if queue.ready and queue.ready.job not in seen:
            seen.append(queue.ready.job)
        if leaves and queue.workers[0].done:
            queue.leave()

    monkeypatch.setattr(queue, "_prepare", watched)
    summary = queue.run()
    assert not queue.ready and not summary.failed
    if leaves:
        assert list(summary.stopped) == jobs[:1] and summary.left == jobs[1:] and seen == jobs[1:2]
    else:
        assert summary.done == [each.recipe.path for each in jobs] and seen == jobs[1:]
        for path in summary.done:
            assert Run.load(tmp_path / "runs" / path).origin.get("runs_at_once", 1) == 1
