"""``softshare train`` writes a record, or says in a sentence why not."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from softshare.__main__ import main
from softshare.records import Run, origin
from softshare.training.image_task import ImageTask

ON_CPU = ["--profile", "smoke", "--device", "cpu", "--examples", "64"]
SMOKE = [*ON_CPU, "--batch_size", "32", "--epochs", "1", "--quiet"]
Captured = pytest.CaptureFixture[str]


def test_train_writes_the_record_and_says_what_came_out(
    one_line: Callable, record: Callable, folder: Path, capsys: Captured
) -> None:
    assert main(["train", "wrn-10-1", *SMOKE, "--seed", "3", "--lr", "0.05"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    run = Run.load(record())
    assert (run.seed, run.recipe.lr, run.recipe.examples) == (3, 0.05, 64)
    line = one_line(out)
    assert line.startswith("wrn-10-1 on digits, smoke, seed 3: test error ")
    assert f"{run.test_error:.2f} % after 1 epoch, {run.cost['seconds']} s" in line
    assert line.endswith(f"record {folder / 'data' / 'runs' / run.path}")
    before = record().stat().st_mtime_ns
    assert main(["train", "wrn-10-1", *SMOKE, "--seed", "3", "--lr", "0.05"]) == 0
    assert capsys.readouterr().out == out, "found, and shown the same"
    assert record().stat().st_mtime_ns == before


def test_records_go_where_they_are_asked_to_go(folder: Path, capsys: Captured) -> None:
    assert main(["train", "wrn-10-1", *SMOKE, "--runs", "elsewhere/runs"]) == 0
    (path,) = folder.glob("elsewhere/runs/**/seed0-*.json")
    assert str(path.relative_to(folder)) in capsys.readouterr().out
    assert not (folder / "data" / "runs").exists()


def test_progress_is_shown_unless_quiet(capsys: Captured) -> None:
    loud = [word for word in SMOKE if word != "--quiet"]
    assert main(["train", "wrn-10-1", *loud]) == 0
    assert "wrn-10-1 seed 0: 100%" in capsys.readouterr().err


def test_train_tells_a_copy_without_history_how_records_name_their_commit(
    folder: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(origin, "PACKAGE", folder / "softshare")
    for commit in ("", "0123456789ab"):
        monkeypatch.setenv("SOFTSHARE_COMMIT", commit)
        assert main(["train", "wrn-10-1", *SMOKE, "--seed", str(len(commit))]) == 0
        assert ("set SOFTSHARE_COMMIT to what" in capsys.readouterr().err) == (not commit)
        (path,) = folder.glob(f"data/runs/**/seed{len(commit)}-*.json")
        assert Run.load(path).origin["commit"] == (commit or "unknown")


def test_a_damaged_record_is_named_set_aside_and_trained_again(
    refusal: Callable, one_line: Callable, record: Callable, capsys: Captured
) -> None:
    assert main(["train", "wrn-10-1", *SMOKE]) == 0
    path = record()
    path.write_bytes(path.read_bytes()[:-20])
    sentence = refusal(["runs"]) if capsys.readouterr().out else ""
    assert sentence == f"softshare: The record {path} is damaged: it is not a whole record."
    assert main(["train", "wrn-10-1", *SMOKE]) == 0
    out, err = capsys.readouterr()
    assert one_line(err).startswith(f"softshare: The record {path} is damaged: it is not a whole")
    assert "The file was set aside as" in err
    assert f"record {path}" in out
    assert Run.load(path).seed == 0


def test_a_run_that_diverges_fails_and_leaves_no_record(refusal: Callable, folder: Path) -> None:
    wild = ["--lr", "1000", "--weight_decay", "1000", "--examples", "640"]
    sentence = refusal(["train", "wrn-10-1", *SMOKE, *wild])
    assert re.match(
        r"softshare: The (loss|output) of wrn-10-1 stopped being a number .*, learning rate "
        r"1000\.0; lower lr\. No record was written\.$",
        sentence,
    )
    assert not list(folder.glob("data/runs/**/*.json"))


def test_an_unwritable_place_is_named(refusal: Callable, folder: Path) -> None:
    (folder / "file").touch()
    sentence = refusal(["train", "wrn-10-1", *SMOKE, "--runs", "file/runs"])
    assert "file" in sentence
    assert re.match(r"softshare: (Not a directory|File exists)", sentence)


def test_ctrl_c_is_130_and_says_that_the_run_goes_on(
    one_line: Callable, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ImageTask, "batches", stop)
        assert main(["train", "wrn-10-1", *SMOKE]) == 130
    assert one_line(capsys.readouterr().err) == (
        "Interrupted; the same command goes on from the last checkpoint."
    )


def test_a_real_process_can_be_interrupted_and_goes_on(
    record: Callable, folder: Path, capsys: Captured
) -> None:
    """Ctrl-C in a process that holds its breath after its third epoch; the rest runs here."""
    words = ["wrn-10-1", *ON_CPU, "--batch_size", "64", "--epochs", "4"]
    slow = (
        "import signal, time, torch; torch.set_num_threads(1)\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # "&" of a script ignores it
        "import softshare.training as t; t.train.__kwdefaults__['checkpoint_seconds'] = 0\n"
        "from softshare.training.journal import Journal as J; note = J.note\n"
        "def waiting(self, *rest): note(self, *rest); time.sleep(60 * (self.epochs == 3))\n"
        "J.note = waiting\n"
        "import sys; from softshare.__main__ import main; sys.exit(main())"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", slow, "train", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    )
    saved = folder / "data" / "checkpoints"
    while not list(saved.glob("*.pt")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130
    assert out == ""
    assert err.endswith("Interrupted; the same command goes on from the last checkpoint.\n")
    assert "Traceback" not in err
    assert main(["train", *words]) == 0
    out, err = capsys.readouterr()
    assert re.search(r"\b[123]/4 ", err), "the bar starts at the checkpoint"
    assert "0/4" not in err
    assert record().is_file()
    assert not list(saved.glob("*.pt"))
