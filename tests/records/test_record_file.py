"""A record is whole or refused: round trips, damage of every kind, and many writers at once."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import re
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from softshare.recipe import Recipe, for_profile
from softshare.records import Run
from softshare.storage import Damaged

RECIPE = for_profile("swrn-28-10-2", cutout=16, seed=4, epochs=3)


def a_run(recipe: Recipe = RECIPE, error: float = 0.1 + 0.2) -> Run:
    return Run(
        recipe,
        model={"name": recipe.model, "parameters": 17125630, "macs": None, "groups": {"a": ["b"]}},
        data={"name": recipe.data, "checksum": "sha256:0f", "train": 50000, "test": 10000},
        curves={"epoch": [1, 2, 3], "loss": [1 / 3, 1e-17, 2.5], "test_error": [9.0, 1.0, error]},
        result={"test_error": error},
        coefficients={"0": {"a": [[1.0, -0.5], [1 / 7, 3e30]]}, "3": {"a": [[1.0, 2.0]]}},
        cost={"seconds": 1.25, "images_per_second": 1e5, "peak_memory_bytes": None},
        origin={"device": "a processor", "threads": 2, "date": "2026-01-01T00:00:00+00:00"},
    )


def rewritten(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Changes the content and puts the right checksum under it."""
    content = json.loads(path.read_text())
    del content["sha256"]
    change(content)
    text = json.dumps(content, sort_keys=True)
    path.write_text(json.dumps(content | {"sha256": hashlib.sha256(text.encode()).hexdigest()}))


def test_a_record_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    for recipe in (RECIPE, for_profile("scnn-r"), Recipe("wrn-10-1", milestones=())):
        run = a_run(recipe)
        assert Run.load(run.save(tmp_path)) == run


def test_a_record_is_small_lines_for_git(tmp_path: Path) -> None:
    one, two = a_run().save(tmp_path / "1"), a_run(error=9.0).save(tmp_path / "2")
    pairs = zip(one.read_text().splitlines(), two.read_text().splitlines(), strict=True)
    changed = [line for line, other in pairs if line != other]
    assert [line.split(":")[0].strip(' "') for line in changed] == [
        "test_error",
        "result",
        "sha256",
    ]


def test_a_record_written_long_ago_is_read_still(tmp_path: Path) -> None:
    """Format 1 as it stands in git, with a checksum made by hand."""
    path = tmp_path / "seed0-0.json"
    path.write_text(
        '{"format": 1, "recipe": {"model": "wrn-28-1"}, "model": {}, "data": {}, "curves": {},'
        ' "result": {"test_error": 9.5}, "coefficients": {}, "folded": [], "cost": {},'
        ' "origin": {}, "sha256": '
        '"996ea9d630d435a7c1cb98eb3f40705eb85259e2f561e9ebd0e1f1460df74bbc"}'
    )
    assert Run.load(path) == Run(Recipe("wrn-28-1"), result={"test_error": 9.5})


def test_a_record_cut_anywhere_is_refused_by_name(tmp_path: Path) -> None:
    path = a_run().save(tmp_path)
    whole = path.read_bytes()
    cuts = {0, 1, len(whole) // 2, len(whole) - 3}
    cuts |= set(random.Random(0).sample(range(len(whole) - 2), 60))
    for cut in cuts:
        path.write_bytes(whole[:cut])
        with pytest.raises(Damaged, match=f"^The record {re.escape(str(path))} is damaged: "):
            Run.load(path)


def test_a_changed_digit_is_refused_or_changes_nothing(tmp_path: Path) -> None:
    """Two decimals may be one floating-point number; then nothing was damaged."""
    run = a_run()
    path = run.save(tmp_path)
    whole = path.read_text()
    refused = 0
    for place, digit in enumerate(whole):
        if not digit.isdigit():
            continue
        path.write_text(whole[:place] + str((int(digit) + 1) % 10) + whole[place + 1 :])
        try:
            assert Run.load(path) == run
        except Damaged as error:
            assert str(path) in str(error)
            refused += 1
    digits = sum(letter.isdigit() for letter in whole)
    assert refused >= 0.95 * digits


@pytest.mark.parametrize(
    "content",
    ["", "results: 3", "[1, 2]", '"text"', "3", "null", "{}", "NaN", "[" * 100_000, "\ufeff{}"],
)
def test_what_is_no_record_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "seed0-0.json"
    path.write_text(content)
    with pytest.raises(Damaged, match=r"is damaged: it is not a whole record\.$"):
        Run.load(path)
    path.write_bytes(b"\xff\xfe" + content.encode())
    with pytest.raises(Damaged, match="is damaged"):
        Run.load(path)


@pytest.mark.parametrize("field", ["format", "recipe", "curves", "result", "sha256"])
def test_a_missing_field_is_refused(tmp_path: Path, field: str) -> None:
    path = a_run().save(tmp_path)
    content = json.loads(path.read_text())
    del content[field]
    path.write_text(json.dumps(content))
    with pytest.raises(Damaged, match="is damaged"):
        Run.load(path)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda c: c.update(format=2), "reads records of format 1; .* has format 2. Update"),
        (lambda c: c.update(energy={}), "fields that this version does not know .*energy.* Update"),
        (lambda c: c["recipe"].update(warmup=1), "does not know .*warmup.* Update softshare"),
        (lambda c: c.pop("recipe"), "does not know .*recipe"),
    ],
)
def test_a_record_of_a_newer_version_is_no_damage(
    tmp_path: Path, change: Callable, text: str
) -> None:
    path = a_run().save(tmp_path)
    rewritten(path, change)
    with pytest.raises(ValueError, match=text) as caught:
        Run.load(path)
    assert not isinstance(caught.value, Damaged), "it would be set aside and trained again"


def test_a_number_that_is_none_cannot_be_recorded(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        a_run(error=float("nan")).save(tmp_path)
    assert not list(tmp_path.rglob("*.json"))


def test_a_missing_record_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"There is no record .*nothing\.json\."):
        Run.load(tmp_path / "nothing.json")


def test_many_processes_write_one_record_and_a_reader_sees_whole_ones(
    tmp_path: Path, start: Callable
) -> None:
    def write(root: str, stop: str, error: float) -> None:
        from pathlib import Path

        from softshare.records import load_runs

        (run,) = load_runs(root)
        run.result["test_error"] = error
        run.curves["loss"] = [error] * 20_000  # many pages: a torn write would show
        while not Path(stop).exists():
            run.save(root)

    run, stop = a_run(), tmp_path / "stop"
    path = run.save(tmp_path / "runs")
    arguments = str(tmp_path / "runs"), str(stop)
    writers = [start(write, *arguments, float(number)) for number in (1, 2, 3)]
    seen: Counter[float] = Counter()
    try:
        while not {1.0, 2.0, 3.0} <= seen.keys() or seen.total() < 50:
            found = Run.load(path)
            whole = run.curves["loss"] if found.test_error == run.test_error else [found.test_error]
            assert set(found.curves["loss"]) == set(whole)
            seen[found.test_error] += 1
    finally:
        stop.touch()  # else the writers write on, long after a reader that gave up
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert os.listdir(path.parent) == [path.name]


def full(*arguments: Any, **more: Any) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("module", "call"), [(os, "fsync"), (os, "replace"), (tempfile, "mkstemp"), (os, "fdopen")]
)
def test_a_full_disk_leaves_the_old_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any, call: str
) -> None:
    path = a_run().save(tmp_path)
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(module, call, full)
        with pytest.raises(OSError, match="No space left on device") as caught:
            a_run(error=5.0).save(tmp_path)
    assert caught.value.errno == errno.ENOSPC
    assert f"Could not write {path} " in str(caught.value)
    assert "what was there before is untouched. Free some space" in str(caught.value)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]
    replace(a_run(), result={"test_error": 5.0}).save(tmp_path)
    assert Run.load(path).test_error == 5.0


def test_a_file_that_the_system_cuts_short_leaves_the_old_record(
    tmp_path: Path, start: Callable
) -> None:
    """A real refused write: the process may not make files of more than 1 kB."""

    def write(root: str) -> None:
        import resource
        import signal

        from softshare.records import load_runs

        (run,) = load_runs(root)
        run.curves["loss"] = [0.5] * 10_000
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))
        try:
            run.save(root)
        except OSError as error:
            assert "Could not write" in str(error), error
        else:
            raise AssertionError("the write should have failed")

    run = a_run()
    path = run.save(tmp_path)
    writer = start(write, str(tmp_path))
    writer.join()
    assert writer.exitcode == 0
    assert Run.load(path) == run
    assert os.listdir(path.parent) == [path.name]
