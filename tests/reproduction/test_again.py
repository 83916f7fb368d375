"""What a page prints to make its runs again asks for those runs, and runs as it stands."""

from __future__ import annotations

import ast
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import softshare as ss
from softshare.recipe import Recipe, for_profile
from softshare.recipe.request import request
from softshare.records import Run, provenance
from softshare.reproduction import Reproduction, collection
from softshare.reproduction.again import again

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


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
    line = Reproduction(target, [make_run(recipe) for recipe in recipes]).source()
    notebook, values = parameters(line.rpartition("Again: `")[2].removesuffix("`.*"))
    assert notebook == f"notebooks/{target}.ipynb"
    assert values == asked
    assert values.keys() <= known(notebook)

    def train(model: str, data: str, profile: str, *, runs: Path, **settings: Any) -> Run:
        return make_run(request(model, data, profile, **settings)[0])

    monkeypatch.setattr(collection, "train_run", train)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv("SOFTSHARE_BOOK", raising=False)
    found = ss.reproduce(target, **values, runs=tmp_path)
    assert {run.recipe for run in found.runs} == set(recipes)


MIXED: list[tuple[str, list[Recipe]]] = [
    ("table1", [r for p in ("paper", "fast") for r in table1("cifar10", p, 3, epochs=7)]),
    ("table1", [*table1("cifar10", "fast", 10, epochs=3), *table1("cifar100", "fast", 10)]),
    ("table1", [for_profile(f"swrn-28-1-{k}", profile="smoke") for k in (2, 4)]),
    ("table2", [for_profile("swrn-28-1-2", "cifar10-jpeg", "fast")]),  # its rows have dropout
    ("figure3", [for_profile(model, "cifar10", "fast") for model in ("wrn-28-1", "swrn-28-1-2")]),
    ("figure5", [for_profile(model, profile="fast", batch_size=64) for model in ("cnn", "scnn")]),
    ("folding", [for_profile("swrn-28-1-4", "cifar10-jpeg", "fast", fold=0.4, tune=2)]),
    ("appendix_b", [for_profile("swrn-28-1", profile="smoke", lr=0.2)]),
]


@pytest.mark.parametrize(("target", "recipes"), MIXED)
def test_runs_that_no_call_of_the_notebook_makes_have_a_command_each(
    target: str, recipes: list[Recipe]
) -> None:
    assert again(target, recipes) == [provenance.command(recipe) for recipe in recipes]


def test_a_part_of_what_the_notebook_trains_is_the_notebooks() -> None:
    (whole,) = again("table1", SMOKE)
    assert again("table1", SMOKE[1:3]) == [whole]
    seeds = [for_profile("cnn", profile="fast", seed=seed) for seed in (0, 2)]
    assert parameters(*again("figure5", seeds))[1] == {"profile": "fast", "seeds": 3}
