"""Decoded image sets on disk: written whole or not at all, checked when read."""

from __future__ import annotations

import hashlib
import uuid
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from softshare.archives import Split, Splits

__all__ = ["checksum", "read", "save"]

_ARRAYS = ("classes", "train_images", "train_labels", "test_images", "test_labels")


def checksum(split: Split) -> str:
    """ "sha256:" and the digest of the bytes of images and labels."""
    digest = hashlib.sha256()
    for array in split:
        digest.update(np.ascontiguousarray(array).data)
    return f"sha256:{digest.hexdigest()}"


def save(path: Path, splits: Splits) -> None:
    """Write ``splits`` to ``path`` (.npz) in one step, whoever else is writing it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = dict(
        zip(_ARRAYS, (np.array(splits.classes), *splits.train, *splits.test), strict=True)
    )
    sums = np.array([checksum(splits.train), checksum(splits.test)])
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as file:
            np.savez(file, checksums=sums, **arrays)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read(path: Path) -> Splits | None:
    """Read what `save` wrote; None if there is nothing, or nothing sound.

    A damaged file is named in a warning and set aside, for the caller to make a new one.
    """
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            classes, *arrays = (file[name] for name in _ARRAYS)
            sums = file["checksums"].tolist()
        splits = Splits(tuple(classes.tolist()), (arrays[0], arrays[1]), (arrays[2], arrays[3]))
        if sums != [checksum(splits.train), checksum(splits.test)]:
            raise ValueError("its checksum is another")
        return splits
    except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        aside = path.with_name(f"{path.name}.damaged")
        path.replace(aside)
        warnings.warn(
            f"the decoded images in {path} are damaged ({error}); set aside as {aside.name}",
            stacklevel=2,
        )
        return None
