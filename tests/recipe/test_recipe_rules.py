"""What no recipe may be is refused in a sentence, whichever rule it breaks."""

from __future__ import annotations

import re
from typing import Any

import pytest

from softshare.recipe import Recipe
from softshare.recipe import rules as recipe_rules

REFUSED: list[tuple[dict[str, Any], str]] = [
    (
        {"model": "swrn-50-2", "data": "imagenet", "cutout": 16},
        "Networks of depth 50 are augmented as in Section 4.2, without cutout; got cutout=16. "
        "Leave it at 0.",
    ),
    (
        {"model": "wrn-50-2"},
        "wrn-50-2 and swrn-50-2[-k] read photographs from files, imagenet or a folder, and other "
        "networks train on sets that are held in memory, such as cifar10; got model 'wrn-50-2' "
        "with data 'cifar10'.",
    ),
    (
        {"model": "wrn-28-1", "data": "imagenet-q50"},
        "wrn-50-2 and swrn-50-2[-k] read photographs from files, imagenet or a folder, and other "
        "networks train on sets that are held in memory, such as cifar10; got model 'wrn-28-1' "
        "with data 'imagenet-q50'.",
    ),
    ({"epochs": 0}, "epochs must lie between 1 and 1e+06; got 0."),
    ({"batch_size": -1}, "batch_size must lie between 1 and 1e+06; got -1."),
    ({"phases": 0}, "phases must lie between 1 and 1e+06; got 0."),
    ({"seed": -1}, "seed must lie between 0 and 4.61169e+18; got -1."),
    ({"examples": -5}, "examples must lie between 0 and 4.61169e+18; got -5."),
    ({"cutout": -1}, "cutout must lie between 0 and 1000; got -1."),
    ({"lr": -0.1}, "lr must lie between 0 and 1000; got -0.1."),
    ({"lr": float("nan")}, "lr must lie between 0 and 1000; got nan."),
    ({"lr": float("inf")}, "lr must lie between 0 and 1000; got inf."),
    ({"weight_decay": -1}, "weight_decay must lie between 0 and 1000; got -1.0."),
    ({"recurrence": -0.01}, "recurrence must lie between 0 and 1000; got -0.01."),
    ({"decay": 1.5}, "decay must lie between 0 and 1; got 1.5."),
    ({"momentum": 1.1}, "momentum must lie between 0 and 1; got 1.1."),
    ({"dropout": 1.0}, "dropout must lie between 0 and 0.99; got 1.0."),
    ({"epochs": 2.5}, "epochs must be int; got 2.5."),
    ({"epochs": "3"}, "epochs must be int; got '3'."),
    ({"seed": True}, "seed must be int; got True."),
    ({"lr": "0.1"}, "lr must be float; got '0.1'."),
    ({"model": 28}, "model must be str; got 28."),
    ({"profile": "quick"}, "profile is one of paper, fast, smoke; got 'quick'."),
    ({"optimizer": "adamw"}, "optimizer is one of sgd, adam; got 'adamw'."),
    (
        {"init": "zero"},
        "init is one of orthogonal, identity, uniform, normal, sparse-uniform, sparse-normal; "
        "got 'zero'.",
    ),
    ({"milestones": 0.5}, "milestones are numbers, such as (0.3, 0.6, 0.8); got 0.5."),
    ({"milestones": ("a",)}, "milestones are numbers, such as (0.3, 0.6, 0.8); got ('a',)."),
    (
        {"milestones": (60, 120)},
        "milestones are rising fractions of all epochs in (0, 1]; got (60.0, 120.0).",
    ),
    (
        {"milestones": (0.6, 0.3)},
        "milestones are rising fractions of all epochs in (0, 1]; got (0.6, 0.3).",
    ),
    (
        {"milestones": (float("nan"),)},
        "milestones are rising fractions of all epochs in (0, 1]; got (nan,).",
    ),
    (
        {"data": "../elsewhere"},
        "data is a name, part of the record's path; got '../elsewhere'. The path of an image set "
        "goes into source=.",
    ),
    (
        {"model": "a/b"},
        "model is a name, part of the record's path; got 'a/b'. The path of an image set goes "
        "into source=.",
    ),
    (
        {"data": ""},
        "data is a name, part of the record's path; got ''. The path of an image set goes into "
        "source=.",
    ),
    (
        {"data": "shortest-paths"},
        "cnn, scnn, scnn-r train on 'shortest-paths' and nothing else does; got model 'wrn-28-1' "
        "with data 'shortest-paths'.",
    ),
    (
        {"model": "scnn"},
        "cnn, scnn, scnn-r train on 'shortest-paths' and nothing else does; got model 'scnn' with "
        "data 'cifar10'.",
    ),
    ({"fold": 1.5, "tune": 1}, "fold must lie between 0 and 1; got 1.5."),
    ({"fold": 0.9, "tune": -1}, "tune must lie between 0 and 1e+06; got -1."),
    (
        {"fold": 0.9},
        "fold and tune go together, a threshold and epochs of training after it; got fold=0.9 and "
        "tune=0.",
    ),
    (
        {"tune": 3},
        "fold and tune go together, a threshold and epochs of training after it; got fold=0.0 and "
        "tune=3.",
    ),
    (
        {"model": "swrn-28-1", "coefficients": "frozen"},
        "coefficients is one of free, unit, fixed; got 'frozen'.",
    ),
    (
        {"model": "swrn-28-1", "coefficients": "unit", "fold": 0.9, "tune": 1},
        "A network that is folded and tuned has no coefficients of its own; got "
        "coefficients='unit' with fold=0.9. Leave them free.",
    ),
    (
        {"model": "swrn-28-1", "coefficients": "fixed", "recurrence": 0.01},
        "The recurrence regulariser trains the coefficients alone; got recurrence=0.01 with "
        "coefficients='fixed'. Leave one of them out.",
    ),
    (
        {"optimizer": "adam", "momentum": 0.5},
        "momentum is of SGD; got momentum=0.5 with optimizer='adam'. Leave it at 0.9.",
    ),
    (
        {"init": "normal"},
        "init is of coefficients, and wrn-28-1 has none; got init='normal'. Leave it at "
        "'orthogonal', or pass a soft-shared model.",
    ),
    (
        {"model": "cnn", "data": "shortest-paths", "init": "identity"},
        "init is of coefficients, and cnn has none; got init='identity'. Leave it at 'orthogonal', "
        "or pass a soft-shared model.",
    ),
    ({"phases": 2}, "phases has no meaning for 'cifar10'; got 2. Leave it at 1."),
    (
        {"model": "scnn", "data": "shortest-paths", "cutout": 16},
        "cutout has no meaning for 'shortest-paths'; got 16. Leave it at 0.",
    ),
]


@pytest.mark.parametrize(("asked", "text"), REFUSED)
def test_what_makes_no_sense_is_refused_in_a_sentence(asked: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        Recipe(**({"model": "wrn-28-1"} | asked))


def test_every_range_has_a_refused_value() -> None:
    ranged = {name for names in recipe_rules._RANGES.values() for name in names}
    assert ranged <= {name for asked, text in REFUSED for name in asked if "must lie" in text}
