"""What is shown of the runs of a table or figure."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from softshare.recipe import for_profile
from softshare.records import Run
from softshare.reproduction import Reproduction


def test_neither_variants_nor_profiles_are_averaged(make_run: Callable[..., Run]) -> None:
    errors = {
        ("cifar10", "paper"): [4.0, 5.0],
        ("cifar10-jpeg", "paper"): [8.0, 8.5],
        ("cifar10-jpeg", "fast"): [9.0],
        ("cifar10", "fast"): [6.0, 6.2],
    }
    runs = [
        make_run(for_profile("wrn-28-10", data, profile, seed=seed), value)
        for (data, profile), values in errors.items()
        for seed, value in enumerate(values)
    ]
    table = Reproduction("table1", runs).summary()
    lines = table[table["n"] > 0]
    assert lines[["trained on", "profile", "ours (%)", "n"]].to_numpy().tolist() == [
        ["cifar10", "paper", "4.50\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}0.71", 2],
        ["cifar10-jpeg", "paper", "8.25\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}0.35", 2],
        ["cifar10", "fast", "6.10\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}0.14", 2],
        ["cifar10-jpeg", "fast", "9.00", 1],
    ]
    assert set(lines["model"]) == {"WRN 28-10"} and set(lines["paper (%)"]) == {"4.00"}


def test_the_summary_marks_what_the_paper_quotes_and_the_notes_say_why() -> None:
    for target, marked, columns in (
        ("table1", {"quoted": 4, "": 6}, set()),
        ("table2", {"quoted": 6, "unclear": 1, "": 11}, set()),
        ("table3", {"quoted": 4, "note": 2, "": 2}, {"error"}),
        ("table4", {"quoted": 10, "": 6}, {"GPU days"}),
    ):
        found = Reproduction(target)
        table = found.summary()
        assert table["mark"].value_counts().to_dict() == marked
        assert {"GPU days", "error", "settings"} & set(table.columns) == columns
        for mark in set(marked) - {""}:
            names = dict.fromkeys(table["model"][table["mark"] == mark])
            told = [line for line in found.notes().splitlines() if line.startswith(f"- *{mark}*, ")]
            assert all(any(name.replace("*", r"\*") in line for line in told) for name in names)
        assert sum(line.startswith("- *") for line in found.notes().splitlines()) >= len(marked) - 1


def test_parameters_are_as_printed_and_exact_where_the_network_is_ours(
    make_run: Callable[..., Run],
) -> None:
    run = make_run(for_profile("swrn-28-1-2", "digits", "smoke", cutout=4))
    run.model["parameters"] = 175_710
    table = Reproduction("table4", [run]).summary().set_index("model")
    assert table.loc["SWRN 28-10-2", "parameters"] == "17.1M (17,125,630)"
    assert table.loc["DARTS", ["parameters", "GPU days"]].tolist() == ["3.4M", "4"]
    assert table.loc["SWRN 28-1-2", ["parameters", "GPU days"]].tolist() == ["175,710", ""]


@pytest.mark.usefixtures("on_paper")
def test_matrices_are_shown_for_each_kept_epoch_that_is_asked_for(
    make_run: Callable[..., Run],
) -> None:
    alpha = {"stage1": torch.eye(10, 8).tolist()}
    run = make_run(for_profile("swrn-40-1-8", "digits", "smoke"), alpha=alpha)
    run.coefficients["0"] = run.coefficients["1"] = alpha
    found = Reproduction("figure8", [run])
    assert len(found.similarities()) == 1
    shown = found.similarities([0, 1, 5, 10])
    titles = [ax.figure.get_suptitle() for ax in shown]
    assert titles == [f"SWRN 40-1-8, seed 0, epoch {epoch}" for epoch in (0, 1, 10)]
    assert list(found.patterns([1, 5])["epoch"]) == [1]
    assert "whose similarities change is recorded yet" in found.findings()
    seven = Reproduction("figure7", [run]).findings()
    assert "SWRN 40-1-8 (digits, seed 0): similarity" in seven
