"""Image sets too large for memory, as the files of a folder."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from softshare.data.image_set import NoData
from softshare.paths import data_root

__all__ = ["IMAGENET", "ImageFiles", "adopt", "adopted", "image_files", "stream"]

IMAGENET = "imagenet"
"""The streamed set that has a name; others are named by the path of their folder."""


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """One split of an image set as files.

    Attributes:
        paths: of the images, sorted within a class.
        labels: (N,) int64, places in ``classes``.
        classes: Class names, sorted.
        checksum: Digest of the names and sizes of both splits' files; to read them all would take
            as long as an epoch.
    """

    paths: Sequence[str]
    labels: Tensor
    classes: tuple[str, ...]
    checksum: str

    def __len__(self) -> int:
        return len(self.paths)


def image_files(folder: Path) -> tuple[ImageFiles, ImageFiles]:
    """The splits of a folder ``train/<class>/<image>`` and ``val/<class>/<image>``.

    "test" stands for "val" where there is no "val".

    Raises:
        NoData: If there is no such folder, or a class without images.
        ValueError: If the layout is another, or the splits differ in their classes.
    """
    from torchvision.datasets import ImageFolder

    if not folder.is_dir():
        raise NoData(f"there is no folder {folder}; check the path")
    held_out = folder / ("val" if (folder / "val").is_dir() else "test")
    if not (folder / "train").is_dir() or not held_out.is_dir():
        raise ValueError(
            f"a streamed image set is a folder of train/<class>/<image> and val/<class>/<image>, "
            f"but {folder} lacks train, or val and test; rearrange it"
        )
    try:
        train, test = (ImageFolder(split) for split in (folder / "train", held_out))
    except FileNotFoundError as error:
        raise NoData(str(error)) from error
    if odd := set(train.classes).symmetric_difference(test.classes):
        raise ValueError(
            f"both splits must have the same classes, but in {folder} only one of them has "
            f"{', '.join(sorted(odd)[:5])}; add or remove these folders"
        )
    digest = hashlib.sha256()
    for split in (train, test):
        for path, _ in split.samples:
            digest.update(f"{os.path.relpath(path, folder)}\0{os.path.getsize(path)}\n".encode())
    train, test = (
        ImageFiles(
            [path for path, _ in split.samples],
            torch.tensor(split.targets),
            tuple(split.classes),
            f"names and sizes, sha256:{digest.hexdigest()}",
        )
        for split in (train, test)
    )
    return train, test


def stream(
    name: str, source: Path | str | None = None, root: Path | None = None
) -> tuple[ImageFiles, ImageFiles]:
    """The files of a set: of `source` where one is given, else of ``imagenet`` as `adopt` left it.

    Raises:
        NoData: If it is not there.
        ValueError: If it is laid out in another way, or the name is no streamed set's.
    """
    if source is not None:
        return image_files(Path(source))
    if name != IMAGENET:
        raise ValueError(
            f"networks of depth 50 read their images from files: pass {IMAGENET!r}, or the path "
            f"of a folder of train/<class>/<image> and val/<class>/<image>; got {name!r}"
        )
    if not adopted(root):
        raise NoData(
            f"{IMAGENET} is not in {_place(root).parent}, and cannot be fetched from here; run "
            f"`python -m softshare data {IMAGENET} --from FOLDER` with a folder of "
            f"train/<class>/<image> and val/<class>/<image>"
        )
    return image_files(_place(root))


def adopted(root: Path | None = None) -> bool:
    """Whether ``imagenet`` stands for a folder that is there."""
    return _place(root).is_dir()


def adopt(folder: Path | str, root: Path | None = None) -> tuple[ImageFiles, ImageFiles]:
    """Makes a folder the one that ``imagenet`` stands for, by a link: nothing is copied.

    Raises:
        NoData: If there is no such folder.
        ValueError: If it is laid out in another way, or ``imagenet`` is another folder already.
        OSError: If no link can be made.
    """
    folder, place = Path(folder).expanduser().resolve(), _place(root)
    files = image_files(folder)
    if place.resolve() != folder:
        if place.exists():
            raise ValueError(
                f"{IMAGENET!r} already stands for {place.resolve()}; remove {place} or name the "
                f"other folder by its path when you train"
            )
        place.unlink(missing_ok=True)  # a link to what is gone
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(folder, target_is_directory=True)
    return files


def _place(root: Path | None) -> Path:
    return (data_root() if root is None else Path(root)) / IMAGENET
