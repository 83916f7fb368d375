"""Notebooks as their readers run them: by papermill, from anywhere, without network or GPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from softshare.recipe import for_profile
from softshare.records import Run

pytest.importorskip("papermill")
pytest.importorskip("ipykernel")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800), pytest.mark.xdist_group("kernels")]

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
NOWHERE = "http://127.0.0.1:9"  # a proxy that nobody runs


@dataclass
class Executed:
    """A finished papermill command."""

    status: int
    messages: str
    outputs: list[dict[str, Any]]

    @property
    def text(self) -> str:
        """All that a reader sees but pictures."""
        seen = [o.get("text") or o.get("data", {}).get("text/markdown", "") for o in self.outputs]
        seen += [o.get("data", {}).get("text/html", "") for o in self.outputs]
        return "\n".join("".join(part) for part in seen)

    @property
    def pictures(self) -> int:
        return sum(any("image" in kind for kind in o.get("data", {})) for o in self.outputs)

    @property
    def failed(self) -> bool:
        return any(output["output_type"] == "error" for output in self.outputs)


def execute(name: str, folder: Path, *parameters: str, where: Path | None = None) -> Executed:
    """Runs a notebook with `folder` as the data folder, from the directory `where`."""
    out = folder / f"{name}-{len(list(folder.glob('*.ipynb')))}.ipynb"
    hidden = ("SOFTSHARE_BOOK", "MPLBACKEND")
    environment = {k: v for k, v in os.environ.items() if k not in hidden} | {
        "SOFTSHARE_DATA": str(folder / "data"),
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": "1",
        "http_proxy": NOWHERE,
        "https_proxy": NOWHERE,
    }
    command = [sys.executable, "-m", "papermill", str(NOTEBOOKS / f"{name}.ipynb"), str(out)]
    command += ["-k", "python3", "--no-progress-bar", "--cwd", str(where or folder)]
    command += [word for p in parameters for word in ("-p", *p.split("=", 1))]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder)
    cells = json.loads(out.read_text())["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    return Executed(done.returncode, done.stderr, outputs)


def records(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.glob("data/runs/**/*.json")}


@pytest.mark.parametrize("name", [path.stem for path in sorted(NOTEBOOKS.glob("*.ipynb"))])
def test_without_records_nothing_fails_and_what_is_missing_is_named(
    name: str, tmp_path: Path
) -> None:
    done = execute(name, tmp_path, "train=False")
    assert done.status == 0, done.messages
    assert not done.failed
    assert "No run with these settings is recorded, and none was trained." in done.text
    assert "Not attempted at the paper's settings" in done.text
    assert "from no run yet" in done.text
    assert not records(tmp_path)


def test_table1_with_one_more_row_trains_a_demonstration_once(tmp_path: Path) -> None:
    done = execute("table1", tmp_path, "k=2", "epochs=1")
    assert done.status == 0, done.messages
    assert not done.failed
    assert "6 runs at profile SMOKE (" in done.text
    assert "a demonstration that everything runs, not a result): digits, 1 epoch, 6 of them" in (
        done.text
    )
    assert "SWRN 28-1-2" in done.text
    assert "-p profile smoke -p data digits -p epochs 1 -p k 2" in done.text
    assert done.pictures >= 2 + 4, "the comparison, the curves, four networks' similarities"
    models = [Run.load(path).recipe.model for path in sorted(records(tmp_path))]
    assert sorted(models) == [
        *("swrn-28-1", "swrn-28-1", "swrn-28-1-1", "swrn-28-1-2", "wrn-28-1", "wrn-28-1")
    ]
    trained = records(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    again = execute("table1", tmp_path, "k=2", where=elsewhere)  # all rows have a run: any will do
    assert again.status == 0, again.messages
    assert "6 runs at profile SMOKE (" in again.text and "just now" not in again.text
    assert records(tmp_path) == trained
    assert not list(elsewhere.iterdir())


@pytest.mark.parametrize(
    ("parameter", "sentence"),
    [
        ("sedd=1", "There is no parameter 'sedd'; there are k, profile, data, seeds"),
        ("profile=nonsense", "profile is auto, paper, fast, smoke; got 'nonsense'"),
    ],
)
def test_a_wrong_parameter_stops_the_run_with_a_sentence(
    tmp_path: Path, parameter: str, sentence: str
) -> None:
    done = execute("table1", tmp_path, parameter)
    assert done.status == 1
    assert f"ValueError: {sentence}" in done.messages
    assert not records(tmp_path)


def test_figure5_shows_its_demonstration(make_run: Callable[..., Run], tmp_path: Path) -> None:
    alpha = {"body": [[float(i == j or j == 0) for j in range(20)] for i in range(20)]}
    for model, f1 in {"cnn": 0.4, "scnn": 0.5, "scnn-r": 0.6}.items():
        recipe = for_profile(model, profile="smoke")
        curve = [f1 - 0.1, f1, f1 - 0.2, f1, f1]
        shared = alpha if model != "cnn" else None
        make_run(recipe, curve=curve, alpha=shared).save(tmp_path / "data" / "runs")
    recorded = records(tmp_path)
    done = execute("figure5", tmp_path, "profile=smoke")
    assert done.status == 0, done.messages
    assert not done.failed
    assert "3 runs at profile SMOKE (" in done.text
    assert "shortest-paths, 5 × 1 epochs." in done.text
    assert "F1 at the end of the last phase: SCNN-R 0.600, SCNN 0.500, CNN 0.400." in done.text
    assert "1 epoch a phase where the paper has 50" in done.text
    assert "-p profile smoke" in done.text
    assert done.pictures == 1 + 1 + 2, "the example, the curves, two networks' similarities"
    assert records(tmp_path) == recorded


def test_the_explorer_of_a_recorded_network_fits_its_page(
    soft_run: Callable[..., Run], tmp_path: Path
) -> None:
    stages = {f"stage{i}": (6, 4, i) for i in (1, 2, 3)}
    soft_run("swrn-28-1-4", stages).save(tmp_path / "data" / "runs")
    soft_run("scnn", {"body": (20, 20, 3)}).save(tmp_path / "data" / "runs")
    recorded = records(tmp_path)
    done = execute("folding", tmp_path)
    assert done.status == 0, done.messages
    assert not done.failed
    assert done.text.count('class="softshare-explorer"') == 2
    assert len(done.text.encode()) < 1.5e6
    assert done.pictures == 2, "what folding costs, on images and on shortest paths"
    assert "SWRN 28-1-4 (cifar10, 4 epochs, seed 0)" in done.text
    assert records(tmp_path) == recorded
