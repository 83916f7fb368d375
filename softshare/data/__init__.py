"""Image sets by name or path: the official CIFAR, digits, and any archive of class folders."""

from __future__ import annotations

from pathlib import Path

from softshare.data.archives import fingerprint, is_path, stem
from softshare.data.augmentation import augment, normalise
from softshare.data.cifar import NAMES as OFFICIAL
from softshare.data.cifar import load_cifar
from softshare.data.compression import encoded, quality
from softshare.data.digits import load_digits
from softshare.data.image_set import ImageSet, image_sets
from softshare.data.image_stream import IMAGENET
from softshare.data.imported import archived, existing, register, registered, unknown
from softshare.data.inventory import IN_MEMORY, PINNED, caches
from softshare.paths import data_root

__all__ = ["ImageSet", "augment", "load", "normalise", "register"]


def load(name: str, root: Path | None = None, download: bool = True) -> tuple[ImageSet, ImageSet]:
    """Load the training and the test split of an image set.

    Args:
        name: "cifar10" or "cifar100" (the official sets), "digits" (the 1797 grey 8 x 8 images
            that scikit-learn ships), a name given to `register`, such as "cifar10-jpeg", or the
            path of a folder, .tar, .tar.gz, .tgz or .zip that holds ``train/<class>/<image>``
            and ``test/<class>/<image>``. A path is called by its stem; it is decoded once, and
            the images kept under the data root. Any name and "-q" with a number from 1 to 99,
            such as "cifar10-q75", is that set after JPEG of this quality.
        root: The data root; None for `softshare.paths.data_root`.
        download: Whether the official sets may be fetched when missing.

    Raises:
        ValueError: If the name is unknown, or an archive is damaged, not the one its name
            promises, or laid out in another way.
        NoData: If the set is not there, and cannot be had.

    Example:
        >>> train, test = load("digits")
        >>> train.images.shape, len(test), train.num_classes
        (torch.Size([1438, 1, 8, 8]), 359, 10)
    """
    root = data_root() if root is None else Path(root)
    base, at = quality(name)
    if at is not None and not is_path(name):
        return encoded(name, load(base, root, download), at)
    if name in OFFICIAL:
        return image_sets(name, load_cifar(name, root, download))
    if name == "digits":
        return image_sets(name, load_digits())
    if name not in PINNED and is_path(name):
        path = existing(name)
        digest = fingerprint(path)
        pinned = {sha256: known for known, sha256 in PINNED.items()}
        return archived(pinned.get(digest, stem(path)), path, digest, root)
    return registered(name, root)


def require(name: str) -> None:
    """Refuses a set that `load` has never heard of, without reading any.

    Raises:
        ValueError: The name is unknown.
        NoData: The path leads nowhere.

    Example:
        >>> require("digits")
        >>> require("digit")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        ValueError: an image set is one of cifar10, cifar100, digits, cifar10-jpeg, a name ...
    """
    if name in (*IN_MEMORY, IMAGENET):
        return
    base, _ = quality(name)
    if is_path(name):
        existing(name)
    elif base not in IN_MEMORY and not caches(base, data_root()):
        raise unknown(name)
