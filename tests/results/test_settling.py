"""When matrices settle: correlations against NumPy, and what is said of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from softshare.paper import value
from softshare.records import Run
from softshare.results.settling import likeness, sentences, table
from softshare.sharing.similarity import similarity


def test_likeness_is_the_correlation_of_all_pairs() -> None:
    generator = torch.Generator().manual_seed(0)
    one, two = (
        [similarity(torch.randn(L, 3, generator=generator)) for L in (4, 7)] for _ in range(2)
    )
    x, y = (
        np.concatenate([S[np.tril_indices(len(S), -1)] for S in map(Tensor.numpy, group)])
        for group in (one, two)
    )
    assert likeness(one, two) == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-6)
    assert likeness(one, one) == pytest.approx(1)
    assert math.isnan(likeness(one[:1], [torch.eye(4)]))


@pytest.fixture
def run(soft_run: Callable[..., Run]) -> Run:
    groups = dict.fromkeys(("stage1", "stage2", "stage3"), (6, 4, 2))
    found = soft_run("swrn-28-1-4", groups, epochs=(0, 1, 4))
    return replace(found, recipe=replace(found.recipe, milestones=(0.75,), decay=0.2))


def test_each_kept_epoch_is_set_beside_both_ends(run: Run) -> None:
    found = table([run])
    assert found["epoch"].tolist() == [0, 1, 4] and set(found["of"]) == {4}
    assert found["rate"].tolist() == pytest.approx([0.1, 0.1, 0.02])
    first, last = (list(run.lsm(epoch).values()) for epoch in (0, 4))
    assert found["with the end"].tolist()[::2] == [likeness(first, last), likeness(last, last)]
    assert found["with the start"].iloc[0] == pytest.approx(1)


def test_seeds_are_told_together(run: Run) -> None:
    other = replace(run, recipe=replace(run.recipe, seed=1))
    text, paper = sentences([run, other])
    assert str(value("figures/figure8/settled_epoch")) in paper
    start, middle, _ = table([run])["with the end"]
    assert f"by {start:.2f} after epoch 0, {middle:.2f} after epoch 1 (" in text
    assert "mean of 2 seeds" in text and "first falls after epoch 3" in text
    assert "was drawn and not learned" in text


def test_two_kept_epochs_will_do_and_a_start_that_was_not_kept_is_no_matter(run: Run) -> None:
    later = {epoch: run.coefficients[epoch] for epoch in ("1", "4")}
    (text, _) = sentences([replace(run, coefficients=later)])
    assert f"by {table([run])['with the end'][1]:.2f} after epoch 1 (" in text
    assert "seeds" not in text and "was drawn" not in text
    assert table([replace(run, coefficients=later)])["with the start"][0] == pytest.approx(1)


def test_what_cannot_change_says_nothing(run: Run) -> None:
    ones = {epoch: {"stage1": [[1.0]] * 6} for epoch in ("0", "4")}
    assert "recorded yet" in sentences([replace(run, coefficients=ones)])[0]
    assert "recorded yet" in sentences([])[0]
    identity = {"0": {"stage1": torch.eye(6).tolist()}, "4": run.coefficients["4"]}
    assert "recorded yet" in sentences([replace(run, coefficients=identity)])[0], "one epoch"
