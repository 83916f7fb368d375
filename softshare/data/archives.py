"""The image files of a folder or archive as bytes; nothing is ever unpacked to disk."""

from __future__ import annotations

import gzip
import hashlib
import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from stat import S_ISLNK

__all__ = ["SUFFIXES", "contents", "fingerprint", "is_path", "stem"]

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


def is_path(name: str) -> bool:
    """Whether a name has the look of a path: of several parts, or with the suffix of an archive."""
    return os.path.basename(name) != name or name.lower().endswith(SUFFIXES)


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


def contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of every ``[name/]split/class/image``, by the archive's own checksums.

    Raises:
        ValueError: If the archive is damaged or of another kind.
    """
    if path.is_dir():
        yield from ((f.relative_to(path).as_posix(), f.read_bytes()) for f in _folder_files(path))
        return
    if not path.name.lower().endswith(SUFFIXES):
        raise ValueError(f"an image archive ends in {', '.join(SUFFIXES)}, got {path}; repack it")
    try:
        if path.name.lower().endswith(".zip"):
            with zipfile.ZipFile(path) as packed:
                for info in packed.infolist():
                    if _is_image(info.filename) and not S_ISLNK(info.external_attr >> 16):
                        yield str(PurePosixPath(info.filename)), packed.read(info)
        else:
            yield from _tar_contents(path)
    except _DAMAGE as error:
        raise ValueError(
            f"{path} is damaged or no archive of its kind ({str(error) or type(error).__name__}); "
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
                    yield str(PurePosixPath(member.name)), content.read()
        # tarfile stops at the end mark; only reading on to the end checks the gzip sum.
        while file.read(1 << 20):
            pass
    if plain:
        with path.open("rb") as file:
            file.seek(-1024, os.SEEK_END)
            if file.read().strip(b"\0"):
                raise EOFError("the end mark is missing")


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
