"""Batch normalisation estimated anew: statistics of the network as it is, not of its past."""

from __future__ import annotations

import copy
from itertools import islice

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from softshare.training.precision import autocast
from softshare.training.tasks import Task, predictor

RECALIBRATION = 50
"""Training batches, at most, from which a folded network is calibrated."""

EACH_EPOCH = 10
"""The same for the score that a run notes after each epoch."""


def recalibrated_scores(
    net: nn.Module, task: Task, epoch: int, precision: torch.dtype, batches: int = EACH_EPOCH
) -> dict[str, float]:
    """The scores with the statistics of batch normalisation estimated anew; `net` stays as it is.

    They come from the first `batches` batches of training examples of the epoch.

    Returns:
        Each under its name with ``_recalibrated``.
    """
    twin = copy.deepcopy(net)
    recalibrate(twin, task, epoch, precision, batches)
    return as_recalibrated(task.scores(predictor(twin, precision), epoch))


def as_recalibrated(scores: dict[str, float]) -> dict[str, float]:
    """Scores under the names that they have once statistics are estimated anew."""
    return {f"{name}_recalibrated": score for name, score in scores.items()}


def recalibrate(
    net: nn.Module,
    task: Task,
    epoch: int,
    precision: torch.dtype,
    most: int = RECALIBRATION,
) -> None:
    """Estimates the statistics of batch normalisation anew, in place; `net` is left in eval mode.

    They become the plain average over the first batches of training examples of the epoch, `most`
    of them or all there are, seen without dropout.
    """
    norms = [module for module in net.modules() if isinstance(module, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    net.eval()
    for norm in norms:
        norm.train()
    batches = islice(task.batches(epoch), most)
    for number, (inputs, _) in enumerate(batches, start=1):
        for norm in norms:
            norm.momentum = 1 / number  # a plain average, and the first batch replaces what was
        inputs = inputs.contiguous(memory_format=torch.channels_last)
        with torch.no_grad(), autocast(inputs.device, precision):
            net(inputs)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    net.eval()
