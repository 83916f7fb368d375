"""What a record tells of the run that it is of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from softshare import counting, models
from softshare.records import Run
from softshare.training import train

pytestmark = pytest.mark.usefixtures("few_held_out", "data_below")
QUICK = {"device": "cpu", "checkpoint_seconds": 0.0}


def test_a_record_tells_what_was_trained_on_what_and_where(cases: dict, tmp_path: Path) -> None:
    run = train(**{**cases["recurrence"], "epochs": 6}, runs=tmp_path / "runs", device="cpu")
    net = models.build("swrn-16-1-2", num_classes=10, in_channels=1)
    size = counting.count(net, (1, 8, 8))
    assert run.model == {
        "name": "swrn-16-1-2",
        "parameters": size.parameters,
        "macs": size.macs,
        "groups": {f"stage{s}": [f"stage{s}.1.conv1", f"stage{s}.1.conv2"] for s in (1, 2, 3)},
    }
    assert (run.data["name"], run.data["train"], run.data["test"]) == ("digits", 96, 359)
    assert {name: len(curve) for name, curve in run.curves.items()} == dict.fromkeys(
        ("epoch", "phase", "lr", "loss", "test_error"), 6
    )
    assert run.curves["epoch"] == [1, 2, 3, 4, 5, 6]
    assert list(run.coefficients) == ["0", "1", "5", "6"]
    assert run.origin["threads"] == torch.get_num_threads()
    assert run.origin["processes"] == 1
    assert run.origin["torch"] == torch.__version__
    assert run.origin["precision"] == "float32"
    assert run.cost["seconds"] > 0
    assert 0 < run.cost["processor_seconds"] < 2 * run.cost["seconds"]
    assert run.cost["images_per_second"] == pytest.approx(6 * 96 / run.cost["seconds"], rel=0.2)


def test_a_record_tells_how_the_coefficients_were_held(cases: dict, tmp_path: Path) -> None:
    unit = train(**cases["unit"], runs=tmp_path / "runs", device="cpu")
    fixed = train(**cases["unit"] | {"coefficients": "fixed"}, runs=tmp_path / "runs", device="cpu")
    assert "swrn-16-1-2+" in unit.path
    assert "+coefficients=unit" in unit.path
    for kept in unit.coefficients.values():  # how they start too
        for rows in kept.values():
            torch.testing.assert_close(torch.tensor(rows).norm(dim=1), torch.ones(len(rows)))
    assert unit.coefficients["0"] != unit.coefficients["3"]
    assert fixed.coefficients["0"] == fixed.coefficients["3"]
    for run in (unit, fixed):
        again = Run.load(tmp_path / "runs" / run.path)
        assert again.recipe == run.recipe
        assert again.key == again.recipe.key


def test_a_curriculum_is_recorded_phase_by_phase(cases: dict, tmp_path: Path) -> None:
    settings = {**cases["curriculum"], "epochs": 2, "phases": 2}
    run = train(**settings, runs=tmp_path / "runs", device="cpu")
    assert run.curves["phase"] == [1, 1, 2, 2]
    assert run.metric == "f1"
    assert run.f1 == run.curves["f1"][-1]
    assert run.data["train"] == 24


def image_folder(path: Path, shade: int) -> Path:
    image = pytest.importorskip("PIL.Image")
    for split, n in (("train", 6), ("test", 2)):
        for label in ("dark", "light"):
            (path / split / label).mkdir(parents=True)
            for i in range(n):
                colour = (shade + 9 * i, 100 * (label == "light"), 5 * i)
                image.new("RGB", (16, 16), colour).save(path / split / label / f"{i}.png")
    return path


def test_images_from_a_path_are_called_by_its_stem_and_never_mixed(tmp_path: Path) -> None:
    one, two = (image_folder(tmp_path / n / "shades", 10 * i) for i, n in enumerate("ab"))
    settings: dict[str, Any] = {"epochs": 1, "batch_size": 6, "progress": False, **QUICK}
    run = train("wrn-10-1", str(one), **settings)
    assert run.path.startswith("shades/paper/wrn-10-1+")
    assert (tmp_path / "data" / "runs" / run.path).is_file(), "the default place of records"
    assert train("wrn-10-1", source=one, **settings) == run
    assert train("wrn-10-1", "shades", **settings) == run
    with pytest.raises(ValueError, match="was made with other images of the name 'shades'"):
        train("wrn-10-1", str(two), **settings)
    with pytest.raises(ValueError, match=r"for 'tints', and .*shades holds 'shades'"):
        train("wrn-10-1", "tints", source=one, **settings)
