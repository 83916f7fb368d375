"""Records that travel from ``there`` to ``here``, two folders of an empty working directory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from softshare.models import build
from softshare.recipe import for_profile
from softshare.records import Run
from softshare.records.weights import keep


@pytest.fixture
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory is the test's own."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def runs(apart: None, make_run: Callable[..., Run]) -> list[Run]:
    """Three records there, the first two with weights."""
    there = "there/runs"
    recipes = [for_profile("swrn-16-1-2", profile="fast", seed=seed) for seed in range(2)]
    made = [keep(make_run(recipe, 9.5), build(recipe.model), there) for recipe in recipes]
    made.append(make_run(for_profile("scnn", profile="smoke"), 0.5))
    for run in made:
        run.save(there)
    return made


@pytest.fixture
def files() -> Callable[[str], dict[str, bytes]]:
    """Paths and contents below a folder, all but locks."""

    def files(root: str) -> dict[str, bytes]:
        return {
            path.relative_to(root).as_posix(): path.read_bytes()
            for path in Path(root).glob("**/*")
            if path.is_file() and path.suffix != ".lock"
        }

    return files
