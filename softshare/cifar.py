"""The official CIFAR-10 and CIFAR-100, by way of torchvision and its pinned MD5 sums."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from softshare.archives import Splits

__all__ = ["import_cifar", "load_cifar"]


def load_cifar(name: str, root: Path, download: bool) -> Splits:
    """Read "cifar10" or "cifar100" from ``root``, fetching it if it is missing and allowed.

    Raises:
        FileNotFoundError: If it is not there, whole, and was not or could not be downloaded.
    """
    dataset = _dataset(name)
    if not _is_whole(name, root):
        archive, folder = root / dataset.filename, root / dataset.base_folder
        state = "is damaged" if archive.exists() or folder.exists() else "is missing"
        reason = "downloading was not allowed"
        if download:
            try:
                import_cifar(name, root)
            except (OSError, RuntimeError) as error:
                reason = f"downloading failed: {error}"
        if not _is_whole(name, root):
            raise FileNotFoundError(
                f"{name} {state} (looked for {folder} and {archive}; {reason}); run "
                f"`python -m softshare data {name}` on a machine with a network, or "
                f"`python -m softshare data {name} --from {dataset.filename}` with a copy of "
                f"{dataset.url}"
            )
    splits = [dataset(root, train=train) for train in (True, False)]
    train, test = (
        (np.ascontiguousarray(s.data.transpose(0, 3, 1, 2)), np.array(s.targets, dtype=np.int64))
        for s in splits
    )
    return Splits(tuple(splits[0].classes), train, test)


def import_cifar(name: str, root: Path, archive: Path | None = None) -> None:
    """Put the set under ``root``, from a local copy of the official archive or the network.

    Raises:
        ValueError: If ``archive`` is not the official file.
    """
    from torchvision.datasets.utils import calculate_md5, check_integrity

    dataset = _dataset(name)
    kept = root / dataset.filename
    if archive is not None and (md5 := calculate_md5(archive)) != dataset.tgz_md5:
        raise ValueError(
            f"{archive} is not the official archive of {name}: its md5 is {md5} instead of "
            f"{dataset.tgz_md5}; fetch {dataset.url} again"
        )
    root.mkdir(parents=True, exist_ok=True)
    # Unpacked aside and moved in one step, so that many runs may start on a fresh machine.
    with tempfile.TemporaryDirectory(dir=root, prefix=f".{name}-") as temporary:
        source = archive or (kept if check_integrity(kept, dataset.tgz_md5) else None)
        if source is not None:
            shutil.copyfile(source, Path(temporary, dataset.filename))
        dataset(temporary, download=True)
        folder = root / dataset.base_folder
        if folder.exists() and not _is_whole(name, root):
            folder.rename(Path(temporary, "damaged"))
        Path(temporary, dataset.filename).replace(kept)
        if not folder.exists():
            Path(temporary, dataset.base_folder).rename(folder)


def _is_whole(name: str, root: Path) -> bool:
    from torchvision.datasets.utils import check_integrity

    dataset = _dataset(name)
    files = [*dataset.train_list, *dataset.test_list]
    files.append([dataset.meta["filename"], dataset.meta["md5"]])
    return all(check_integrity(root / dataset.base_folder / file, md5) for file, md5 in files)


def _dataset(name: str) -> Any:
    import torchvision

    return {"cifar10": torchvision.datasets.CIFAR10, "cifar100": torchvision.datasets.CIFAR100}[
        name
    ]
