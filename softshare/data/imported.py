"""Archives and folders of images, decoded once and kept under a name."""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path

from softshare.data import image_cache
from softshare.data.archives import SUFFIXES, fingerprint
from softshare.data.cifar import NAMES as OFFICIAL
from softshare.data.cifar import import_cifar, load_cifar
from softshare.data.compression import quality
from softshare.data.image_folder import read_image_folder
from softshare.data.image_set import ImageSet, NoData, image_sets
from softshare.data.image_stream import IMAGENET
from softshare.data.inventory import IN_MEMORY, PINNED, caches
from softshare.paths import data_root

__all__ = ["archived", "existing", "register", "registered", "unknown"]

_TAKEN = (*OFFICIAL, "digits", "shortest-paths", IMAGENET)  # names that no archive may bear


def register(name: str, archive: Path | str, root: Path | None = None) -> tuple[ImageSet, ImageSet]:
    """Import an archive into the data root, where `load` finds it by name from then on.

    Args:
        name: "cifar10" or "cifar100" for the official archives, "cifar10-jpeg" for its one
            archive, or a new name of letters, digits, ".", "_" and "-".
        archive: Path of the archive, or of an image folder.
        root: The data root; None for `softshare.paths.data_root`.

    Returns:
        What ``load(name)`` returns.

    Raises:
        ValueError: If the name cannot be used, or the archive is damaged or not the one meant.
        NoData: If there is no such archive.
        OSError: If there is no room for it.
    """
    root = data_root() if root is None else Path(root)
    path = existing(archive)
    if name in OFFICIAL:
        import_cifar(name, root, path)
        return image_sets(name, load_cifar(name, root, download=False))
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) or name.lower().endswith(SUFFIXES):
        raise ValueError(
            f"an image set is called by letters, digits, '.', '_' and '-', without the suffix of "
            f"an archive, got {name!r}; choose another name"
        )
    digest = fingerprint(path)
    others = [cache for cache in caches(name, root) if digest[:12] not in cache.name]
    if others:
        raise ValueError(
            f"{name!r} already stands for another archive, decoded in {others[0]}; delete that "
            f"file or choose another name"
        )
    return archived(name, path, digest, root, keep=True)


def archived(
    name: str, path: Path, digest: str, root: Path, keep: bool = False
) -> tuple[ImageSet, ImageSet]:
    """Decode an archive, or read what was decoded before; ``keep``: storing must succeed."""
    if name in _TAKEN:
        raise ValueError(f"the name {name!r} is taken by another set; call {path} something else")
    base, at = quality(name)
    if at is not None:
        raise ValueError(
            f"the name {name!r} stands for {base!r} after JPEG of quality {at}; call {path} "
            "something else"
        )
    if PINNED.get(name, digest) != digest:
        raise ValueError(_mismatch(name, path, digest))
    cache = root / "cache" / f"{name}-{digest[:12]}.npz"
    if (sets := image_cache.read(cache, name)) is None:
        sets = image_sets(name, read_image_folder(path))
        try:
            image_cache.save(cache, *sets)
        except OSError as error:
            message = f"the decoded images of {path} cannot be kept in {cache.parent}: {error}"
            if keep:
                raise OSError(f"{message}; make room, or set SOFTSHARE_DATA") from error
            warnings.warn(f"{message}; every start will decode them again", stacklevel=3)
    return sets


def registered(name: str, root: Path) -> tuple[ImageSet, ImageSet]:
    """Read a set by the name it was registered under."""
    found = caches(name, root)
    if len(found) > 1:
        raise ValueError(
            f"a name must stand for one set, but {name!r} was decoded from several archives: "
            f"{', '.join(map(str, found))}; delete all but one, or give the path of the archive"
        )
    if found and (sets := image_cache.read(found[0], name)) is not None:
        return sets
    if found or name in PINNED:
        archive = f"the archive of sha256 {PINNED[name]}" if name in PINNED else "its archive"
        raise NoData(f"{name} is not in {root / 'cache'}; import {archive} with {_import(name)}")
    raise unknown(name)


def unknown(name: str) -> ValueError:
    """What to raise for a name that stands for no set."""
    there = f"; the folder of that name that is here is ./{name}" if os.path.isdir(name) else ""
    return ValueError(
        f"an image set is one of {', '.join(IN_MEMORY)}, a name imported with {_import(name)}, "
        f"one of these and -q75 for it after JPEG of quality 75, or the path of a folder or "
        f"archive with train/ and test/ inside, got {name!r}{there}"
    )


def existing(path: Path | str) -> Path:
    """The absolute path of what is there.

    Raises:
        NoData: Nothing is.
    """
    full = Path(os.path.abspath(os.path.expanduser(path)))
    if not full.exists():
        raise NoData(f"there is no folder or archive {full}; check the path")
    return full


def _import(name: str) -> str:
    return f"`python -m softshare data {name} --from ARCHIVE`"


def _mismatch(name: str, path: Path, digest: str) -> str:
    found = "is a folder" if path.is_dir() else f"has {digest}"
    return (
        f"{name!r} is the archive with sha256 {PINNED[name]}, but {path} {found}; fetch it again, "
        f"or give another set another name"
    )
