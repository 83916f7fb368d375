"""The queue loses nothing: killed, crowded, short of disk, or with damaged files."""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from softshare import storage
from softshare.queue.campaign import campaign
from softshare.queue.narration import name
from softshare.recipe import Recipe
from softshare.records import Run, load_runs, record_file
from softshare.records.holding import checkpoint_of, waits
from softshare.training import train
from softshare.training.watch import Stopped, Watch

ROOT = Path(__file__).resolve().parents[2]
PLAN = """
[[cpu]]
adds = "a shared network, a plain one and one with dropout"
target = "table1"
models = ["swrn-16-1-2", "wrn-10-1"]
profile = "smoke"
seeds = 2
settings = { epochs = 5, examples = 96, batch_size = 32, dropout = 0.2 }
"""
DIVERGING = """
[[cpu]]
adds = "nothing"
target = "table1"
models = ["wrn-10-1"]
profile = "smoke"
settings = { epochs = 2, examples = 640, batch_size = 32, lr = 1000 }
"""
# A server that has imported everything, and forks a queue in a process group of its own for each
# line; its checkpoints are written at every epoch, and nothing is calibrated. Its answers alone go
# to its output: what queues print would come between the halves of a line.
SERVER = """
import multiprocessing, os, sys, tempfile
import sklearn.datasets, torch, torch._dynamo
torch.set_num_threads(1)
import softshare.training
from softshare.commands import queue_work
from softshare.queue import workers
from softshare.__main__ import main
from softshare.queue.device_speed import Speed
workers.CONTEXT = multiprocessing.get_context("fork")
queue_work.alone = lambda *_: Speed(((1e6, 1e10),))
softshare.training.train.__kwdefaults__["checkpoint_seconds"] = 0
make = tempfile.mkstemp
def full(**where):
    if os.environ["FULL"] in where["prefix"]:
        raise OSError(28, "No space left on device")
    return make(**where)
tempfile.mkstemp = full
for line in sys.stdin:
    if line == "wait\\n":
        child, status = os.wait()
        print("ended", os.waitstatus_to_exitcode(status), flush=True)
    elif not (child := os.fork()):
        os.setsid()
        os.dup2(2, 1)
        status = main(line.split())
        sys.stdout.flush()
        os._exit(status)
    else:
        print("began", child, flush=True)
"""


class Queues:
    """Queues in process groups of their own, on one folder of records."""

    def __init__(self, folder: Path, essence: Callable[[Run], Run]) -> None:
        self.essence = essence
        self.runs, self.plan = folder / "data" / "runs", folder / "plan.toml"
        self.plan.write_text(PLAN)
        self.words = f"queue --plan {self.plan} --runs {self.runs} --device cpu --quiet"
        own = {
            "PYTHONPATH": str(ROOT),
            "SOFTSHARE_DATA": str(folder),
            "FULL": os.environ.get("FULL", "no file"),
        }
        self.log = folder / "printed"
        with self.log.open("a") as log:
            self.server = subprocess.Popen(
                [sys.executable, "-W", "ignore::DeprecationWarning", "-c", SERVER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=os.environ | {"OMP_NUM_THREADS": "1"} | own,
            )

    @property
    def printed(self) -> str:
        """What the queues said, and the server's own errors."""
        return self.log.read_text()

    def start(self, words: str = "--workers 2 --budget 5m") -> int:
        """The process group."""
        return int(self._answer(f"{self.words} {words}", "began"))

    def end(self) -> int:
        """Exit status of one that ends."""
        return int(self._answer("wait", "ended"))

    def _answer(self, line: str, word: str) -> str:
        assert self.server.stdin
        assert self.server.stdout
        self.server.stdin.write(f"{line}\n")
        self.server.stdin.flush()
        said, _, number = self.server.stdout.readline().strip().partition(" ")
        assert said == word, self.printed
        return number

    def checkpoints(self) -> list[Path]:
        return list(self.runs.parent.glob("checkpoints/*.pt"))

    def found(self) -> dict[str, Run]:
        """All records, read and checked, but those whose foldings wait to be measured."""
        runs = [run for run in load_runs(self.runs) if not waits(run)]
        return {run.path: self.essence(run) for run in runs}

    def straight(self, runs: Path) -> dict[str, Run]:
        """The plan's runs one after another in this process, uninterrupted."""
        settings = {"runs": runs, "device": "cpu", "progress": False}
        made = [train(**asdict(recipe), **settings) for recipe in self.recipes()]
        return {run.path: self.essence(run) for run in made}

    def recipes(self) -> list[Recipe]:
        return [job.recipe for job in campaign("cpu", path=self.plan)]


@pytest.fixture
def queues(tmp_path: Path, essence: Callable[[Run], Run]) -> Iterator[Queues]:
    started = Queues(tmp_path, essence)
    yield started
    started.server.kill()
    started.server.communicate()
    print(started.printed)  # shown where a test fails


def begin(recipe: Recipe, runs: Path) -> Path:
    """Trains one epoch, and returns the checkpoint."""

    class OneEpoch(Watch):
        def note(self, done: int, total: int, seconds: float) -> None:
            self.ask()

    with pytest.raises(Stopped):
        train(**asdict(recipe), runs=runs, device="cpu", progress=False, watch=OneEpoch())
    return checkpoint_of(recipe, runs)


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 128  # another last digit may be the same number
    path.write_bytes(content)


@pytest.mark.slow
def test_killed_at_twenty_random_moments_every_run_ends_as_it_would_have(
    queues: Queues, tmp_path: Path
) -> None:
    """kill -9 of the whole process group; whole records alone are ever seen, and all come out.

    With as many examples, foldings are measured too.
    """
    queues.plan.write_text(PLAN.replace("examples = 96", "examples = 384"))
    draw, kept, begun = random.Random(0), dict[str, Run](), 0
    start = time.monotonic()
    wanted = queues.straight(tmp_path / "straight" / "runs")
    assert any(run.folded for run in wanted.values())
    most = (time.monotonic() - start) / 5
    for _ in range(20):
        group = queues.start()
        time.sleep(draw.uniform(0.0, most))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        queues.end()
        now = queues.found()
        assert kept.items() <= now.items() <= wanted.items()
        begun += bool(queues.checkpoints())
        if now == wanted:
            shutil.rmtree(queues.runs)  # nothing is left to be killed: begin anew
            now = {}
        elif now == kept and not queues.checkpoints():
            most *= 1.5  # it died before its first epoch was over: give the next one longer
        kept = now
    assert begun, "some were killed on their way"
    queues.start()
    assert queues.end() == 0, queues.printed
    assert queues.found() == wanted
    assert not queues.checkpoints()
    assert not list(queues.runs.parent.glob("**/.*seed*")), "no half-written file is left"


@pytest.mark.slow
def test_two_queues_at_once_share_the_runs_and_record_all(queues: Queues) -> None:
    for _ in range(2):
        queues.start("--workers 1 --budget 2m")
    assert [queues.end(), queues.end()] == [0, 0]
    done = re.findall(r"done +(\S+)", queues.printed)
    # a run that one has just recorded, the other may find done when it starts it
    assert set(done) == {name(recipe) for recipe in queues.recipes()}
    assert set(queues.found()) == {recipe.path for recipe in queues.recipes()}


@pytest.mark.slow
def test_what_goes_wrong_is_reported_and_the_rest_goes_on(queues: Queues, tmp_path: Path) -> None:
    """A run that diverges, one without disk, a damaged checkpoint and a damaged record."""
    wanted = queues.straight(tmp_path / "straight" / "runs")
    first, second, *_ = queues.recipes()
    saved = begin(first, queues.runs)
    damage(saved)
    record = queues.runs / train(**asdict(second), runs=queues.runs, progress=False).path
    damage(record)
    queues.plan.write_text(DIVERGING + PLAN)
    wild = queues.recipes()[0]
    queues.start()
    assert queues.end() == 1
    out = queues.printed
    assert re.search(rf"FAILED +{re.escape(name(wild))}: The \w+ of wrn-10-1 stopped being a", out)
    assert f"The checkpoint {saved} is damaged" in out
    assert f"The record {record} is damaged" in out
    assert queues.found() == wanted
    assert saved.with_name(f"{saved.name}.damaged").is_file()


@pytest.mark.slow
def test_a_record_of_a_newer_version_fails_its_own_run_alone(queues: Queues) -> None:
    first, *others = queues.recipes()
    path = queues.runs / first.path
    record_file.write(path, {"recipe": asdict(first) | {"added": 1}})
    before = path.read_bytes()
    queues.start()
    assert queues.end() == 1
    text = rf"FAILED +{re.escape(name(first))}: .* has fields that this version does not know"
    assert re.search(text, queues.printed)
    assert f"{len(others)} trained, 0 paused, 1 failed" in queues.printed
    assert path.read_bytes() == before


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["simulated", "tmpfs"])
def test_a_full_disk_is_reported_the_rest_goes_on_and_later_all_is_made(
    kind: str, essence: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk for which every checkpoint or the second one is too much, or one network's only."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if kind == "tmpfs":
        mount = ["mount", "-t", "tmpfs", "-o", "size=1200k", "softshare", str(disk)]
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    else:
        monkeypatch.setenv("FULL", "swrn-16-1-2-seed")
    try:
        queues = Queues(disk, essence)
        wanted = queues.straight(tmp_path / "straight" / "runs")
        queues.start("--workers 1 --budget 5m")
        assert queues.end() == 1
        failed = re.findall(r"FAILED +(\S+): Could not write \S+ \(No space left", queues.printed)
        made = {path: run for path, run in wanted.items() if name_of(path) not in failed}
        assert failed
        assert queues.found() == made
        if kind == "simulated":
            assert all("/wrn-10-1" in path for path in made)
            assert len(made) == 2
        queues.server.kill()
        queues.server.communicate()
        if kind == "tmpfs":
            subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        monkeypatch.delenv("FULL", raising=False)
        queues = Queues(disk, essence)
        queues.start()
        assert queues.end() == 0, queues.printed
        assert queues.found() == wanted
    finally:
        queues.server.kill()
        queues.server.communicate()
        if kind == "tmpfs":
            subprocess.run(["umount", "-l", str(disk)], check=False)


@pytest.mark.slow
def test_a_queue_without_time_or_told_to_end_keeps_every_epoch(queues: Queues) -> None:
    settings = "{ epochs = 100000, examples = 96, batch_size = 32 }"
    queues.plan.write_text(
        PLAN.partition("settings")[0].replace("seeds = 2", "") + f"settings = {settings}\n"
    )
    queues.start("--workers 2 --budget 12s")
    assert queues.end() == 0, queues.printed
    paused = [int(n) for n in re.findall(r"paused .*: (\d+) of 100000 epochs", queues.printed)]
    assert len(paused) == 2
    assert kept_epochs(queues) == sorted(paused)
    group = queues.start()
    while kept_epochs(queues) == sorted(paused):
        time.sleep(0.1)
    os.killpg(group, signal.SIGTERM)
    assert queues.end() == 143, queues.printed
    later = [int(n) for n in re.findall(r"paused .*: (\d+) of 100000 epochs", queues.printed)][2:]
    assert kept_epochs(queues) == sorted(later)
    assert sum(later) > sum(paused)
    assert not queues.found()


@pytest.mark.slow
def test_runs_do_not_outlive_a_queue_that_is_killed(queues: Queues) -> None:
    """The queue alone is killed, not its group: its runs notice, write and leave."""
    group = queues.start("--workers 2 --budget 5m")
    begun: set[Path] = set()
    while len(begun) < 2:  # not at once: one run may end before the other has written anything
        begun |= set(queues.checkpoints())
        time.sleep(0.01)
    os.kill(group, signal.SIGKILL)
    assert queues.end() == -signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        while True:
            os.killpg(group, 0)
            time.sleep(0.05)
    queues.start()
    assert queues.end() == 0, queues.printed


def name_of(path: str) -> str:
    return path.rpartition("-")[0]


def kept_epochs(queues: Queues) -> list[int]:
    return sorted(
        len(storage.load_checkpoint(path)["curves"]["epoch"]) for path in queues.checkpoints()
    )
