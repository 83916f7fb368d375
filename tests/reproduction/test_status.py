"""The status page lists each number of the paper once, and follows the records."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from softshare import paper
from softshare.recipe import Recipe, for_profile
from softshare.records import Run
from softshare.reproduction import status

Make = Callable[..., Run]


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    runs: list[Run] = []
    monkeypatch.setattr(status, "load_runs", lambda: runs)
    return runs


def line(row: str, data: str, table: str = "Table 1") -> dict[str, Any]:
    found = status.tables()
    chosen = (found["table"] == table) & (found["row"] == row) & (found["data"] == data)
    (only,) = found[chosen].to_dict("records")
    return only


def state(figure: str) -> tuple[str, int]:
    found = status.figures()
    (only,) = found[found["figure"].str.startswith(figure)].to_dict("records")
    return only["state"], only["runs at its settings"] + only["other runs"]


def test_each_number_of_a_network_we_build_appears_once(recorded: list[Run]) -> None:
    found = status.tables()
    shown = sorted(zip(found["table"], found["row"], found["paper"], strict=True))
    wanted = []
    for table in paper.load()["tables"].values():
        for row in table["rows"]:
            for key, about in table["columns"].items():
                if row["model"] and about["metric"]:
                    number = f"{row['values'][key]:.2f} {about['unit']}"
                    wanted.append((table["source"], row["row"], number))
    assert shown == sorted(wanted)
    assert not found.duplicated(["table", "row", "data"]).any()
    assert set(found["verdict"]) == {"not attempted"}
    counts = ["runs judged", "other runs", "stand-ins"]
    assert found[counts].to_numpy().sum() == 0


def test_imagenet_has_both_measures_of_one_run(recorded: list[Run]) -> None:
    assert line("SWRN 50-2", "imagenet, Top-1", "Table 3")["paper"] == "21.74 %"
    assert line("SWRN 50-2", "imagenet, Top-5", "Table 3")["paper"] == "5.95 %"
    found = status.tables()
    found = found[found["table"] == "Table 3"]
    assert found["command"].nunique() == found["row"].nunique() == 2
    assert found["command"].iloc[0].endswith("train wrn-50-2 --data imagenet --profile paper")
    epoch = 68.4e9 * 1_281_167  # facts of a forward and a backward pass at 224 pixels
    assert found["cost of a run (EFLOP)"].iloc[0] == pytest.approx(90 * epoch / 1e18, rel=0.01)


def test_the_cost_of_a_run_by_hand(recorded: list[Run]) -> None:
    cost = line("WRN 28-10", "cifar10")["cost of a run (EFLOP)"]
    each = 3 * 16 * 9 * 32**2 + 640 * 10  # stem and classifier of WRN 28-10, in MACs
    for i, o, side in ((16, 160, 32), (160, 320, 16), (320, 640, 8)):
        each += (9 * i * o + i * o + 7 * 9 * o * o) * side**2  # four blocks and a 1x1 shortcut
    assert cost == pytest.approx(6 * each * 50_000 * 200 / 1e18)
    assert line("SWRN 28-10-1", "cifar100")["cost of a run (EFLOP)"] == pytest.approx(
        cost, rel=1e-3
    )


def test_each_measure_has_its_own_verdict(recorded: list[Run], make_run: Make) -> None:
    recipe = for_profile("swrn-50-2")  # which must be the paper's, to be judged at all
    result = {"test_error": 21.75, "top5_error": 6.9}
    recorded += [replace(make_run(recipe), result=result)]
    assert line("SWRN 50-2", "imagenet, Top-1", "Table 3")["verdict"] == "reproduced"
    assert line("SWRN 50-2", "imagenet, Top-5", "Table 3")["verdict"] == "not reproduced"


@pytest.mark.parametrize(
    ("errors", "verdict"),
    [([4.05], "reproduced"), ([4.25], "close"), ([4.5, 4.6], "not reproduced")],
)
def test_the_verdict_follows_the_records(
    recorded: list[Run], make_run: Make, errors: list[float], verdict: str
) -> None:
    recorded += [make_run(for_profile("wrn-28-10", seed=i), e) for i, e in enumerate(errors)]
    found = line("WRN 28-10", "cifar10")
    assert (found["verdict"], found["runs judged"]) == (verdict, len(errors))
    assert line("WRN 28-10", "cifar100")["verdict"] == "not attempted"
    assert line("WRN 28-10*", "cifar10")["verdict"] == "not attempted"


def test_other_settings_beside_the_papers_own_do_not_hide_the_verdict(
    recorded: list[Run], make_run: Make
) -> None:
    def shown() -> tuple[Any, ...]:
        found = line("SWRN 28-10", "cifar10")
        return found["verdict"], found["runs judged"], found["other runs"]

    recorded += [make_run(for_profile("swrn-28-10", epochs=100), 5.0)]
    assert shown() == ("not comparable", 0, 1)
    recorded += [
        make_run(for_profile("swrn-28-10"), 3.74),
        make_run(for_profile("swrn-28-10", "cifar10-jpeg", "fast"), 7.0),
    ]
    assert shown() == ("reproduced", 1, 2), "a verdict rests on the paper's own setting alone"


def test_stand_ins_count_on_copies_of_their_own_set(recorded: list[Run], make_run: Make) -> None:
    recorded += [
        make_run(for_profile("swrn-28-1", data, "fast", seed=seed))
        for data, seeds in {"cifar10": 1, "cifar10-jpeg": 2, "cifar100": 4, "digits": 8}.items()
        for seed in range(seeds)
    ]
    assert line("SWRN 28-10", "cifar10")["stand-ins"] == 3
    assert line("SWRN 28-10", "cifar100")["stand-ins"] == 4
    assert line("SWRN 28-10*", "cifar100")["stand-ins"] == 0
    assert line("SWRN 28-10", "cifar10")["verdict"] == "not attempted"


def test_stand_ins_of_a_figure_count_on_copies_of_its_own_set(
    recorded: list[Run], make_run: Make
) -> None:
    recorded += [
        make_run(for_profile(model, data, "fast", seed=seed))
        for model in ("swrn-40-1-8", "swrn-40-1", "wrn-40-1")
        for data, seeds in {"cifar10": 1, "cifar10-jpeg": 2, "digits": 4}.items()
        for seed in range(seeds)
    ]
    recorded += [make_run(for_profile("swrn-40-8-8", seed=7))]
    recorded += [make_run(replace(recorded[0].recipe, init="normal"))]
    found = status.figures().set_index("figure")["stand-ins"]
    assert found[["Figure 6", "Figure 7", "Figure 8"]].tolist() == [3, 3, 3]
    assert found["Figure 4"] == found["Figure 5"] == 0
    assert found["Figure 3"] == 6, "WRN 40-1 and SWRN 40-1 for those of width 4"
    assert state("Figure 6") == ("recorded at the paper's settings", 1)


def test_images_encoded_for_a_run_stand_in_for_none(recorded: list[Run], make_run: Make) -> None:
    for model in ("swrn-28-1", "swrn-28-10", "swrn-40-1-8"):
        recorded += [make_run(for_profile(model, "cifar10-jpeg-q50", "fast"))]
    about = line("SWRN 28-10", "cifar10")
    assert (about["other runs"], about["stand-ins"]) == (0, 0)
    assert not status.figures()[["other runs", "stand-ins"]].any(axis=None)


def test_every_command_trains_what_fills_its_line(recorded: list[Run], make_run: Make) -> None:
    parse = pytest.importorskip("softshare.commands").parse
    found = status.tables()
    filling: dict[Recipe, Run] = {}
    for _, line in found.iterrows():
        asked = parse(shlex.split(line["command"])[3:])
        given = {"dropout": asked.dropout, "cutout": asked.cutout}
        settings = {name: value for name, value in given.items() if value is not None}
        recipe = for_profile(asked.model, asked.data, asked.profile, **settings)
        metric = "top5_error" if line["data"] == "imagenet, Top-5" else "test_error"
        run = filling.get(recipe, make_run(recipe))
        known = {
            **(run.result if recipe in filling else {}),
            metric: float(line["paper"].split()[0]),
        }
        filling[recipe] = replace(run, result=known)
    recorded += filling.values()
    assert set(status.tables()["verdict"]) == {"reproduced"}


def test_figures_say_how_much_of_them_is_recorded(recorded: list[Run], make_run: Make) -> None:
    assert status.figures()["figure"].str[-1].tolist() == list("345678B")
    assert state("Figure 5") == ("not attempted", 0)
    recorded += [make_run(for_profile("cnn", profile="fast"))]
    assert state("Figure 5") == ("recorded at profile fast: not comparable", 1)
    recorded += [make_run(for_profile("scnn", epochs=2))]
    assert state("Figure 5") == ("recorded at profile fast, paper: not comparable", 2)
    recorded += [make_run(for_profile("scnn", seed=3))]
    assert state("Figure 5") == ("recorded at the paper's settings for 1 of 3 networks", 3)
    recorded += [make_run(for_profile(model)) for model in ("cnn", "scnn-r")]
    assert state("Figure 5") == ("recorded at the paper's settings", 5)
    found = status.figures().set_index("title")
    counts = found.filter(regex="^Shortest", axis=0)[["runs at its settings", "other runs"]]
    assert counts.to_numpy().tolist() == [[3, 2]]
    assert state("Figure 6") == ("not attempted", 0)
    recorded += [make_run(for_profile("wrn-28-2", data)) for data in ("cifar10", "cifar100")]
    assert state("Figure 3") == ("recorded at the paper's settings for 2 of 16 networks", 2)


def test_appendix_b_counts_its_variants_and_figures_do_not(
    recorded: list[Run], make_run: Make
) -> None:
    assert state("Appendix B") == ("not attempted", 0)
    narrow = for_profile("swrn-28-1", "digits", "smoke", init="normal")
    recorded += [make_run(narrow), make_run(replace(narrow, data="cifar10-jpeg"))]
    assert state("Appendix B") == ("not attempted", 0)
    assert status.figures()["stand-ins"].tolist()[-1] == 1, "that on a copy of its own set"
    recorded += [make_run(for_profile("swrn-28-4", "digits", "smoke", init="normal"))]
    assert state("Appendix B") == ("recorded at profile smoke: not comparable", 1)
    recorded += [make_run(for_profile("swrn-28-4", coefficients="unit", seed=2))]
    assert state("Appendix B") == ("recorded at the paper's settings for 1 of 9 networks", 2)
    assert state("Figure 3") == ("not attempted", 0)


def test_a_figure_on_another_set_is_not_the_papers(recorded: list[Run], make_run: Make) -> None:
    run = make_run(for_profile("swrn-40-8-8", "cifar10-jpeg"))
    recorded += [run]
    assert state("Figure 7") == ("recorded at profile paper: not comparable", 1)
    recorded += [replace(run, recipe=for_profile("swrn-40-8-8"))]
    assert state("Figure 7") == ("recorded at the paper's settings", 2)
