"""Image sets too large for memory: files of a folder, decoded as they are needed."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from softshare.data.image_set import NoData
from softshare.paths import data_root

__all__ = ["IMAGENET", "ImageFiles", "adopt", "adopted", "decoded", "image_files", "stream"]

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


def decoded(
    batches: Iterable[list[tuple[str, int]]],
    side: int,
    training: bool,
    workers: int = 0,
    pinned: bool = False,
) -> Iterator[Tensor]:
    """Batches of images as pixels, in order, whatever the number of processes that decode them.

    In training each image is cropped at random, 8 to 100 per cent of its area with an aspect of
    3/4 to 4/3, and scaled to the side; in testing its shorter side is scaled to 8/7 of that and
    the middle cut out, 256 and 224 pixels as Section 4.2 has it.

    Args:
        batches: For each image its path and a seed, which alone decides its crop.
        side: Of the images, in pixels.
        training: Which of both.
        workers: Processes that decode; 0 to decode in this one.
        pinned: Whether to put batches where a GPU fetches them without waiting.

    Yields:
        (B, 3, side, side) uint8.

    Raises:
        ValueError: An image that cannot be read, by its path.
    """
    loader: Any = DataLoader(
        _Decoder(_crop(side, training)),
        batch_sampler=batches,
        collate_fn=_stacked,
        num_workers=workers,
        pin_memory=pinned,
        generator=torch.Generator(),  # or it would draw from the run's own stream
        prefetch_factor=4 if workers else None,
    )
    for images in loader:
        if isinstance(images, str):
            raise ValueError(images)
        yield images


class _Decoder(Dataset):
    """One image by its path and seed; a sentence instead, if it cannot be read.

    An exception would reach the other process wrapped in the text of a traceback.
    """

    def __init__(self, crop: Any) -> None:
        self.crop = crop

    def __getitem__(self, item: tuple[str, int]) -> Tensor | str:
        from PIL import Image
        from torchvision.transforms.functional import pil_to_tensor

        path, seed = item
        try:
            with warnings.catch_warnings(), Image.open(path) as image:
                warnings.simplefilter("ignore")  # of metadata: a few of ImageNet's are malformed
                pixels = image.convert("RGB")
        except Exception as error:  # broken bytes can fail anywhere in a decoder
            return f"{path} cannot be read as an image ({error}); replace or remove it"
        before = torch.get_rng_state()
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would ask every device
        crop = self.crop(pixels)
        torch.set_rng_state(before)
        return pil_to_tensor(crop)


def _crop(side: int, training: bool) -> Any:
    from torchvision import transforms

    cubic = transforms.InterpolationMode.BICUBIC
    if training:
        return transforms.RandomResizedCrop(side, interpolation=cubic)
    larger = transforms.Resize(side * 8 // 7, interpolation=cubic)
    return transforms.Compose([larger, transforms.CenterCrop(side)])


def _stacked(items: Sequence[Tensor | str]) -> Tensor | str:
    told = [item for item in items if isinstance(item, str)]
    return told[0] if told else torch.stack([item for item in items if isinstance(item, Tensor)])


def _place(root: Path | None) -> Path:
    return (data_root() if root is None else Path(root)) / IMAGENET
