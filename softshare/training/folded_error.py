"""What folding costs a run: its foldings measured when training ends, or later."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from softshare.records import Run
from softshare.sharing import banks
from softshare.training.engine import tuned
from softshare.training.folded_score import all_thresholds, measure, most_passes, passes
from softshare.training.precision import name_of, precision_for
from softshare.training.tasks import Task, check_images, predictor, task_for


def measured(
    run: Run,
    net: nn.Module,
    task: Task,
    precision: torch.dtype,
    always: bool = False,
    progress: bool = False,
    note: Callable[[Run], Any] = lambda run: None,
) -> Run:
    """A run with ``folded`` and ``folded_alone`` measured, and the seconds that it took as a cost.

    Args:
        run: the record; returned as it is where the network shares nothing. What it has of
            ``folded`` is not measured again.
        net: the trained network; it stays as it is.
        task: that it was trained on, on the device of `net`.
        precision: what the network computes in.
        always: False leaves out what takes longer than the training took, as with the few
            examples of a trial run, counted in passes of examples; groups folded alone first.
            Where nothing is left, ``origin["folded"]`` says so.
        progress: whether to show a bar.
        note: is given the run with ``folded`` before groups are folded alone.
    """
    if not banks(net):
        return run
    start = time.monotonic() - (run.cost["folding_seconds"] if run.folded else 0.0)
    train, held_out = (run.data[name] / run.recipe.phases for name in ("train", "test"))
    each = passes(run.recipe, train, held_out)
    bound = math.inf if always else most_passes(run.recipe, train) / each  # foldings
    last = run.recipe.total_epochs - 1
    try:
        whole = len(all_thresholds(net))
        if whole > bound:
            why = "not measured, as it would take longer than the training; fold RECORD --measure"
            return replace(run, origin=run.origin | {"folded": why})
        groups = list(banks(net)) if len(banks(net)) > 1 else []
        more = sum(len(all_thresholds(net, group)) for group in groups)
        parts = groups if whole + more <= bound else []
        with tuned(next(net.parameters()).device):
            if not run.folded:
                found = measure(net, task, last, precision, progress)
                run = replace(run, folded=found, cost=_cost(run, start))
                note(run)
            alone = {part: measure(net, task, last, precision, progress, part) for part in parts}
    except ModuleNotFoundError as error:
        warnings.warn(f"Folding {run.path} was not measured: {error}.", stacklevel=2)
        return replace(run, origin=run.origin | {"folded": f"not measured: {error}"})
    return replace(run, folded_alone=alone, cost=_cost(run, start))


def _cost(run: Run, start: float) -> dict[str, Any]:
    return run.cost | {"folding_seconds": round(time.monotonic() - start, 2)}


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
        The run with new ``folded``, ``folded_alone`` and the metric of its ``weights``; save it to
        keep them.

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
    anew = replace(kept, folded=[], folded_alone={})
    anew = measured(anew, net, task, precision, True, progress)
    how = f"on {place.type} in {name_of(precision)}, from the kept weights"
    return replace(anew, origin=run.origin | {"folded": how}) if anew.folded else kept


def score(net: nn.Module, task: Task, epoch: int, precision: torch.dtype, device: Any) -> float:
    """The metric of a network, moved to the device, on what an epoch is scored on."""
    net = net.to(device).to(memory_format=torch.channels_last)
    with tuned(torch.device(device)):
        return task.scores(predictor(net, precision), epoch)[task.metrics[0]]
