"""Processes that train one network together train what one process would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from softshare.records import Run, load_runs
from softshare.training import train
from softshare.training.processes import ALONE, Processes, together

ROOT = Path(__file__).resolve().parents[2]
WORK = """
import json, sys
import torch
import torch.nn.functional as F
from torch import nn
import softshare as ss
from softshare.training.processes import together
from softshare.recipe import Recipe
from softshare.training.step import Step
torch.set_num_threads(1)
torch.manual_seed(0)
layers = [nn.Conv2d(3, 8, 3)]
for _ in range(3):
    layers += [nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()]
net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(8 * 36, 5))
ss.share(net, 2, [["1", "3", "5"]], "uniform")
with together(torch.device("cpu")) as processes:
    step = Step(net, Recipe("swrn-16-1-2", recurrence=0.02), F.cross_entropy, processes=processes)
    losses = []
    for n in (8, 8, 5, 8):
        x, y = torch.randn(n, 3, 8, 8), torch.randint(5, (n,))
        given = processes.part(x) if n == 5 else x  # a process may know its part alone
        losses.append(processes.mean(step(given, y).reshape(1)).item())
    weights = [p.detach().flatten().tolist() for p in step.net.parameters()]
    try:
        step(x[:1], y[:1])
        told = ""
    except ValueError as error:
        told = str(error)
    if processes.rank == 0:
        print(json.dumps([processes.size, losses, weights, told]))
"""


def torchrun(*words: str) -> subprocess.CompletedProcess[str]:
    """Two processes on this machine."""
    found = subprocess.run(
        [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--nproc-per-node=2",
            *words,
        ],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "USE_LIBUV": "0"},
        timeout=250,
    )
    assert found.returncode == 0, found.stderr
    return found


def test_parts_are_the_whole_and_weigh_what_they_hold() -> None:
    for n in (3, 5, 128):
        batch = torch.arange(n).float()
        each = [Processes(rank, 3) for rank in range(3)]
        assert torch.equal(torch.cat([p.part(batch) for p in each]), batch)
        mean = sum(p.part(batch).mean() * p.share(batch) for p in each) / 3
        assert mean == pytest.approx(batch.mean().item())
    assert ALONE.part(batch) is batch


def test_without_torchrun_a_process_is_alone() -> None:
    with together(torch.device("cpu")) as processes:
        assert processes == ALONE
        assert processes.first(lambda: 3) == 3
        assert not torch.distributed.is_initialized()


@pytest.mark.slow
def test_steps_of_two_processes_are_those_of_one(tmp_path: Path) -> None:
    """A shared network without batch normalisation, and a batch that two do not divide."""
    script = tmp_path / "work.py"
    script.write_text(WORK)
    found: list[Any] = json.loads(torchrun(str(script)).stdout)
    alone = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    expected: list[Any] = json.loads(alone.stdout)
    assert (found[0], expected[0]) == (2, 1)
    assert found[1] == pytest.approx(expected[1], rel=1e-5)
    for mine, yours in zip(found[2], expected[2], strict=True):
        torch.testing.assert_close(torch.tensor(mine), torch.tensor(yours), rtol=1e-4, atol=1e-5)
    assert found[3].startswith(
        "Each of 2 processes needs an example of every batch; got a batch of 1"
    )
    assert expected[3] == ""


@pytest.mark.slow
def test_two_processes_write_one_record_of_the_run_that_one_makes(tmp_path: Path) -> None:
    settings = {"epochs": 3, "examples": 256, "batch_size": 64}
    words = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    command = ["train", "swrn-16-1-1", "--profile", "smoke", "--device", "cpu", *words]
    runs = tmp_path / "two" / "runs"
    told = torchrun("-m", "softshare", *command, "--runs", str(runs), "--quiet").stdout
    assert told.count("test error") == 1, "one of them speaks"
    (path,) = runs.glob("**/*.json")
    two = Run.load(path)
    one = train(
        "swrn-16-1-1",
        profile="smoke",
        device="cpu",
        progress=False,
        runs=tmp_path / "1",
        **settings,
    )  # type: ignore[arg-type]
    assert two.recipe == one.recipe
    assert two.coefficients["0"] == one.coefficients["0"]
    assert two.curves["loss"] != one.curves["loss"], "batch statistics are of the parts"
    assert two.curves["loss"] == pytest.approx(one.curves["loss"], rel=0.15)
    assert not list(tmp_path.glob("two/checkpoints/*.pt"))
    again = torchrun("-m", "softshare", *command, "--runs", str(runs), "--quiet").stdout
    assert again.count("test error") == 1, "the record is found"


@pytest.mark.slow
def test_two_processes_make_what_they_start_from_and_find_what_they_made(
    tmp_path: Path, photo_folder: Callable[..., Path]
) -> None:
    """The base of a folded network is trained by both; images from a path are compared by both."""
    for image in photo_folder().glob("**/*.jpg"):
        Image.open(image).resize((16, 16)).save(image)
    settings = {"epochs": 1, "batch_size": 6, "fold": 0.5, "tune": 1}
    words = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    runs = tmp_path / "runs"
    command = ["-m", "softshare", "train", "swrn-16-1-2", "--source", str(tmp_path / "photos")]
    command += ["--device", "cpu", "--runs", str(runs), "--quiet", *words]
    first, again = (torchrun(*command).stdout for _ in range(2))
    assert first == again
    assert first.count("test error") == 1
    base, tuned = sorted(load_runs(runs), key=lambda run: run.recipe.tune)
    assert base.recipe == tuned.recipe.base != tuned.recipe
    assert [run.origin["processes"] for run in (base, tuned)] == [2, 2]
    assert not list(tmp_path.glob("checkpoints/*.pt"))
