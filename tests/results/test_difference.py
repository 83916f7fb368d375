"""How sure a difference of errors is, against draws of what it is drawn from."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from softshare.recipe import for_profile
from softshare.records import Run
from softshare.results.difference import BY_CHANCE, difference, seen, uncertainty

Make = Callable[..., Run]


def runs(make_run: Make, model: str, errors: list[float]) -> list[Run]:
    recipes = [for_profile(model, "digits", "smoke", seed=seed) for seed in range(len(errors))]
    return [make_run(recipe, error) for recipe, error in zip(recipes, errors, strict=True)]


def test_of_single_runs_it_is_what_drawing_test_images_gives(make_run: Make) -> None:
    ours, others = runs(make_run, "swrn-28-1", [10.0]), runs(make_run, "wrn-28-1", [20.0])
    torch.manual_seed(0)
    drawn = [
        100 * torch.rand(20_000, 400).lt(error).float().mean(1)  # 400 images, many times
        for error in (0.1, 0.2)
    ]
    assert difference(ours, others) == pytest.approx(-10)
    expected = (drawn[0] - drawn[1]).std().item()
    assert uncertainty(ours, others) == pytest.approx(expected, rel=0.03)


def test_seeds_widen_it_as_their_mean_varies(make_run: Make) -> None:
    torch.manual_seed(0)
    drawn = 10 + 2 * torch.randn(20_000, 3)  # errors of three seeds, many times
    spread = 2 ** torch.tensor(0.5)  # of two single points, 2 apart
    ours, others = runs(make_run, "swrn-28-1", [9.0, 11.0]), runs(make_run, "wrn-28-1", [10.0])
    seeds = uncertainty(ours, others) ** 2 - uncertainty(ours[:1], others) ** 2
    images = (10 * 90 - 9 * 91) / 400  # the mean error is another one
    assert seeds == pytest.approx(spread.item() ** 2 / 2 + images)
    three = runs(make_run, "swrn-28-1", [8.0, 10.0, 12.0])
    seeds = uncertainty(three, others) ** 2 - uncertainty(others, others) ** 2
    assert seeds == pytest.approx(drawn.mean(1).var().item(), rel=0.05)


def test_what_is_told_apart_by_chance_is_as_rare_as_said() -> None:
    torch.manual_seed(0)
    told = [seen(d, 1.0) != "not told apart" for d in torch.randn(100_000).tolist()]
    assert sum(told) / len(told) == pytest.approx(1 / BY_CHANCE, rel=0.05)
