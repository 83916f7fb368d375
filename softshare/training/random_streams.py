"""Random streams of a run: what it draws follows from its seed alone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from softshare.recipe import Recipe


@contextlib.contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seeds PyTorch's global generators inside, and leaves them as they were outside."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed % 2**63)
        yield


def epoch_stream(recipe: Recipe, epoch: int, device: torch.device) -> torch.Generator:
    """For order and augmentation of one epoch: a resumed run draws what it would have drawn."""
    seed = recipe.seed * 1_000_003 + recipe.begin + epoch + 1
    return torch.Generator(device).manual_seed(seed % 2**63)
