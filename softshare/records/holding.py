"""Where an unfinished run is kept, and which process holds it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from softshare.paths import checkpoints_root
from softshare.recipe import Recipe


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
