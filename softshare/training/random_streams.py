"""What a run draws at random: its examples, and streams that follow from its seed alone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor

from softshare.recipe import Recipe


@contextlib.contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seeds PyTorch's generators of the CPU and of `device` inside, and leaves them as they were.

    ``torch.manual_seed`` would seed those of all GPUs.
    """
    cuda = device.type == "cuda"
    with torch.random.fork_rng([device] if cuda else []):
        torch.default_generator.manual_seed(seed % 2**63)
        if cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed % 2**63)
        yield


def subset(recipe: Recipe, total: int) -> Tensor:
    """The training examples of a recipe by their places, the same for every seed.

    Raises:
        ValueError: more are asked for than there are.

    Example:
        >>> subset(Recipe("wrn-28-1", examples=3), total=10).tolist()
        [4, 1, 7]
    """
    if recipe.examples > total:
        raise ValueError(
            f"{recipe.data} has {total} training examples; got examples={recipe.examples}. Pass 0 "
            "for all."
        )
    if not recipe.examples:
        return torch.arange(total)
    return torch.randperm(total, generator=torch.Generator().manual_seed(0))[: recipe.examples]


def epoch_stream(recipe: Recipe, epoch: int, device: torch.device) -> torch.Generator:
    """For order and augmentation of one epoch: a resumed run draws what it would have drawn."""
    seed = recipe.seed * 1_000_003 + recipe.begin + epoch + 1
    return torch.Generator(device).manual_seed(seed % 2**63)
