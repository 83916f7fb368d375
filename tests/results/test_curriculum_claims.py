"""The paper's claims of Figure 5: each is judged by hand-made curves, and never by one run."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from scipy.stats import t, ttest_rel

from softshare import paper
from softshare.recipe import for_profile
from softshare.records import Run
from softshare.results.curriculum_claims import sentences
from softshare.results.curriculum_comparison import verdict
from softshare.wording import p_value

Make = Callable[..., Run]


@pytest.fixture
def make(make_run: Make) -> Callable[..., list[Run]]:
    """Runs of two phases of two epochs: a curve a network, moved up and down over three seeds."""

    def make(curves: dict[str, list[float]], seeds: int = 3, apart: float = 0.01) -> list[Run]:
        return [
            make_run(
                for_profile(model, profile="fast", phases=2, epochs=2, seed=seed),
                curve=[f1 + apart * (seed - 1) for f1 in curve],
            )
            for model, curve in curves.items()
            for seed in range(seeds)
        ]

    return make


AS_THE_PAPER = {
    "cnn": [0.1, 0.4, 0.2, 0.4],
    "scnn": [0.2, 0.5, 0.5, 0.7],
    "scnn-r": [0.4, 0.6, 0.3, 0.5],
}


def verdicts(runs: list[Run]) -> list[list[str]]:
    return [line.split("**")[1::2] for line in sentences(runs) if line.startswith("The paper:")]


def test_curves_as_the_paper_tells_them_bear_out_every_claim(
    make: Callable[..., list[Run]],
) -> None:
    assert verdicts(make(AS_THE_PAPER)) == [["seen"], ["seen"], ["seen"] * 2, ["seen"] * 2]
    assert verdicts(make({model: [1 - f1 for f1 in c] for model, c in AS_THE_PAPER.items()})) == [
        *(["the opposite"], ["the opposite"], ["the opposite"] * 2, ["the opposite"] * 2)
    ]


def test_a_wide_spread_tells_nothing_apart(make: Callable[..., list[Run]]) -> None:
    found = verdicts(make(AS_THE_PAPER, apart=0.5))
    assert {each for claim in found for each in claim} == {"not told apart"}


def test_one_run_has_no_spread_to_judge_by(make: Callable[..., list[Run]]) -> None:
    runs = make(AS_THE_PAPER)
    alone = [run for run in runs if run.recipe.model != "scnn" or run.seed == 1]
    assert all("one run has no spread" in each for claim in verdicts(alone) for each in claim)
    (first, *_) = sentences(alone)
    assert "at the end of the last phase 0.700 (n = 1) against 0.400 ± 0.010 (n = 3)" in first


def test_the_edge_is_that_of_students_t() -> None:
    """Of equal sizes and variances Welch's test is Student's, here with two degrees of freedom."""
    ahead, behind = [0.0, 2.0], [-1.0, 1.0]  # a difference of 1 with standard error sqrt(2)
    edge = 4.302653 * math.sqrt(2)  # the 97.5th percentile, from a printed table
    assert verdict([x - 1 + edge + 0.01 for x in ahead], behind) == "seen"
    assert verdict([x - 1 + edge - 0.01 for x in ahead], behind) == "not told apart"
    assert verdict([x - 1 - edge - 0.01 for x in ahead], behind) == "the opposite"


def test_each_comparison_shows_how_often_chance_would_part_alike_networks(
    make: Callable[..., list[Run]],
) -> None:
    *told, by, _ = sentences(make(AS_THE_PAPER, apart=0.5))
    shown = [float(p) for line in told for p in re.findall(r"\(p = ([\d.e-]+),", line)]
    assert len(shown) == 6
    assert "Here 6 comparisons are made; by Holm's rule, which allows for that, none of them" in by
    assert all(0.05 < p <= 1 for p in shown)
    student = 2 * t.sf(0.3 / (0.5 * math.sqrt(2 / 3)), df=4)  # SCNN's 0.7 against CNN's 0.4
    assert shown[0] == pytest.approx(student, rel=0.05)
    reach = t.ppf(0.975, df=4) * 0.5 * math.sqrt(2 / 3)
    assert f"lies between {0.3 - reach:+.3f} and {0.3 + reach:+.3f})" in told[0]


def test_runs_of_the_same_seeds_are_compared_in_pairs_too(make: Callable[..., list[Run]]) -> None:
    runs = make(AS_THE_PAPER, apart=0.5)
    for run, off in zip(runs, (0.0, 0.2, -0.1, 0.1, 0.0, 0.0), strict=False):
        run.curves["f1"][-1] += off
    ends = {m: [r.curves["f1"][-1] for r in runs if r.recipe.model == m] for m in AS_THE_PAPER}
    told = sentences(list(reversed(runs)))
    p = ttest_rel(ends["scnn"], ends["cnn"]).pvalue
    assert f", by seed p {p_value(p)}; the difference" in told[0]
    assert told == sentences(runs), "in whatever order they are found"
    assert "seen" not in told[0].split("Ours:")[1], "no verdict rests on it"
    less = sentences([run for run in runs if run.recipe.model != "cnn" or run.seed])
    assert "by seed p" not in less[0] + less[1] and "by seed p" in less[2]


def test_what_cannot_be_measured_is_named(make: Callable[..., list[Run]], make_run: Make) -> None:
    text = "\n".join(sentences(make({"cnn": AS_THE_PAPER["cnn"]})))
    assert text.count("no run of SCNN.") == 2 and "no run of SCNN-R or SCNN." in text
    one_phase = [make_run(for_profile(m, phases=1, epochs=2)) for m in ("cnn", "scnn")]
    assert "(Figure 5 caption). Ours: no second phase." in sentences(one_phase)[1]
    assert sentences([]) == ["No run of the shortest-path task is recorded yet."]


def test_the_curve_and_its_length_are_named(make: Callable[..., list[Run]], make_run: Make) -> None:
    runs = make(AS_THE_PAPER)
    *_, by, short = sentences(runs)
    assert by.startswith("All by F1 as mean")
    assert "2 epochs a phase where the paper has 50" in short
    for run in runs:
        run.curves["f1_recalibrated"] = [1 - f1 for f1 in run.curves["f1"]]
    *_, by, other, _ = sentences(runs)
    assert by.startswith("All by F1, batch normalisation estimated anew, as mean")
    assert other.startswith("The same comparisons by F1 as training left it: SCNN against CNN at ")
    assert other.split("**")[1::2] == ["seen"] * 6, "where the other curve has the opposite"
    assert verdicts(runs)[0] == ["the opposite"] and "0.700 ± 0.010 against 0.400" in other
    assert not any(
        "where the paper has" in line for line in sentences([make_run(for_profile("cnn"))])
    )


def test_every_claim_names_its_place_in_the_paper(make: Callable[..., list[Run]]) -> None:
    names = ("better", "adapts_faster", "first_phase_faster", "adapts_better")
    for name, line in zip(names, sentences(make(AS_THE_PAPER)), strict=False):
        fact = paper.fact(f"figures/figure5/{name}")
        first, second = (model.upper() for model in fact.value)
        assert line.startswith(f"The paper: {first} ")
        assert f" {second} ({fact.source}). Ours: " in line


def test_layers_that_became_one_are_told_with_when_and_at_what_price(make_run: Make) -> None:
    """Alike by the cosine: one row may be the other times any number."""
    same, other = [[1.0, 2.0], [-2.0, -4.0]], [[1.0, 2.0], [2.0, -1.0]]

    def run(seed: int, **kept: list[list[float]]) -> Run:
        made = make_run(for_profile("scnn-r", phases=2, epochs=5, seed=seed), curve=[0.5] * 10)
        coefficients = {epoch[1:]: {"body": rows} for epoch, rows in kept.items()}
        folded = [
            {"threshold": 1.0, "parameters": 2000, "f1": 0.4},
            {"threshold": 0.5, "parameters": 1000, "f1": 0.1 + 0.2 * seed},
        ]
        made.model["parameters"] = 3000
        return replace(made, coefficients=coefficients, folded=folded)

    def told(*runs: Run) -> str:
        (line,) = [line for line in sentences(runs) if "similarities of SCNN-R" in line]
        return line

    early = run(0, e0=other, e1=other, e5=same, e10=same)
    late = run(1, e0=other, e1=same, e5=other, e10=same)
    never = run(2, e0=other, e1=same, e5=same, e10=other)
    one = told(early)
    assert "in 1 of 1 run all of them are 0.99 or more at the end and at every look from " in one
    assert "from epoch 5 of 10 on (looks after epochs 1, 5, 10). Quickly" in one
    assert "within the first phase: **seen**. With all its layers folded into one: " in one
    both = told(early, late)
    assert "in 2 of 2 runs" in both and "from epoch 10 of 10 on" in both, "not from 1, nor 5"
    assert "**not seen**" in both, "it came in the second phase"
    assert "1\u202f000 of 3\u202f000 parameters, 0.500 ± 0.000 before and 0.200 ± 0.141 " in both
    mixed = told(early, never)
    assert "in 1 of 2 runs" in mixed and "from epoch 5 of 10 on" in mixed and "not seen" in mixed
    assert "in 0 of 1 run all of them are 0.99 or more at the end (looks" in told(never)
    assert told(replace(never, folded=[])).endswith("**not seen**.")
    assert "similarities" not in " ".join(sentences([make_run(for_profile("scnn-r"))]))
