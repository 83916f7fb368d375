"""Where results came from: what is printed runs as it stands and asks for the very same runs."""

from __future__ import annotations

import ast
import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch

import softshare as ss
from softshare.__main__ import main
from softshare.recipe import Recipe, for_profile
from softshare.recipe.request import recipe_for
from softshare.records import Run, provenance
from softshare.reproduction import collection

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"

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
        asked.append(recipe_for(model, data, profile, source=source, **settings))
        return make_run(asked[0])

    monkeypatch.setattr("softshare.commands.train.train", train)
    python, module, name, *words = shlex.split(provenance.command(recipe))
    assert (python, module, name) == ("python", "-m", "softshare")
    assert main(words) == 0
    assert asked == [recipe]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.path)
def test_own_settings_are_those_that_make_the_recipe_and_no_others(recipe: Recipe) -> None:
    own = provenance.own_settings(recipe)
    assert for_profile(recipe.model, recipe.data, recipe.profile, **own) == recipe
    base = for_profile(recipe.model, recipe.data, recipe.profile)
    assert all(value != getattr(base, name) for name, value in own.items())
    assert own.keys() <= {field.name for field in fields(Recipe)} - {"model", "data", "profile"}


# --- The line under a figure -------------------------------------------------------------------


def parameters(line: str) -> tuple[str, dict[str, Any]]:
    """The notebook of a papermill command, and its parameters as papermill reads them."""
    translate = pytest.importorskip("papermill.cli")._resolve_type
    papermill, notebook, _out, *words = shlex.split(line)
    assert papermill == "papermill" and words[:2] == ["-k", "python3"]
    triples = [words[i : i + 3] for i in range(2, len(words), 3)]
    assert all(len(triple) == 3 and triple[0] == "-p" for triple in triples)
    return notebook, {name: translate(value) for _, name, value in triples}


def known(notebook: str) -> set[str]:
    cells = json.loads((NOTEBOOKS.parent / notebook).read_text())["cells"]
    (cell,) = [c for c in cells if "parameters" in c["metadata"].get("tags", [])]
    statements = ast.parse("".join(cell["source"])).body
    return {ast.unparse(s.target) for s in statements if isinstance(s, ast.AnnAssign)}


def table1(data: str, profile: str, width: int, **settings: Any) -> list[Recipe]:
    return [
        for_profile(f"{kind}-28-{width}{k}", data, profile, **settings | options)
        for kind, k, options in (
            ("wrn", "", {}),
            ("wrn", "", {"dropout": 0.3}),
            ("swrn", "", {}),
            ("swrn", "", {"dropout": 0.3}),
            ("swrn", "-1", {}),
        )
    ]


SMOKE = table1("digits", "smoke", 1)
FAST = table1("cifar10-jpeg", "fast", 10)
AGAIN: list[tuple[str, list[Recipe], dict[str, Any]]] = [
    ("table1", SMOKE, {"profile": "smoke", "data": "digits"}),
    ("table1", FAST, {"profile": "fast", "data": "cifar10-jpeg"}),
    (
        "table1",
        table1("cifar100", "paper", 2, epochs=7) + table1("cifar100", "paper", 2, epochs=7, seed=1),
        {"profile": "paper", "data": "cifar100", "width": 2, "epochs": 7, "seeds": 2},
    ),
    (
        "table1",
        [*SMOKE, for_profile("swrn-28-1-4", profile="smoke")],
        {"profile": "smoke", "data": "digits", "k": 4},
    ),
    ("table1", table1("digits", "smoke", 3), {"profile": "smoke", "data": "digits", "width": 3}),
    (
        "figure5",
        [for_profile(model, profile="fast", epochs=2) for model in ("cnn", "scnn", "scnn-r")],
        {"profile": "fast", "epochs": 2},
    ),
    ("figure5", [for_profile(model) for model in ("cnn", "scnn", "scnn-r")], {"profile": "paper"}),
]


@pytest.mark.parametrize(("target", "recipes", "asked"), AGAIN)
def test_the_line_asks_its_notebook_for_the_same_runs(
    make_run: Callable[..., Run],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    target: str,
    recipes: list[Recipe],
    asked: dict[str, Any],
) -> None:
    line = provenance.line(target, [make_run(recipe) for recipe in recipes])
    notebook, values = parameters(line.rpartition("Again: `")[2].removesuffix("`.*"))
    assert notebook == f"notebooks/{target}.ipynb"
    assert values == asked
    assert values.keys() <= known(notebook)

    def train(model: str, data: str, profile: str, *, runs: Path, **settings: Any) -> Run:
        return make_run(recipe_for(model, data, profile, **settings))

    monkeypatch.setattr(collection, "train_run", train)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv("SOFTSHARE_BOOK", raising=False)
    found = ss.reproduce(target, **values, runs=tmp_path)
    assert {run.recipe for run in found.runs} == set(recipes)


def test_a_line_about_several_profiles_asks_for_all_that_is_recorded(
    make_run: Callable[..., Run],
) -> None:
    both = [recipe for p in ("paper", "fast") for recipe in table1("cifar10", p, 3, epochs=7)]
    runs = [make_run(recipe) for recipe in both]
    line = provenance.line("table1", runs)
    assert line.endswith("Again: `papermill notebooks/table1.ipynb out.ipynb -k python3`.*")


def test_a_parameter_in_which_runs_differ_is_left_out(make_run: Callable[..., Run]) -> None:
    mixed = [*table1("cifar10", "fast", 10, epochs=3), *table1("cifar100", "fast", 10)]
    line = provenance.line("table1", [make_run(recipe) for recipe in mixed])
    assert line.endswith("-k python3 -p profile fast`.*")


def test_runs_that_no_parameter_asks_for_are_asked_for_one_by_one(
    make_run: Callable[..., Run],
) -> None:
    recipes = [for_profile(model, profile="fast", batch_size=64) for model in ("cnn", "scnn")]
    line = provenance.line("figure5", [make_run(recipe) for recipe in recipes])
    first, second = (provenance.command(recipe) for recipe in recipes)
    assert "--batch_size 64" in first
    assert line.endswith(f"Again: `{first}`, `{second}`.*")


def line_of(runs: Sequence[Run]) -> str:
    return str(provenance.line("table1", runs))


def test_the_line_tells_records_seeds_device_and_commit(make_run: Callable[..., Run]) -> None:
    runs = [make_run(for_profile("wrn-28-1", profile="smoke", seed=seed)) for seed in range(3)]
    assert line_of(runs[:1]).startswith(
        "*Made by `notebooks/table1.ipynb` from 1 record below `data/runs/` "
        "(`digits/smoke/wrn-28-1`), n = 1 a model; smoke profile; a device; "
        "commit `0123456789ab`. Again: `"
    )
    assert "from 3 records" in line_of(runs) and "n = 3 a model" in line_of(runs)
    single = make_run(for_profile("swrn-28-1", profile="smoke"))
    assert "n = 1 to 3 a model" in line_of([*runs, single])
    many = [make_run(recipe) for recipe in SMOKE]
    assert "+dropout=0.3`, `digits/smoke/swrn-28-1` and 2 more)" in line_of(many[::-1])


def test_precisions_are_named_where_they_are_mixed(make_run: Callable[..., Run]) -> None:
    runs = [make_run(for_profile("wrn-28-1", profile="smoke", seed=seed)) for seed in (0, 1)]
    assert "float" not in line_of(runs)
    other = replace(runs[1], origin=runs[1].origin | {"precision": "bfloat16"})
    assert "; a device, in float32 and bfloat16; commit " in line_of([runs[0], other])
    assert provenance.table([runs[0], other])["precision"].tolist() == ["float32", "bfloat16"]


def test_the_table_has_a_row_for_each_run(make_run: Callable[..., Run]) -> None:
    run = make_run(for_profile("scnn", profile="fast", epochs=2, seed=3))
    assert (
        provenance.table([run, run]).to_numpy().tolist()
        == [
            [
                f"data/runs/{run.path}",
                "fast",
                "shortest-paths",
                3,
                10,
                "a device, 2 threads",
                "float32",
                1.5,
                "0123456789ab",
                "2020-02-03",
            ]
        ]
        * 2
    )
    assert list(provenance.table([]).columns) == list(provenance.table([run]).columns)
