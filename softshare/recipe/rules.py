"""What a recipe may be: the kinds of its fields, their ranges, and what goes together."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from softshare.data.compression import quality
from softshare.data.image_stream import IMAGENET
from softshare.data.inventory import IN_MEMORY
from softshare.sharing.constraint import CONSTRAINTS
from softshare.sharing.initialisation import INITS

if TYPE_CHECKING:
    from softshare.recipe import Recipe

PATHS = "shortest-paths"
PATH_MODELS = ("cnn", "scnn", "scnn-r")
PROFILES = ("paper", "fast", "smoke")

_KINDS: dict[str, Any] = {
    "str": str,
    "int": int,
    "float": (float, int),
    "tuple[float, ...]": tuple,
}
_CHOICES = {
    "profile": PROFILES,
    "optimizer": ("sgd", "adam"),
    "init": INITS,
    "coefficients": CONSTRAINTS,
}
_RANGES = {
    (1, 1_000_000): ("epochs", "batch_size", "phases"),
    (0, 1_000_000): ("tune",),
    (0, 2**62): ("seed", "examples"),
    (0, 1_000): ("cutout", "lr", "weight_decay", "recurrence"),
    (0, 1): ("decay", "momentum", "fold"),
    (0, 0.99): ("dropout",),
}


def streams(model: str) -> bool:
    """Whether a network reads its images from files: those of Section 4.2.

    Example:
        >>> streams("swrn-50-2"), streams("swrn-28-10-2")
        (True, False)
    """
    return model.startswith(("wrn-50-", "swrn-50-"))


def check(recipe: Recipe) -> None:
    """Refuses settings with which nothing can be trained, or that would change nothing.

    Raises:
        ValueError: the rule, what arrived, and what to do.
    """
    for field in fields(recipe):
        value, kind = getattr(recipe, field.name), _KINDS[str(field.type)]
        if isinstance(value, bool) or not isinstance(value, kind):
            raise ValueError(f"{field.name} must be {field.type}; got {value!r}.")
    for rule, names in _RANGES.items():
        low, high = rule
        for name in names:
            if not low <= getattr(recipe, name) <= high:
                raise ValueError(
                    f"{name} must lie between {low:g} and {high:g}; got {getattr(recipe, name)}."
                )
    for name, known in _CHOICES.items():
        if getattr(recipe, name) not in known:
            raise ValueError(f"{name} is one of {', '.join(known)}; got {getattr(recipe, name)!r}.")
    if any(not 0 < m <= 1 for m in recipe.milestones) or list(recipe.milestones) != sorted(
        recipe.milestones
    ):
        raise ValueError(
            f"milestones are rising fractions of all epochs in (0, 1]; got {recipe.milestones}."
        )
    for name in ("model", "data"):
        value = getattr(recipe, name)
        if not value or value.startswith(".") or set(value) & set("/\\"):
            raise ValueError(
                f"{name} is a name, part of the record's path; got {value!r}. The path of an "
                "image set goes into source=."
            )
    if (recipe.model in PATH_MODELS) != (recipe.data == PATHS):
        raise ValueError(
            f"{', '.join(PATH_MODELS)} train on {PATHS!r} and nothing else does; got model "
            f"{recipe.model!r} with data {recipe.data!r}."
        )
    base, _ = quality(recipe.data)
    if base in IN_MEMORY if streams(recipe.model) else base == IMAGENET:
        raise ValueError(
            f"wrn-50-2 and swrn-50-2[-k] read photographs from files, {IMAGENET} or a folder, and "
            "other networks train on sets that are held in memory, such as cifar10; got model "
            f"{recipe.model!r} with data {recipe.data!r}."
        )
    if streams(recipe.model) and recipe.cutout:
        raise ValueError(
            f"Networks of depth 50 are augmented as in Section 4.2, without cutout; got "
            f"cutout={recipe.cutout}. Leave it at 0."
        )
    usual = {field.name: field.default for field in fields(recipe)}
    if recipe.optimizer == "adam" and recipe.momentum != usual["momentum"]:
        raise ValueError(
            f"momentum is of SGD; got momentum={recipe.momentum} with optimizer='adam'. Leave it "
            f"at {usual['momentum']}."
        )
    if recipe.model.startswith(("wrn-", "cnn")) and recipe.init != usual["init"]:
        raise ValueError(
            f"init is of coefficients, and {recipe.model} has none; got init={recipe.init!r}. "
            f"Leave it at {usual['init']!r}, or pass a soft-shared model."
        )
    if (recipe.fold > 0) != (recipe.tune > 0):
        raise ValueError(
            "fold and tune go together, a threshold and epochs of training after it; got "
            f"fold={recipe.fold} and tune={recipe.tune}."
        )
    if recipe.coefficients != "free" and recipe.fold:
        raise ValueError(
            "A network that is folded and tuned has no coefficients of its own; got "
            f"coefficients={recipe.coefficients!r} with fold={recipe.fold}. Leave them free."
        )
    if recipe.coefficients == "fixed" and recipe.recurrence:
        raise ValueError(
            "The recurrence regulariser trains the coefficients alone; got "
            f"recurrence={recipe.recurrence} with coefficients='fixed'. Leave one of them out."
        )
    unused, idle = ("cutout", 0) if recipe.data == PATHS else ("phases", 1)
    if getattr(recipe, unused) != idle:
        raise ValueError(
            f"{unused} has no meaning for {recipe.data!r}; got {getattr(recipe, unused)}. Leave it "
            f"at {idle}."
        )
