"""The official CIFAR-10 and CIFAR-100, by way of torchvision and its pinned MD5 sums."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from softshare.data.image_set import NoData, Splits

__all__ = ["NAMES", "cifar_files", "import_cifar", "load_cifar"]

NAMES = {"cifar10": "CIFAR10", "cifar100": "CIFAR100"}  # ours: torchvision's


def load_cifar(name: str, root: Path, download: bool) -> Splits:
    """Read "cifar10" or "cifar100" from ``root``, fetching it if it is missing and allowed.

    Raises:
        NoData: If it is not there, whole, and was not or could not be downloaded.
    """
    dataset = _dataset(name)
    archive, folder = root / dataset.filename, root / dataset.base_folder
    try:
        return _read(dataset, root)
    except RuntimeError:  # torchvision's word for missing or damaged
        state = "is damaged" if archive.exists() or folder.exists() else "is missing"
    reason: Exception | str = "downloading was not allowed"
    if download or _is_official(dataset, archive):
        try:
            import_cifar(name, root)
        except (OSError, RuntimeError) as error:
            reason = error
    try:
        return _read(dataset, root)
    except RuntimeError:
        raise NoData(
            f"{name} {state}: looked for {folder} and {archive}, and could not fetch it "
            f"({reason}); run `python -m softshare data {name}` where there is a network, or "
            f"`python -m softshare data {name} --from ARCHIVE` with a copy of {dataset.url}"
        ) from None


def cifar_files(name: str, root: Path) -> tuple[Path, ...]:
    """The files of a set below ``root``, its archive where they are not all there, or nothing."""
    dataset = _dataset(name)
    folder, archive = root / dataset.base_folder, root / dataset.filename
    found = tuple(folder / file for file, _ in (*dataset.train_list, *dataset.test_list))
    if all(file.is_file() for file in found):
        return found
    return (archive,) if archive.is_file() else ()


def import_cifar(name: str, root: Path, archive: Path | None = None) -> None:
    """Put the set under ``root``, from a local copy of the official archive or the network.

    It is unpacked aside and moved in one step, so that many runs may start on a new machine.

    Raises:
        ValueError: If ``archive`` is not the official file.
        OSError, RuntimeError: If there is no room, or the download fails.
    """
    from torchvision.datasets.utils import calculate_md5

    dataset = _dataset(name)
    if archive is not None and not _is_official(dataset, archive):
        raise ValueError(
            f"{archive} is not the official archive of {name}: its md5 is "
            f"{calculate_md5(archive)}, not {dataset.tgz_md5}; fetch {dataset.url} again"
        )
    kept, folder = root / dataset.filename, root / dataset.base_folder
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root, prefix=f".{name}-") as temporary:
        if archive is not None or _is_official(dataset, kept):
            shutil.copyfile(archive or kept, Path(temporary, dataset.filename))
        dataset(temporary, download=True)
        Path(temporary, dataset.filename).replace(kept)
        try:
            dataset(root)  # whole: another process was quicker
        except RuntimeError:
            if folder.exists():
                folder.rename(Path(temporary, "former"))
            Path(temporary, dataset.base_folder).rename(folder)


def _read(dataset: Any, root: Path) -> Splits:
    sets = [dataset(root, train=train) for train in (True, False)]
    train, test = (
        (np.ascontiguousarray(s.data.transpose(0, 3, 1, 2)), np.array(s.targets, dtype=np.int64))
        for s in sets
    )
    return Splits(tuple(sets[0].classes), train, test)


def _is_official(dataset: Any, archive: Path) -> bool:
    from torchvision.datasets.utils import check_integrity

    return bool(check_integrity(archive, dataset.tgz_md5))


def _dataset(name: str) -> Any:
    import torchvision

    return getattr(torchvision.datasets, NAMES[name])
