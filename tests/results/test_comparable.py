"""That only like is set beside like."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from softshare.recipe import Recipe, for_profile
from softshare.records import Run
from softshare.results.comparable import alike, sets
from softshare.results.contrasts import contrasts

Make = Callable[..., Run]


def digits(model: str, **settings: Any) -> Recipe:
    return for_profile(model, "digits", "smoke", **settings)


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


def test_each_width_has_a_set_of_its_own_the_widest_first(make_run: Make) -> None:
    fast = partial(for_profile, data="cifar10-jpeg", profile="fast")
    narrow = [make_run(fast(model)) for model in ("wrn-28-1", "swrn-28-1", "swrn-28-1-1")]
    wide = [make_run(fast(model)) for model in ("wrn-28-10", "swrn-28-10")]
    shorter = [make_run(fast(model, epochs=3)) for model in ("wrn-28-1", "swrn-28-1")]
    single = [make_run(fast("wrn-28-2"))]
    toys = [make_run(digits(model)) for model in ("wrn-28-1", "swrn-28-1")]
    assert sets([*narrow, *shorter, *single, *toys, *wide]) == [wide, narrow]
    assert sets([*single, *toys]) == [single], "a result before a demonstration"
    assert sets([*wide, *toys], among=[toys[0].path]) == [toys], "what was trained just now"


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
