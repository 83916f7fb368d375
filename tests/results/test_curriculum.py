"""F1 over the curriculum, in numbers and sentences, by hand."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import product

import pytest

from softshare.recipe import for_profile
from softshare.records import Run
from softshare.results.curriculum import curve_sentences, phase_scores

Make = Callable[..., Run]


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
    assert "1 time in 2 runs (CNN 1), never in the last;" in line


def test_one_phase_and_no_run_have_their_sentences(make_run: Make) -> None:
    told = curve_sentences([make_run(for_profile("cnn", phases=1, epochs=2))])
    assert not any("new phase" in line or "nan" in line for line in told)
    assert curve_sentences([]) == ["No run of the shortest-path task is recorded yet."]


def test_similarity_is_the_mean_off_the_diagonal(make_run: Make) -> None:
    alpha = {"body": [[1.0, 0.0], [0.0, 2.0], [-3.0, 3.0]]}  # pairs: 0, 1/sqrt 2, 1/sqrt 2
    run = make_run(for_profile("scnn", profile="smoke"), alpha=alpha)
    text = "\n".join(curve_sentences([run]))
    found = re.search(r"off-diagonal similarity at the end: SCNN (\d\.\d+)\.", text)
    assert found and float(found[1]) == round(2 / 3 / math.sqrt(2), 3)


def test_a_network_folded_whole_is_told_by_its_last_folding(make_run: Make) -> None:
    run = make_run(for_profile("scnn", profile="smoke"))
    assert "folded into one" not in "\n".join(curve_sentences([run]))
    run.model["parameters"] = 300
    folded = [
        {"threshold": 0.9, "parameters": 200, "f1": 0.4},
        {"threshold": 0.1, "parameters": 100, "f1": 0.2},
    ]
    told = curve_sentences([replace(run, folded=folded)])
    (line,) = [line for line in told if "folded into one" in line]
    assert line.endswith("100 of 300 parameters, 0.500 before and 0.200 after (n = 1).")
    run.origin["folded"] = "on cpu in float32, from the kept weights"
    assert "(n = 1, 1 of them measured on cpu in float32, from the kept weights)." in "\n".join(
        curve_sentences([replace(run, folded=folded)])
    )
