"""Decoded image sets on disk: written whole or not at all, checked when read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from softshare import storage
from softshare.data.image_set import ImageSet, checksum

__all__ = ["read", "save"]


def save(path: Path, train: ImageSet, test: ImageSet) -> None:
    """Write both splits to ``path`` (.npz) in one step, whoever else is writing it.

    Raises:
        OSError: If there is no room or no permission; nothing is left behind.
    """
    with storage.replacing(path) as file:
        np.savez(
            file,
            classes=np.array(train.classes),
            checksums=np.array([train.checksum, test.checksum]),
            statistics=torch.stack((train.mean, train.std)).numpy(),
            train_images=train.images.numpy(),
            train_labels=train.labels.numpy(),
            test_images=test.images.numpy(),
            test_labels=test.labels.numpy(),
        )


def read(path: Path, name: str) -> tuple[ImageSet, ImageSet] | None:
    """Read what `save` wrote; None if there is nothing, or nothing sound.

    A damaged file is named in a warning and set aside, for the caller to make a new one.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return None
    with file:
        try:
            return _parse(file, name)
        except MemoryError:
            raise
        except Exception as error:  # broken bytes can fail anywhere in the reader
            reason = str(error) or type(error).__name__
    why = f"the decoded images in {path} are damaged ({reason})."
    storage.set_aside(path, why, "the archive has to be read again")
    return None


def _parse(file: object, name: str) -> tuple[ImageSet, ImageSet]:
    with np.load(file, allow_pickle=False) as arrays:  # type: ignore[arg-type]
        classes = tuple(arrays["classes"].tolist())
        mean, std = torch.from_numpy(arrays["statistics"])
        sets = []
        for split, expected in zip(("train", "test"), arrays["checksums"].tolist(), strict=True):
            images, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"]
            if checksum(images, labels) != expected:
                raise ValueError(f"the checksum of {split} is another")
            tensors = torch.from_numpy(images), torch.from_numpy(labels)
            sets.append(ImageSet(name, *tensors, classes, mean, std, expected))
    return sets[0], sets[1]
