"""Where results came from: what is printed runs as it stands and asks for the very same runs."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any

import pytest

from softshare.__main__ import main
from softshare.recipe import Recipe, for_profile
from softshare.recipe.request import request
from softshare.records import Run, provenance

RECIPES = [
    for_profile("wrn-28-10"),
    for_profile("wrn-28-10", "cifar100", dropout=0.3, seed=4),
    for_profile("swrn-28-10-2", "cifar10-jpeg", "fast", seed=1),
    for_profile("swrn-28-1-1", profile="smoke"),
    for_profile("swrn-28-1", "digits", "smoke", cutout=4, epochs=1),
    for_profile("swrn-40-8-8", profile="fast", epochs=200),
    for_profile("swrn-40-8-8", epochs=30),
    for_profile("wrn-10-1", "my own set", "fast", batch_size=32, examples=500),
    for_profile("wrn-10-1", "a'b;c$d", "fast"),
    for_profile("wrn-16-2", milestones=()),
    for_profile("wrn-16-2", milestones=(0.5,)),
    for_profile("wrn-16-2", milestones=(1 / 3, 2 / 3), decay=0.1),
    for_profile("swrn-16-2", init="sparse-normal", weight_decay=1e-05, lr=3e-4),
    for_profile("swrn-16-2", recurrence=0.001, momentum=0.0, weight_decay=0.0),
    for_profile("wrn-28-10", optimizer="adam", lr=0.001),
    for_profile("cnn"),
    for_profile("scnn", profile="smoke", seed=12),
    for_profile("scnn", profile="fast", batch_size=128, weight_decay=5e-4),
    for_profile("scnn-r", epochs=200, recurrence=0.0),
    for_profile("scnn-r", milestones=(0.3, 0.6, 0.8), optimizer="sgd", lr=0.1, phases=1),
    for_profile("cnn", profile="fast", examples=0, epochs=10),
]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.path)
def test_the_command_trains_the_very_same_recipe(
    recipe: Recipe, make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def train(
        model: str,
        data: str | None,
        profile: str,
        *,
        source: Any = None,
        runs: Any = None,
        device: Any = None,
        progress: bool = True,
        precision: Any = None,
        engine: Any = None,
        **settings: Any,
    ) -> Run:
        asked.append(request(model, data, profile, source, **settings)[0])
        return make_run(asked[0])

    monkeypatch.setattr("softshare.commands.train.train", train)
    python, module, name, *words = shlex.split(provenance.command(recipe))
    assert (python, module, name) == ("python", "-m", "softshare")
    assert main(words) == 0
    assert asked == [recipe]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.path)
def test_own_settings_are_those_that_make_the_recipe_and_no_others(recipe: Recipe) -> None:
    own = recipe.own()
    assert for_profile(recipe.model, recipe.data, recipe.profile, **own) == recipe
    base = for_profile(recipe.model, recipe.data, recipe.profile)
    assert all(value != getattr(base, name) for name, value in own.items())
    assert own.keys() <= {field.name for field in fields(Recipe)} - {"model", "data", "profile"}


# --- The line under a figure -------------------------------------------------------------------


def line_of(runs: Sequence[Run]) -> str:
    return str(provenance.line("table1", runs, ["make it"]))


def test_the_line_tells_records_seeds_device_and_commit(make_run: Callable[..., Run]) -> None:
    runs = [make_run(for_profile("wrn-28-1", profile="smoke", seed=seed)) for seed in range(3)]
    assert line_of(runs[:1]).startswith(
        "*Made by `notebooks/table1.ipynb` from 1 record below `data/runs/` "
        "(`digits/smoke/wrn-28-1`), n = 1 a model; smoke profile; a device; "
        "commit `0123456789ab`. Again: `make it`.*"
    )
    assert "from 3 records" in line_of(runs) and "n = 3 a model" in line_of(runs)
    single = make_run(for_profile("swrn-28-1", profile="smoke"))
    assert "n = 1 to 3 a model" in line_of([*runs, single])
    models = ("swrn-28-1-1", "swrn-28-1", "swrn-28-1-4", "wrn-28-1", "wrn-40-1")
    many = [make_run(for_profile(model, profile="smoke")) for model in models]
    assert "`digits/smoke/swrn-28-1`, `digits/smoke/swrn-28-1-4` and 2 more)" in line_of(many)
    assert "`digits/smoke/swrn-28-1`, `digits/smoke/swrn-28-1-4` and 1 more)" in line_of(many[:4])
    assert "more" not in line_of(many[:3])


def test_several_commands_stand_folded_away_one_a_line(make_run: Callable[..., Run]) -> None:
    runs = [make_run(for_profile("wrn-28-1", profile="smoke"))]
    line, summary, block, end = str(provenance.line("table1", runs, ["one", "two"])).split("\n\n")
    assert line.endswith("commit `0123456789ab`.*")
    assert (summary, end) == ("<details><summary>Again: 2 commands</summary>", "</details>")
    assert block == "```sh\none\ntwo\n```"
    assert str(provenance.line("table1", runs)).endswith("commit `0123456789ab`.*")


def test_precisions_are_named_where_they_are_mixed(make_run: Callable[..., Run]) -> None:
    runs = [make_run(for_profile("wrn-28-1", profile="smoke", seed=seed)) for seed in (0, 1)]
    assert "float" not in line_of(runs)
    other = replace(runs[1], origin=runs[1].origin | {"precision": "bfloat16"})
    assert "; a device, in float32 and bfloat16; commit " in line_of([runs[0], other])
    assert provenance.table([runs[0], other])["precision"].tolist() == ["float32", "bfloat16"]


def test_the_table_has_a_row_for_each_run(make_run: Callable[..., Run]) -> None:
    run = make_run(for_profile("scnn", profile="fast", epochs=2, seed=3))
    run = replace(run, origin=run.origin | {"device": "A CPU"})
    assert (
        provenance.table([run, run]).to_numpy().tolist()
        == [
            [
                "shortest-paths/fast/scnn+epochs=2/seed3-" + run.path.rpartition("-")[2],
                "5 × 2",
                "A CPU, 2 threads",
                "float32",
                1.5,
                "0123456789ab",
                "2020-02-03",
            ]
        ]
        * 2
    )
    assert list(provenance.table([]).columns) == list(provenance.table([run]).columns)


def test_the_table_says_how_many_runs_shared_a_gpu(make_run: Callable[..., Run]) -> None:
    """Their minutes are not those of a run alone; what threads fed it does not matter."""
    run = make_run(for_profile("scnn"))
    alone = replace(run, origin=run.origin | {"device": "A GPU"})
    shared = replace(alone, origin=alone.origin | {"runs_at_once": 8})
    found = provenance.table([alone, shared])["device"].tolist()
    assert found == ["A GPU", "A GPU, up to 8 runs at once"]
