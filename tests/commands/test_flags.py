"""Flags ask for any recipe, and provenance prints those that ask for its own."""

from __future__ import annotations

import shlex
from dataclasses import fields, replace

import pytest

from softshare.__main__ import main
from softshare.commands import flags, parse
from softshare.commands import train as train_command
from softshare.recipe import Recipe, for_profile
from softshare.recipe.request import request
from softshare.records import Run
from softshare.records.provenance import command

RECIPES = [
    for_profile("swrn-28-10-2"),
    for_profile("scnn-r", profile="fast", seed=2),
    replace(
        Recipe("swrn-28-10-2"),
        data="cifar100",
        profile="fast",
        seed=4,
        epochs=7,
        batch_size=64,
        optimizer="adam",
        lr=0.01,
        milestones=(0.25, 1.0),
        decay=0.5,
        weight_decay=0.0,
        dropout=0.3,
        cutout=16,
        init="normal",
        recurrence=0.5,
        examples=1000,
    ),
    for_profile("cnn", milestones=(), phases=2),
    for_profile("swrn-28-10-2", "cifar10-jpeg", "fast", momentum=0.0, fold=0.9, tune=3),
]
Captured = pytest.CaptureFixture[str]


def test_every_field_of_a_recipe_is_a_flag_with_its_meaning_and_default(capsys: Captured) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["train", "--help"])
    assert caught.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for field in fields(Recipe):
        if field.name != "model":
            assert f"--{field.name} " in text
            assert flags.meanings()[field.name] in text
    assert "Default 200 (fast 30, smoke 10); shortest paths 50 (fast 10, smoke 1)." in text
    assert "Default 0.3,0.6,0.8; shortest paths none." in text
    assert "Default 0.0; scnn-r 0.01." in text
    assert "Default paper." in text


@pytest.mark.parametrize(
    "recipe",
    RECIPES,
    ids=lambda recipe: recipe.key,
)
def test_flags_ask_for_any_recipe(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Recipe] = []

    def note(**asked: object) -> Run:
        for name in ("runs", "device", "progress", "source", "precision", "engine"):
            asked.pop(name)
        seen.append(for_profile(**asked))  # type: ignore[arg-type]
        return Run(recipe, result={"f1": 0.5}, cost={"seconds": 1.0})

    monkeypatch.setattr(train_command, "train", note)
    words = []
    for name, value in recipe.changes().items() | {("data", recipe.data)}:
        text = ",".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)
        words += [f"--{name}", text] if name != "model" else []
    assert main(["train", recipe.model, *words]) == 0
    dashes = [flag.replace("_", "-") if flag.startswith("--") else flag for flag in words]
    assert main([*["train"], *dashes, recipe.model]) == 0
    assert seen == [recipe, recipe]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.key)
def test_the_command_that_provenance_prints_asks_for_the_recipe(recipe: Recipe) -> None:
    words = shlex.split(command(recipe))
    assert words[:4] == ["python", "-m", "softshare", "train"]
    asked = train_command.asked(parse(words[3:]))
    assert request(**asked)[0] == recipe
