"""A record that comes from elsewhere never replaces a better one."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from softshare import storage
from softshare.recipe import for_profile
from softshare.records import Run
from softshare.records.holding import LATER, checkpoint_of, held
from softshare.records.merging import merge
from softshare.records.packing import pack

pytestmark = pytest.mark.usefixtures("apart")
Make = Callable[..., Run]
THERE, HERE = "there/runs", "here/runs"


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
    files: Callable, make_run: Make, other: dict[str, Any], more: dict[str, Any]
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


def test_a_record_is_refused_under_another_name_or_without_its_own_weights(
    files: Callable, runs: list[Run]
) -> None:
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


def test_weights_that_no_record_names_are_not_taken(files: Callable, runs: list[Run]) -> None:
    weights, plain = Path(THERE, runs[0].path).with_suffix(".safetensors"), runs[2]
    with zipfile.ZipFile("odd.zip", "w") as odd:
        odd.write(Path(THERE, plain.path), f"runs/{plain.path}")
        beside = Path(plain.path).with_suffix(".safetensors").as_posix()
        odd.write(weights, f"runs/{beside}")
    assert merge(["odd.zip"], HERE).added == [plain.path]
    assert list(files(HERE)) == [plain.path]


def test_a_run_that_is_being_trained_here_is_left_alone(runs: list[Run]) -> None:
    pack("out.zip", [run.path for run in runs], THERE)
    with held(checkpoint_of(runs[0].recipe, HERE), "x"):
        merged = merge(["out.zip"], HERE)
    assert merged.refused == {runs[0].path: "it is being trained here."}
    assert len(merged.added) == 2
