"""A recipe is what the paper says, its key never drifts, and what makes no sense is refused."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, fields, replace
from itertools import combinations
from typing import Any

import pytest

from softshare.recipe import PROFILES, Recipe, for_profile

# Records in git bear these keys: a change here would orphan them.
GOLDEN: list[tuple[dict[str, Any], str]] = [
    ({"model": "wrn-28-10"}, "dc171e42f7"),
    ({"model": "swrn-28-10-2"}, "1d0e29fbd9"),
    ({"model": "swrn-28-10", "dropout": 0.3}, "1fa62af6c2"),
    ({"model": "swrn-28-10-2", "cutout": 16, "seed": 4}, "d764d42395"),
    ({"model": "wrn-28-10", "profile": "fast"}, "46be6041f4"),
    ({"model": "scnn-r"}, "94a36ab385"),
    ({"model": "cnn", "profile": "smoke"}, "f58a5c11b5"),
    (
        {"model": "swrn-40-8-8", "data": "cifar10-jpeg", "profile": "fast", "seed": 1},
        "3f094d848d",
    ),
    (
        {"model": "wrn-10-1", "profile": "smoke", "lr": 0.05, "milestones": (0.5,)},
        "8cd96d80a0",
    ),
    ({"model": "swrn-28-4", "profile": "fast", "coefficients": "unit"}, "18124102ec"),
    ({"model": "swrn-50-2"}, "f661e23df1"),
]


@pytest.mark.parametrize(("asked", "key"), GOLDEN)
def test_keys_never_change(asked: dict[str, Any], key: str) -> None:
    assert for_profile(**asked).key == key


def test_a_field_added_later_leaves_the_keys_of_old_recipes() -> None:
    @dataclass(frozen=True)
    class Later(Recipe):
        label_smoothing: float = 0.0

    for asked, key in GOLDEN:
        old = for_profile(**asked)
        assert Later(**asdict(old)).key == key
        assert Later(**asdict(old), label_smoothing=0.1).key != key


def test_each_field_changes_the_key_and_the_path() -> None:
    base = Recipe("swrn-28-10-2")
    other = {
        "model": "wrn-28-10",
        "data": "cifar100",
        "profile": "fast",
        "seed": 1,
        "epochs": 100,
        "batch_size": 64,
        "optimizer": "adam",
        "lr": 0.05,
        "milestones": (0.5,),
        "decay": 0.1,
        "momentum": 0.8,
        "weight_decay": 1e-4,
        "dropout": 0.3,
        "cutout": 16,
        "init": "normal",
        "coefficients": "unit",
        "recurrence": 0.01,
        "examples": 100,
    }
    assert {*other, "phases", "fold", "tune"} == {f.name for f in fields(Recipe)}
    recipes = [base, *(replace(base, **{name: value}) for name, value in other.items())]
    recipes += [replace(base, fold=f, tune=t) for f, t in ((0.9, 1), (0.9, 2), (0.8, 1))]
    for one, two in combinations(recipes, 2):
        assert one.key != two.key
        assert one.path != two.path


def test_equal_settings_have_one_key_however_they_are_written() -> None:
    plain = Recipe("wrn-28-1", lr=1.0, milestones=(0.5, 1.0))
    assert Recipe("wrn-28-1", lr=1, milestones=[0.5, 1]).key == plain.key  # type: ignore[arg-type]
    assert Recipe(**asdict(plain)) == plain


def test_the_learning_rate_of_every_epoch_is_the_papers() -> None:
    """Section 4.1: 0.1, multiplied by 0.2 at epochs 60, 120 and 160 of 200."""
    recipe = for_profile("wrn-28-10", "cifar10")
    rates = [recipe.lr_at(epoch) for epoch in range(recipe.total_epochs)]
    assert rates == [0.1] * 60 + [0.02] * 60 + [0.004] * 40 + [0.0008] * 40


def test_the_short_schedule_has_its_steps_in_proportion() -> None:
    recipe = for_profile("wrn-28-10", profile="fast")
    rates = [recipe.lr_at(epoch) for epoch in range(recipe.total_epochs)]
    assert rates == [0.1] * 9 + [0.02] * 9 + [0.004] * 6 + [0.0008] * 6


def test_the_first_epoch_has_the_initial_rate_however_short_the_run() -> None:
    for epochs in range(1, 12):
        rates = [Recipe("wrn-28-1", epochs=epochs).lr_at(epoch) for epoch in range(epochs)]
        assert rates[0] == 0.1
        assert rates == sorted(rates, reverse=True)


def test_fine_tuning_goes_on_where_the_schedule_ended() -> None:
    for base in (for_profile("swrn-28-10-2"), for_profile("scnn", profile="fast")):
        recipe = replace(base, fold=0.9, tune=7)
        assert recipe.base == base == base.base
        assert (base.begin, recipe.begin) == (0, base.total_epochs)
        assert recipe.total_epochs == 7
        assert [recipe.lr_at(epoch) for epoch in range(7)] == [base.lr_at(recipe.begin - 1)] * 7
        assert {recipe.phase_at(epoch) for epoch in range(7)} == {base.phases - 1}
    phases = [for_profile("scnn", epochs=2).phase_at(epoch) for epoch in range(10)]
    assert phases == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    late = Recipe("wrn-28-1", epochs=4, milestones=(1.0,), fold=0.5, tune=2)
    assert late.lr_at(1) == 0.1, "a milestone at the very end changes nothing"


def test_the_shortest_path_schedule_is_the_papers() -> None:
    """Section 4.4: Adam at a fixed 0.01, five phases of 50 epochs and 5 000 examples."""
    recipe = for_profile("scnn")
    assert (recipe.optimizer, recipe.examples, recipe.phases) == ("adam", 5000, 5)
    assert {recipe.lr_at(epoch) for epoch in range(250)} == {0.01}
    assert recipe.total_epochs == 250
    assert [for_profile(m).recurrence for m in ("cnn", "scnn", "scnn-r")] == [0.0, 0.0, 0.01]


def test_the_paper_profile_is_section_4_1_to_the_letter() -> None:
    recipe = for_profile("swrn-28-10-2")
    expected = {
        "data": "cifar10",
        "epochs": 200,
        "batch_size": 128,
        "optimizer": "sgd",
        "momentum": 0.9,
        "weight_decay": 5e-4,
        "init": "orthogonal",
        "coefficients": "free",
        "examples": 0,
        "dropout": 0.0,
        "cutout": 0,
    }
    assert {name: getattr(recipe, name) for name in expected} == expected


@pytest.mark.parametrize("model", ["wrn-28-10", "scnn-r"])
def test_profiles_are_told_apart_and_can_be_overridden(model: str) -> None:
    recipes = [for_profile(model, profile=profile) for profile in PROFILES]
    assert len({r.key for r in recipes}) == len({r.path for r in recipes}) == 3
    for recipe in recipes:
        assert f"/{recipe.profile}/{model}/seed0-" in recipe.path, "nothing differs from it"
        other = for_profile(model, profile=recipe.profile, epochs=7, seed=3)
        assert (other.epochs, other.seed) == (7, 3)
        assert f"/{model}+epochs=7/seed3-" in other.path


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"sedd": 1}, "A recipe has no setting 'sedd'; did you mean 'seed'?"),
        ({"profile": "quick"}, "profile is one of paper, fast, smoke; got 'quick'."),
        ({"colour": 1}, "A recipe has no setting 'colour'; it has batch_size, coefficients, "),
    ],
)
def test_an_unknown_setting_is_named(asked: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(text)}"):
        for_profile("wrn-28-1", **asked)
