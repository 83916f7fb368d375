"""Where an unfinished run is kept, how far it is, and which process holds it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from softshare import storage
from softshare.paths import checkpoints_root
from softshare.recipe import Recipe
from softshare.records import Run

LATER = "not all measured yet: training it again goes on with that from its checkpoint"
"""Begins the ``origin["folded"]`` of a record without all the foldings that are to be measured."""


class Busy(RuntimeError):
    """Another process is training this very run."""


def checkpoint_of(recipe: Recipe, runs: Path | str | None = None) -> Path:
    """The file of an unfinished run; `runs` is the folder of records.

    Example:
        >>> checkpoint_of(Recipe("wrn-28-1"), "results/runs").as_posix()
        'results/checkpoints/wrn-28-1-seed0-1f4459d4e1.pt'
    """
    root = Path(runs).parent / "checkpoints" if runs is not None else checkpoints_root()
    return root / f"{recipe.model}-seed{recipe.seed}-{recipe.key}.pt"


def begun(recipe: Recipe, device: str, runs: Path | str | None = None, processes: int = 1) -> int:
    """Epochs in a checkpoint for this kind of device; 0 without one, -1 for another's.

    Args:
        recipe: of the run.
        device: such as ``cpu`` or ``cuda:1``.
        runs: folder of records.
        processes: that train it together; a checkpoint of another number is another's.
    """
    try:
        state = storage.load_checkpoint(checkpoint_of(recipe, runs))
        place, _, together = str(state["place"]).partition(", ")
        here = place.startswith(device.partition(":")[0])
        same = (together or "1 processes") == f"{processes} processes"
        return len(state["curves"]["epoch"]) if here and same else -1
    except (FileNotFoundError, storage.Damaged, KeyError, TypeError):
        return 0


def waits(run: Run) -> bool:
    """Whether a recorded run's foldings are to be measured yet."""
    return str(run.origin.get("folded")).startswith(LATER)


def lost(run: Run) -> bool:
    """Whether none of them is, and no weights were kept to do it on: a checkpoint alone is."""
    return waits(run) and not run.folded and not run.weights


def unmeasured(run: Run, device: str, runs: Path | str | None = None, processes: int = 1) -> bool:
    """Whether a recorded run's foldings are to be measured yet, and here is what to do it on.

    That is its checkpoint; where none is left, nor weights, it is to be trained again.
    """
    if not waits(run):
        return False
    done = begun(run.recipe, device, runs, processes)
    return done == run.recipe.total_epochs or (done >= 0 and lost(run))


@contextmanager
def held(saved: Path, run: str) -> Iterator[None]:
    """Keeps all other processes off a run; the system lets go of it if this one is killed.

    Args:
        saved: the run's checkpoint, which need not exist.
        run: what to call it in a message.

    Raises:
        Busy: another process holds it.
    """
    saved.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(saved.with_suffix(".lock"))
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise Busy(
            f"Another process is training {run}; wait for it, or choose another seed."
        ) from None
    try:
        yield
    finally:
        lock.release()
