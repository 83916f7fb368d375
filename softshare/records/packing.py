"""Records in archives of a limited size, to carry from one machine to another."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from softshare import storage
from softshare.paths import runs_root
from softshare.recipe import Recipe
from softshare.records.holding import checkpoint_of
from softshare.records.weights import companions

LIMIT = 15 * 2**20
"""Bytes of an archive at most."""
MOST = 4
"""Archives at most: some transfers take no more than 64 MiB together."""

_SHRINK = 2  # times that a checkpoint may shrink; its floats hardly do
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same records make the same archive


@dataclass
class Packed:
    """What was packed.

    Attributes:
        archives: files that were written, each with the number of records in it.
        left_out: records and checkpoints for which there was no room.
    """

    archives: dict[Path, int] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


def pack(
    file: Path | str,
    records: Iterable[str],
    runs: Path | str | None = None,
    unfinished: Sequence[Recipe] = (),
    limit: int = LIMIT,
    most: int = MOST,
) -> Packed:
    """Packs records with the weights beside them, then what fits of unfinished runs.

    Args:
        file: a zip archive; the next ones are called by its name and ``-2``, ``-3`` and so on.
        records: paths below the folder of records.
        runs: folder of records. Default ``data/runs`` of the checkout.
        unfinished: runs whose checkpoints are to come along.
        limit: bytes of an archive at most.
        most: archives at most.

    Raises:
        FileNotFoundError: a record is not there.
        OSError: an archive could not be written.

    Example:
        >>> pack("no/such/place.zip", [])
        Packed(archives={}, left_out=[])
    """
    root, result = Path(runs or runs_root()), Packed()
    groups = [
        (path, [(f"runs/{part.relative_to(root).as_posix()}", part) for part in _parts(root, path)])
        for path in records
    ]
    for recipe in unfinished:
        if not (saved := checkpoint_of(recipe, runs)).is_file():
            continue
        if saved.stat().st_size > _SHRINK * limit:
            result.left_out.append(saved.name)
        else:
            groups.append((saved.name, [(f"checkpoints/{saved.name}", saved)]))
    boxes: list[list[tuple[str, bytes]]] = []
    sizes: list[int] = []
    for label, parts in groups:
        group = [(name, part.read_bytes()) for name, part in parts]
        size = len(_archive(group))  # with an end of its own: never less than what it adds
        room = [i for i, taken in enumerate(sizes) if taken + size <= limit]
        if size > limit or (not room and len(boxes) == most):
            result.left_out.append(label)
        elif room:
            boxes[room[0]] += group
            sizes[room[0]] += size
        else:
            boxes.append(group)
            sizes.append(size)
    for number, box in enumerate(boxes, 1):
        place = _numbered(Path(file), number)
        storage.write(place, _archive(box))
        result.archives[place] = sum(name.endswith(".json") for name, _ in box)
    return result


def _parts(root: Path, record: str) -> list[Path]:
    path = root / record
    if not path.is_file():
        raise FileNotFoundError(f"There is no record {path}.")
    return [*companions(path), path]


def _numbered(file: Path, number: int) -> Path:
    return file if number == 1 else file.with_name(f"{file.stem}-{number}{file.suffix}")


def _archive(members: Sequence[tuple[str, bytes]]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in members:
            packed.writestr(zipfile.ZipInfo(name, _EPOCH), data, zipfile.ZIP_DEFLATED)
    return content.getvalue()
