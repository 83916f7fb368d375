"""Image folders, plain or packed, read into tensors; nothing is ever unpacked to disk."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import numpy as np

from softshare.image_set import Split, Splits

__all__ = ["SUFFIXES", "fingerprint", "read_image_folder", "stem"]

SUFFIXES = (".tar.gz", ".tgz", ".tar", ".zip")
_IMAGES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".pgm", ".ppm", ".tif", ".tiff", ".webp"}
_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError)


def stem(path: Path) -> str:
    """Name of an archive without its suffix, or of a folder.

    Example:
        >>> stem(Path("sets/flowers.tar.gz"))
        'flowers'
    """
    ending = next((s for s in SUFFIXES if path.name.lower().endswith(s)), "")
    return path.name[: len(path.name) - len(ending)]


def fingerprint(path: Path) -> str:
    """SHA-256 of an archive's bytes, or of the names, sizes and times of a folder's files."""
    if path.is_file():
        with path.open("rb") as archive:
            return hashlib.file_digest(archive, "sha256").hexdigest()
    digest = hashlib.sha256()
    for file in sorted(_folder_files(path)):
        status = file.stat()
        digest.update(
            f"{file.relative_to(path)}\0{status.st_size}\0{status.st_mtime_ns}\n".encode()
        )
    return digest.hexdigest()


def read_image_folder(path: Path) -> Splits:
    """Read ``[name/]train/<class>/<image>`` and ``[name/]test/<class>/<image>``.

    The split "val" stands for "test" where there is no "test". Links, hidden files and files
    that are no images are passed over. Images become RGB, in the order of their paths.

    Args:
        path: A folder, or a .tar, .tar.gz, .tgz or .zip of one.

    Returns:
        The class names, sorted, and images and labels of both splits.

    Raises:
        ValueError: If the archive is damaged, its layout is another, the splits differ in
            their classes, or an image cannot be decoded or differs in size.
    """
    found: dict[str, dict[tuple[str, str], bytes]] = {"train": {}, "test": {}, "val": {}}
    tops = set()
    for name, content in _contents(path):
        *top, split, category, file = PurePosixPath(name).parts
        tops.add("/".join(top))
        found[split][category, file] = content
    train, test = found["train"], found["test"] or found["val"]
    if not train or not test or len(tops) > 1:
        seen = f"images under {sorted(tops)}" if tops else "no image in such a place"
        raise ValueError(
            f"an image set holds train/<class>/<image> and test/<class>/<image>, perhaps in one "
            f"folder; {path} has {len(train)} training and {len(test)} test images, {seen}; "
            f"rearrange it"
        )
    classes = tuple(sorted({category for category, _ in train}))
    if odd := {category for category, _ in test}.symmetric_difference(classes):
        raise ValueError(
            f"train and test must have the same classes, but in {path} only one of them has "
            f"{', '.join(sorted(odd))}; add or remove these folders"
        )
    size: list[tuple[int, int]] = []
    return Splits(classes, _decode(path, train, classes, size), _decode(path, test, classes, size))


def _decode(
    path: Path,
    files: dict[tuple[str, str], bytes],
    classes: tuple[str, ...],
    sizes: list[tuple[int, int]],
) -> Split:
    from PIL import Image

    def pixels(item: tuple[tuple[str, str], bytes]) -> np.ndarray:
        name = "/".join(item[0])
        try:
            with Image.open(io.BytesIO(item[1])) as image:
                if not sizes:
                    sizes.append(image.size)
                if image.size != sizes[0]:
                    ours, first = ("{}x{}".format(*s) for s in (image.size, sizes[0]))
                    raise ValueError(
                        f"all images of a set must have one size, but {name} in {path} is "
                        f"{ours} where the first is {first}; resize or remove it"
                    )
                return np.asarray(image.convert("RGB"))
        except (OSError, SyntaxError, Image.DecompressionBombError) as error:
            raise ValueError(
                f"{name} in {path} cannot be decoded as an image ({error}); replace or remove it"
            ) from error

    items = sorted(files.items())
    first = pixels(items[0])
    images = np.empty((len(items), 3, *first.shape[:2]), dtype=np.uint8)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for place, image in zip(images, pool.map(pixels, items), strict=True):
            place[...] = image.transpose(2, 0, 1)
    index = {category: label for label, category in enumerate(classes)}
    return images, np.array([index[category] for (category, _), _ in items], dtype=np.int64)


def _is_image(name: str) -> bool:
    path = PurePosixPath(name)
    return (
        len(path.parts) in (3, 4)
        and path.parts[-3] in ("train", "test", "val")
        and path.suffix.lower() in _IMAGES
        and not path.is_absolute()
        and not any(part.startswith(".") for part in path.parts)
    )


def _folder_files(path: Path) -> Iterator[Path]:
    for pattern in ("*/*/*", "*/*/*/*"):
        for file in path.glob(pattern):
            if _is_image(file.relative_to(path).as_posix()) and file.is_file():
                yield file


def _contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of every image file, the whole archive read through its checksums."""
    if path.is_dir():
        yield from ((f.relative_to(path).as_posix(), f.read_bytes()) for f in _folder_files(path))
        return
    if not path.name.lower().endswith(SUFFIXES):
        raise ValueError(f"an image archive ends in {', '.join(SUFFIXES)}, got {path}; repack it")
    try:
        if path.name.lower().endswith(".zip"):
            with zipfile.ZipFile(path) as packed:
                for info in packed.infolist():
                    if _is_image(info.filename):
                        yield info.filename, packed.read(info)
        else:
            yield from _tar_contents(path)
    except _DAMAGE as error:
        raise ValueError(
            f"{path} is damaged or no archive of its kind ({error or type(error).__name__}); "
            f"fetch it again"
        ) from error


def _tar_contents(path: Path) -> Iterator[tuple[str, bytes]]:
    plain = path.name.lower().endswith(".tar")
    with path.open("rb") if plain else gzip.open(path) as file:
        with tarfile.open(fileobj=file, mode="r|") as packed:
            for member in packed:
                if member.isreg() and _is_image(member.name):
                    content = packed.extractfile(member)
                    assert content is not None
                    yield member.name, content.read()
        # tarfile stops at the end mark; only reading on to the end checks the gzip sum.
        while file.read(1 << 20):
            pass
    if plain:
        with path.open("rb") as file:
            file.seek(-1024, os.SEEK_END)
            if file.read().strip(b"\0"):
                raise EOFError("the end mark is missing")
