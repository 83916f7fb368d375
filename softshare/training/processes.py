"""Several processes that train one network together, as torchrun starts them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

_PATIENCE = timedelta(days=1)  # others wait while the first scores; torchrun ends them if it dies


@dataclass(frozen=True)
class Processes:
    """This process among those that train one network; by itself, where nobody else does.

    All draw the same batches, as a single process would, and each takes its part of every batch.
    Gradients are those of the whole batch. Batch normalisation is the exception, as usual: each
    process normalises with the statistics of its own part, and the running averages of the first
    are kept.

    Attributes:
        rank: of this process, from 0; the first scores the network and writes all files.
        size: how many there are.

    Example:
        >>> Processes(rank=1, size=2).part(torch.arange(5))
        tensor([3, 4])
    """

    rank: int = 0
    size: int = 1

    def part(self, batch: Tensor) -> Tensor:
        """This process' share of a batch.

        Raises:
            ValueError: the batch has fewer examples than there are processes.
        """
        if len(batch) < self.size:
            raise ValueError(
                f"Each of {self.size} processes needs an example of every batch; got a batch of "
                f"{len(batch)}. Choose another batch_size."
            )
        return batch.tensor_split(self.size)[self.rank] if self.size > 1 else batch

    def share(self, batch: Tensor) -> float:
        """The weight of that share: with it, means over the parts average to the whole's mean."""
        return len(self.part(batch)) * self.size / len(batch)

    def mean(self, values: Tensor) -> Tensor:
        """The mean over the processes."""
        if self.size > 1:
            dist.all_reduce(values)
            values /= self.size
        return values

    def first(self, work: Callable[[], Any]) -> Any:
        """What the first process finds, or raises; the others wait for it."""
        if self.size == 1:
            return work()
        found, error = None, None
        if self.rank == 0:
            try:
                found = work()
            except Exception as raised:
                error = raised
        told = [found, error]
        dist.broadcast_object_list(told, src=0)
        if told[1] is not None:
            raise told[1]
        return told[0]


ALONE = Processes()


@contextmanager
def together(device: torch.device) -> Iterator[Processes]:
    """Joins the processes that torchrun started, by NCCL between GPUs, else by gloo.

    Args:
        device: of this process.
    """
    if is_alone():
        yield ALONE
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE)
    try:
        yield Processes(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()


def is_alone() -> bool:
    """Whether torchrun has started no other process that would train with this one."""
    return not _started_by_torchrun() or os.environ["WORLD_SIZE"] == "1" or dist.is_initialized()


def local_gpu() -> str:
    """The GPU that is this process' own."""
    return f"cuda:{os.environ['LOCAL_RANK']}" if _started_by_torchrun() else "cuda"


def speaks() -> bool:
    """Whether this process is the one that tells of the run."""
    return not _started_by_torchrun() or os.environ["RANK"] == "0"


def _started_by_torchrun() -> bool:
    return "TORCHELASTIC_RUN_ID" in os.environ
