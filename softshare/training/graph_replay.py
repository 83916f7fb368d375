"""A whole step of the optimiser as one CUDA graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import torch
from torch import Tensor


class GraphReplay:
    """A step recorded once, replayed on each batch of the same shape with one launch.

    The learning rate is part of what is recorded. Random draws go on from the device's generator
    at each replay. Recording itself takes no step.

    Args:
        work: the step, a function of inputs and targets; it drops the gradients first.
        optimizer: of the step; its state exists already.
        inputs: a batch.
        targets: its targets.
    """

    def __init__(
        self,
        work: Callable[[Tensor, Tensor], Tensor],
        optimizer: torch.optim.Optimizer,
        inputs: Tensor,
        targets: Tensor,
    ) -> None:
        self.inputs, self.targets = inputs.clone(), targets.clone()
        self.rate = optimizer.param_groups[0]["lr"]
        self.graph = torch.cuda.CUDAGraph()
        # Device and stream are those of the batches: on another one's stream an empty graph is
        # recorded. The outer stream is returned to also where recording fails half-way.
        with (
            torch.cuda.device(inputs.device),
            torch.cuda.stream(torch.cuda.current_stream(inputs.device)),
            _capturable(optimizer),
            torch.cuda.graph(
                self.graph, stream=_stream(inputs.device), capture_error_mode="thread_local"
            ),
        ):
            self.loss = work(self.inputs, self.targets)

    def __call__(self, inputs: Tensor, targets: Tensor) -> Tensor:
        self.inputs.copy_(inputs)
        self.targets.copy_(targets)
        self.graph.replay()
        return self.loss.clone()


@cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    """The stream on which a device records; kept, as a new one takes a new workspace of cuBLAS."""
    return torch.cuda.Stream(device)


@contextmanager
def _capturable(optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Adam wants to be told; its fused steps count on the device in any case."""
    groups = [group for group in optimizer.param_groups if "capturable" in group]
    before = [group["capturable"] for group in groups]
    for group in groups:
        group["capturable"] = True
    try:
        yield
    finally:
        for group, value in zip(groups, before, strict=True):
            group["capturable"] = value
