"""What a profile sets for each family of networks, where it is not the default of a recipe."""

from __future__ import annotations

from typing import Any

from softshare.data.image_stream import IMAGENET
from softshare.recipe.rules import PATH_MODELS, PATHS, PROFILES, streams


def usual(model: str, profile: str) -> dict[str, Any]:
    """The settings of a network at a profile.

    Raises:
        ValueError: an unknown profile.

    Example:
        >>> usual("wrn-28-10", "fast"), usual("scnn-r", "paper")["recurrence"]
        ({'epochs': 30}, 0.01)
    """
    if profile not in PROFILES:
        raise ValueError(f"profile is one of {', '.join(PROFILES)}; got {profile!r}.")
    family = "paths" if model in PATH_MODELS else "imagenet" if streams(model) else "cifar"
    regularised = {"recurrence": 0.01} if model == "scnn-r" else {}
    return _DEFAULTS[family] | _PROFILES[family][profile] | regularised


# Section 4.2 follows Gross & Wilber (2016). Section 4.4 leaves batch size and weight decay open:
# no decay, and 50 examples a step, which divide the phase's 5 000; after a partial batch the
# running averages of batch normalisation are off, and with them the F1 of that epoch.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "cifar": {},
    "imagenet": {
        "data": IMAGENET,
        "batch_size": 256,
        "milestones": (1 / 3, 2 / 3),
        "decay": 0.1,
        "weight_decay": 1e-4,
    },
    "paths": {
        "data": PATHS,
        "optimizer": "adam",
        "lr": 0.01,
        "milestones": (),
        "weight_decay": 0.0,
        "batch_size": 50,
        "phases": 5,
        "examples": 5000,
    },
}
_PROFILES: dict[str, dict[str, dict[str, Any]]] = {
    "cifar": {"paper": {}, "fast": {"epochs": 30}, "smoke": {"epochs": 10, "data": "digits"}},
    "imagenet": {
        "paper": {"epochs": 90},
        "fast": {"epochs": 30},
        "smoke": {"epochs": 1, "examples": 2560},
    },
    "paths": {
        "paper": {"epochs": 50},
        "fast": {"epochs": 10},
        "smoke": {"epochs": 1, "examples": 500},
    },
}
