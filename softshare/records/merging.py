"""Records from another machine, checked and taken over where they are better than ours."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from hashlib import sha256
from pathlib import Path
from typing import Any

from softshare import storage
from softshare.paths import runs_root
from softshare.records import Run
from softshare.records.holding import Busy, checkpoint_of, held, lost, waits
from softshare.records.unpacking import members


@dataclass
class Merged:
    """What came of a merge; paths of records, conflicts with what differs.

    Attributes:
        added: there was none.
        replaced: the one that was there was damaged, or had measured less.
        kept: the one that was there is as good.
        conflicts: both are sound and differ in their results; the one there was kept.
        refused: damaged on their way, or of a run that is being trained here, and why.
        checkpoints: of unfinished runs, taken over.
    """

    added: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    conflicts: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    checkpoints: list[str] = field(default_factory=list)


def merge(files: Iterable[Path | str], runs: Path | str | None = None) -> Merged:
    """Takes records over from archives that `softshare.records.packing.pack` made.

    A record is taken if there is none of its run, if that one is damaged, or if that one lacks
    something that the new one measured and the new one lacks nothing that it has. Else ours
    stays, and also, with a report, wherever images or results differ; but where ours has nothing
    left to measure its foldings on, one of another training takes its place. All archives are
    looked through before anything is written, and each file is replaced whole or not at all.

    Args:
        files: zip archives.
        runs: folder of records. Default ``data/runs`` of the checkout.

    Raises:
        FileNotFoundError: there is no such archive.
        ValueError: an archive is none, or holds what no pack has: other files, links, paths that
            lead elsewhere, too much. Nothing is taken from any archive then.
        OSError: a record could not be written.

    Example:
        >>> merge([])
        Merged(added=[], replaced=[], kept=[], conflicts={}, refused={}, checkpoints=[])
    """
    root, result = Path(runs or runs_root()), Merged()
    contents = [members(Path(file)) for file in files]
    for found in contents:
        for name, content in found.items():
            if name.endswith(".json"):
                weights = found.get(f"{name.removesuffix('.json')}.safetensors")
                _take(name.removeprefix("runs/"), content, weights, root, result)
        for name, content in found.items():
            if name.startswith("checkpoints/"):
                _take_checkpoint(name, content, root, result)
    return result


def _take(
    path: str,
    content: bytes,
    weights: bytes | None,
    root: Path,
    result: Merged,
) -> None:
    """One record, with the weights beside it."""
    try:
        run = _read_back(content, path, Run.load)
        if run.path != path:
            raise storage.Damaged(f"it is the record of {run.path}.")
        kept = run.weights.get("sha256")
        if kept and (weights is None or sha256(weights).hexdigest() != kept):
            raise storage.Damaged("the weights beside it are not its own.")
        place, saved = root / path, checkpoint_of(run.recipe, root)
        with held(saved, path):
            ours = _ours(place)
            again = ours is not None and lost(ours) and not saved.is_file() and _better(run, ours)
            if ours is not None and (differ := _differences(run, ours, again)):
                result.conflicts[path] = differ
                return
            if ours is not None and not _better(run, ours):
                result.kept.append(path)
                return
            there = place.is_file()
            if kept and weights is not None:
                storage.write(place.with_suffix(".safetensors"), weights)
            storage.write(place, content)
            (result.replaced if there else result.added).append(path)
            if not waits(run):
                saved.unlink(missing_ok=True)
    except Busy:
        result.refused[path] = "it is being trained here."
    except ValueError as error:  # Damaged is one
        result.refused[path] = str(error)


def _read_back(content: bytes, path: str, load: Callable[[Path], Any]) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / Path(path).name
        copy.write_bytes(content)
        try:
            return load(copy)
        except ValueError as error:
            raise type(error)(str(error).replace(str(copy), path)) from error


def _ours(place: Path) -> Run | None:
    try:
        return Run.load(place)
    except (FileNotFoundError, storage.Damaged):
        return None


def _better(new: Run, ours: Run) -> bool:
    """Whether ours lacks something that the new one has, and the new one nothing that ours has."""
    names = [f.name for f in fields(Run) if f.name != "recipe"]
    has = [{name for name in names if getattr(run, name)} for run in (new, ours)]
    return has[0] > has[1]


def _differences(new: Run, ours: Run, again: bool) -> str:
    """Why one cannot stand for the other; `again`: ours was to be trained again in any case."""
    if new.data.get("checksum") != ours.data.get("checksum"):
        return "made with other images of the same name"
    if not again and (new.result, new.curves) != (ours.result, ours.curves):
        made = [f"{run.result} on {run.origin.get('device')}" for run in (ours, new)]
        return f"ours has {made[0]}, the other {made[1]}"
    return ""


def _take_checkpoint(name: str, content: bytes, root: Path, result: Merged) -> None:
    """An unfinished run, or one whose record waits for it: further than ours, for such a device."""
    place = root.parent / name
    try:
        state = _read_back(content, name, storage.load_checkpoint)
        done = len(state["curves"]["epoch"])
        key = Path(name).stem.rpartition("-")[2]
        with held(place, name):
            ours = [_ours(record) for record in root.glob(f"**/seed*-{key}.json")]
            finished = any(run is not None and not waits(run) for run in ours)
            if finished or _epochs(place, state) >= done:
                return
            storage.write(place, content)
            result.checkpoints.append(name)
    except Busy:
        result.refused[name] = "it is being trained here."
    except (ValueError, KeyError, TypeError) as error:
        result.refused[name] = str(error)


def _epochs(place: Path, new: dict[str, Any]) -> float:
    """How far ours is, beyond any if the new one goes on elsewhere; 0 if there is none."""
    try:
        ours = storage.load_checkpoint(place)
    except (FileNotFoundError, storage.Damaged):
        return 0
    same = all(ours.get(name) == new.get(name) for name in ("fits", "place"))
    return len(ours["curves"]["epoch"]) if same else math.inf
