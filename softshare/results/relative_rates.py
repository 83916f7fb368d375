"""How fast a layer learns for its size, beside the same layer of a network that shares nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import nn

from softshare.paths import runs_root
from softshare.recipe import Recipe
from softshare.records import Run
from softshare.records.naming import full_label
from softshare.records.weights import companions
from softshare.sharing import banks, unshare
from softshare.wording import seeded

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("network", "trained on", "epochs", "seed", "layer", "own", "size", "relative")


def relative(shared: nn.Module, plain: nn.Module) -> dict[str, tuple[float, float, float]]:
    r"""Of each shared layer: its own rate, its size beside the plain layer, its relative rate.

    Where batch normalisation follows a weight, the output does not change with the weight's
    size, and its gradient shrinks as :math:`1 / \lVert W\rVert`. A step of gradient descent then
    turns the weight by what goes as :math:`1 / \lVert W\rVert^2`, and with sharing, by its own
    gradient, as :math:`\lVert\alpha_i\rVert^2 / \lVert W_i\rVert^2`
    (`softshare.results.rates`). Of gradients that are alike at length 1 that is, beside the
    plain layer of weight V,

    .. math:: \lVert\alpha_i\rVert^2\, \lVert V_i\rVert^2 / \lVert W_i\rVert^2 .

    Args:
        shared: a soft-shared network.
        plain: the same without sharing.

    Returns:
        Of each layer by its name :math:`\lVert\alpha_i\rVert^2`,
        :math:`\lVert W_i\rVert / \lVert V_i\rVert`, and the number above.

    Example:
        >>> import softshare as ss
        >>> net = ss.build("swrn-16-1")
        >>> {round(r, 3) for own, size, r in relative(net, ss.unshare(net)).values()}
        {1.0}
    """
    ordinary, found = unshare(shared), {}
    for bank in banks(shared).values():
        for name, alpha in zip(bank.layers, bank.coefficients.detach(), strict=True):
            layers = (net.get_submodule(name) for net in (ordinary, plain))
            sizes = [torch.as_tensor(layer.weight).detach().norm() for layer in layers]
            own, size = alpha.square().sum().item(), (sizes[0] / sizes[1]).item()
            found[name] = own, size, own / size**2
    return found


def table(runs: Sequence[Run]) -> pd.DataFrame:
    """A row for each layer of a network whose plain twin was trained alike, with weights of both.

    Args:
        runs: among these twins are looked for. Runs whose weights are not here, and those of
            Adam, whose steps do not go with the size of a gradient, are left out.

    Returns:
        `own`, `size` and `relative` by `relative`.

    Example:
        >>> table([]).empty
        True
    """
    import pandas as pd

    kept = [run for run in runs if run.weights and companions(runs_root() / run.path)]
    twins = {(run.recipe, run.data.get("checksum")): run for run in kept}
    lines = []
    for run in (run for run in kept if run.coefficients and _alone(run.recipe)):
        recipe = replace(run.recipe, model="-".join(run.recipe.model[1:].split("-")[:3]))
        twin = twins.get((recipe, run.data.get("checksum")))
        if twin:
            about = (full_label(run), run.data["name"], recipe.total_epochs, run.seed)
            found = relative(run.network(), twin.network())
            lines += [(*about, name, *numbers) for name, numbers in found.items()]
    return pd.DataFrame(lines, columns=list(COLUMNS))


def _alone(recipe: Recipe) -> bool:
    """Whether a plain network could be trained like this, by steps that go with the gradient."""
    return not recipe.tune and not recipe.recurrence and recipe.optimizer == "sgd"


def sentences(runs: Sequence[Run]) -> list[str]:
    """For each such network the means over layers and seeds."""
    lines = []
    for (network, data, epochs), rows in table(runs).groupby(list(COLUMNS[:3]), sort=False):
        least, most, mean = (getattr(rows["relative"], of)() for of in ("min", "max", "mean"))
        seeds, layers = list(rows["seed"].unique()), rows["layer"].nunique()
        each = f" of {seeded(seeds)} each" if len(seeds) > 1 else ""
        lines.append(
            f"{network} ({data}, {epochs} epochs, {seeded(seeds)}): a layer's own rate is "
            f"{rows['own'].mean():.2f} in the mean, its weight {rows['size'].mean():.2f} times as "
            f"large as without sharing, and its rate for its size {mean:.2f} times that without "
            f"sharing ({least:.2f} to {most:.2f} over {layers} layers{each})."
        )
    return lines or ["No soft-shared network and its plain twin have their weights kept yet."]
