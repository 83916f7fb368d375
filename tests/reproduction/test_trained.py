"""Which runs a table or figure trains."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import softshare as ss
from softshare.recipe import Recipe, for_profile
from softshare.records import Run
from softshare.reproduction import plan


@pytest.fixture
def narrow(rows: list) -> list[Recipe]:
    """The rows as a CPU trains them."""
    return [
        for_profile(model.replace("-10", "-1", 1), "digits", "smoke", **options)
        for model, options in rows
    ]


def test_without_records_a_cpu_trains_every_row_narrow_on_digits_once(
    narrow: list[Recipe], trainer: Any, tmp_path: Path
) -> None:
    found = ss.reproduce("table1", runs=tmp_path)
    assert trainer.asked == narrow
    assert found.runs == sorted(found.runs, key=lambda run: run.path)
    assert {run.recipe for run in found.runs} == set(narrow)
    assert set(found.trained) == {recipe.path for recipe in narrow}
    trainer.asked.clear()
    again = ss.reproduce("table1", runs=tmp_path)
    assert trainer.asked == [] and again.trained == []
    assert again.runs == found.runs


@pytest.mark.parametrize("at_hand", [(), ("cifar10",), ("cifar10-jpeg",), plan.PREFERRED])
def test_a_gpu_trains_the_papers_widths_on_the_best_cifar_at_hand(
    rows: list, gpu: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, at_hand: tuple[str, ...]
) -> None:
    monkeypatch.setattr(plan, "files", lambda name: (tmp_path,) if name in at_hand else ())
    ss.reproduce("table1", runs=tmp_path)
    data = "cifar10-jpeg" if at_hand == ("cifar10-jpeg",) else "cifar10"
    assert gpu.asked == [for_profile(model, data, "fast", **options) for model, options in rows]


def test_a_data_folder_without_sets_means_the_official_one(
    gpu: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SOFTSHARE_DATA", str(tmp_path))
    ss.reproduce("table1")
    assert {recipe.data for recipe in gpu.asked} == {"cifar10"}


def test_nothing_is_trained_where_every_row_has_a_run_of_whatever_width(
    narrow: list[Recipe], trainer: Any, save: Callable[..., Run], tmp_path: Path
) -> None:
    saved = [
        save("wrn-28-10", "cifar100"),
        save("wrn-28-2", "cifar10-jpeg", "fast", dropout=0.3),
        save("swrn-28-10", "cifar10", "fast", epochs=7),
        save("swrn-28-1", "digits", "smoke", dropout=0.3),
        save("swrn-28-3-1", "digits", "smoke", seed=4),
    ]
    found = ss.reproduce("table1", runs=tmp_path)
    assert trainer.asked == []
    assert found.runs == saved, "the best profile comes first"
    ss.reproduce("table1", k=4, runs=tmp_path)
    assert trainer.asked == [*narrow, for_profile("swrn-28-1-4", "digits", "smoke")]


def test_a_row_with_dropout_is_not_served_by_one_without(
    rows: list, narrow: list[Recipe], trainer: Any, save: Callable[..., Run], tmp_path: Path
) -> None:
    for model, _ in rows:
        save(model)
    ss.reproduce("table1", runs=tmp_path)
    assert trainer.asked == narrow


def test_each_parameter_reaches_every_recipe(rows: list, trainer: Any, tmp_path: Path) -> None:
    ss.reproduce(
        "table1",
        k=2,
        profile="fast",
        data="cifar100",
        seeds=2,
        epochs=200,
        width=3,
        runs=tmp_path,
    )
    models = [*rows, ("swrn-28-10-2", {})]
    assert trainer.asked == [
        for_profile(
            model.replace("-10", "-3", 1), "cifar100", "fast", seed=seed, epochs=200, **options
        )
        for seed in (0, 1)
        for model, options in models
    ]


@pytest.mark.parametrize(
    "asked", [{"profile": "smoke"}, {"epochs": 3}, {"seeds": 2}, {"width": 2}, {"data": "digits"}]
)
def test_what_is_asked_for_is_trained_though_other_runs_are_there(
    rows: list, trainer: Any, save: Callable[..., Run], tmp_path: Path, asked: dict[str, Any]
) -> None:
    for model, options in rows:
        save(model, **options)
    found = ss.reproduce("table1", **asked, runs=tmp_path)
    assert len(found.trained) == len(rows) * asked.get("seeds", 1)
    again = ss.reproduce("table1", **asked, runs=tmp_path)
    assert again.trained == [] and again.runs == found.runs


def test_the_row_of_k_comes_once(narrow: list[Recipe], trainer: Any, tmp_path: Path) -> None:
    ss.reproduce("table1", k=1, runs=tmp_path)
    assert trainer.asked == narrow


def test_what_is_asked_for_and_not_trained_is_shown_as_missing(
    trainer: Any, save: Callable[..., Run], tmp_path: Path
) -> None:
    asked = {"profile": "smoke", "seeds": 2, "k": 2, "runs": tmp_path}
    save("wrn-28-1", profile="smoke")
    save("swrn-28-1-1", profile="smoke", seed=1)
    found = ss.reproduce("table1", train=False, **asked)
    assert len(found.lacking) == 2 * 6 - 2 and trainer.asked == []
    (line,) = [line for line in str(found).splitlines() if line.startswith("Asked for and not")]
    assert "recorded, 10 runs on digits at profile SMOKE: " in line
    for part in ("WRN 28-1 (seed 1)", "SWRN 28-1-1 (seed 0)", "SWRN 28-1-2 (seeds 0, 1)"):
        assert part in line
    assert line.endswith(
        "`python -m softshare train wrn-28-1 --data digits --profile smoke --dropout 0.3`."
    )
    whole = ss.reproduce("table1", **asked)
    assert set(whole.trained) == {recipe.path for recipe in found.lacking}
    assert whole.lacking == [] and "Asked for" not in str(whole)
    assert "Asked for" not in str(ss.reproduce("table1", train=False, **asked))
    assert "Asked for" not in str(ss.reproduce("table1", train=False, runs=tmp_path / "none"))


def test_a_k_that_cannot_be_built_is_refused_before_anything_is_trained(
    trainer: Any, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="takes 1 to 6 templates; got 7"):
        ss.reproduce("table1", k=7, runs=tmp_path)
    assert trainer.asked == []


@pytest.mark.parametrize(("target", "count"), [("table2", 3), ("table4", 4)])
def test_other_tables_show_what_they_trained(
    trainer: Any, tmp_path: Path, target: str, count: int
) -> None:
    found = ss.reproduce(target, k=4, runs=tmp_path)
    assert len(trainer.asked) == len(set(trainer.asked)) == count
    option = {"dropout": 0.3} if target == "table2" else {"cutout": 4}
    assert for_profile("swrn-28-1-4", "digits", "smoke", **option) in trainer.asked
    assert all(getattr(r, name) == v for r in trainer.asked for name, v in option.items())
    assert found.table()["n"].sum() == len(trainer.asked), "every run has a line"
    trainer.asked.clear()
    assert ss.reproduce(target, k=4, runs=tmp_path).runs == found.runs
    assert trainer.asked == []


@pytest.mark.parametrize(
    ("data", "cutout"), [("cifar10", 16), ("cifar10-q75", 16), ("digits", 4), ("digits-q75", 4)]
)
def test_cutout_is_the_papers_on_cifar_and_half_the_side_on_digits(
    trainer: Any, tmp_path: Path, data: str, cutout: int
) -> None:
    ss.reproduce("table4", profile="fast", data=data, width=1, runs=tmp_path)
    assert {recipe.cutout for recipe in trainer.asked} == {cutout}


def test_the_row_of_k_shows_on_any_set(trainer: Any, tmp_path: Path) -> None:
    table = ss.reproduce("table1", k=2, runs=tmp_path).summary()
    (line,) = table[table["model"] == "SWRN 28-1-2"].to_dict("records")
    assert (line["trained on"], line["profile"], line["n"]) == ("digits", "smoke", 1)
    assert sorted(table["model"][table["n"] > 0]) == [
        *("SWRN 28-1", "SWRN 28-1*", "SWRN 28-1-1", "SWRN 28-1-2", "WRN 28-1", "WRN 28-1*")
    ]


def test_a_path_is_trained_on_by_its_path(trainer: Any, tmp_path: Path) -> None:
    archive = tmp_path / "flowers.tar.gz"
    archive.touch()
    folder = str(archive)
    found = ss.reproduce("table1", data=folder, runs=tmp_path / "runs")
    assert set(trainer.data) == {folder}
    assert {run.recipe.data for run in found.runs} == {"flowers"}
    archive.unlink()
    for name in (folder, "flowers"):  # its records are enough to be shown
        shown = ss.reproduce("table1", data=name, train=False, runs=tmp_path / "runs")
        assert shown.runs == found.runs
    with pytest.raises(FileNotFoundError, match=r"archive .*roses\.zip; check the path"):
        ss.reproduce("table1", data=str(tmp_path / "roses.zip"), train=False, runs=tmp_path)


def test_figure5_trains_its_three_networks(trainer: Any, tmp_path: Path) -> None:
    ss.reproduce("figure5", seeds=2, epochs=3, runs=tmp_path)
    assert trainer.asked == [
        for_profile(model, None, "smoke", seed=seed, epochs=3)
        for seed in (0, 1)
        for model in ("cnn", "scnn", "scnn-r")
    ]
    trainer.asked.clear()
    assert len(ss.reproduce("figure5", runs=tmp_path).runs) == 6
    assert trainer.asked == []


def test_figure3_shows_the_demonstration_that_it_trains(
    trainer: Any, save: Callable[..., Run], tmp_path: Path
) -> None:
    there = save("wrn-28-1", "digits", "smoke")  # of Table 1's demonstration
    found = ss.reproduce("figure3", runs=tmp_path)
    models = ["swrn-28-1", "swrn-40-1", "wrn-28-1", "wrn-40-1"]
    assert [run.recipe.model for run in found.runs] == models
    assert len(found.trained) == 3 and there.path not in found.trained
    cifar = save("wrn-28-1", "cifar10-jpeg", "fast")
    assert ss.reproduce("figure3", runs=tmp_path).runs == [cifar]
    assert len(ss.reproduce("figure3", profile="smoke", runs=tmp_path).runs) == 4
    assert len(trainer.asked) == 4 + 4, "nothing but what was asked for"


@pytest.mark.parametrize("asked", [{}, {"profile": "smoke", "seeds": 3}])
def test_a_book_never_trains(
    trainer: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, asked: dict[str, Any]
) -> None:
    monkeypatch.setenv("SOFTSHARE_BOOK", "1")
    found = ss.reproduce("table1", **asked, runs=tmp_path)
    assert trainer.asked == [] and found.runs == []
    assert len(found.missing) == 10


def test_nor_does_train_false(trainer: Any, save: Callable[..., Run], tmp_path: Path) -> None:
    run = save("wrn-28-10")
    found = ss.reproduce("table1", train=False, runs=tmp_path)
    assert trainer.asked == [] and found.runs == [run]


@pytest.mark.parametrize("target", ["figure6", "figure7", "figure8"])
def test_the_figures_of_matrices_train_their_network_on_any_set_at_any_width(
    trainer: Any, tmp_path: Path, target: str
) -> None:
    found = ss.reproduce(target, runs=tmp_path, seeds=2)
    assert trainer.asked == [
        for_profile("swrn-40-1-8", "digits", "smoke", seed=seed) for seed in (0, 1)
    ]
    assert found.missing == [for_profile("swrn-40-8-8", "cifar10", "paper")]
    trainer.asked.clear()
    ss.reproduce(target, runs=tmp_path, profile="fast", data="cifar100", width=4)
    assert trainer.asked == [for_profile("swrn-40-4-8", "cifar100", "fast")]
