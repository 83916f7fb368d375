"""Matching runs with rows, and the verdicts, on synthetic runs."""

import itertools
import math
import re
import statistics
from dataclasses import replace

import pytest

from softshare.paper import compare, rows
from softshare.paper.comparison import COLUMNS, NO_ROW
from softshare.paper.verdict import rule, verdict
from softshare.recipe import Recipe
from softshare.records import Run


def runs(model, errors, metric="test_error", **settings):
    """A run for each error, seeds in order."""
    recipe = Recipe(model, **settings)
    return [
        Run(replace(recipe, seed=seed), result={metric: error}, data={"name": recipe.data})
        for seed, error in enumerate(errors)
    ]


def lines(frame, **where):
    for name, wanted in where.items():
        frame = frame[frame[name] == wanted]
    return frame.to_dict("records")


def only(frame, **where):
    (line,) = lines(frame, **where)
    return line


# --- Verdicts ----------------------------------------------------------------------------------


def test_verdicts_at_their_bounds():
    assert verdict(0.1, math.nan, 1) == verdict(-0.1, 0.0, 5) == "reproduced"
    assert verdict(0.11, math.nan, 1) == verdict(0.11, 0.0, 5) == "close"
    assert verdict(4.10 - 4.00, math.nan, 1) == verdict(3.90 - 4.00, math.nan, 1) == "reproduced"
    assert verdict(4.30 - 4.00, math.nan, 1) == verdict(3.70 - 4.00, math.nan, 1) == "close"
    assert verdict(0.31, math.nan, 1) == verdict(-0.31, 0.0, 3) == "not reproduced"


def test_verdict_widens_with_the_standard_error_up_to_the_cap():
    assert verdict(0.2, 0.2, 4) == "reproduced"  # two standard errors are 0.2
    assert verdict(0.2, 0.2, 16) == "close"  # and here 0.1
    assert verdict(0.31, 9.0, 2) == "not reproduced"


def test_verdict_never_improves_with_distance_and_ignores_the_sign():
    rank = ["reproduced", "close", "not reproduced"]
    for spread, n in itertools.product((math.nan, 0.0, 0.1, 0.5), (1, 2, 5)):
        found = [rank.index(verdict(d / 100, spread, n)) for d in range(60)]
        assert found == sorted(found)
        assert found == [rank.index(verdict(-d / 100, spread, n)) for d in range(60)]


def test_the_rule_in_words_has_the_bounds_of_the_verdicts():
    found = re.search(
        r"\*reproduced\* is within (\S+) standard errors of our mean \(at least (\S+) points, all "
        r"that a single run has, and at most (\S+)\), \*close\* within (\S+) points, \*not",
        rule(),
    )
    errors, floor, cap, close = found.groups()
    for bound, spread, n in (
        (floor, math.nan, 1),
        (floor, 0.0, 5),
        (float(errors) * 0.2 / math.sqrt(4), 0.2, 4),
        (cap, 9.0, 2),
    ):
        assert verdict(float(bound), spread, n) == "reproduced"
        assert verdict(float(bound) + 0.001, spread, n) != "reproduced"
    assert verdict(float(close), 0.0, 5) == "close"
    assert verdict(float(close) + 0.001, 0.0, 5) == "not reproduced"


# --- Rows of the paper -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "expected"), [("table1", 10), ("table2", 18), ("table3", 8), ("table4", 16)]
)
def test_without_runs_every_cell_of_ours_is_not_attempted(table, expected):
    frame = compare([], table)
    assert tuple(frame.columns) == COLUMNS
    assert len(frame) == expected
    for _, line in frame.iterrows():
        assert line["verdict"] == ("not attempted" if line["model"] else "not built here")
    assert frame["model"].ne("").any()
    assert frame["n"].eq(0).all() and frame["ours"].isna().all() and frame["paper"].notna().all()
    assert list(dict.fromkeys(frame["row"])) == [row["row"] for row in rows(table)]


def test_mean_spread_and_count():
    errors = [3.70, 3.80, 3.75, 3.72, 3.78]
    line = only(compare(runs("swrn-28-10", errors), "table1"), row="SWRN 28-10", data="cifar10")
    assert (line["paper"], line["unit"], line["n"]) == (3.74, "%", 5)
    assert line["ours"] == pytest.approx(3.75)
    assert line["spread"] == pytest.approx(statistics.stdev(errors))
    assert line["difference"] == pytest.approx(0.01)
    assert (line["verdict"], line["why"], line["confidence"]) == ("reproduced", "", "high")
    assert (line["profile"], line["variant"], line["model"]) == ("paper", "cifar10", "swrn-28-10")


def test_a_single_run_has_no_spread_and_says_how_many_are_missing():
    line = only(compare(runs("swrn-28-10-1", [4.2]), "table1"), n=1)
    assert math.isnan(line["spread"])
    assert (line["verdict"], line["why"]) == ("close", "1 of 5 seeds")


def test_a_better_result_is_not_a_reproduction():
    assert only(compare(runs("swrn-28-10", [3.0]), "table1"), n=1)["verdict"] == "not reproduced"


def test_dropout_cutout_and_data_choose_the_cell():
    mixed = [
        *runs("swrn-28-10", [1.0]),
        *runs("swrn-28-10", [2.0], dropout=0.3),
        *runs("swrn-28-10", [3.0], cutout=16),
        *runs("swrn-28-10", [4.0], data="cifar100"),
    ]
    first = compare(mixed, "table1")
    assert only(first, ours=1.0)["row"] == "SWRN 28-10"
    assert only(first, ours=2.0)["row"] == "SWRN 28-10*"
    assert only(first, ours=4.0)["data"] == "cifar100"
    assert not lines(first, ours=3.0)
    assert sorted(compare(mixed, "table2")["ours"].dropna()) == [2.0]
    assert sorted(compare(mixed, "table4")["ours"].dropna()) == [3.0]
    assert compare(mixed, "table3")["ours"].isna().all()


def test_quoted_and_unclear_cells_are_marked():
    frame = compare(runs("swrn-28-10-2", [3.75], dropout=0.3), "table2")
    assert only(frame, n=1)["confidence"] == "medium"
    assert only(frame, row="DenseNet 190-40", data="cifar10")["quoted"]
    assert "another family" in only(frame, row="DenseNet 190-40", data="cifar10")["why"]
    assert only(frame, n=1)["note"].startswith("The C-10+ cell is hard to read")


def test_parameters_are_exact_where_the_network_is_ours():
    (narrow,) = runs("swrn-28-4", [9.0], cutout=16)
    narrow = replace(narrow, model={"parameters": 5_849_158})
    frame = compare([*runs("swrn-28-10-2", [2.7], cutout=16), narrow], "table4")
    own = only(frame, row="SWRN 28-10-2")
    assert (own["printed_parameters"], own["parameters"]) == ("17.1M", 17_125_630)
    other = only(frame, row=NO_ROW)
    assert (other["printed_parameters"], other["parameters"]) == ("", 5_849_158)
    searched = only(frame, row="DARTS")
    assert searched["printed_parameters"] == "3.4M" and math.isnan(searched["parameters"])
    assert (own["gpu_days"], searched["gpu_days"]) == (0.4, 4)
    assert compare([], "table1")["gpu_days"].isna().all()
    assert only(compare([], "table1"), row="SWRN 28-10", data="cifar100")["parameters"] == 36536992


def test_imagenet_measures():
    recipe = Recipe("swrn-50-2", "imagenet", epochs=90, batch_size=256, decay=0.1)
    recipe = replace(recipe, milestones=(1 / 3, 2 / 3), weight_decay=1e-4)
    frame = compare([Run(recipe, result={"test_error": 21.8, "top5_error": 6.9})], "table3")
    assert [line["paper"] for line in lines(frame, n=1)] == [21.74, 5.95]
    assert [line["verdict"] for line in lines(frame, n=1)] == ["reproduced", "not reproduced"]
    top1 = compare([Run(recipe, result={"test_error": 21.8})], "table3")
    assert [line["verdict"] for line in lines(top1, row="SWRN 50-2")] == [
        "reproduced",
        "not attempted",
    ]


# --- What is never mixed -----------------------------------------------------------------------


def test_variants_and_profiles_have_lines_of_their_own():
    mixed = [
        *runs("swrn-28-10", [3.7, 3.8]),
        *runs("swrn-28-10", [6.0, 6.2], data="cifar10-jpeg"),
        *runs("swrn-28-10", [5.0], profile="fast", epochs=30),
        *runs("swrn-28-10", [7.0], profile="fast", epochs=30, data="cifar10-jpeg"),
    ]
    found = lines(compare(mixed, "table1"), row="SWRN 28-10", data="cifar10")
    assert [(line["profile"], line["variant"], line["n"]) for line in found] == [
        ("paper", "cifar10", 2),
        ("paper", "cifar10-jpeg", 2),
        ("fast", "cifar10", 1),
        ("fast", "cifar10-jpeg", 1),
    ]
    assert [line["verdict"] for line in found] == ["reproduced"] + ["not comparable"] * 3
    assert found[1]["why"] == "trained on cifar10-jpeg, not cifar10"
    assert found[2]["why"] == "profile fast; epochs 30, not 200"
    assert found[1]["difference"] == pytest.approx(6.1 - 3.74)


def test_variant_is_what_was_read_not_what_was_asked_for():
    (run,) = runs("swrn-28-10", [3.74])
    line = only(compare([replace(run, data={"name": "cifar10-jpeg"})], "table1"), n=1)
    assert (line["variant"], line["verdict"]) == ("cifar10-jpeg", "not comparable")


def test_equal_names_with_other_content_are_not_averaged():
    one, two = runs("swrn-28-10", [3.7, 3.8])
    one = replace(one, data={"name": "cifar10", "checksum": "sha256:aa"})
    two = replace(two, data={"name": "cifar10", "checksum": "sha256:bb"})
    assert len(lines(compare([one, two], "table1"), n=1)) == 2


@pytest.mark.parametrize(
    "settings",
    [
        {"epochs": 100},
        {"lr": 0.05},
        {"milestones": (0.5,)},
        {"milestones": (0.3, 0.6, 0.9)},
        {"weight_decay": 1e-4},
        {"batch_size": 512},
        {"optimizer": "adam"},
        {"examples": 45000},
    ],
)
def test_a_setting_that_leaves_the_paper_is_named_and_kept_apart(settings):
    mixed = runs("swrn-28-10", [3.74]) + runs("swrn-28-10", [3.74], **settings)
    as_printed, other = lines(compare(mixed, "table1"), row="SWRN 28-10", data="cifar10")
    if as_printed["verdict"] == "not comparable":
        as_printed, other = other, as_printed
    assert (as_printed["n"], as_printed["verdict"]) == (1, "reproduced")
    assert (other["n"], other["verdict"]) == (1, "not comparable")
    (name,) = settings
    assert other["why"].startswith(f"{name} ") and ", not " in other["why"]


def test_one_record_counts_once():
    (run,) = runs("swrn-28-10", [3.74])
    with pytest.raises(ValueError, match=r"swrn-28-10 on cifar10 share recipe and seed 0"):
        compare([run, run], "table1")


def test_runs_are_read_once_and_their_order_does_not_matter():
    mixed = [
        *runs("swrn-28-10", [3.7, 3.9]),
        *runs("wrn-28-1", [9.0], profile="smoke", data="digits"),
        *runs("swrn-28-10", [5.0], profile="fast", epochs=30),
    ]
    assert compare(iter(mixed), "table1").equals(compare(mixed[::-1], "table1"))


# --- Runs that are no row ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "settings", "table", "stands_in_for"),
    [
        ("wrn-28-1", {}, "table1", "WRN 28-10"),
        ("swrn-28-1-1", {}, "table1", "SWRN 28-10-1"),
        ("swrn-28-1", {"dropout": 0.3}, "table1", "SWRN 28-10*"),
        ("swrn-28-1", {"dropout": 0.3}, "table2", "SWRN 28-10*"),
        ("swrn-28-17-2", {"dropout": 0.3}, "table2", "SWRN 28-18-2*"),
        ("swrn-28-1-2", {"cutout": 16}, "table4", "SWRN 28-10-2"),  # at width 4 it has no twin
        ("swrn-28-13-2", {"cutout": 16}, "table4", "SWRN 28-14-2"),
    ],
)
def test_narrow_stand_ins(model, settings, table, stands_in_for):
    frame = compare(runs(model, [9.0, 9.4], **settings), table)
    line = only(frame, row=NO_ROW)
    assert (line["model"], line["stands_in_for"], line["n"]) == (model, stands_in_for, 2)
    assert math.isnan(line["paper"]) and math.isnan(line["difference"])
    assert line["verdict"] == "not comparable"
    assert line["why"].startswith(f"{model} stands in for ")
    assert only(frame, row=stands_in_for, data="cifar10")["verdict"] == "not attempted"


def test_a_stand_in_on_a_small_set_says_everything():
    small = runs("wrn-28-1", [2.0], profile="smoke", data="digits", epochs=10)
    line = only(compare(small, "table1"), row=NO_ROW)
    assert (line["data"], line["variant"], line["profile"]) == ("digits", "digits", "smoke")
    assert line["why"] == (
        "wrn-28-1 stands in for wrn-28-10; trained on digits, not cifar10 or cifar100; "
        "profile smoke; epochs 10, not 200"
    )


def test_a_row_on_another_data_set_is_no_row():
    line = only(compare(runs("swrn-28-10", [1.0], data="digits"), "table1"), row=NO_ROW)
    assert (line["stands_in_for"], line["data"]) == ("SWRN 28-10", "digits")
    assert line["why"] == "trained on digits, not cifar10 or cifar100"


def test_a_model_without_a_row_appears_by_itself():
    line = only(compare(runs("wrn-40-4", [4.5]), "table1"), row=NO_ROW)
    assert (line["stands_in_for"], line["why"]) == ("", "the paper has no such row")
    assert not lines(compare(runs("wrn-40-4", [4.5]), "table4"), row=NO_ROW)


@pytest.mark.parametrize("model", ["swrn-28-1-4", "swrn-28-10-4", "wrn-40-4"])
def test_what_is_trained_otherwise_than_all_our_rows_is_not_in_the_table(model):
    """Table 2 trains with dropout; that the quoted DenseNets do not is no reason."""
    assert not lines(compare(runs(model, [9.0]), "table2"), row=NO_ROW)
    assert only(compare(runs(model, [9.0]), "table1"), row=NO_ROW)["stands_in_for"] == ""
    assert only(compare(runs(model, [9.0], dropout=0.3), "table2"), row=NO_ROW)["n"] == 1


def test_runs_of_another_task_are_left_out():
    paths = runs("scnn", [0.9], metric="f1", data="shortest-paths", phases=5)
    for table in ("table1", "table2", "table3", "table4"):
        assert not lines(compare(paths, table), row=NO_ROW)


def test_a_row_of_one_table_is_no_stranger_to_the_others():
    everything = [
        run
        for table in ("table1", "table2", "table4")
        for line in rows(table)
        if line["model"] and not (table == "table2" and line["row"] == "SWRN 28-10*")
        for run in runs(line["model"], [line["values"]["cifar10"]], **line["options"])
    ]
    for table in ("table1", "table2", "table4"):
        frame = compare(everything, table)
        assert not lines(frame, row=NO_ROW)
        own = frame[frame["n"] == 1]
        assert set(own["verdict"]) == {"reproduced"} and own["difference"].abs().max() == 0
        assert len(own) == sum(line["model"] is not None for line in rows(table))
