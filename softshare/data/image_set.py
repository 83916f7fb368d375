"""One split of a labelled image set, with its statistics and checksum."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

__all__ = ["ImageSet", "NoData", "Splits", "checksum", "image_sets"]

Split = tuple[np.ndarray, np.ndarray]  # images (N, C, H, W) uint8, labels (N,) int64


class NoData(FileNotFoundError):
    """An image set that is not there, so that no run can have it."""


class Splits(NamedTuple):
    """A labelled image set as arrays, before anything is computed from it."""

    classes: tuple[str, ...]
    train: Split
    test: Split


@dataclass(frozen=True, eq=False)
class ImageSet:
    """One split of a labelled image set, whole.

    Attributes:
        name: What the set is called in records.
        images: (N, C, H, W) uint8.
        labels: (N,) int64, places in ``classes``.
        classes: Class names.
        mean: (C,) float32, of the training split, in units where a white pixel is 1.
        std: (C,) float32, likewise; 1 for a constant channel.
        checksum: "sha256:" and the digest of the bytes of images, then labels.
    """

    name: str
    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    mean: Tensor
    std: Tensor
    checksum: str

    def __len__(self) -> int:
        return len(self.images)

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    def to(self, device: torch.device | str) -> ImageSet:
        """The same set on another device."""
        tensors = ("images", "labels", "mean", "std")
        return replace(self, **{name: getattr(self, name).to(device) for name in tensors})


def image_sets(name: str, splits: Splits) -> tuple[ImageSet, ImageSet]:
    """Both splits with the statistics of the first.

    Example:
        >>> images = np.array([0, 255], dtype=np.uint8).reshape(2, 1, 1, 1)
        >>> split = images, np.arange(2)
        >>> train, test = image_sets("two", Splits(("black", "white"), split, split))
        >>> len(train), test.mean, test.std
        (2, tensor([0.5000]), tensor([0.5000]))
    """
    mean, std = _statistics(splits.train[0])
    train, test = (
        ImageSet(
            name=name,
            images=torch.from_numpy(images),
            labels=torch.from_numpy(labels),
            classes=splits.classes,
            mean=mean,
            std=std,
            checksum=checksum(images, labels),
        )
        for images, labels in (splits.train, splits.test)
    )
    return train, test


def checksum(images: np.ndarray, labels: np.ndarray) -> str:
    """The `ImageSet.checksum` of a split."""
    digest = hashlib.sha256(np.ascontiguousarray(images).data)
    digest.update(np.ascontiguousarray(labels).data)
    return f"sha256:{digest.hexdigest()}"


def _statistics(images: np.ndarray) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel, from sums that are exact in float64."""
    total, squares = np.zeros((2, images.shape[1]))
    for start in range(0, len(images), 256):
        block = images[start : start + 256].astype(np.float64)
        total += block.sum(axis=(0, 2, 3))
        squares += np.einsum("nchw,nchw->c", block, block)
    count = images[:, 0].size
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 0))
    std[std == 0] = 255
    return torch.from_numpy(mean / 255).float(), torch.from_numpy(std / 255).float()
