r"""How far one step moves a layer's weight, beside a network that shares nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from softshare.records import Run
from softshare.records.naming import full_label
from softshare.results.comparable import by_seed
from softshare.wording import seeded

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("record", "network", "trained on", "seed", "epoch", "group", "own", "others")


def rates(coefficients: Tensor) -> Tensor:
    r"""The matrix :math:`A A^\top`, ``(L, L)``, by which gradients of weights become steps of them.

    With :math:`W = A T` (Eq. 1) and gradients :math:`G_l` of the weights, a step of gradient
    descent with learning rate :math:`\eta` on the templates moves the weight of layer i by

    .. math:: \Delta W_i = -\eta \sum_l \langle\alpha_i, \alpha_l\rangle\, G_l .

    On the diagonal stands how much faster a layer learns from its own gradient than it would
    without sharing, :math:`\lVert\alpha_i\rVert^2`; beside it how far it follows the gradients
    of the other layers. Orthogonal coefficients with as many templates as layers start as the
    identity. What learning the coefficients themselves adds is not in it.

    Args:
        coefficients: A, ``(L, k)``.

    Example:
        >>> rates(torch.eye(2)).tolist(), rates(torch.tensor([[2.0], [1.0]])).tolist()
        ([[1.0, 0.0], [0.0, 1.0]], [[4.0, 2.0], [2.0, 1.0]])
    """
    if coefficients.dim() != 2:
        raise ValueError(
            f"Coefficients have shape (L, k), a row a layer; got {tuple(coefficients.shape)}."
        )
    A = coefficients.detach()
    return A @ A.T


def table(runs: Sequence[Run]) -> pd.DataFrame:
    r"""The rates of every group of every run after each epoch that was kept.

    Args:
        runs: runs of soft-shared networks; others are left out.

    Returns:
        A row for each run, epoch and group: `own`, the mean over layers of
        :math:`\lVert\alpha_i\rVert^2`, and `others`, the mean over layers of
        :math:`(\sum_{l \ne i} \langle\alpha_i, \alpha_l\rangle^2)^{1/2}`.

    Example:
        >>> table([]).empty
        True
    """
    import pandas as pd

    lines = []
    for run in runs:
        for epoch, groups in run.coefficients.items():
            for group, rows in groups.items():
                R = rates(torch.tensor(rows, dtype=torch.float64))
                own, others = R.diag(), (R - R.diag().diag()).norm(dim=1)
                about = (run.path, full_label(run), run.data["name"], run.seed)
                lines.append((*about, int(epoch), group, own.mean().item(), others.mean().item()))
    return pd.DataFrame(lines, columns=list(COLUMNS))


def sentences(runs: Sequence[Run]) -> list[str]:
    """How each network's own rate changed from the start to the last epoch, group by group.

    The mean over its seeds; of several, the least and the greatest at the end in brackets.
    """
    lines = []
    for seeds in by_seed(run for run in runs if run.coefficients):
        rows = table(seeds)
        first, last = rows["epoch"].min(), rows["epoch"].max()
        own = rows.groupby(["group", "epoch"], sort=False)["own"]
        mean, least, most = own.mean(), own.min(), own.max()
        grown = [
            f"{group} {mean[group, first]:.2f} to {mean[group, last]:.2f}"
            + (f" ({least[group, last]:.2f} to {most[group, last]:.2f})" if len(seeds) > 1 else "")
            for group in rows["group"].unique()
        ]
        about = f"{seeds[0].data['name']}, {seeded([run.seed for run in seeds])}"
        lines.append(
            f"{full_label(seeds[0])} ({about}), epoch {first} to {last}: {'; '.join(grown)}."
        )
    return lines or ["No soft-shared network is recorded yet."]
