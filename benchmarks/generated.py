"""Images of random pixels, as many as asked for: speed does not depend on what they show."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch

from softshare.data import image_cache
from softshare.data.image_set import Splits, image_sets
from softshare.recipe import Recipe
from softshare.training.image_task import ImageTask

NAME = "generated"


def pictures(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, 3, 32, 32) uint8 and labels (n,) of ten classes."""
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(n, 3, 32, 32), dtype=np.uint8)
    return images, rng.integers(10, size=n)


def image_task(recipe: Recipe, device: torch.device, n: int) -> ImageTask:
    """The library's own task on n generated images; one batch of them is there to test on."""
    images, labels = pictures(n)
    few = slice(0, 10)
    splits = Splits(tuple("0123456789"), (images, labels), (images[few], labels[few]))
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) / "cache" / f"{NAME}-{'0' * 12}.npz"
        image_cache.save(cache, *image_sets(NAME, splits))
        return ImageTask(recipe, device, root=Path(folder))
