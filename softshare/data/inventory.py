"""The files in which an image set lies, told by their names: none of them is read."""

from __future__ import annotations

import re
from pathlib import Path

from softshare.data.cifar import NAMES as OFFICIAL
from softshare.data.cifar import cifar_files
from softshare.data.compression import quality
from softshare.paths import data_root

__all__ = ["IN_MEMORY", "PINNED", "caches", "files", "original"]

PINNED = {"cifar10-jpeg": "6895129eab1f2d2fca652bdb95a76dcdabc23d569a60d7541c7234052b66d74e"}
IN_MEMORY = (*OFFICIAL, "digits", *PINNED)  # sets that are known by name


def original(name: str) -> str:
    """The set that a name is of: a copy has the name of what it copies, and a word for how.

    Example:
        >>> original("cifar10-jpeg"), original("cifar10")
        ('cifar10', 'cifar10')
    """
    return name.partition("-")[0]


def files(name: str, root: Path | None = None) -> tuple[Path, ...]:
    """The files that hold a set, by its name; none where it is not there, or not all of it.

    Args:
        name: "cifar10", "cifar100", or a name given to `softshare.data.register`; with "-q" and a
            number behind it, the set from which that one is made.
        root: The data root; None for `softshare.paths.data_root`.

    Example:
        >>> files("cifar10-jpeg", Path("no/such/folder"))
        ()
    """
    root = data_root() if root is None else Path(root)
    name, _ = quality(name)
    return cifar_files(name, root) if name in OFFICIAL else tuple(caches(name, root))


def caches(name: str, root: Path) -> list[Path]:
    """The decoded archives of a name; of a pinned one, only the one that is meant."""
    digest = PINNED.get(name, "")[:12] or "[0-9a-f]{12}"
    pattern = re.compile(rf"{re.escape(name)}-{digest}\.npz")
    return sorted(path for path in root.glob("cache/*.npz") if pattern.fullmatch(path.name))
