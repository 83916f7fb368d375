"""Which runs a table or figure shows, which it trains, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import softshare as ss
from softshare.paths import runs_root
from softshare.recipe import Recipe, for_profile
from softshare.recipe.request import request
from softshare.records import Run
from softshare.reproduction import collection, plan

ROWS: list[tuple[str, dict[str, Any]]] = [  # of Table 1, as the paper prints it
    ("wrn-28-10", {}),
    ("wrn-28-10", {"dropout": 0.3}),
    ("swrn-28-10", {}),
    ("swrn-28-10", {"dropout": 0.3}),
    ("swrn-28-10-1", {}),
]
SMOKE = [
    for_profile(model.replace("-10", "-1", 1), "digits", "smoke", **options)
    for model, options in ROWS
]


class Trainer:
    """In place of `softshare.train`: makes records at once, and remembers what was asked."""

    def __init__(self, make_run: Callable[..., Run]) -> None:
        self.make_run = make_run
        self.asked: list[Recipe] = []
        self.data: list[Any] = []

    def __call__(
        self, model: str, data: str | None, profile: str, *, runs: Path | None, **settings: Any
    ) -> Run:
        recipe = request(model, data, profile, **settings)[0]
        self.asked.append(recipe)
        self.data.append(data)
        path = Path(runs or runs_root()) / recipe.path
        if path.is_file():
            return Run.load(path)
        run = self.make_run(recipe)
        run.save(runs)
        return run


@pytest.fixture
def trainer(make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> Trainer:
    trainer = Trainer(make_run)
    monkeypatch.setattr(collection, "train_run", trainer)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv("SOFTSHARE_BOOK", raising=False)
    return trainer


@pytest.fixture
def gpu(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> Trainer:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    return trainer


@pytest.fixture
def save(make_run: Callable[..., Run], tmp_path: Path) -> Callable[..., Run]:
    """Keeps a record of a model: ``save("wrn-28-10", "cifar10", "fast", seed=1)``."""

    def save(model: str, data: str | None = None, profile: str = "paper", **settings: Any) -> Run:
        run = make_run(for_profile(model, data, profile, **settings))
        run.save(tmp_path)
        return run

    return save


# --- What is trained ---------------------------------------------------------------------------


def test_without_records_a_cpu_trains_every_row_narrow_on_digits_once(
    trainer: Trainer, tmp_path: Path
) -> None:
    found = ss.reproduce("table1", runs=tmp_path)
    assert trainer.asked == SMOKE
    assert found.runs == sorted(found.runs, key=lambda run: run.path)
    assert {run.recipe for run in found.runs} == set(SMOKE)
    assert set(found.trained) == {recipe.path for recipe in SMOKE}
    trainer.asked.clear()
    again = ss.reproduce("table1", runs=tmp_path)
    assert trainer.asked == [] and again.trained == []
    assert again.runs == found.runs


@pytest.mark.parametrize("at_hand", [(), ("cifar10",), ("cifar10-jpeg",), plan.PREFERRED])
def test_a_gpu_trains_the_papers_widths_on_the_best_cifar_at_hand(
    gpu: Trainer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, at_hand: tuple[str, ...]
) -> None:
    monkeypatch.setattr(plan, "files", lambda name: (tmp_path,) if name in at_hand else ())
    ss.reproduce("table1", runs=tmp_path)
    data = "cifar10-jpeg" if at_hand == ("cifar10-jpeg",) else "cifar10"
    assert gpu.asked == [for_profile(model, data, "fast", **options) for model, options in ROWS]


def test_a_data_folder_without_sets_means_the_official_one(
    gpu: Trainer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SOFTSHARE_DATA", str(tmp_path))
    ss.reproduce("table1")
    assert {recipe.data for recipe in gpu.asked} == {"cifar10"}


def test_nothing_is_trained_where_every_row_has_a_run_of_whatever_width(
    trainer: Trainer, save: Callable[..., Run], tmp_path: Path
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
    assert trainer.asked == [*SMOKE, for_profile("swrn-28-1-4", "digits", "smoke")]


def test_a_row_with_dropout_is_not_served_by_one_without(
    trainer: Trainer, save: Callable[..., Run], tmp_path: Path
) -> None:
    for model, _ in ROWS:
        save(model)
    ss.reproduce("table1", runs=tmp_path)
    assert trainer.asked == SMOKE


def test_each_parameter_reaches_every_recipe(trainer: Trainer, tmp_path: Path) -> None:
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
    models = [*ROWS, ("swrn-28-10-2", {})]
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
    trainer: Trainer, save: Callable[..., Run], tmp_path: Path, asked: dict[str, Any]
) -> None:
    for model, options in ROWS:
        save(model, **options)
    found = ss.reproduce("table1", **asked, runs=tmp_path)
    assert len(found.trained) == len(ROWS) * asked.get("seeds", 1)
    again = ss.reproduce("table1", **asked, runs=tmp_path)
    assert again.trained == [] and again.runs == found.runs


def test_the_row_of_k_comes_once(trainer: Trainer, tmp_path: Path) -> None:
    ss.reproduce("table1", k=1, runs=tmp_path)
    assert trainer.asked == SMOKE


def test_what_is_asked_for_and_not_trained_is_shown_as_missing(
    trainer: Trainer, save: Callable[..., Run], tmp_path: Path
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
    trainer: Trainer, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="takes 1 to 6 templates; got 7"):
        ss.reproduce("table1", k=7, runs=tmp_path)
    assert trainer.asked == []


@pytest.mark.parametrize(("target", "count"), [("table2", 3), ("table4", 4)])
def test_other_tables_show_what_they_trained(
    trainer: Trainer, tmp_path: Path, target: str, count: int
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


def test_cutout_is_the_papers_on_cifar(trainer: Trainer, tmp_path: Path) -> None:
    ss.reproduce("table4", profile="fast", data="cifar10", runs=tmp_path)
    assert {recipe.cutout for recipe in trainer.asked} == {16}


def test_the_row_of_k_shows_on_any_set(trainer: Trainer, tmp_path: Path) -> None:
    table = ss.reproduce("table1", k=2, runs=tmp_path).summary()
    (line,) = table[table["model"] == "SWRN 28-1-2"].to_dict("records")
    assert (line["trained on"], line["profile"], line["n"]) == ("digits", "smoke", 1)
    assert sorted(table["model"][table["n"] > 0]) == [
        *("SWRN 28-1", "SWRN 28-1*", "SWRN 28-1-1", "SWRN 28-1-2", "WRN 28-1", "WRN 28-1*")
    ]


def test_a_path_is_trained_on_by_its_path(trainer: Trainer, tmp_path: Path) -> None:
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


def test_figure5_trains_its_three_networks(trainer: Trainer, tmp_path: Path) -> None:
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
    trainer: Trainer, save: Callable[..., Run], tmp_path: Path
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
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, asked: dict[str, Any]
) -> None:
    monkeypatch.setenv("SOFTSHARE_BOOK", "1")
    found = ss.reproduce("table1", **asked, runs=tmp_path)
    assert trainer.asked == [] and found.runs == []
    assert len(found.missing) == 10


def test_nor_does_train_false(trainer: Trainer, save: Callable[..., Run], tmp_path: Path) -> None:
    run = save("wrn-28-10")
    found = ss.reproduce("table1", train=False, runs=tmp_path)
    assert trainer.asked == [] and found.runs == [run]


# --- What is shown -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ({}, [0, 1, 2, 3, 4]),
        ({"profile": "paper"}, [0]),
        ({"profile": "smoke"}, [3, 4]),
        ({"data": "cifar10"}, [0, 1]),
        ({"data": "cifar10-jpeg"}, [2]),
        ({"epochs": 30}, [1, 2]),
        ({"epochs": 3}, [4]),
        ({"width": 1}, [3, 4]),
        ({"profile": "fast", "width": 4}, [2]),
        ({"k": 3}, [0, 1, 2, 3, 4]),
        ({"profile": "paper", "data": "digits"}, []),
    ],
)
def test_just_what_is_asked_for_is_shown(
    save: Callable[..., Run], tmp_path: Path, asked: dict[str, Any], shown: list[int]
) -> None:
    runs = [
        save("wrn-28-10", "cifar10"),
        save("wrn-28-10", "cifar10", "fast"),
        save("swrn-28-4", "cifar10-jpeg", "fast"),
        save("wrn-28-1", "digits", "smoke"),
        save("swrn-28-1-1", "digits", "smoke", epochs=3),
    ]
    save("scnn", profile="smoke")
    save("swrn-28-10", cutout=16)  # a row of Table 4
    found = ss.reproduce("table1", train=False, **asked, runs=tmp_path)
    order = {"paper": 0, "fast": 1, "smoke": 2}
    assert found.runs == sorted(
        (runs[i] for i in shown), key=lambda run: (order[run.profile], run.path)
    )


def test_the_banner_names_profiles_variants_and_what_was_just_trained(
    trainer: Trainer, save: Callable[..., Run], tmp_path: Path
) -> None:
    save("wrn-28-10", "cifar10-jpeg", "fast", epochs=7)
    text = str(ss.reproduce("table1", runs=tmp_path))
    fast, smoke, *missing = text.splitlines()
    assert fast.startswith("1 run at profile FAST (") and "not the paper's setting" in fast
    assert fast.endswith(": cifar10-jpeg, 7 epochs.")
    assert smoke.startswith("5 runs at profile SMOKE (")
    assert "a demonstration that everything runs, not a result" in smoke
    assert smoke.endswith(": digits, 10 epochs, 5 of them trained just now.")
    assert [line.partition(":")[0] for line in missing] == [
        "Not attempted at the paper's settings on cifar10",
        "Not attempted at the paper's settings on cifar100",
    ]
    assert "trained just now" not in str(ss.reproduce("table1", runs=tmp_path))


# --- What is missing ---------------------------------------------------------------------------

EVERY = [
    for_profile(model, data, **options)
    for data in ("cifar10", "cifar100")
    for model, options in ROWS
]


def test_every_row_on_every_set_is_missing_at_first(tmp_path: Path) -> None:
    found = ss.reproduce("table1", train=False, runs=tmp_path)
    assert found.missing == EVERY
    assert len(found.commands()) == len(set(found.commands())) == 10


@pytest.mark.parametrize("number", range(10))
def test_a_run_at_the_papers_settings_fills_its_own_gap_alone(
    make_run: Callable[..., Run], tmp_path: Path, number: int
) -> None:
    make_run(replace(EVERY[number], seed=3)).save(tmp_path)
    for profile in ("auto", "smoke"):
        found = ss.reproduce("table1", train=False, profile=profile, runs=tmp_path)
        assert found.missing == EVERY[:number] + EVERY[number + 1 :]


def test_other_settings_fill_no_gap(save: Callable[..., Run], tmp_path: Path) -> None:
    save("wrn-28-10", "cifar10", "fast")
    save("wrn-28-10", "cifar10-jpeg")
    save("wrn-28-10", epochs=100)
    save("wrn-28-4")
    assert ss.reproduce("table1", train=False, runs=tmp_path).missing == EVERY


def test_the_row_of_k_and_the_networks_of_figure5_can_be_missing(
    save: Callable[..., Run], tmp_path: Path
) -> None:
    missing = ss.reproduce("table1", k=2, train=False, runs=tmp_path).missing
    assert [r for r in missing if r not in EVERY] == [
        for_profile("swrn-28-10-2", data) for data in ("cifar10", "cifar100")
    ]
    save("scnn", seed=2)
    save("cnn", epochs=2)
    missing = ss.reproduce("figure5", train=False, runs=tmp_path).missing
    assert missing == [for_profile("cnn"), for_profile("scnn-r")]


def test_figure3_misses_its_networks_on_both_of_its_sets(
    save: Callable[..., Run], tmp_path: Path
) -> None:
    save("wrn-28-4", "cifar100")
    missing = ss.reproduce("figure3", train=False, runs=tmp_path).missing
    assert {r.data for r in missing} == {"cifar10", "cifar100"} and len(missing) == 2 * 8 - 1
    assert for_profile("wrn-28-4", "cifar100") not in missing


# --- What is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "asked", "sentence"),
    [
        ("table1", {"sedd": 1}, "There is no parameter 'sedd'; there are k, profile, data, seeds,"),
        ("table1", {"target": "table2"}, "There is no parameter 'target'"),
        (
            "table5",
            {},
            "knows table1, table2, table3, table4, figure3, figure4, figure5, figure6, figure7, ",
        ),
        ("table1", {"k": -1}, "k is a whole number from 0 up; got -1"),
        ("table1", {"k": "two"}, "k is a whole number from 0 up; got 'two'"),
        ("table1", {"k": True}, "k is a whole number from 0 up; got True"),
        ("table1", {"seeds": 0}, "seeds is a whole number from 1 up; got 0"),
        ("table1", {"seeds": 1.0}, "seeds is a whole number from 1 up; got 1.0"),
        ("table1", {"epochs": None}, "epochs is a whole number from 0 up; got None"),
        ("table1", {"width": -2}, "width is a whole number from 0 up; got -2"),
        ("table1", {"profile": "quick"}, "profile is auto, paper, fast, smoke; got 'quick'"),
        ("table1", {"profile": 3}, "profile is auto, paper, fast, smoke; got 3"),
        ("table1", {"train": "no"}, "train is True or False; got 'no'"),
        ("table1", {"train": 0}, "train is True or False; got 0"),
        ("table1", {"data": 10}, "data must be str; got 10"),
        ("table1", {"data": ""}, "data is a name"),
        ("table1", {"data": "nosuch"}, "an image set is one of .*, got 'nosuch'"),
        ("figure3", {"data": "flowers"}, "Figure 3 is of cifar10, cifar100, digits or a variant"),
        ("table1", {"data": "shortest-paths"}, "cnn, scnn, scnn-r train on 'shortest-paths'"),
        ("figure5", {"k": 2}, "figure5 are fixed: it takes no k; got k=2"),
        ("figure8", {"k": 2}, "figure8 are fixed: it takes no k; got k=2"),
        ("figure5", {"width": 2}, "figure5 are fixed.*width=2"),
        ("table3", {"width": 1}, "table3 are fixed.*width=1"),
        ("table3", {"data": "digits"}, "'digits'"),
        ("figure5", {"data": "digits"}, "figure5 are fixed.*data='digits'"),
    ],
)
def test_refused_with_a_sentence(
    trainer: Trainer, tmp_path: Path, target: str, asked: dict[str, Any], sentence: str
) -> None:
    for train in ({}, {"train": False}):
        with pytest.raises(ValueError, match=sentence):
            ss.reproduce(target, **(train | asked), runs=tmp_path)
    assert trainer.asked == []


def test_parameters_are_the_plain_values_of_a_namespace() -> None:
    namespace: dict[str, Any] = {"__name__": "__main__", "_i1": "k = 2", "In": ["k = 2"]}
    exec("import os\nk: int = 2\nname: str = 'x'\nnothing = None\nflag = False", namespace)
    assert ss.parameters(namespace) == {"k": 2, "name": "x", "nothing": None, "flag": False}


# --- Figures of similarity matrices ------------------------------------------------------------


@pytest.mark.parametrize("target", ["figure6", "figure7", "figure8"])
def test_the_figures_of_matrices_train_their_network_on_any_set_at_any_width(
    trainer: Trainer, tmp_path: Path, target: str
) -> None:
    found = ss.reproduce(target, runs=tmp_path, seeds=2)
    assert trainer.asked == [
        for_profile("swrn-40-1-8", "digits", "smoke", seed=seed) for seed in (0, 1)
    ]
    assert found.missing == [for_profile("swrn-40-8-8", "cifar10", "paper")]
    trainer.asked.clear()
    ss.reproduce(target, runs=tmp_path, profile="fast", data="cifar100", width=4)
    assert trainer.asked == [for_profile("swrn-40-4-8", "cifar100", "fast")]


def test_a_figure_shows_the_stand_ins_of_its_network_alone(
    save: Callable[..., Run], tmp_path: Path
) -> None:
    own = [save("swrn-40-1-8", "digits", "smoke"), save("swrn-40-8-8", "cifar10-jpeg", "fast")]
    for model in ("swrn-40-8", "swrn-40-8-4", "swrn-28-8-8", "wrn-40-8"):
        save(model, "cifar10", "fast")
    save("swrn-40-8-8", "cifar10", "fast", dropout=0.3)
    found = ss.reproduce("figure7", runs=tmp_path, train=False)
    assert {run.path for run in found.runs} == {run.path for run in own}
