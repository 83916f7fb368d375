"""Records travel whole, in archives of a limited size, and never replace better ones."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from softshare import storage
from softshare.models import build
from softshare.recipe import for_profile
from softshare.records import Run, packing
from softshare.records.holding import LATER, checkpoint_of, held
from softshare.records.merging import merge
from softshare.records.packing import pack
from softshare.records.weights import keep

Make = Callable[..., Run]
THERE, HERE = "there/runs", "here/runs"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def runs(make_run: Make) -> list[Run]:
    """Three records there, the first two with weights."""
    recipes = [for_profile("swrn-16-1-2", profile="fast", seed=seed) for seed in range(2)]
    made = [keep(make_run(recipe, 9.5), build(recipe.model), THERE) for recipe in recipes]
    made.append(make_run(for_profile("scnn", profile="smoke"), 0.5))
    for run in made:
        run.save(THERE)
    return made


def files(root: str) -> dict[str, bytes]:
    """All but locks."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in Path(root).glob("**/*")
        if path.is_file() and path.suffix != ".lock"
    }


def test_what_is_packed_there_comes_out_here_byte_for_byte(runs: list[Run]) -> None:
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


# ------------------------------------------------------------------------------- which one is kept


def travelled(run: Run) -> None:
    """`run` comes from there, over whatever is here."""
    run.save("from/runs")
    pack("from.zip", [run.path], "from/runs")


FULL = {"folded": [{"threshold": 1.0, "parameters": 5, "test_error": 9.5}]}


def test_a_record_with_more_measured_replaces_one_with_less_and_never_the_reverse(
    make_run: Make, runs: list[Run]
) -> None:
    poor = make_run(for_profile("wrn-28-1"), 4.5)
    rich = replace(poor, **FULL)
    for first, second, kind in ((poor, rich, "replaced"), (rich, poor, "kept")):
        first.save(HERE)
        travelled(second)
        assert getattr(merge(["from.zip"], HERE), kind) == [poor.path]
        assert Run.load(Path(HERE, poor.path)) == rich


def test_two_results_of_one_recipe_are_a_conflict_and_ours_stays(make_run: Make) -> None:
    recipe = for_profile("wrn-28-1")
    ours, theirs = make_run(recipe, 4.5), make_run(recipe, 4.75)
    ours.save(HERE)
    travelled(theirs)
    (text,) = merge(["from.zip"], HERE).conflicts.values()
    assert "4.5" in text
    assert "4.75" in text
    travelled(make_run(recipe, 4.5, checksum="sha256:11"))
    assert merge(["from.zip"], HERE).conflicts == {
        ours.path: "made with other images of the same name"
    }
    assert Run.load(Path(HERE, ours.path)) == ours


@pytest.mark.parametrize(
    "other", [{"result": 95.0}, {"checksum": "sha256:11"}, {"curve": [5.0] * 199 + [4.5]}]
)
@pytest.mark.parametrize("more", [FULL, {}])
def test_a_conflict_changes_nothing_whichever_record_has_more(
    make_run: Make, other: dict[str, Any], more: dict[str, Any]
) -> None:
    """Also where ours waits for its foldings, which its checkpoint is kept for."""
    recipe = for_profile("wrn-28-1")
    ours = make_run(recipe, 4.5)
    ours = replace(ours, origin=ours.origin | {"folded": LATER})
    ours.save(HERE)
    saved = checkpoint_of(recipe, HERE)
    storage.save_checkpoint(saved, {"curves": {"epoch": list(range(200))}, "place": "cuda"})
    travelled(replace(make_run(recipe, **{"result": 4.5} | other), **more))
    before = files("here")
    merged = merge(["from.zip"], HERE)
    assert list(merged.conflicts) == [ours.path]
    assert merged.replaced == merged.kept == merged.added == []
    assert files("here") == before


@pytest.mark.parametrize(("more", "came"), [(FULL, "replaced"), ({}, "conflicts")])
def test_one_that_was_trained_again_for_its_foldings_replaces_one_that_lost_them(
    make_run: Make, more: dict[str, Any], came: str
) -> None:
    """On a GPU no two trainings are alike; of other images it is a conflict all the same."""
    recipe = for_profile("wrn-28-1")
    ours = make_run(recipe, 4.5)
    ours = replace(ours, origin=ours.origin | {"folded": LATER})
    ours.save(HERE)
    travelled(replace(make_run(recipe, 4.75, checksum="sha256:11"), **more))
    assert list(merge(["from.zip"], HERE).conflicts) == [ours.path]
    travelled(replace(make_run(recipe, 4.75), **more))
    assert list(getattr(merge(["from.zip"], HERE), came)) == [ours.path]
    assert Run.load(Path(HERE, ours.path)).result["test_error"] == (4.75 if more else 4.5)


def test_a_record_that_waits_for_its_foldings_and_its_checkpoint_stay_together(
    make_run: Make,
) -> None:
    """A record that comes takes no checkpoint away, and one that waits does not keep one out."""
    recipe = for_profile("wrn-28-1")
    run = make_run(recipe, 4.5)
    run = replace(run, origin=run.origin | {"folded": LATER})
    travelled(run)
    saved = checkpoint_of(recipe, HERE)
    state = {"curves": {"epoch": list(range(200))}, "place": "cuda"}
    storage.save_checkpoint(saved, state)
    assert merge(["from.zip"], HERE).added == [run.path] and saved.is_file()
    saved.unlink()
    storage.save_checkpoint(checkpoint_of(recipe, "from/runs"), state)
    pack("from.zip", [run.path], "from/runs", [recipe])
    assert len(merge(["from.zip"], HERE).checkpoints) == 1 and saved.is_file()
    travelled(replace(run, origin=run.origin | {"folded": "measured"}, **FULL))
    assert merge(["from.zip"], HERE).replaced == [run.path] and not saved.is_file()


def test_neither_is_better_where_each_has_what_the_other_lacks(make_run: Make) -> None:
    recipe = for_profile("wrn-28-1")
    ours = replace(make_run(recipe, 4.5), cost={})
    ours_full = replace(ours, **FULL)
    ours_full.save(HERE)
    travelled(make_run(recipe, 4.5))
    assert merge(["from.zip"], HERE).kept == [ours.path]
    assert Run.load(Path(HERE, ours.path)) == ours_full


def test_a_damaged_record_here_is_replaced_and_one_from_there_refused(
    make_run: Make, runs: list[Run]
) -> None:
    run = make_run(for_profile("wrn-28-1"), 4.5)
    place = run.save(HERE)
    travelled(run)
    place.write_text(place.read_text().replace("4.5", "3.5"))
    assert merge(["from.zip"], HERE).replaced == [run.path]
    assert Run.load(place) == run
    there = Path("from/runs", run.path)
    there.write_text(there.read_text().replace("4.5", "3.5"))
    sound = make_run(for_profile("wrn-28-1", seed=1), 4.5)
    sound.save("from/runs")
    pack("from.zip", [run.path, sound.path], "from/runs")
    place.unlink()
    merged = merge(["from.zip"], HERE)
    assert merged.added == [sound.path], "the others are taken all the same"
    assert merged.refused == {
        run.path: f"The record {run.path} is damaged: its checksum does not match."
    }
    assert not place.exists()


def test_a_record_is_refused_under_another_name_or_without_its_own_weights(runs: list[Run]) -> None:
    first, second, plain = runs
    here = [Path(THERE, run.path) for run in runs]
    beside = Path(first.path).with_suffix(".safetensors").as_posix()
    with zipfile.ZipFile("odd.zip", "w") as odd:
        odd.write(here[0], f"runs/{first.path}")
        odd.write(here[1].with_suffix(".safetensors"), f"runs/{beside}")
        odd.write(here[1], f"runs/{second.path}")
        odd.write(here[2], f"runs/{plain.path.replace('seed0', 'seed1')}")
    merged = merge(["odd.zip"], HERE)
    assert list(merged.refused.values()) == [
        "the weights beside it are not its own.",
        "the weights beside it are not its own.",
        f"it is the record of {plain.path}.",
    ]
    assert not files("here")


def test_a_run_that_is_being_trained_here_is_left_alone(runs: list[Run]) -> None:
    pack("out.zip", [run.path for run in runs], THERE)
    with held(checkpoint_of(runs[0].recipe, HERE), "x"):
        merged = merge(["out.zip"], HERE)
    assert merged.refused == {runs[0].path: "it is being trained here."}
    assert len(merged.added) == 2


# ---------------------------------------------------------------------------------- unfinished runs


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


# --------------------------------------------------------------------------------- hostile archives


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


GOOD = "runs/digits/smoke/wrn-10-1/seed0-0123456789.json"
HOSTILE = {
    "absolute": "/runs/digits/smoke/wrn-10-1/seed0-0123456789.json",
    "upwards": "runs/../../x/seed0-0123456789.json",
    "upwards-inside": "runs/digits/../x/seed0-0123456789.json",
    "backslash": "runs\\digits\\smoke\\x\\seed0-0123456789.json",
    "drive": "C:/runs/digits/smoke/x/seed0-0123456789.json",
    "hidden": "runs/digits/smoke/.git/seed0-0123456789.json",
    "other-file": "runs/digits/smoke/wrn-10-1/seed0-0123456789.py",
    "other-place": "softshare/digits/smoke/seed0-0123456789.json",
    "folder": "runs/digits/smoke/wrn-10-1/",
    "checkpoint-upwards": "checkpoints/../seed0-0123456789.pt",
    "nul": "runs/digits/smoke/wrn-10-1\0/seed0-0123456789.json",
    "new-line": "runs/digits/smoke/wrn\n10/seed0-0123456789.json\n",
}


@pytest.mark.parametrize("kind", [*HOSTILE, "link", "twice", "huge", "bomb", "no-zip", "cut"])
def test_an_archive_that_no_pack_made_is_refused_and_nothing_of_it_taken(
    kind: str, runs: list[Run]
) -> None:
    pack("bad.zip", [run.path for run in runs], THERE)
    pack("good.zip", [run.path for run in runs], THERE)
    with zipfile.ZipFile("bad.zip", "a", zipfile.ZIP_DEFLATED) as bad:
        if kind in HOSTILE:
            info = zipfile.ZipInfo("x")
            info.filename = HOSTILE[kind]
            bad.writestr(info, b"{}")
        elif kind == "link":
            bad.writestr(link(GOOD), "/etc/passwd")
        elif kind == "twice":
            bad.writestr(GOOD, b"{}")
            with pytest.warns(UserWarning, match="Duplicate"):
                bad.writestr(GOOD, b"{ }")
        elif kind == "huge":
            bad.writestr(GOOD, bytes(65 * 2**20))
        elif kind == "bomb":
            for number in range(9):
                bad.writestr(GOOD.replace("0123", f"012{number}"), bytes(63 * 2**20))
    if kind == "no-zip":
        Path("bad.zip").write_bytes(b"a record")
    elif kind == "cut":
        Path("bad.zip").write_bytes(Path("bad.zip").read_bytes()[:-30])
    before = files(".")
    with pytest.raises(ValueError, match=r"^bad\.zip is no pack of records"):
        merge(["good.zip", "bad.zip"], HERE)
    assert files(".") == before


def test_an_archive_that_is_not_there_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"There is no archive nowhere\.zip"):
        merge(["nowhere.zip"])
