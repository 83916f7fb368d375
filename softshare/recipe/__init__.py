"""A recipe: everything that decides what a training run computes."""

from __future__ import annotations

import difflib
import hashlib
import json
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any

from softshare.recipe.profiles import usual
from softshare.recipe.rules import PATH_MODELS, PATHS, PROFILES, check, streams

__all__ = ["PATHS", "PATH_MODELS", "PROFILES", "Recipe", "for_profile", "streams"]


@dataclass(frozen=True)
class Recipe:
    """The settings of one run; the defaults are the paper's for CIFAR (Section 4.1).

    Attributes:
        model: name for `softshare.build`, such as ``wrn-28-10``, ``swrn-28-10-2`` or ``scnn``.
        data: name of the image set, or ``shortest-paths``.
        profile: ``paper`` (the paper's settings to the letter), ``fast`` (same model, shorter
            schedule) or ``smoke`` (narrow, minutes on a laptop).
        seed: of initial weights, order of the data, augmentation and dropout.
        epochs: passes over the training set; for the shortest-path task, of each phase.
        batch_size: examples a step.
        optimizer: ``sgd`` (Nesterov) or ``adam``.
        lr: initial learning rate.
        milestones: fractions of all epochs at which the rate is multiplied by `decay`.
        decay: see `milestones`.
        momentum: of SGD.
        weight_decay: on everything but the coefficients.
        dropout: probability between the convolutions of a block.
        cutout: side in pixels of the square that is blanked; 0 for none.
        init: start of the coefficients (Appendix B).
        coefficients: ``free``, trained as in the paper; as controls ``unit``, each layer's kept at
            length 1, or ``fixed``, kept as they start.
        recurrence: lambda_R, weight of the recurrence regulariser (Section 3.2).
        phases: of the curriculum (Section 4.4); 1 for images.
        examples: training examples (a phase); 0 for all there are.
        fold: threshold in (0, 1] at which the network so trained is folded; 0 for not at all.
        tune: epochs for which the folded network is trained further, at the last learning rate
            of the schedule, on the last phase; 1 or more with `fold`, else 0.

    Raises:
        ValueError: a value outside its legal range.

    Example:
        >>> from dataclasses import replace
        >>> recipe = Recipe("swrn-28-10-2", epochs=30)
        >>> [recipe.lr_at(epoch) for epoch in (0, 9, 18, 24)]
        [0.1, 0.02, 0.004, 0.0008]
        >>> recipe.key == replace(recipe, batch_size=128).key != Recipe("swrn-28-10-2").key
        True
    """

    model: str
    data: str = "cifar10"
    profile: str = "paper"
    seed: int = 0
    epochs: int = 200
    batch_size: int = 128
    optimizer: str = "sgd"
    lr: float = 0.1
    milestones: tuple[float, ...] = (0.3, 0.6, 0.8)
    decay: float = 0.2
    momentum: float = 0.9
    weight_decay: float = 5e-4
    dropout: float = 0.0
    cutout: int = 0
    init: str = "orthogonal"
    coefficients: str = "free"
    recurrence: float = 0.0
    phases: int = 1
    examples: int = 0
    fold: float = 0.0
    tune: int = 0

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "milestones", tuple(float(m) for m in self.milestones))
        except (TypeError, ValueError):
            raise ValueError(
                f"milestones are numbers, such as (0.3, 0.6, 0.8); got {self.milestones!r}."
            ) from None
        for field in fields(self):
            value = getattr(self, field.name)
            if (
                field.type == "float"
                and isinstance(value, (int, float))
                and not isinstance(value, bool)
            ):
                object.__setattr__(self, field.name, float(value))
        check(self)

    @property
    def total_epochs(self) -> int:
        """Epochs of this run: of all phases, or those of fine-tuning a network trained before."""
        return self.tune or self.epochs * self.phases

    @property
    def base(self) -> Recipe:
        """The recipe of the network that is folded and tuned; of other runs, their own."""
        return replace(self, fold=0.0, tune=0)

    @property
    def begin(self) -> int:
        """Epochs of the schedule that lie before this run: 0, or all where it tunes."""
        return self.base.total_epochs if self.tune else 0

    def phase_at(self, epoch: int) -> int:
        """The phase of an epoch of this run, both counted from 0."""
        return min((self.begin + epoch) // self.epochs, self.phases - 1)

    def lr_at(self, epoch: int) -> float:
        """The learning rate in an epoch, counted from 0; of the first epoch, always `lr`."""
        schedule = self.epochs * self.phases
        at = schedule - 1 if self.tune else epoch
        passed = sum(at >= max(1, round(m * schedule)) for m in self.milestones)
        return float(f"{self.lr * self.decay**passed:.12g}")

    def changes(self) -> dict[str, Any]:
        """The fields that differ from their defaults."""
        return {
            f.name: getattr(self, f.name)
            for f in fields(self)
            if f.default is MISSING or getattr(self, f.name) != f.default
        }

    def own(self) -> dict[str, Any]:
        """The fields in which this recipe differs from its profile.

        Example:
            >>> for_profile("scnn", profile="fast", epochs=200, seed=3).own()
            {'seed': 3, 'epochs': 200}
        """
        usual = vars(for_profile(self.model, self.data, self.profile))
        return {name: value for name, value in vars(self).items() if value != usual[name]}

    @property
    def key(self) -> str:
        """Ten hex digits that name this recipe.

        Only fields that differ from their defaults enter, so that a field added later, whose
        default changes nothing, leaves old keys as they were.
        """
        text = json.dumps(self.changes(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    @property
    def path(self) -> str:
        """Place of the record below the folder of runs; its parts name the table's cell."""
        own = {name: value for name, value in self.own().items() if name != "seed"}
        options = "".join(f"+{name}={_plain(value)}" for name, value in own.items())
        return f"{self.data}/{self.profile}/{self.model}{options}/seed{self.seed}-{self.key}.json"


def for_profile(
    model: str, data: str | None = None, profile: str = "paper", **settings: Any
) -> Recipe:
    """The recipe of a profile, with settings of your own.

    Args:
        model: name for `softshare.build`.
        data: name of the data set; default ``cifar10``, ``digits`` at ``smoke``, ``imagenet`` for
            networks of depth 50, or the task of Section 4.4 for its models.
        profile: ``paper``, ``fast`` or ``smoke``.
        **settings: fields of `Recipe` to set otherwise.

    Returns:
        The recipe.

    Raises:
        ValueError: an unknown setting or profile, or a value out of range.

    Example:
        >>> for_profile("scnn-r").recurrence
        0.01
        >>> for_profile("wrn-28-10", profile="fast").total_epochs
        30
        >>> for_profile("wrn-28-10", sedd=1)
        Traceback (most recent call last):
        ...
        ValueError: A recipe has no setting 'sedd'; did you mean 'seed'?
    """
    known = {f.name for f in fields(Recipe)}
    for name in settings:
        if name not in known:
            close = difflib.get_close_matches(name, sorted(known), n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(sorted(known))}."
            raise ValueError(f"A recipe has no setting {name!r}; {hint}")
    chosen = usual(model, profile)
    if data is not None:
        chosen["data"] = data
    return Recipe(model=model, profile=profile, **(chosen | settings))


def _plain(value: Any) -> str:
    return "-".join(map(str, value)) if isinstance(value, tuple) else f"{value}"
