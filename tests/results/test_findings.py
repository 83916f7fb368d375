"""What runs say: differences and their noise, by hand; and that only like is set beside like."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import pytest
import torch
from scipy.stats import ttest_ind

from softshare.recipe import Recipe, for_profile
from softshare.records import Run
from softshare.results.curriculum import curve_sentences, phase_scores
from softshare.results.findings import alike, contrasts

Make = Callable[..., Run]


def digits(model: str, **settings: Any) -> Recipe:
    return for_profile(model, "digits", "smoke", **settings)


# --- Which runs may be compared ----------------------------------------------------------------


def test_the_set_of_most_models_is_chosen(make_run: Make) -> None:
    fast = partial(for_profile, data="digits", profile="fast")
    best = [
        make_run(fast(model, seed=seed, dropout=dropout))
        for model in ("wrn-28-1", "swrn-28-1", "swrn-28-1-1")
        for seed in (0, 1)
        for dropout in (0.0, 0.3)
    ]
    others = [
        make_run(recipe)
        for recipe in (
            *(for_profile(model, "cifar10", "paper") for model in ("wrn-28-10", "swrn-28-10")),
            *(fast(model, epochs=3) for model in ("wrn-28-1", "swrn-28-1", "swrn-28-1-1")),
            *(fast(model) for model in ("wrn-28-2", "swrn-28-2", "swrn-28-2-1")),
        )
    ]
    assert alike(others + best) == best
    assert alike([*others, *best], among=[others[0].path]) == others[:2]
    assert alike(others, among=[others[4].path]) == others[2:5]


def test_the_better_profile_wins_among_sets_of_as_many_models(make_run: Make) -> None:
    models = ("wrn-28-1", "swrn-28-1")
    sets = [
        [make_run(for_profile(model, "cifar10", profile)) for model in models]
        for profile in ("smoke", "paper", "fast")
    ]
    assert alike([*sets[0], *sets[1], *sets[2]]) == sets[1]
    assert alike(sets[0] + sets[2]) == sets[2]


def test_a_demonstration_of_more_models_comes_after_a_result_of_fewer(make_run: Make) -> None:
    shown = [make_run(for_profile(model, profile="smoke")) for model in ("wrn-28-1", "swrn-28-1")]
    result = [make_run(for_profile("wrn-28-1", "cifar10-jpeg", "fast"))]
    assert alike(shown + result) == result
    assert alike(shown) == shown
    assert alike(shown + result, among=[shown[0].path]) == shown, "what was trained just now"


def test_the_profiles_own_settings_win_among_sets_of_as_many_models(make_run: Make) -> None:
    models = ("cnn", "scnn", "scnn-r")
    own = {"profile": "fast", "epochs": 2}
    other = [make_run(for_profile(m, batch_size=64, **own)) for m in models]
    fewer = [make_run(for_profile(m, **own)) for m in models]
    assert alike(other + fewer) == fewer
    assert alike(fewer + other) == fewer
    assert alike(other + fewer[1:]) == other


@pytest.mark.parametrize(
    "settings",
    [
        {"epochs": 5},
        {"lr": 0.05},
        {"milestones": (0.5,)},
        {"batch_size": 64},
        {"weight_decay": 0.0},
        {"optimizer": "adam"},
        {"recurrence": 0.01},
        {"cutout": 4},
        {"examples": 500},
    ],
)
def test_runs_that_differ_in_any_setting_are_kept_apart(
    make_run: Make, settings: dict[str, Any]
) -> None:
    plain, shared = make_run(digits("wrn-28-1")), make_run(digits("swrn-28-1", **settings))
    assert len(alike([plain, shared])) == 1
    assert contrasts([plain, shared], "table1").empty
    twin = make_run(digits("wrn-28-1", **settings))
    assert alike([plain, shared, twin]) == [shared, twin]
    assert len(contrasts([plain, shared, twin], "table1")) == 1


def test_runs_on_other_images_are_kept_apart(make_run: Make) -> None:
    one = make_run(for_profile("wrn-28-1", "cifar10"))
    for other in (
        make_run(for_profile("swrn-28-1", "cifar10-jpeg")),
        make_run(for_profile("swrn-28-1", "cifar10"), checksum="sha256:11"),
    ):
        assert len(alike([one, other])) == 1
        assert contrasts([one, other], "table1").empty


def test_the_networks_of_figure_5_are_alike_though_each_seed_draws_its_grids(
    make_run: Make,
) -> None:
    runs = [
        make_run(for_profile(model, profile="fast", seed=seed), checksum=f"sha256:{seed}")
        for model in ("cnn", "scnn", "scnn-r")
        for seed in (0, 1)
    ]
    assert alike(runs) == runs
    other = make_run(for_profile("scnn-r", profile="fast", recurrence=0.1))
    assert alike([*runs, other]) == runs


# --- Shared networks against plain ones --------------------------------------------------------


def test_differences_and_their_uncertainty_by_hand(make_run: Make) -> None:
    errors = {"wrn-28-1": [10.0, 12.0, 11.0], "swrn-28-1": [9.0, 8.0], "swrn-28-1-1": [20.0]}
    runs = [
        make_run(for_profile(model, "cifar100", "fast", seed=seed), error)
        for model, values in errors.items()
        for seed, error in enumerate(values)
    ]
    table = contrasts(runs, "table1").to_dict("records")
    assert [(line["shared"], line["against"]) for line in table] == [
        ("SWRN 28-1", "WRN 28-1"),
        ("SWRN 28-1-1", "WRN 28-1"),
        ("SWRN 28-1-1", "SWRN 28-1"),
    ]
    assert [line["n"] for line in table] == ["2 and 3", "1 and 3", "1 and 2"]
    assert [line["ours"] for line in table] == [pytest.approx(d) for d in (-2.5, 9.0, 11.5)]
    both, *single = table
    assert both["uncertainty"] == pytest.approx(math.sqrt(1 / 3 + 0.5 / 2))  # of their seeds
    assert both["p"] == pytest.approx(
        ttest_ind(errors["swrn-28-1"], errors["wrn-28-1"], equal_var=False).pvalue
    )
    for line, pair, seeds in zip(
        single,
        ((0.2, 0.11), (0.2, 0.085)),
        (1 / 3, 0.5 / 2),  # a network that was trained once adds nothing
        strict=True,
    ):
        images = torch.distributions.Binomial(400, torch.tensor(pair)).variance / 4**2
        assert line["uncertainty"] == pytest.approx(math.sqrt(images.sum() + seeds), rel=1e-5)
    assert [line["here"] for line in table] == ["better", "worse", "worse"]
    assert [line["paper"] for line in table] == [
        pytest.approx(18.78 - 19.25),
        pytest.approx(19.73 - 19.25),
        pytest.approx(19.73 - 18.78),
    ]
    assert {(line["trained on"], line["profile"], line["epochs"]) for line in table} == {
        ("cifar100", "fast", 30)
    }


@pytest.mark.parametrize(
    ("table", "shared", "plain", "settings", "pair", "paper"),
    [
        (
            "table1",
            "swrn-28-10",
            "wrn-28-10",
            {},
            "SWRN 28-10 against WRN 28-10 (quoted)",
            3.74 - 4.0,
        ),
        (
            "table1",
            "swrn-28-1",
            "wrn-28-1",
            {},
            "SWRN 28-10 against WRN 28-10 (quoted)",
            3.74 - 4.0,
        ),
        (
            "table1",
            "swrn-28-1",
            "wrn-28-1",
            {"dropout": 0.3},
            r"SWRN 28-10* against WRN 28-10* (quoted)",
            3.88 - 3.89,
        ),
        ("table1", "swrn-28-10-2", "wrn-28-10", {}, "", math.nan),
        (
            "table2",
            "swrn-28-14-2",
            "swrn-28-14",
            {"dropout": 0.3},
            "SWRN 28-14-2* against SWRN 28-14*",
            3.69 - 3.67,
        ),
        (
            "table4",
            "swrn-28-10-2",
            "wrn-28-10",
            {"cutout": 16},
            "SWRN 28-10-2 against WRN 28-10 (quoted)",
            2.69 - 3.08,
        ),
        (
            "table4",
            "swrn-28-1-2",
            "wrn-28-1",
            {"cutout": 16},
            "SWRN 28-10-2 against WRN 28-10 (quoted)",
            2.69 - 3.08,
        ),
        ("table4", "swrn-28-4-2", "wrn-28-4", {"cutout": 16}, "", math.nan),  # of widths 4 and 10
    ],
)
def test_the_papers_difference_is_that_of_rows_of_one_width(
    make_run: Make,
    table: str,
    shared: str,
    plain: str,
    settings: dict[str, Any],
    pair: str,
    paper: float,
) -> None:
    runs = [make_run(for_profile(m, "cifar10", "fast", **settings)) for m in (shared, plain)]
    (line,) = contrasts(runs, table).to_dict("records")
    assert line["pair in the paper"] == (f"{pair} on cifar10" if pair else "")
    assert line["paper"] == pytest.approx(paper, nan_ok=True)


# --- The curriculum ----------------------------------------------------------------------------

CURVES = {  # two phases of three epochs, two seeds
    "cnn": [[0.1, 0.3, 0.5, 0.2, 0.4, 0.6], [0.3, 0.3, 0.7, 0.4, 0.4, 0.4]],
    "scnn": [[0.3, 0.4, 0.7, 0.6, 0.7, 0.9], [0.2, 0.4, 0.6, 0.8, 0.7, 0.7]],
}


@pytest.fixture
def paths(make_run: Make) -> list[Run]:
    return [
        make_run(for_profile(model, profile="fast", phases=2, epochs=3, seed=seed), curve=curve)
        for model, curves in CURVES.items()
        for seed, curve in enumerate(curves)
    ]


@pytest.mark.parametrize("epoch", [-3, -1, 0, 1, 2])
def test_phase_scores_are_means_and_spreads_over_seeds_of_one_epoch_of_each_phase(
    paths: list[Run], epoch: int
) -> None:
    table = phase_scores(paths, epoch)
    assert table["model"].tolist() == ["CNN", "SCNN"] and set(table["F1"]) == {"as it stood"}
    assert table["seeds"].tolist() == [2, 2] and set(table["epochs a phase"]) == {3}
    for (model, curves), phase in product(CURVES.items(), (0, 1)):
        a, b = (curve[3 * phase + epoch % 3] for curve in curves)
        wanted = f"{(a + b) / 2:.3f} ± {abs(a - b) / math.sqrt(2):.3f}"
        line = table[table["model"] == model.upper()]
        assert line[f"phase {phase + 1}"].item() == wanted


@pytest.mark.parametrize("epoch", [3, -4])
def test_an_epoch_that_no_phase_has_is_refused(paths: list[Run], epoch: int) -> None:
    with pytest.raises(ValueError, match=f"A phase of cnn has 3 epochs.*got epoch {epoch}"):
        phase_scores(paths, epoch)


def test_phase_scores_of_nothing_are_empty() -> None:
    assert phase_scores([]).empty and "model" in phase_scores([]).columns


def told(*names: str, of: Callable[[list[float]], float]) -> str:
    """The networks in this order, with a number of their curves over both seeds."""
    parts = []
    for name in names:
        found = [of(curve) for curve in CURVES[name]]
        spread = abs(found[0] - found[1]) / math.sqrt(2)  # of two numbers
        parts.append(f"{name.upper()} {sum(found) / 2:.3f} ± {spread:.3f} (n = 2)")
    return ", ".join(parts) + "."


def test_curve_sentences_order_the_networks_by_numbers_of_the_curves(paths: list[Run]) -> None:
    text = "\n".join(curve_sentences(paths))
    for what, of in {
        "at the end of the last phase": lambda curve: curve[-1],
        "after the very first epoch": lambda curve: curve[0],
        "after the first epoch of a new phase, mean over phases 2 on": lambda curve: curve[3],
        "averaged over all epochs": lambda curve: sum(curve) / 6,
    }.items():
        assert f"F1 {what}: {told('scnn', 'cnn', of=of)}" in text
    assert "SCNN 0.800" in text and "CNN 0.500" in text
    alone = "\n".join(curve_sentences([run for run in paths if run.seed == 0]))
    assert "±" not in alone
    assert "fell by more than" not in text


def test_networks_are_compared_by_the_steadier_curve_where_all_have_it(paths: list[Run]) -> None:
    for run in paths:
        run.curves["f1_recalibrated"] = [1 - f1 for f1 in run.curves["f1"]]
    text = "\n".join(curve_sentences(paths))
    assert f"F1 at the end of the last phase: {told('scnn', 'cnn', of=lambda c: c[-1])}" in text
    anew = "F1, batch normalisation estimated anew,"
    for what, at in {"at the end of the last phase": -1, "after the very first epoch": 0}.items():
        expected = told("cnn", "scnn", of=lambda curve, at=at: 1 - curve[at])
        assert f"{anew} {what}: {expected}" in text
    assert f"{anew} after the first epoch of a new phase, mean over phases 2 on: CNN 0.7" in text
    last = phase_scores(paths).set_index("model")["phase 2"]
    as_it_is = phase_scores(paths, metric="f1").set_index("model")["phase 2"]
    assert last.to_dict() == {"CNN": "0.500 ± 0.141", "SCNN": "0.200 ± 0.141"}
    assert as_it_is.to_dict() == {"CNN": "0.500 ± 0.141", "SCNN": "0.800 ± 0.141"}
    assert set(phase_scores(paths)["F1"]) == {"batch norm. anew"}
    del paths[0].curves["f1_recalibrated"]
    assert "estimated anew" not in "\n".join(curve_sentences(paths))
    assert phase_scores(paths).set_index("model")["phase 2"].equals(as_it_is)


def test_a_collapse_inside_a_phase_is_told_one_between_phases_is_not(make_run: Make) -> None:
    recipe = partial(for_profile, "cnn", profile="fast", phases=2, epochs=3)
    curves = [[0.9, 0.5, 0.9, 0.1, 0.5, 0.1], [0.9, 0.5, 0.9, 0.1, 0.1, 0.1], [0.5] * 6]
    runs = [make_run(recipe(seed=i), curve=curve) for i, curve in enumerate(curves)]
    (line,) = [line for line in curve_sentences(runs) if "fell by more than" in line]
    assert "3 times in 3 runs (CNN 3), in the very last epoch of CNN, seed 0;" in line
    (line,) = [line for line in curve_sentences(runs[1:]) if "fell by more than" in line]
    assert "1 time in 2 runs (CNN 1), in the very last epoch of none;" in line


def test_one_phase_and_no_run_have_their_sentences(make_run: Make) -> None:
    told = curve_sentences([make_run(for_profile("cnn", phases=1, epochs=2))])
    assert not any("new phase" in line or "nan" in line for line in told)
    assert curve_sentences([]) == ["No run of the shortest-path task is recorded yet."]


def test_similarity_is_the_mean_off_the_diagonal(make_run: Make) -> None:
    alpha = {"body": [[1.0, 0.0], [0.0, 2.0], [-3.0, 3.0]]}  # pairs: 0, 1/sqrt 2, 1/sqrt 2
    run = make_run(for_profile("scnn", profile="smoke"), alpha=alpha)
    text = "\n".join(curve_sentences([run]))
    found = re.search(r"off-diagonal similarity of SCNN, seed 0, at the end: (\d\.\d+)\.", text)
    assert found and float(found[1]) == round(2 / 3 / math.sqrt(2), 2)
