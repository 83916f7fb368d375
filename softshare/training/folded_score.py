"""What folding costs: the scores of a trained network folded at every threshold that it has."""

from __future__ import annotations

import copy

import torch
from torch import nn

from softshare.folding import Folding, folding
from softshare.folding.ties import similarities, thresholds
from softshare.recipe import Recipe
from softshare.sharing import banks
from softshare.training.recalibration import RECALIBRATION, as_recalibrated, recalibrate
from softshare.training.tasks import Task, predictor


def measure(
    net: nn.Module,
    task: Task,
    epoch: int,
    precision: torch.dtype = torch.float32,
    progress: bool = False,
    alone: str = "",
) -> list[dict[str, float]]:
    r"""The score of a shared network folded at t = 1 and wherever ties of any group grow.

    Folding changes what reaches the layers behind, and the running statistics of batch
    normalisation no longer fit. Each folding is therefore scored twice: as it is, and with these
    estimated anew, as the plain average over the first batches of training examples of the given
    epoch, `RECALIBRATION` of them or all there are, seen without dropout. Test examples take no
    part in that.

    Nothing is rebuilt: the folded network is the same network with the coefficients
    :math:`s_i r_{\tau(i)}` in place of :math:`\alpha_i`, and mixes the very weights that
    `softshare.fold` stores.

    Args:
        net: a shared network; it stays as it is, and so do PyTorch's random streams.
        task: what it was trained on, on the device of `net`.
        epoch: counted from 0: whose examples are scored and drawn, that is, the last.
        precision: what the network computes in.
        progress: whether to show a bar.
        alone: the one group to fold, as Section 4.3 folds stage 2, and the others stay: then
            wherever its ties grow. Default: all groups at the same threshold.

    Returns:
        For each threshold, falling: ``threshold``; ``parameters`` of the folded network; the
        scores of the task, and the same with ``_recalibrated`` to their names.

    Example:
        >>> from softshare.models import build
        >>> from softshare.recipe import for_profile
        >>> from softshare.training.tasks import task_for
        >>> recipe = for_profile("swrn-16-1-1", profile="smoke", examples=128)
        >>> task = task_for(recipe, torch.device("cpu"))
        >>> found = measure(build("swrn-16-1-1", **task.model_settings), task, epoch=9)
        >>> [list(line) for line in found]
        [['threshold', 'parameters', 'test_error', 'test_error_recalibrated']]
    """
    from tqdm.auto import tqdm

    twin = copy.deepcopy(net).eval()
    kept = copy.deepcopy(twin.state_dict())
    lines = []
    each = all_thresholds(net, alone)
    what = f"foldings of {alone}" if alone else "foldings"
    for threshold in tqdm(each, what, unit="folding", disable=not progress):
        twin.load_state_dict(kept)
        parts = fold_in_place(twin, threshold, alone)
        lines.append({"threshold": threshold, "parameters": folded_size(net, parts)})
        lines[-1] |= task.scores(predictor(twin, precision), epoch)
        recalibrate(twin, task, epoch, precision)
        lines[-1] |= as_recalibrated(task.scores(predictor(twin, precision), epoch))
    return lines


def passes(recipe: Recipe, train: float, held_out: float) -> float:
    """Examples that go through a network when one folding of it is measured."""
    return 2 * held_out + min(RECALIBRATION * recipe.batch_size, train)


def most_passes(recipe: Recipe, train: float) -> float:
    """How many may: as many as training let pass, forth and back."""
    return 3 * recipe.total_epochs * train


def all_thresholds(net: nn.Module, alone: str = "") -> tuple[float, ...]:
    """1, and the thresholds at which ties grow in any group; falling. Of one group without 1."""
    found = {g: thresholds(similarities(b.coefficients)) for g, b in banks(net).items()}
    if alone:
        return found[alone]
    return tuple(sorted({1.0}.union(*found.values()), reverse=True))


def fold_in_place(net: nn.Module, threshold: float, alone: str = "") -> dict[str, Folding]:
    """Gives the layers of each group, or of one, the coefficients of their folding."""
    parts = {}
    for label, bank in banks(net).items():
        if alone and label != alone:
            continue
        A = bank.coefficients.detach()
        T = bank.templates.detach().float().reshape(A.shape[1], -1)  # (k, n)
        gram = (T @ T.T).cpu()  # what follows is small
        parts[label] = folding(A.cpu(), threshold, bank.layers, label, gram)
        with torch.no_grad():
            bank.coefficients.copy_(parts[label].coefficients)
    return parts


def folded_size(net: nn.Module, parts: dict[str, Folding]) -> int:
    """Parameters of a shared network once these groups are folded as given."""
    total = sum(p.numel() for p in net.parameters())
    for label, folded in parts.items():
        bank = banks(net)[label]
        total -= sum(p.numel() for p in bank.parameters())
        total += folded.parameters(bank.templates.numel() // bank.coefficients.shape[1])
    return total
