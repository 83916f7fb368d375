"""Of many runs the foremost: the best training of each network, with all its seeds."""

from __future__ import annotations

from collections.abc import Callable

from softshare.recipe import for_profile
from softshare.records import Run
from softshare.results.foremost import foremost


def test_the_best_profile_then_the_longest_training_with_all_its_seeds(
    make_run: Callable[..., Run],
) -> None:
    jpeg = "cifar10-jpeg"
    kept = [
        for_profile("swrn-28-1-2", jpeg, "paper", epochs=20),  # beats a longer one at fast
        for_profile("swrn-28-1", jpeg, "fast"),
        for_profile("swrn-28-1", jpeg, "fast", seed=1),
        for_profile("swrn-28-1", "cifar100", "fast", epochs=2),  # another data set
        for_profile("swrn-28-1", jpeg, "fast", dropout=0.3, epochs=3),  # another network
        for_profile("swrn-28-1", jpeg, "fast", fold=0.9, tune=2),
    ]
    left = [
        for_profile("swrn-28-1-2", jpeg, "fast"),
        for_profile("swrn-28-1", jpeg, "fast", epochs=10),
        for_profile("swrn-28-1", profile="smoke"),
        for_profile("swrn-40-1-8", profile="smoke"),
    ]
    runs = [make_run(recipe) for recipe in (*left[:2], *kept, *left[2:])]
    assert [run.recipe for run in foremost(runs)] == kept
    only = [make_run(recipe) for recipe in left[2:]]
    assert foremost(only) == only, "demonstrations where there is nothing else"
