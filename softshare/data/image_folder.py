"""Image sets laid out as train/<class>/<image>, plain or packed, decoded into arrays."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import numpy as np

from softshare.cores import cores
from softshare.data.archives import contents
from softshare.data.image_set import Split, Splits

__all__ = ["read_image_folder"]


def read_image_folder(path: Path) -> Splits:
    """Read ``[name/]train/<class>/<image>`` and ``[name/]test/<class>/<image>``.

    The split "val" stands for "test" where there is no "test". Links in an archive, hidden files
    and files that are no images are passed over. Images become RGB, without transparency, in the
    order of their paths.

    Args:
        path: A folder, or a .tar, .tar.gz, .tgz or .zip of one.

    Returns:
        The class names, sorted, and images and labels of both splits.

    Raises:
        ValueError: If the archive is damaged, its layout is another, the splits differ in
            their classes, or an image cannot be decoded or differs in size.
    """
    found: dict[str, dict[str, bytes]] = {"train": {}, "test": {}, "val": {}}
    for name, content in contents(path):
        found[PurePosixPath(name).parts[-3]][name] = content
    train, test = found["train"], found["test"] or found["val"]
    folders = {str(PurePosixPath(name).parents[2]) for files in (train, test) for name in files}
    if not train or not test or len(folders) > 1:
        raise ValueError(
            f"an image set holds train/<class>/<image> and test/<class>/<image>, perhaps in one "
            f"folder, but {path} has {len(train)} training and {len(test)} test images in such "
            f"places, in {len(folders)} folders; rearrange it"
        )
    classes = tuple(sorted({_class(name) for name in train}))
    if odd := {_class(name) for name in test}.symmetric_difference(classes):
        raise ValueError(
            f"train and test must have the same classes, but in {path} only one of them has "
            f"{', '.join(sorted(odd))}; add or remove these folders"
        )
    first = min(train)
    shape = _pixels(path, first, train[first]).shape
    return Splits(
        classes, _decode(path, train, classes, shape), _decode(path, test, classes, shape)
    )


def _decode(
    path: Path, files: dict[str, bytes], classes: tuple[str, ...], shape: tuple[int, ...]
) -> Split:
    names = sorted(files)
    images = np.empty((len(names), shape[2], *shape[:2]), dtype=np.uint8)  # (N, 3, H, W)

    def decode(start: int) -> None:
        for i, name in enumerate(names[start : start + 64], start):
            images[i] = _pixels(path, name, files[name], shape).transpose(2, 0, 1)

    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(decode, range(0, len(names), 64)))
    index = {category: label for label, category in enumerate(classes)}
    return images, np.array([index[_class(name)] for name in names], dtype=np.int64)


def _pixels(
    path: Path, name: str, content: bytes, shape: tuple[int, ...] | None = None
) -> np.ndarray:
    """One image as (H, W, 3) uint8, refused before it is decoded if its size is another."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content)) as image:
            found = (image.height, image.width, 3)
            if image.mode[0] in "IF":
                raise ValueError("more than 8 bits a channel")
            if shape in (None, found):
                return np.asarray(image.convert("RGB"))
    except Exception as error:  # broken bytes can fail anywhere in a decoder
        raise ValueError(
            f"{name} in {path} cannot be read as an image ({error}); replace or remove it"
        ) from error
    raise ValueError(
        f"all images of a set must have one size, but {name} in {path} has height and width "
        f"{found[:2]} where the first has {(shape or found)[:2]}; resize or remove it"
    )


def _class(name: str) -> str:
    return PurePosixPath(name).parts[-2]
