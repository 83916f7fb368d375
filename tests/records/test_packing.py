"""Records travel whole, in archives of a limited size; unfinished runs too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from softshare import storage
from softshare.recipe import for_profile
from softshare.records import Run, packing
from softshare.records.holding import LATER, checkpoint_of
from softshare.records.merging import merge
from softshare.records.packing import pack

pytestmark = pytest.mark.usefixtures("apart")
Make = Callable[..., Run]
THERE, HERE = "there/runs", "here/runs"


def test_what_is_packed_there_comes_out_here_byte_for_byte(
    files: Callable, runs: list[Run]
) -> None:
    packed = pack("out.zip", [run.path for run in runs], THERE)
    assert packed.archives == {Path("out.zip"): 3}
    assert packed.left_out == []
    merged = merge(["out.zip"], HERE)
    assert sorted(merged.added) == sorted(run.path for run in runs)
    assert files(HERE) == files(THERE)
    again = merge(["out.zip"], HERE)
    assert sorted(again.kept) == sorted(merged.added)
    assert again.added == again.replaced == []
    assert torch.equal(runs[0].network(HERE).conv.weight, runs[0].network(THERE).conv.weight)


@pytest.mark.parametrize("limit", [120_000, 400_000, 800_000, 15 * 2**20])
def test_no_archive_is_larger_than_its_limit_and_nothing_is_lost(
    runs: list[Run], limit: int
) -> None:
    packed = pack("out.zip", [run.path for run in runs], THERE, limit=limit)
    names = {path.name for path in packed.archives}
    assert names == {"out.zip", "out-2.zip", "out-3.zip"} & names
    assert all(path.stat().st_size <= limit for path in packed.archives)
    assert sum(packed.archives.values()) + len(packed.left_out) == len(runs)
    merged = merge(packed.archives, HERE)
    assert sorted(merged.added + packed.left_out) == sorted(run.path for run in runs)
    assert (len(packed.left_out) == 0) == (limit > 120_000)


def test_what_is_beyond_the_last_archive_is_named(runs: list[Run]) -> None:
    packed = pack("out.zip", [run.path for run in runs], THERE, limit=400_000, most=1)
    assert list(packed.archives) == [Path("out.zip")]
    assert packed.left_out == [runs[1].path]


def test_all_archives_together_are_no_more_than_a_transfer_takes() -> None:
    assert packing.LIMIT * packing.MOST <= 64 * 2**20


def test_a_record_that_is_not_there_cannot_be_packed(runs: list[Run]) -> None:
    with pytest.raises(FileNotFoundError, match=r"There is no record .*seed0-"):
        pack("out.zip", [replace(runs[0], recipe=for_profile("wrn-28-1")).path], THERE)


def unfinished(root: str, epochs: int, place: str = "cpu", images: str = "sha256:00") -> Path:
    path = checkpoint_of(for_profile("wrn-28-1", seed=7), root)
    state = {"curves": {"epoch": list(range(epochs))}, "place": place, "fits": {"data": images}}
    storage.save_checkpoint(path, state)
    return path


def test_an_unfinished_run_travels_and_the_one_that_is_further_stays(runs: list[Run]) -> None:
    recipe = for_profile("wrn-28-1", seed=7)
    saved = unfinished(THERE, 5)
    pack("out.zip", [], THERE, [recipe, for_profile("wrn-28-2")])
    for here, taken in ((0, True), (3, True), (5, False), (8, False)):
        place = unfinished(HERE, here)
        before = place.read_bytes()
        merged = merge(["out.zip"], HERE)
        assert merged.checkpoints == ([f"checkpoints/{saved.name}"] if taken else [])
        assert place.read_bytes() == (saved.read_bytes() if taken else before)
    saved.write_bytes(saved.read_bytes()[:-1])
    pack("out.zip", [], THERE, [recipe])
    (text,) = merge(["out.zip"], HERE).refused.values()
    assert "is damaged: its checksum does not match" in text


def test_a_checkpoint_of_what_is_recorded_here_is_not_taken(make_run: Make) -> None:
    recipe = for_profile("wrn-28-1", seed=7)
    there = unfinished(THERE, 5)
    pack("out.zip", [], THERE, [recipe])
    run = make_run(recipe, 4.5)
    run.save(HERE)
    assert merge(["out.zip"], HERE).checkpoints == []
    assert not checkpoint_of(recipe, HERE).exists()
    replace(run, origin=run.origin | {"folded": LATER}).save(HERE)
    assert merge(["out.zip"], HERE).checkpoints == [f"checkpoints/{there.name}"]


def test_a_checkpoint_that_cannot_fit_is_named_and_not_even_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Compressing that of a large network takes longer than a queue has at its end."""
    recipe, saved = for_profile("wrn-28-1", seed=7), unfinished(THERE, 5)
    half = saved.stat().st_size // 2
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"{path} was read"))
    packed = pack("out.zip", [], THERE, [recipe], limit=half - 1)
    assert (packed.archives, packed.left_out) == ({}, [saved.name])


@pytest.mark.parametrize("other", [{"place": "cuda in bfloat16"}, {"images": "sha256:11"}])
def test_what_goes_on_here_stays_however_far_another_is_elsewhere(other: dict[str, str]) -> None:
    there = unfinished(THERE, 100, **other)
    pack("out.zip", [], THERE, [for_profile("wrn-28-1", seed=7)])
    place = unfinished(HERE, 3)
    before = place.read_bytes()
    assert merge(["out.zip"], HERE).checkpoints == []
    assert place.read_bytes() == before
    place.unlink()
    assert merge(["out.zip"], HERE).checkpoints == [f"checkpoints/{there.name}"]
