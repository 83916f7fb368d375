"""``softshare queue`` shows its plan, works it off, and says what it left out."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from softshare import storage
from softshare.__main__ import main
from softshare.commands import queue_work
from softshare.commands.queue import duration
from softshare.queue.campaign import Job
from softshare.queue.device_speed import Speed
from softshare.queue.estimate import Estimator
from softshare.queue.narration import name
from softshare.recipe import for_profile
from softshare.records import Run, origin
from softshare.records.holding import checkpoint_of


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
def quick(
    speed: Speed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, work: Callable
) -> list[str]:
    monkeypatch.setattr(queue_work, "alone", lambda *_: speed)
    monkeypatch.setenv("SOFTSHARE_DATA", str(tmp_path))
    entry = '[[cpu]]\nadds = "a thing"\ntarget = "table1"\nprofile = "smoke"\n'
    settings = 'models = ["wrn-10-1", "wrn-16-1"]\nsettings = { epochs = 2, examples = 64 }\n'
    (tmp_path / "plan.toml").write_text(entry + settings)
    return ["queue", "--device", "cpu", "--quiet", "--runs", str(tmp_path / "runs")]


def test_the_dry_run_shows_every_run_and_starts_none(
    pretended: Any, quick: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
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
    assert not pretended.log


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
    job: Callable[..., Job],
    pretended: Any,
    quick: list[str],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
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
    assert [job.recipe for event, job in pretended.log if event == "start"] == [second]
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
    pretended: Any, quick: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    first = Job(
        for_profile("wrn-10-1", profile="smoke", epochs=2, examples=64), ("table1",), "a thing"
    )
    pretended.endings = {first: "failed"}
    assert main([*quick, "--budget", "1h"]) == 1
    assert f"FAILED  {name(first.recipe)}: a reason" in capsys.readouterr().out
    pretended.endings = {}
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


def test_whole_leaves_what_would_not_be_over_in_time(
    quick: list[str], speed: Speed, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(plan.read_text().replace("epochs = 2,", "epochs = 100_000,"))
    recipe = for_profile("wrn-16-1", profile="smoke", epochs=100_000, examples=64)
    estimate = Estimator(speed, [], "cpu").estimate(recipe)
    budget = f"{(estimate.least + estimate.seconds) / 2:.0f}s"
    assert main([*quick, "--budget", budget, "--whole"]) == 0
    assert "of the rest 0 trained" in capsys.readouterr().out
    assert main([*quick, "--budget", budget]) == 0
    assert "of the rest 2 trained" in capsys.readouterr().out


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
