"""What folding costs: the error of a trained network folded at every threshold that it has."""

from __future__ import annotations

import copy
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from softshare.folding import Folding, folding
from softshare.folding.ties import similarities, thresholds
from softshare.records import Run
from softshare.sharing import banks
from softshare.training.precision import name_of, precision_for
from softshare.training.recalibration import RECALIBRATION, as_recalibrated, recalibrate
from softshare.training.tasks import Task, check_images, predictor, task_for


def measured(
    run: Run,
    net: nn.Module,
    task: Task,
    precision: torch.dtype,
    always: bool = False,
    progress: bool = False,
) -> Run:
    """A run with its ``folded`` measured, and the ``folding_seconds`` that it took as a cost.

    Args:
        run: the record; returned as it is where the network shares nothing.
        net: the trained network; it stays as it is.
        task: that it was trained on, on the device of `net`.
        precision: what the network computes in.
        always: False leaves out what takes longer than the training took, as with the few
            examples of a trial run, counted in passes of examples. ``origin["folded"]`` says so.
        progress: whether to show a bar.
    """
    if not banks(net):
        return run
    start = time.monotonic()
    try:
        if not always and _passes(run, net) > 3 * _seen(run):  # a step passes forth and back
            why = "not measured, as it would take longer than the training; fold RECORD --measure"
            return replace(run, origin=run.origin | {"folded": why})
        found = measure(net, task, run.recipe.total_epochs - 1, precision, progress)
    except ModuleNotFoundError as error:
        warnings.warn(f"Folding {run.path} was not measured: {error}.", stacklevel=2)
        return replace(run, origin=run.origin | {"folded": f"not measured: {error}"})
    seconds = round(time.monotonic() - start, 2)
    return replace(run, folded=found, cost=run.cost | {"folding_seconds": seconds})


def _passes(run: Run, net: nn.Module) -> float:
    """Examples that go through the network when it is measured."""
    recipe, scored = run.recipe, run.data["test"] / run.recipe.phases
    drawn = min(RECALIBRATION * recipe.batch_size, run.data["train"] / recipe.phases)
    return len(all_thresholds(net)) * (2 * scored + drawn)


def _seen(run: Run) -> float:
    """Examples that it was trained on, each as often as it was seen."""
    return run.recipe.total_epochs * run.data["train"] / run.recipe.phases


def remeasured(
    run: Run,
    root: Path | str | None = None,
    device: torch.device | str = "cpu",
    source: str | Path | None = None,
    progress: bool = False,
) -> Run:
    """A recorded run with its foldings measured on its kept weights; its result stays as it is.

    The kept weights are rounded, and the device may be another one than that of the training, so
    at t = 1 the error can differ a little from the result; ``origin["folded"]`` says so.

    Args:
        run: a record with weights.
        root: folder of records. Default ``data/runs`` of the checkout.
        device: where to measure.
        source: folder or archive to read the image set from.
        progress: whether to show a bar.

    Returns:
        The run with new ``folded`` and the metric of its ``weights``; save it to keep them.

    Raises:
        ValueError: the run kept no weights, or was trained on other images of that name.
        FileNotFoundError: the weights or the data set are not there.
        Damaged: the weights are not those that were written.
    """
    net, place = run.network(root), torch.device(device)
    task, precision = task_for(run.recipe, place, source), precision_for(place)
    check_images(run, task)
    last = run.recipe.total_epochs - 1
    error = score(net, task, last, precision, place)
    kept = replace(run, weights=run.weights | {run.metric: error})
    if not banks(net):
        return kept
    kept = measured(kept, net, task, precision, True, progress)
    how = f"on {place.type} in {name_of(precision)}, from the kept weights"
    return replace(kept, origin=run.origin | {"folded": how}) if kept.folded else kept


def measure(
    net: nn.Module,
    task: Task,
    epoch: int,
    precision: torch.dtype = torch.float32,
    progress: bool = False,
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
    each = all_thresholds(net)
    for threshold in tqdm(each, "foldings", unit="folding", disable=not progress):
        twin.load_state_dict(kept)
        parts = fold_in_place(twin, threshold)
        lines.append({"threshold": threshold, "parameters": folded_size(net, parts)})
        lines[-1] |= task.scores(predictor(twin, precision), epoch)
        recalibrate(twin, task, epoch, precision)
        lines[-1] |= as_recalibrated(task.scores(predictor(twin, precision), epoch))
    return lines


def all_thresholds(net: nn.Module) -> tuple[float, ...]:
    """1, and the thresholds at which ties grow in any group of a shared network; falling."""
    each = [thresholds(similarities(bank.coefficients)) for bank in banks(net).values()]
    return tuple(sorted({1.0}.union(*each), reverse=True))


def fold_in_place(net: nn.Module, threshold: float) -> dict[str, Folding]:
    """Gives the layers of each group the coefficients of their folding, and returns these."""
    parts = {}
    for label, bank in banks(net).items():
        A = bank.coefficients.detach()
        T = bank.templates.detach().float().reshape(A.shape[1], -1)  # (k, n)
        gram = (T @ T.T).cpu()  # what follows is small
        parts[label] = folding(A.cpu(), threshold, bank.layers, label, gram)
        with torch.no_grad():
            bank.coefficients.copy_(parts[label].coefficients)
    return parts


def folded_size(net: nn.Module, parts: dict[str, Folding]) -> int:
    """Parameters of a shared network once its groups are folded as given."""
    total = sum(p.numel() for p in net.parameters())
    for label, bank in banks(net).items():
        total -= sum(p.numel() for p in bank.parameters())
        total += parts[label].parameters(bank.templates.numel() // bank.coefficients.shape[1])
    return total


def score(net: nn.Module, task: Task, epoch: int, precision: torch.dtype, device: Any) -> float:
    """The metric of a network, moved to the device, on what an epoch is scored on."""
    net = net.to(device).to(memory_format=torch.channels_last)
    return task.scores(predictor(net, precision), epoch)[task.metrics[0]]
