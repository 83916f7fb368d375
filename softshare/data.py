"""Image sets: whole, as uint8 tensors, with their statistics and checksum."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from softshare import image_cache
from softshare.archives import SUFFIXES, Splits, fingerprint, read_image_folder, stem
from softshare.augmentation import augment, normalise
from softshare.cifar import import_cifar, load_cifar
from softshare.paths import data_root

__all__ = ["ImageSet", "augment", "load", "normalise", "register"]

_OFFICIAL = ("cifar10", "cifar100")
_PINNED = {"cifar10-jpeg": "6895129eab1f2d2fca652bdb95a76dcdabc23d569a60d7541c7234052b66d74e"}


@dataclass(frozen=True, eq=False)
class ImageSet:
    """One split of a labelled image set.

    Attributes:
        name: What the set is called in records.
        images: (N, C, H, W) uint8.
        labels: (N,) int64, places in ``classes``.
        classes: Class names.
        mean: (C,) float32, of the training split, in units where a white pixel is 1.
        std: (C,) float32, likewise; 1 for a constant channel.
        checksum: "sha256:" and the digest of the bytes of images and labels.
    """

    name: str
    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    mean: Tensor
    std: Tensor
    checksum: str

    def __len__(self) -> int:
        return len(self.images)

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    def to(self, device: torch.device | str) -> ImageSet:
        """The same set on another device."""
        tensors = ("images", "labels", "mean", "std")
        return replace(self, **{name: getattr(self, name).to(device) for name in tensors})


def load(name: str, root: Path | None = None, download: bool = True) -> tuple[ImageSet, ImageSet]:
    """Load the training and the test split of an image set.

    Args:
        name: "cifar10" or "cifar100" (the official sets), "digits" (1797 grey 8 x 8 images that
            scikit-learn ships), a name given to `register`, such as "cifar10-jpeg", or the path
            of a folder, .tar, .tar.gz, .tgz or .zip that holds ``train/<class>/<image>`` and
            ``test/<class>/<image>``. A path is called by its stem; it is decoded once and kept
            under the data root.
        root: The data root; `softshare.paths.data_root` if None.
        download: Whether the official sets may be fetched when missing.

    Raises:
        ValueError: If the name is unknown, or an archive is damaged, not the one its name
            promises, or laid out in another way.
        FileNotFoundError: If the set is not there, and cannot be had.

    Example:
        >>> train, test = load("digits")
        >>> train.images.shape, len(test), train.num_classes
        (torch.Size([1438, 1, 8, 8]), 359, 10)
    """
    root = data_root() if root is None else Path(root)
    if name in _OFFICIAL:
        return _image_sets(name, load_cifar(name, root, download))
    if name == "digits":
        return _image_sets(name, _digits())
    path = Path(name).expanduser()
    if name not in _PINNED and (
        path.exists() or len(path.parts) > 1 or name.lower().endswith(SUFFIXES)
    ):
        path = path.resolve()
        return _image_sets(stem(path), _read_archive(stem(path), path, None, root))
    return _image_sets(name, _registered(name, root))


def register(
    name: str, archive: Path | str, sha256: str | None = None, root: Path | None = None
) -> tuple[ImageSet, ImageSet]:
    """Import an archive into the data root, where `load` finds it by name from then on.

    Args:
        name: "cifar10" or "cifar100" for the official archives, "cifar10-jpeg" for its known
            archive, or a new name: letters, digits, ".", "_" and "-".
        archive: Path of the archive, or of an image folder.
        sha256: What the archive's SHA-256 must be, if known.
        root: The data root; `softshare.paths.data_root` if None.

    Returns:
        What ``load(name)`` returns.

    Raises:
        ValueError: If the name cannot be used, the archive is damaged or its sum another.
        FileNotFoundError: If there is no such archive.
    """
    root = data_root() if root is None else Path(root)
    path = Path(archive).expanduser().resolve()
    if name == "digits" or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ValueError(
            f"a set is called by letters, digits, '.', '_' and '-', and 'digits' is taken, got "
            f"{name!r}; choose another name"
        )
    if name in _OFFICIAL:
        _must_exist(path)
        import_cifar(name, root, path)
        return load(name, root, download=False)
    return _image_sets(name, _read_archive(name, path, sha256, root, keep=True))


def _read_archive(
    name: str, path: Path, sha256: str | None, root: Path, keep: bool = False
) -> Splits:
    """Decode an archive, or read what was decoded before; ``keep``: storing it must succeed."""
    _must_exist(path)
    found, wanted = fingerprint(path), sha256 or _PINNED.get(name)
    if name in (*_OFFICIAL, "digits") or wanted not in (None, found):
        raise ValueError(
            f"the name {name!r} stands for {f'sha256 {wanted}' if wanted else 'another set'}, but "
            f"{path} has sha256 {found}; fetch it again, or rename it if it is another set"
        )
    cache = _cache(root, name, found)
    if (splits := image_cache.read(cache)) is None:
        splits = read_image_folder(path)
        try:
            image_cache.save(cache, splits)
        except OSError as error:
            if keep:
                raise OSError(f"{name} cannot be stored as {cache} ({error}); make room") from error
            warnings.warn(f"{path} is decoded at every start: {cache}: {error}", stacklevel=3)
    return splits


def _registered(name: str, root: Path) -> Splits:
    """Read a set by the name it was registered under."""
    command = f"`python -m softshare data {name} --from ARCHIVE`"
    known = _PINNED.get(name)
    pattern = re.escape(name) + rf"-{known[:12] if known else '[0-9a-f]{12}'}\.npz"
    caches = sorted(p for p in root.glob("cache/*.npz") if re.fullmatch(pattern, p.name))
    if len(caches) > 1:
        raise ValueError(
            f"a name must stand for one set, but {name!r} was imported from several archives: "
            f"{', '.join(map(str, caches))}; delete all but one, or give the path of the archive"
        )
    if caches and (splits := image_cache.read(caches[0])) is not None:
        return splits
    if known or caches:
        raise FileNotFoundError(
            f"{name} is not in {root / 'cache'}; import it with {command}"
            + (f", whose sha256 is {known}" if known else "")
        )
    names = ", ".join((*_OFFICIAL, *_PINNED, "digits"))
    raise ValueError(
        f"an image set is one of {names}, a name given to {command}, or the path of a folder or "
        f"archive with train/ and test/ inside, got {name!r}"
    )


def _cache(root: Path, name: str, sha256: str) -> Path:
    return root / "cache" / f"{name}-{sha256[:12]}.npz"


def _must_exist(path: Path) -> None:
    if not path.exists():
        raise FileNotFoundError(f"there is no folder or archive {path}; check the path")


def _digits() -> Splits:
    """scikit-learn's digits, every fifth image of a class held out for the test."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[:, None]  # (N, 1, 8, 8)
    labels = bunch.target.astype(np.int64)
    place = np.empty_like(labels)  # of an image within its class
    for label in range(10):
        place[labels == label] = np.arange((labels == label).sum())
    held_out = place % 5 == 2
    train, test = ((images[mask], labels[mask]) for mask in (~held_out, held_out))
    return Splits(tuple(str(n) for n in bunch.target_names), train, test)


def _image_sets(name: str, splits: Splits) -> tuple[ImageSet, ImageSet]:
    mean, std = _statistics(splits.train[0])
    train, test = (
        ImageSet(
            name=name,
            images=torch.from_numpy(split[0]),
            labels=torch.from_numpy(split[1]),
            classes=splits.classes,
            mean=mean,
            std=std,
            checksum=image_cache.checksum(split),
        )
        for split in (splits.train, splits.test)
    )
    return train, test


def _statistics(images: np.ndarray) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel, from exact integer sums."""
    total, squares = np.zeros(images.shape[1]), np.zeros(images.shape[1])
    for start in range(0, len(images), 1024):
        block = images[start : start + 1024].astype(np.float64)
        total += block.sum(axis=(0, 2, 3))
        squares += np.square(block).sum(axis=(0, 2, 3))
    count = images[:, 0].size
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 0))
    std[std == 0] = 255.0
    return torch.from_numpy(mean / 255).float(), torch.from_numpy(std / 255).float()
