"""What the explorer shows, in plain values: a network's foldings after each epoch that was kept."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from softshare.folding import Folding, foldings
from softshare.models import build
from softshare.records import Run
from softshare.records.naming import full_label
from softshare.sharing import banks, groups
from softshare.sharing.refusals import first_step
from softshare.sharing.similarity import chance_level, similarity

_SAME = 2e-6  # measured thresholds have six decimals


@dataclass(frozen=True)
class State:
    """A whole network folded at one threshold: each group's folding, size, measured score."""

    threshold: float
    foldings: Mapping[str, Folding]
    parameters: int
    measured: Mapping[str, float]


@dataclass(frozen=True)
class Moment:
    """A network after an epoch: its LSMs, its score unfolded, and all its foldings."""

    name: str
    lsm: Mapping[str, Tensor]
    score: float | None
    states: Sequence[State]

    @property
    def thresholds(self) -> list[str]:
        """The thresholds as text, by `cut`."""
        return cut([state.threshold for state in self.states])


def cut(thresholds: Sequence[float], digits: int = 2) -> list[str]:
    """Thresholds as text, cut after as few decimals as keep them apart, so many or more.

    Cut and not rounded: folding at the number that is shown makes the ties that are shown.

    Example:
        >>> cut([1.0, 0.9966, 0.9951]), cut([0.3938], digits=3)
        (['1.000', '0.996', '0.995'], ['0.393'])
    """
    for places in range(digits, 7):
        short = [math.floor(t * 10**places + 1e-6) / 10**places for t in thresholds]
        if len(set(short)) == len(short):
            break
    return [f"{t:.{places}f}" for t in short]


@dataclass(frozen=True)
class Network:
    """A soft-shared network in all its foldings.

    Attributes:
        name: what it is called.
        about: data set, profile and seed of a run.
        metric: ``test_error``, ``f1`` or empty.
        parameters: of the unfolded network.
        chance: the chance level of each group.
        moments: kept epochs in order, the last one last; of a model, this moment alone.
    """

    name: str
    about: str
    metric: str
    parameters: int
    chance: Mapping[str, float]
    moments: Sequence[Moment]

    @property
    def groups(self) -> list[str]:
        """Labels of the groups, in the network's order."""
        return list(self.chance)


def network(of: Run | nn.Module) -> Network:
    """All foldings of a run or model, from its coefficients.

    Raises:
        ValueError: a run or model that shares nothing.
    """
    return _of_run(of) if isinstance(of, Run) else _of_model(of)


def _of_run(run: Run) -> Network:
    if not run.coefficients:
        raise ValueError(
            f"The explorer shows soft-shared networks; {run.recipe.model} shares nothing. Take a "
            "run of swrn, scnn or scnn-r."
        )
    kept = {epoch: _tensors(alpha) for epoch, alpha in run.coefficients.items()}
    last = list(kept)[-1]
    names = run.model.get("groups", {})
    sizes = _sizes(run.recipe.model)
    parameters = run.model["parameters"]
    scores = dict(zip(map(str, run.curves["epoch"]), run.curves[run.metric], strict=True))
    moments = [
        _moment(
            epoch,
            alpha,
            names,
            sizes,
            parameters,
            scores.get(epoch),
            run.folded if epoch == last else (),
        )
        for epoch, alpha in kept.items()
    ]
    about = f"{run.data['name']}, profile {run.profile}, seed {run.seed}"
    init = run.recipe.init
    levels = {g: chance_level(*A.shape, init) for g, A in kept[last].items()}
    return Network(full_label(run), about, run.metric, parameters, levels, moments)


def _of_model(net: nn.Module) -> Network:
    found = banks(net)
    if not found:
        raise ValueError(
            f"The explorer shows soft-shared networks; this model shares nothing. {first_step(net)}"
        )
    alpha = {g: bank.coefficients.detach().float().cpu() for g, bank in found.items()}
    names = groups(net)
    sizes = {g: bank.templates.numel() // bank.coefficients.shape[1] for g, bank in found.items()}
    parameters = sum(p.numel() for p in net.parameters())
    levels = {g: chance_level(*A.shape, found[g].init) for g, A in alpha.items()}
    now = _moment("now", alpha, names, sizes, parameters, None, ())
    return Network(type(net).__name__, "as it stands", "", parameters, levels, [now])


def _moment(
    name: str,
    alpha: Mapping[str, Tensor],
    names: Mapping[str, Sequence[str]],
    sizes: Mapping[str, int],
    parameters: int,
    score: float | None,
    measured: Sequence[Mapping[str, float]],
) -> Moment:
    every = {g: foldings(A, names.get(g), g) for g, A in alpha.items()}
    unfolded = sum(A.numel() + A.shape[1] * sizes[g] for g, A in alpha.items())
    states = []
    for t in sorted({f.threshold for found in every.values() for f in found}, reverse=True):
        now = {g: [f for f in found if f.threshold >= t][-1] for g, found in every.items()}
        kept = sum(f.parameters(sizes[g]) for g, f in now.items())
        size = parameters - unfolded + kept
        states.append(State(t, now, size, at(measured, t, size)))
    return Moment(name, {g: similarity(A) for g, A in alpha.items()}, score, states)


def at(
    measured: Sequence[Mapping[str, float]], threshold: float, parameters: int | None = None
) -> Mapping[str, float]:
    """The measured folding at a threshold, of a record's list; empty where there is none.

    Thresholds may be a last decimal apart: of those near it the nearest, and only one with so
    many parameters where these are given, for old records tied at 1 what is nearly so.
    """
    near = [m for m in measured if abs(m["threshold"] - threshold) < _SAME]
    same = [m for m in near if parameters in (None, m["parameters"])]
    return min(same, key=lambda m: abs(m["threshold"] - threshold), default={})


def _tensors(alpha: Mapping[str, Any]) -> dict[str, Tensor]:
    return {group: torch.tensor(rows) for group, rows in alpha.items()}


@cache
def _sizes(model: str) -> dict[str, int]:
    """Numbers in one weight of each group; images and classes do not enter."""
    with torch.device("meta"):
        shared = banks(build(model))
    return {g: b.templates.numel() // b.coefficients.shape[1] for g, b in shared.items()}


__all__ = ["Moment", "Network", "State", "at", "network"]
