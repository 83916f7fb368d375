"""Records are found by their place and their recipe, and each counts once."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from softshare.recipe import for_profile
from softshare.records import Run, load_runs
from softshare.storage import Damaged

RECIPE = for_profile("swrn-28-10-2", cutout=16, seed=4, epochs=3)
Make = Callable[..., Run]


def test_its_path_tells_which_cell_of_which_table_it_serves(make_run: Make, tmp_path: Path) -> None:
    path = make_run(RECIPE).save(tmp_path)
    place = f"cifar10/paper/swrn-28-10-2+epochs=3+cutout=16/seed4-{RECIPE.key}.json"
    assert path == tmp_path / place
    assert make_run(RECIPE).path == place


def test_load_runs_reads_what_is_asked_for_in_order(make_run: Make, tmp_path: Path) -> None:
    recipes = [
        for_profile(model, data, profile, seed=seed)
        for model in ("wrn-28-1", "swrn-28-1-2")
        for data in ("cifar10", "cifar100")
        for profile in ("paper", "fast")
        for seed in (0, 1)
    ]
    for recipe in recipes:
        make_run(recipe).save(tmp_path)
    (tmp_path / "README.md").write_text("no record")
    place = tmp_path / recipes[0].path
    place.with_name(place.name + ".damaged").write_text("set aside")
    place.with_name(f".{place.name}.k3j2").write_text("of a killed writer")
    paths = [run.path for run in load_runs(tmp_path)]
    assert paths == sorted(recipe.path for recipe in recipes)
    found = load_runs(str(tmp_path), model="wrn-28-1", seed=[1, 2], profile="fast")
    assert [(r.recipe.model, r.seed, r.profile) for r in found] == [("wrn-28-1", 1, "fast")] * 2
    assert load_runs(tmp_path, milestones=(0.3, 0.6, 0.8), data="cifar10-jpeg") == []
    assert load_runs(tmp_path / "elsewhere") == []


def test_load_runs_refuses_what_would_mislead(make_run: Make, tmp_path: Path) -> None:
    first = make_run(RECIPE).save(tmp_path)
    with pytest.raises(ValueError, match="A recipe has no setting 'sed'"):
        load_runs(tmp_path, sed=4)
    second = tmp_path / "copy" / first.name
    second.parent.mkdir()
    second.write_bytes(first.read_bytes())
    with pytest.raises(ValueError, match="hold the same run, which would count twice") as caught:
        load_runs(tmp_path)
    assert str(first) in str(caught.value)
    assert str(second) in str(caught.value)
    second.write_bytes(first.read_bytes()[:-9])
    with pytest.raises(Damaged, match=re.escape(str(second))):
        load_runs(tmp_path)
