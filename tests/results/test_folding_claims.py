"""The claims of Figures 4 and 6 beside runs whose layers are tied as was chosen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

import softshare as ss
from softshare.folding.ties import ties
from softshare.paper import value
from softshare.records import Run
from softshare.results.folding_claims import sentences, table
from softshare.results.printed_foldings import claims
from softshare.sharing.similarity import similarity

STAGES = ("stage1", "stage2", "stage3")
SCHEDULE = [number - 1 for number in value("figures/figure6/stage2_schedule")]


def tied_as(run: Run, rows: list[int], noise: float) -> Run:
    """The run with stage 2 alike in these rows, and nothing else alike."""
    (last,) = list(run.coefficients)[-1:]
    alpha = {}
    for number, (group, old) in enumerate(run.coefficients[last].items()):
        L, k = len(old), len(old[0])
        A = torch.eye(L, k)
        A[k:] = torch.tensor([[1.0, 1.0], [1.0, -1.0]])[: L - k].repeat(1, k // 2)
        if group == "stage2":
            A = A[rows]
        A += noise * torch.randn(L, k, generator=torch.Generator().manual_seed(number))
        alpha[group] = A.tolist()
    return replace(run, coefficients={"0": alpha, last: alpha}, folded=[])


def measured(run: Run, points: float) -> Run:
    """The run with every folding measured: each costs so much, and a tenth recalibrated.

    Recalibrated the network errs half a point less, folded and unfolded. Alone stage 2 costs
    twice as much.
    """
    error = run.result["test_error"]

    def line(threshold: float, points: float, parameters: int = 1) -> dict[str, float]:
        return {
            "threshold": float(f"{threshold:.6f}"),
            "parameters": parameters,
            "test_error": error + points,
            "test_error_recalibrated": error - 0.5 + points / 10,
        }

    states = ss.Explorer(run).page.network.moments[-1].states
    lines = [line(s.threshold, points if s is not states[0] else 0.0, s.parameters) for s in states]
    alone = [line(state.foldings["stage2"].threshold, 2 * points) for state in states]
    return replace(run, folded=lines, folded_alone={"stage2": alone})


@pytest.fixture
def nested(soft_run: Callable[..., Run]) -> Run:
    """Stage 2 as in the paper's Figure 6; the other stages tie nothing above 0.8."""
    run = soft_run("swrn-40-1-8", dict.fromkeys(STAGES, (10, 8, 10)), epochs=(0, 4))
    return tied_as(run, SCHEDULE, 0.02)


def ours(found: Any) -> Any:
    return found[found["network"].str.startswith("SWRN 40-1-8 (cifar10")].to_dict("records")


def test_at_the_papers_similarity_its_loops_are_found(nested: Run) -> None:
    at, onto = ours(table([measured(nested, 0.2)], "figure6"))
    assert at["folded"] == f"at similarity {value('figures/figure6/similarity')}"
    assert at["stage 2 runs"] == str(claims("figure6")[0].program)
    kept = sum(
        len(ties(similarity(torch.tensor(A)), 0.8)) for A in nested.coefficients["4"].values()
    )
    assert at["layers"] == f"40 → {10 + kept}"
    assert (at["cost"], at["recalibrated"]) == ("+0.20", "+0.02")
    assert int(onto["layers"].split()[-1]) <= value("figures/figure6/folded_layers")
    assert float(onto["threshold"]) < float(at["threshold"])


def test_the_papers_own_lines_are_its_numbers() -> None:
    found = table([], "figure6")
    assert list(found["network"]) == ["SWRN 40-8-8 (cifar10, the paper's)"] * 2
    layers = (value(f"figures/figure6/{name}") for name in ("layers", "folded_layers"))
    assert set(found["layers"]) == {" → ".join(map(str, layers))}
    (line,) = table([], "figure4").to_dict("records")
    assert line["network"] == "SWRN 28-10-4 (cifar10, the paper's)"
    assert line["stage 2 runs"] == f"{value('figures/figure4/stage2_iterations')}×(1 2)"
    assert float(line["cost"]) == value("text/fold_stage2_error_increase")


def test_lines_of_one_network_are_told_apart(nested: Run) -> None:
    longer = replace(nested, recipe=replace(nested.recipe, epochs=nested.recipe.epochs + 1))
    other = replace(nested, recipe=replace(nested.recipe, seed=1))
    found = table([nested, longer, other], "figure6")
    assert not found.duplicated(["network", "folded"]).any()


@pytest.mark.parametrize(("rows", "same"), [([0, 1, 0, 1, 0, 1], 1), ([0, 0, 0, 1, 1, 1], 0)])
def test_stage_2_onto_two_weights(soft_run: Callable[..., Run], rows: list[int], same: int) -> None:
    run = soft_run("swrn-28-1-4", dict.fromkeys(STAGES, (6, 4, 6)), epochs=(0, 4))
    run = tied_as(run, rows, 0.01)
    _, line = table([run], "figure4").to_dict("records")
    assert line["stage 2 runs"] == ("3×(1 2)" if same else "3×1 3×2")
    assert line["layers"] == "28 → 24", "the other stages stay"
    assert float(line["threshold"]) > 0.99
    assert (line["cost"], line["recalibrated"]) == ("not measured", "not measured")
    (text,) = sentences([run], "figure4")
    assert f"stage 2 runs as in the paper in {same} of 1; what that costs is not measured." in text
    assert "above the chance level of 0.27 in 1 of 1 and beyond random drift in 0 of 1;" in text
    _, line = table([measured(run, 0.3)], "figure4").to_dict("records")
    assert (line["cost"], line["recalibrated"]) == ("+0.60", "+0.06"), "stage 2 alone"


def test_drift_is_told_of_where_the_start_was_kept(soft_run: Callable[..., Run]) -> None:
    run = soft_run("swrn-28-1-4", dict.fromkeys(STAGES, (6, 4, 6)), epochs=(0, 4))
    still = tied_as(run, [0, 1, 0, 1, 0, 1], 0.01)
    start = {group: torch.eye(6, 4).tolist() for group in STAGES}
    turned = replace(still, coefficients={"0": start, "4": still.coefficients["4"]})
    unknown = replace(still, coefficients={"4": still.coefficients["4"]})
    texts = [sentences([run], "figure4")[0] for run in (still, turned, unknown)]
    words = [text.partition("chance level of 0.27 in ")[2] for text in texts]
    assert words[0].startswith("1 of 1 and beyond random drift in 0 of 1;"), "nothing moved"
    assert words[1].startswith("1 of 1 and beyond random drift in 1 of 1;")
    assert words[2].startswith("1 of 1; stage 2")


def test_seeds_are_told_together_with_their_range(nested: Run) -> None:
    seeds = [
        measured(replace(nested, recipe=replace(nested.recipe, seed=seed)), points)
        for seed, points in enumerate((0.1, 0.7, -0.2))
    ]
    at, onto = sentences(seeds, "figure6")
    assert "3 seeds), folded at similarity 0.8" in at
    assert "-0.20 to +0.70 points where the paper has < +0.30, -0.02 to +0.07 with" in at
    assert "stage 2 runs as in the paper in 3 of 3" in at
    assert "folded onto 24 layers" in onto


def test_where_nothing_is_alike_that_is_said(soft_run: Callable[..., Run]) -> None:
    run = soft_run("swrn-40-1-8", dict.fromkeys(STAGES, (10, 8, 10)), epochs=(0, 4))
    run = tied_as(run, list(range(10)), 0.02)
    assert ours(table([run], "figure6"))[0]["threshold"] == "nothing tied"
    assert sentences([run], "figure6")[0].endswith(
        "no two layers are that alike (chance level 0.13)."
    )


def test_without_runs_and_for_other_figures(make_run: Callable[..., Run]) -> None:
    assert sentences([], "figure4") == ["No soft-shared network of this figure is recorded yet."]
    with pytest.raises(ValueError, match="networks of figure4 and figure6; got 'figure5'"):
        table([], "figure5")
