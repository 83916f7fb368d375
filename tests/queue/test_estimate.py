"""How long a run will take: by records of its like, else by steps that are tried."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from softshare.commands import queue_work
from softshare.queue import Queue
from softshare.queue.campaign import Job
from softshare.queue.device_speed import Speed, measure
from softshare.queue.estimate import Estimator
from softshare.queue.narration import Narrator
from softshare.queue.place import Place
from softshare.recipe import Recipe, for_profile
from softshare.records import Run
from softshare.training.cost import _SIZES
from softshare.training.engine import COMPILE
from softshare.training.step import Step

SMALL, LARGE = "wrn-28-1", "wrn-28-10"


def recorded(
    recipe: Recipe, rate: float, device: str, threads: int = 1, cost: Any = None, **origin: Any
) -> Run:
    about = {"device": device, "threads": threads, **origin}
    return Run(recipe, cost={"images_per_second": rate, **(cost or {})}, origin=about)


@pytest.fixture
def a_gpu(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a GPU that computes in bfloat16, for estimates where there is none."""
    monkeypatch.setattr("softshare.queue.estimate.device_name", lambda device: "a GPU")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    return "a GPU"


def test_a_record_of_this_kind_of_device_says_how_long_its_like_takes(speed: Speed) -> None:
    recipe = for_profile(SMALL, profile="fast")
    plain = Estimator(speed, [], "cpu", 1)
    here = plain.name
    others = [recorded(recipe, 1.0, "another"), recorded(recipe, 1.0, here, threads=2)]
    assert Estimator(speed, others, "cpu", 1).estimate(recipe) == plain.estimate(recipe)
    known = Estimator(speed, [*others, recorded(recipe, 500.0, here)], "cpu", 1)
    found = known.estimate(for_profile(SMALL, "cifar100", seed=3), done=50)
    assert (found.epoch, found.epochs, found.measured) == (100.0, 150, True)
    ratio = 100.0 / plain.estimate(recipe).epoch
    wider = for_profile("wrn-28-2")
    assert known.estimate(wider).epoch == pytest.approx(ratio * plain.estimate(wider).epoch)
    assert not known.estimate(wider).measured


@pytest.mark.parametrize("other", [(50_000, 10_000, (3, 16, 16)), (50_000, 100, (3, 32, 32))])
def test_a_record_of_other_images_is_of_no_like(
    speed: Speed, other: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many to train on, but of another size, or with another number held out."""
    recipe, plain = for_profile(SMALL, "cifar10", examples=1000), Estimator(speed, [], "cpu")
    like = recorded(replace(recipe, data="cifar100"), 500.0, plain.name)
    assert Estimator(speed, [like], "cpu").estimate(recipe).measured
    monkeypatch.setitem(_SIZES, "cifar100", other)
    assert not Estimator(speed, [like], "cpu").estimate(recipe).measured


def test_tuning_takes_as_long_as_the_network_that_is_trained_for_it(
    job: Callable[..., Job], speed: Speed, tmp_path: Path
) -> None:
    base, tuned = job("swrn-28-1-2"), job("swrn-28-1-2", fold=0.9, tune=3)
    estimator, place = Estimator(speed, [], "cpu"), Place("cpu", 1, 1, tmp_path / "runs")
    first, alone = estimator.estimate(base.recipe), estimator.estimate(tuned.recipe)
    both = estimator.estimate(tuned.recipe, 0, first)
    assert both.seconds == first.seconds + alone.seconds
    assert both.least == first.least
    known = Estimator(speed, [recorded(tuned.recipe, 500.0, estimator.name)], "cpu")
    assert known.estimate(tuned.recipe).measured
    assert not known.estimate(tuned.recipe, 0, first).measured
    for jobs in ([base, tuned], [tuned, base], [tuned]):  # counted once
        found = queue_work._estimates(dict.fromkeys(jobs, 0), place, estimator)
        assert sum(each.seconds for each in found.values()) == pytest.approx(both.seconds)
    started = Queue([tuned], place, estimator, Narrator(quiet=True), 0.0, 1.0)
    assert started._estimate(tuned.recipe) == both
    Run(base.recipe).save(tmp_path / "runs")
    assert started._estimate(tuned.recipe) == alone
    assert queue_work._estimates({tuned: 0}, place, estimator) == {tuned: alone}


@pytest.mark.parametrize("threads", [1, 2])
def test_a_record_of_a_run_that_shared_its_cores_counts_as_if_it_had_not(
    speed: Speed, threads: int
) -> None:
    recipe = for_profile(SMALL, profile="fast")
    here = Estimator(speed, [], "cpu").name
    shared = {"seconds": 100.0, "processor_seconds": 25.0 * threads}
    crowded = recorded(recipe, 125.0, here, threads, shared)
    assert Estimator(speed, [crowded], "cpu", threads).estimate(recipe).epoch == 100.0
    more = {"seconds": 100.0, "processor_seconds": 120.0 * threads}  # helpers of the run worked too
    alone = recorded(recipe, 500.0, here, threads, more)
    assert Estimator(speed, [alone], "cpu", threads).estimate(recipe).epoch == 100.0


def test_a_record_of_a_run_that_shared_a_gpu_says_nothing_of_one_alone(
    speed: Speed, a_gpu: str
) -> None:
    recipe = for_profile(SMALL, profile="fast")
    plain = Estimator(speed, [], "cuda").estimate(recipe)
    crowded, alone = (recorded(recipe, 500.0, a_gpu, runs_at_once=n) for n in (3, 1))
    assert Estimator(speed, [crowded], "cuda").estimate(recipe) == plain
    assert Estimator(speed, [crowded, alone], "cuda").estimate(recipe).epoch == 100.0


def test_a_record_of_the_engine_that_will_be_used_counts_before_another(
    speed: Speed, a_gpu: str
) -> None:
    """A twin of the same size and engine says more than the network itself by another engine."""
    short, long = (for_profile(LARGE, "cifar10", name) for name in ("fast", "paper"))
    engines = [Estimator(speed, [], "cuda")._engine(r, r.total_epochs) for r in (short, long)]
    assert engines == ["graphs", "compiled graphs"]

    def epochs(*runs: tuple[str, float, str]) -> list[float]:
        made = [
            recorded(for_profile(model, "cifar10", "fast"), rate, a_gpu, engine=engine)
            for model, rate, engine in runs
        ]
        known = Estimator(speed, made, "cuda")
        assert known.estimate(short).measured and known.estimate(long).measured
        return [known.estimate(recipe).epoch for recipe in (short, long)]

    own = (LARGE, 1000.0, "compiled graphs")
    assert epochs(own) == [50.0, 50.0], "of any engine, where nothing else is known"
    assert epochs(own, (LARGE, 500.0, "graphs")) == [100.0, 50.0]
    assert epochs(own, ("swrn-28-10-2", 500.0, "graphs")) == [100.0, 50.0]
    assert epochs(own, ("wrn-28-4", 500.0, "graphs")) == [50.0, 50.0]


def test_runs_that_shared_a_gpu_say_how_much_longer_each_takes(speed: Speed, a_gpu: str) -> None:
    """Each other run on the device adds as much, so eight take what three did and more."""
    recipe = for_profile(SMALL, profile="fast")
    alone = Estimator(speed, [], "cuda").estimate(recipe)
    rate = 50_000 / alone.epoch
    three = recorded(recipe, rate / 2, a_gpu, runs_at_once=3)  # twice as long: half for each
    gpu = Estimator(speed, [three], "cuda")
    assert [gpu.slowdown(n) for n in (1, 2, 3, 8)] == pytest.approx([1, 1.5, 2, 4.5])
    faster = recorded(recipe, rate * 2, a_gpu, runs_at_once=3)  # by a better engine, say
    assert Estimator(speed, [faster], "cuda").slowdown(8) == 1
    assert Estimator(speed, [], "cuda").slowdown(8) == 1
    slowed = replace(alone, folding=7.0, base=alone).slowed(4.5)
    longer = 4.5 * (2 * (alone.seconds - alone.start - alone.folding) + alone.folding + 7.0)
    assert slowed.seconds == pytest.approx(2 * alone.start + longer)


def test_a_run_that_shared_a_gpu_counts_where_one_alone_would(speed: Speed, a_gpu: str) -> None:
    """Not in another precision, nor of images that are not here."""
    recipe = for_profile(SMALL, profile="fast")
    for other in (
        recorded(recipe, 1.0, a_gpu, runs_at_once=3, precision="float32"),
        recorded(replace(recipe, data="elsewhere"), 1.0, a_gpu, runs_at_once=3),
    ):
        assert Estimator(speed, [other], "cuda").slowdown(8) == 1


@pytest.mark.parametrize(
    ("model", "device", "factors"),
    [(SMALL, "cuda", [1, 1.5, 2]), (SMALL, "cpu", [1, 1, 1]), (LARGE, "cuda", [1])],
)
def test_a_queue_reckons_with_those_that_share_the_gpu(
    model: str,
    device: str,
    factors: list[float],
    job: Callable[..., Job],
    pretended: Any,
    tmp_path: Path,
    speed: Speed,
    a_gpu: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first is alone yet, so that something begins however short the time is."""
    monkeypatch.setattr("softshare.queue.Worker", pretended)
    place, estimator = Place(device, 3, 1, tmp_path / "runs"), Estimator(speed, [], device)
    monkeypatch.setattr(estimator, "slowdown", lambda at_once: 1 + (at_once - 1) / 2)
    jobs = [job(model, seed=seed) for seed in range(9)]
    queue = Queue(jobs, place, estimator, Narrator(quiet=True), 1e12, 1.0)
    queue._start()
    alone = estimator.estimate(jobs[0].recipe)
    found = [worker.estimate.epoch / alone.epoch for worker in queue.workers]
    assert found == pytest.approx(factors)
    least = time.monotonic() + 1.0 + 1.5 * alone.least
    short = Queue(jobs, place, estimator, Narrator(quiet=True), least, 1.0)
    short._start()
    assert short.workers


def test_a_record_of_several_processes_says_nothing(speed: Speed) -> None:
    recipe = for_profile(SMALL, profile="fast")
    plain = Estimator(speed, [], "cpu")
    together = recorded(recipe, 500.0, plain.name, processes=2)
    assert Estimator(speed, [together], "cpu").estimate(recipe) == plain.estimate(recipe)


def test_a_record_in_another_precision_says_nothing(
    speed: Speed, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = for_profile(SMALL, profile="fast")
    here = Estimator(speed, [], "cpu").name
    runs = [
        recorded(recipe, rate, here, precision=precision)
        for precision, rate in {"float32": 250.0, "bfloat16": 500.0}.items()
    ]
    for has, seconds in {False: 200.0, True: 100.0}.items():
        monkeypatch.setattr("softshare.training.precision._has_bf16_products", lambda has=has: has)
        assert Estimator(speed, runs, "cpu").estimate(recipe).epoch == seconds


def test_steps_are_tried_in_the_precision_of_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    class Noting(Step):
        def __init__(self, *arguments: Any, **more: Any) -> None:
            super().__init__(*arguments, **more)
            tried.append(self.precision)

        def __call__(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            return torch.zeros(())

    monkeypatch.setattr("softshare.queue.device_speed.Step", Noting)
    monkeypatch.setattr("softshare.training.precision._has_bf16_products", lambda: True)
    measure("cpu", torch.get_num_threads())
    assert tried == [torch.float32, torch.bfloat16], "the narrow network would lose by it"


def test_on_a_gpu_compiling_takes_time_before_anything_is_gained(
    speed: Speed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("softshare.queue.estimate.device_name", lambda device: "a GPU")
    gpu, cpu = (Estimator(speed, [], device) for device in ("cuda", "cpu"))
    for epochs, compiled in ((200, True), (1, False)):
        recipe = for_profile(LARGE, epochs=epochs)
        found, plain = gpu.estimate(recipe), cpu.estimate(recipe)
        later = COMPILE if compiled else 0.0
        assert found.least == pytest.approx(plain.least + later)
        assert found.seconds == pytest.approx(plain.seconds + later)
    assert gpu.estimate(for_profile(LARGE), done=199).least == pytest.approx(plain.least)
