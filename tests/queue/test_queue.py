"""The queue keeps order, time and room, and the command says what it does."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from softshare import queue, storage
from softshare.__main__ import main
from softshare.commands import queue_work
from softshare.commands.queue import duration
from softshare.models import build
from softshare.queue import Queue, Summary, workers
from softshare.queue.campaign import Job
from softshare.queue.estimate import Estimator, Speed, measure
from softshare.queue.narration import Narrator, name
from softshare.queue.place import Place
from softshare.queue.workers import Ending
from softshare.recipe import Recipe, for_profile
from softshare.records import Run, origin, weights
from softshare.records.holding import checkpoint_of
from softshare.training.cost import _SIZES
from softshare.training.engine import COMPILE
from softshare.training.step import Step
from softshare.training.watch import Watch

SPEED = Speed(((1e7, 1e10), (1e10, 1e13)))
SMALL, LARGE = "wrn-28-1", "wrn-28-10"


def job(model: str, seed: int = 0, **settings: Any) -> Job:
    recipe = for_profile(model, None if model == "scnn" else "cifar10", seed=seed, **settings)
    return Job(recipe, ("table1",), "x")


class Pretended:
    """A worker whose run ends as `endings` says the second time it is heard."""

    endings: dict[Job, str] = {}  # noqa: RUF012
    log: list[tuple[str, Job]] = []  # noqa: RUF012

    def __init__(self, job: Job, estimate: Any, runs: Path, *rest: Any) -> None:
        self.job, self.estimate, self.runs = job, estimate, runs
        self.done, self.heard, self.ending, self.pipe = 0, 0, None, None
        self.most = self.at_once = 1  # as is so, and as the queue says
        self.warnings: list[str] = []
        self.process = self
        self.log.append(("start", job))

    def hear(self) -> None:
        self.heard += 1
        events = [event for event, _ in self.log]
        self.most = max(self.most, events.count("start") - events.count("end"))
        if self.heard == 2:
            kind = self.endings.get(self.job, "done")
            if kind == "crowded" and self.most == 1:
                kind = "done"
            self.log.append(("end", self.job))
            if kind == "done":
                for recipe in {self.job.recipe, self.job.recipe.base}:
                    Run(recipe, result={"test_error": 5.0}).save(self.runs)
            text = self.job.recipe.path if kind == "done" else "a reason"
            self.ending = Ending("memory" if kind == "crowded" else kind, text)

    def beside(self, runs: int) -> None:
        self.at_once = max(self.at_once, runs)

    def join(self, timeout: float = 0) -> None: ...
    def close(self) -> None: ...
    def ask(self) -> None: ...


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Summary]:
    monkeypatch.setattr(queue, "Worker", Pretended)
    monkeypatch.setattr(queue, "wait", lambda *_, **__: None)
    monkeypatch.setattr(Pretended, "log", [])
    monkeypatch.setattr(Pretended, "endings", {})

    def work(
        jobs: list[Job], device: str = "cpu", workers: int = 2, budget: float = 1e9
    ) -> Summary:
        place = Place(device, workers, 1, tmp_path / "runs")
        deadline = time.monotonic() + budget
        estimator = Estimator(SPEED, [], "cpu")
        return Queue(jobs, place, estimator, Narrator(quiet=True), deadline, 1.0).run()

    return work


def at_once() -> int:
    running, most = 0, 0
    for event, _ in Pretended.log:
        running += 1 if event == "start" else -1
        most = max(most, running)
    return most


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_runs_start_in_the_plans_order_and_as_many_as_there_is_room_for(
    work: Callable[..., Summary], workers: int
) -> None:
    jobs = [job(SMALL, seed) for seed in range(5)]
    summary = work(jobs, workers=workers)
    assert [which for event, which in Pretended.log if event == "start"] == jobs
    assert at_once() == workers
    assert sorted(summary.done) == sorted(each.recipe.path for each in jobs)
    assert not (summary.failed or summary.left or summary.stopped)


def test_on_a_gpu_small_networks_share_it_and_large_ones_do_not(
    work: Callable[..., Summary],
) -> None:
    work([job(SMALL, seed) for seed in range(4)], device="cuda", workers=8)
    assert at_once() == 4
    Pretended.log.clear()
    work([job(LARGE, seed) for seed in range(3)], device="cuda", workers=8)
    assert at_once() == 1


def test_what_runs_out_of_memory_beside_others_gets_the_device_to_itself(
    work: Callable[..., Summary],
) -> None:
    jobs = [job(SMALL, seed) for seed in range(3)]
    Pretended.endings = {jobs[0]: "crowded"}
    summary = work(jobs, device="cuda", workers=8)
    assert len(summary.done) == 3
    assert not summary.failed
    assert [which for event, which in Pretended.log if event == "start"].count(jobs[0]) == 2


@pytest.mark.parametrize("number", [2, 3])
def test_so_do_all_that_run_out_of_memory_together(
    work: Callable[..., Summary], number: int
) -> None:
    """The last of them is found when the others have left, and may have had the device since."""
    jobs = [job(SMALL, seed) for seed in range(3)]
    Pretended.endings = dict.fromkeys(jobs[:number], "crowded")
    summary = work(jobs, device="cuda", workers=8)
    assert not summary.failed
    assert sorted(summary.done) == sorted(each.recipe.path for each in jobs)


def test_what_runs_out_of_memory_alone_has_failed(work: Callable[..., Summary]) -> None:
    Pretended.endings = {job(LARGE): "memory"}
    summary = work([job(LARGE), job(LARGE, 1)], device="cuda", workers=8)
    assert summary.failed == {job(LARGE): "a reason"}
    assert [which for event, which in Pretended.log if event == "start"] == [
        job(LARGE, s) for s in (0, 1)
    ]


def test_a_run_of_which_not_an_epoch_fits_is_passed_over(work: Callable[..., Summary]) -> None:
    large, small = job(LARGE), job(SMALL)
    summary = work([large, small], budget=100.0)
    assert summary.done == [small.recipe.path]
    assert summary.left == [large]


def test_failures_are_noted_and_the_rest_goes_on(work: Callable[..., Summary]) -> None:
    jobs = [job(SMALL, seed) for seed in range(4)]
    Pretended.endings = {jobs[0]: "failed", jobs[1]: "busy", jobs[2]: "stopped"}
    summary = work(jobs)
    assert summary.failed == {jobs[0]: "a reason"}
    assert summary.busy == [jobs[1]]
    assert summary.stopped == {jobs[2]: "a reason"}
    assert summary.done == [jobs[3].recipe.path]


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (1, 2, 0, 3)])
def test_what_is_tuned_waits_while_its_network_is_being_trained(
    work: Callable[..., Summary], order: tuple[int, ...]
) -> None:
    """Whichever run of this queue trains it; those after it go on, and no run is passed over."""
    base = job("swrn-28-1-2")
    tuned = [job("swrn-28-1-2", fold=t, tune=3) for t in (0.9, 0.8)]
    jobs = [(base, *tuned, job(SMALL))[i] for i in order]
    summary = work(jobs, workers=3)
    assert [which for event, which in Pretended.log if event == "start"][:2] == [jobs[0], jobs[3]]
    trained = Pretended.log.index(("end", jobs[0]))
    for waited in jobs[1:3]:
        assert waited == base or Pretended.log.index(("start", waited)) > trained
    assert {each.recipe.path for each in jobs} == {*summary.done, base.recipe.path}
    assert not (summary.busy or summary.left)


def test_a_missing_data_set_is_asked_for_once(work: Callable[..., Summary]) -> None:
    jobs = [job(SMALL, seed) for seed in range(3)] + [job("scnn")]
    Pretended.endings = {jobs[0]: "data"}
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
    work: Callable[..., Summary], tmp_path: Path
) -> None:
    jobs = [job(SMALL, seed) for seed in range(2)]
    Run(jobs[0].recipe, result={"test_error": 5.0}).save(tmp_path / "runs")
    assert work(jobs).done == [jobs[1].recipe.path]


# ---------------------------------------------------------------------------------------- estimates


def recorded(
    recipe: Recipe, rate: float, device: str, threads: int = 1, cost: Any = None, **origin: Any
) -> Run:
    about = {"device": device, "threads": threads, **origin}
    return Run(recipe, cost={"images_per_second": rate, **(cost or {})}, origin=about)


def test_a_record_of_this_kind_of_device_says_how_long_its_like_takes() -> None:
    recipe = for_profile(SMALL, profile="fast")
    plain = Estimator(SPEED, [], "cpu", 1)
    here = plain.name
    others = [recorded(recipe, 1.0, "another"), recorded(recipe, 1.0, here, threads=2)]
    assert Estimator(SPEED, others, "cpu", 1).estimate(recipe) == plain.estimate(recipe)
    known = Estimator(SPEED, [*others, recorded(recipe, 500.0, here)], "cpu", 1)
    found = known.estimate(for_profile(SMALL, "cifar100", seed=3), done=50)
    assert (found.epoch, found.epochs, found.measured) == (100.0, 150, True)
    ratio = 100.0 / plain.estimate(recipe).epoch
    wider = for_profile("wrn-28-2")
    assert known.estimate(wider).epoch == pytest.approx(ratio * plain.estimate(wider).epoch)
    assert not known.estimate(wider).measured


@pytest.mark.parametrize("other", [(50_000, 10_000, (3, 16, 16)), (50_000, 100, (3, 32, 32))])
def test_a_record_of_other_images_is_of_no_like(
    other: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many to train on, but of another size, or with another number held out."""
    recipe, plain = for_profile(SMALL, "cifar10", examples=1000), Estimator(SPEED, [], "cpu")
    like = recorded(replace(recipe, data="cifar100"), 500.0, plain.name)
    assert Estimator(SPEED, [like], "cpu").estimate(recipe).measured
    monkeypatch.setitem(_SIZES, "cifar100", other)
    assert not Estimator(SPEED, [like], "cpu").estimate(recipe).measured


def test_tuning_takes_as_long_as_the_network_that_is_trained_for_it(tmp_path: Path) -> None:
    base, tuned = job("swrn-28-1-2"), job("swrn-28-1-2", fold=0.9, tune=3)
    estimator, place = Estimator(SPEED, [], "cpu"), Place("cpu", 1, 1, tmp_path / "runs")
    first, alone = estimator.estimate(base.recipe), estimator.estimate(tuned.recipe)
    both = estimator.estimate(tuned.recipe, 0, first)
    assert both.seconds == first.seconds + alone.seconds
    assert both.least == first.least
    known = Estimator(SPEED, [recorded(tuned.recipe, 500.0, estimator.name)], "cpu")
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
def test_a_record_of_a_run_that_shared_its_cores_counts_as_if_it_had_not(threads: int) -> None:
    recipe = for_profile(SMALL, profile="fast")
    here = Estimator(SPEED, [], "cpu").name
    shared = {"seconds": 100.0, "processor_seconds": 25.0 * threads}
    crowded = recorded(recipe, 125.0, here, threads, shared)
    assert Estimator(SPEED, [crowded], "cpu", threads).estimate(recipe).epoch == 100.0
    more = {"seconds": 100.0, "processor_seconds": 120.0 * threads}  # helpers of the run worked too
    alone = recorded(recipe, 500.0, here, threads, more)
    assert Estimator(SPEED, [alone], "cpu", threads).estimate(recipe).epoch == 100.0


def test_a_record_of_a_run_that_shared_a_gpu_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("softshare.queue.estimate.device_name", lambda device: "a GPU")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    recipe = for_profile(SMALL, profile="fast")
    plain = Estimator(SPEED, [], "cuda").estimate(recipe)
    crowded, alone = (recorded(recipe, 500.0, "a GPU", runs_at_once=n) for n in (3, 1))
    assert Estimator(SPEED, [crowded], "cuda").estimate(recipe) == plain
    assert Estimator(SPEED, [crowded, alone], "cuda").estimate(recipe).epoch == 100.0


def test_a_record_of_several_processes_says_nothing() -> None:
    recipe = for_profile(SMALL, profile="fast")
    plain = Estimator(SPEED, [], "cpu")
    together = recorded(recipe, 500.0, plain.name, processes=2)
    assert Estimator(SPEED, [together], "cpu").estimate(recipe) == plain.estimate(recipe)


def test_a_record_in_another_precision_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = for_profile(SMALL, profile="fast")
    here = Estimator(SPEED, [], "cpu").name
    runs = [
        recorded(recipe, rate, here, precision=precision)
        for precision, rate in {"float32": 250.0, "bfloat16": 500.0}.items()
    ]
    for has, seconds in {False: 200.0, True: 100.0}.items():
        monkeypatch.setattr("softshare.training.precision._has_bf16_products", lambda has=has: has)
        assert Estimator(SPEED, runs, "cpu").estimate(recipe).epoch == seconds


def test_steps_are_tried_in_the_precision_of_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    class Noting(Step):
        def __init__(self, *arguments: Any, **more: Any) -> None:
            super().__init__(*arguments, **more)
            tried.append(self.precision)

        def __call__(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            return torch.zeros(())

    monkeypatch.setattr("softshare.queue.estimate.Step", Noting)
    monkeypatch.setattr("softshare.training.precision._has_bf16_products", lambda: True)
    measure("cpu", torch.get_num_threads())
    assert tried == [torch.float32, torch.bfloat16], "the narrow network would lose by it"


def test_on_a_gpu_compiling_takes_time_before_anything_is_gained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("softshare.queue.estimate.device_name", lambda device: "a GPU")
    gpu, cpu = (Estimator(SPEED, [], device) for device in ("cuda", "cpu"))
    for epochs, compiled in ((200, True), (1, False)):
        recipe = for_profile(LARGE, epochs=epochs)
        found, plain = gpu.estimate(recipe), cpu.estimate(recipe)
        later = COMPILE if compiled else 0.0
        assert found.least == pytest.approx(plain.least + later)
        assert found.seconds == pytest.approx(plain.seconds + later)
    assert gpu.estimate(for_profile(LARGE), done=199).least == pytest.approx(plain.least)


# ------------------------------------------------------------------------------------------ command


@pytest.mark.parametrize(
    ("text", "seconds"),
    {"90s": 90, "25m": 1500, "1h": 3600, "1h30m": 5400, "1.5h": 5400, "2m30s": 150}.items(),
)
def test_a_budget_is_read(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "25", "m", "25 m", "-5m", "1d", "30m1h", "0s", "nan", "9999h"]
)
def test_a_budget_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="takes a time from 1s to 30 days"):
        duration(text)


TUNED = """
[[cpu]]
adds = "a folded one"
target = "table1"
profile = "smoke"
models = ["wrn-10-1"]
settings = { epochs = 2, examples = 64, fold = 0.9, tune = 1 }
"""


@pytest.fixture
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, work: Callable) -> list[str]:
    monkeypatch.setattr(queue_work, "alone", lambda *_: SPEED)
    monkeypatch.setenv("SOFTSHARE_DATA", str(tmp_path))
    entry = '[[cpu]]\nadds = "a thing"\ntarget = "table1"\nprofile = "smoke"\n'
    settings = 'models = ["wrn-10-1", "wrn-16-1"]\nsettings = { epochs = 2, examples = 64 }\n'
    (tmp_path / "plan.toml").write_text(entry + settings)
    return ["queue", "--device", "cpu", "--quiet", "--runs", str(tmp_path / "runs")]


def test_the_dry_run_shows_every_run_and_starts_none(
    quick: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    first, second = (
        for_profile(f"wrn-{depth}-1", profile="smoke", epochs=2, examples=64) for depth in (10, 16)
    )
    Run(first, result={"test_error": 5.0}).save(tmp_path / "runs")
    assert main([*quick, "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "A thing"
    assert lines[2].split() == ["recorded", name(first)]
    assert lines[3].split() == ["~8", "s", name(second)]
    assert lines[-1].startswith("2 runs: 1 recorded, 0 begun, 1 to begin.")
    assert not Pretended.log


def test_imagenet_is_left_out_where_it_is_not_unless_nothing_else_is_asked(
    quick: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    entry = '[[gpu]]\nadds = "photographs"\ntarget = "table3"\nprofile = "paper"\n'
    with (tmp_path / "plan.toml").open("a") as plan:
        plan.write(entry)
    assert main([*quick, "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert "2 runs of the plan are left out: there is no imagenet here" in told
    assert "wrn-50-2" not in told
    assert main([*quick, "--dry-run", "--only", "table3"]) == 0
    assert "left out" not in (told := capsys.readouterr().out)
    assert "imagenet/paper/swrn-50-2/seed0" in told
    (tmp_path / "imagenet").mkdir()
    assert main([*quick, "--dry-run"]) == 0
    assert "4 runs: 0 recorded" in capsys.readouterr().out


def test_what_was_begun_on_another_kind_of_device_is_left_out_and_said(
    quick: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """So is what is to be tuned from it."""
    settings = {"epochs": 2, "examples": 64}
    first, second = (for_profile(f"wrn-{n}-1", profile="smoke", **settings) for n in (10, 16))
    with (tmp_path / "plan.toml").open("a") as plan:
        plan.write(TUNED)
    tuned = replace(first, fold=0.9, tune=1)
    state = {"curves": {"epoch": [1]}, "place": "cuda in bfloat16"}
    storage.save_checkpoint(checkpoint_of(first, tmp_path / "runs"), state)
    assert main([*quick, "--dry-run"]) == 0
    out = capsys.readouterr().out
    for recipe in (first, tuned):
        assert f"elsewhere  {name(recipe)}\n" in out
    assert "3 runs: 0 recorded, 0 begun, 2 begun elsewhere, 1 to begin." in out
    assert main([*quick, "--budget", "1h"]) == 0
    assert [job.recipe for event, job in Pretended.log if event == "start"] == [second]
    out = capsys.readouterr().out
    assert "2 runs of the plan are left out: their checkpoints are of another kind of dev" in out
    assert "1 runs in the plan, 0 recorded" in out


def test_a_copy_without_history_is_told_how_records_name_their_commit(
    quick: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(origin, "PACKAGE", tmp_path / "softshare")
    monkeypatch.delenv("SOFTSHARE_COMMIT", raising=False)
    assert main([*quick, "--budget", "1h"]) == 0
    assert "warning Records name the commit that made them" in capsys.readouterr().out
    monkeypatch.setenv("SOFTSHARE_COMMIT", "0123456789ab")
    assert main([*quick, "--budget", "1h"]) == 0
    assert "commit" not in capsys.readouterr().out


def test_the_exit_status_says_whether_a_run_failed(
    quick: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    first = Job(
        for_profile("wrn-10-1", profile="smoke", epochs=2, examples=64), ("table1",), "a thing"
    )
    Pretended.endings = {first: "failed"}
    assert main([*quick, "--budget", "1h"]) == 1
    assert f"FAILED  {name(first.recipe)}: a reason" in capsys.readouterr().out
    Pretended.endings = {}
    assert main([*quick, "--budget", "1h", "--pack", str(tmp_path / "new")]) == 0
    out = capsys.readouterr().out
    assert "1 of 2 were recorded; of the rest 1 trained" in out
    assert "new.zip: 1 records" in out
    assert main(["records", "merge", str(tmp_path / "new.zip"), "--runs", str(tmp_path / "b")]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"added    {first.recipe.path}",
        "1 records added, 0 replaced, 0 here already, 0 in conflict, 0 refused.",
    ]
    assert main([*quick, "--budget", "1h"]) == 0
    assert "2 of 2 were recorded; of the rest 0 trained" in capsys.readouterr().out


def test_without_a_budget_nothing_is_trained(
    quick: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(quick)
    assert caught.value.code == 2
    assert "--budget says how long it may take" in capsys.readouterr().err
    assert main([*quick, "--budget", "1m", "--only", "table9"]) == 1
    assert "The plan has runs for table1; got 'table9'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--budget", "1m", "--pack-all"], "say what --pack FILE packs; pass it too"),
        (["--budget", "1m", "--pack-unfinished"], "say what --pack FILE packs; pass it too"),
        (["--dry-run", "--pack", "new"], "--dry-run trains nothing"),
    ],
)
def test_words_that_would_pack_nothing_are_refused(
    quick: list[str], words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*quick, *words])
    assert caught.value.code == 2
    assert said in capsys.readouterr().err


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
