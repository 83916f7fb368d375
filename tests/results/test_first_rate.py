"""More time at the first learning rate, on runs made by hand with known similarities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from softshare.recipe import for_profile
from softshare.records import Run
from softshare.results.first_rate import families, sentences, table
from softshare.results.patterns import patterns

JPEG, MODEL = "cifar10-jpeg", "swrn-28-1-4"


@pytest.fixture
def trained(make_run: Callable[..., Run]) -> Callable[..., Run]:
    """A run whose coefficients were kept before training, after an epoch and at the end."""

    def trained(seed: int = 0, model: str = MODEL, data: str = JPEG, **settings: Any) -> Run:
        run = make_run(for_profile(model, data, "fast", seed=seed, **settings))
        generator = torch.Generator().manual_seed(seed + run.recipe.epochs)
        for epoch in (0, 1, run.recipe.epochs):
            A = torch.randn(2, 6, 4, generator=generator)
            run.coefficients[str(epoch)] = dict(zip(("stage1", "stage2"), A.tolist(), strict=True))
        return run

    return trained


@pytest.fixture
def family(trained: Callable[..., Run]) -> list[Run]:
    """Two seeds of ten epochs, one of thirty, and one kept at its first rate."""
    short = [trained(seed, epochs=10) for seed in (0, 1)]
    return [*short, trained(), trained(epochs=25, milestones=())]


def test_the_rate_that_is_kept_comes_first_then_the_longest(family: list[Run]) -> None:
    ten, thirty, kept = family[:2], family[2:3], family[3:]
    assert families(family) == [[kept, thirty, ten]]
    assert families(family[:3]) == [] and table(family[:3]).empty
    assert sentences(family[:3]) == ["No network has been kept at its first learning rate yet."]


def test_only_the_same_network_stands_beside_it(
    trained: Callable[..., Run], family: list[Run], make_run: Callable[..., Run]
) -> None:
    others = [
        trained(model="swrn-28-1-2"),
        trained(data="cifar10"),
        trained(init="normal"),
        trained(recurrence=0.01),
        trained(cutout=16),
        trained(data=f"{JPEG}-q50", milestones=()),
        trained(init="normal", milestones=()),
        make_run(for_profile("wrn-28-1", JPEG, "fast", milestones=())),
        make_run(for_profile("scnn"), alpha={"body": [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]}),
    ]
    assert families([*others, *family]) == families(family)
    assert families(others) == []


def test_the_table_averages_groups_and_seeds(family: list[Run]) -> None:
    found = table(family)
    about = found[["epochs", "at the first rate", "seeds", "epoch"]].to_numpy().tolist()
    assert about == [
        *([25, 25, 1, epoch] for epoch in (0, 1, 25)),
        *([30, 9, 1, epoch] for epoch in (0, 1, 30)),
        *([10, 3, 2, epoch] for epoch in (0, 1, 10)),
    ]
    by_hand = patterns(family[:2], [10])
    assert len(by_hand) == 4
    for name in ("mean", "chance", "drift", "chessboard"):
        assert found[name].iloc[-1] == pytest.approx(by_hand[name].mean())


def test_the_sentence_goes_through_the_epochs_and_ends_with_the_other_schedules(
    family: list[Run],
) -> None:
    (text,) = sentences(family)
    means = table(family)
    a, b, c = means["mean"][:3]
    assert (
        f"similarity {a:.2f} after epoch 0, {b:.2f} after epoch 1, {c:.2f} after epoch 25" in text
    )
    end = (
        f"{means['drift'][2]:.2f}), with a chessboard of {means['chessboard'][2]:+.2f} at the end."
    )
    assert f" (by movement alone {end}" in text
    ends = [
        f"{row['mean']:.2f} ({row['drift']:.2f}) with {row['chessboard']:+.2f}"
        for _, row in means[5::3].iterrows()
    ]
    assert f"ends at {ends[0]} after 30 epochs, 9 of them at that rate (n = 1); {ends[1]} " in text
    assert text.endswith("after 10 epochs, 3 of them at that rate (n = 2).")
    assert sentences(family[3:])[0].endswith(end)
