"""Training by name: a record that is there, a run that goes on, or a new one."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from softshare import storage
from softshare.models import build
from softshare.paths import runs_root
from softshare.recipe import Recipe
from softshare.recipe.request import request
from softshare.records import Run
from softshare.records.holding import checkpoint_of, held, lost, unmeasured, waits
from softshare.sharing import banks
from softshare.sharing.constraint import constrain
from softshare.training.device import device_for
from softshare.training.ending import ended
from softshare.training.engine import engine_for
from softshare.training.loop import Training
from softshare.training.precision import precision_for
from softshare.training.processes import is_alone, together
from softshare.training.tasks import check_images, task_for
from softshare.training.tuning import folded_start
from softshare.training.watch import Watch


def train(
    model: str,
    data: str | None = None,
    profile: str = "paper",
    *,
    source: str | Path | None = None,
    runs: Path | str | None = None,
    device: str | torch.device | None = None,
    progress: bool = True,
    checkpoint_seconds: float = 60.0,
    watch: Watch | None = None,
    precision: str | None = None,
    engine: str | None = None,
    **settings: Any,
) -> Run:
    r"""Trains a model of the paper, or resumes it, or returns its record if there is one.

    Started by torchrun, the processes share every batch: see ``softshare.training.processes``.
    The loss is the task's, minus :math:`\lambda_R \sum S_{ij}` where the recipe asks for it
    (Section 3.2). Stopped at any moment, even by ``kill -9``, the next call goes on from the last
    checkpoint and, on a CPU with as many threads, ends in the same record bit for bit but for
    ``cost`` and ``origin``. The result is the last epoch's: nothing is chosen on the test set. What
    folding costs is measured after the record is written, which is replaced then; where that was
    cut off, the next call does it, and trains again if neither checkpoint nor weights are left.

    Args:
        model: name for `softshare.build`.
        data: name of a data set, or the path of an image folder or archive, which is then called
            by its stem. Default: the profile's.
        profile: ``paper``, ``fast`` or ``smoke``.
        source: folder or archive to read the image set from, instead of the data folder.
        runs: folder of records. Default ``data/runs`` of the checkout.
        device: default CUDA where there is one, else the CPU.
        progress: show a progress bar with the time left.
        checkpoint_seconds: at least this long between checkpoints, 0 for one every epoch.
        watch: tells the run when to leave, by a time or by request. Default: never.
        precision: what the network computes in, ``float32`` or ``bfloat16``; parameters, loss and
            coefficients are float32 in any case. Default: bfloat16 on a device made for it.
        engine: how steps are driven: ``eager``, ``compiled``, ``graphs`` (CUDA graphs) or
            ``compiled graphs``. Default: what suits the size of the step; see
            ``softshare.training.engine``. Both are no part of the recipe, and recorded in
            ``origin``.
        **settings: fields of `Recipe`, such as ``seed=1`` or ``epochs=30``.

    Returns:
        The record, which is also on disk.

    Raises:
        ValueError: unknown names or values out of range, or a record of other images.
        FileNotFoundError: the data set is not there.
        FloatingPointError: the loss or an output is no longer a number.
        RuntimeError: another process is training this very run.
        Stopped: the watch told it to leave; the next call goes on.
        OSError: a checkpoint or the record could not be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     settings = {"epochs": 1, "examples": 64, "runs": folder + "/runs"}
        ...     run = train("wrn-10-1", profile="smoke", progress=False, **settings)
        >>> run.path, len(run.curves["test_error"])
        ('digits/smoke/wrn-10-1+epochs=1+examples=64/seed0-881b39507f.json', 1)
    """
    recipe, source = request(model, data, profile, source, **settings)
    root = Path(runs) if runs is not None else runs_root()
    if source is None and is_alone() and (known := _finished(recipe, root)) is not None:
        return known
    place = device_for(device)
    _check_model(recipe)
    precision_for(place, asked=precision)  # refused here, before any data are fetched
    engine_for(place, 0.0, 0, engine)
    with together(place) as processes:
        if watch and processes.size > 1:
            raise ValueError("A run of several processes cannot be watched; pass watch=None.")
        how: dict[str, Any] = {"checkpoint_seconds": checkpoint_seconds, "progress": progress}
        how |= {"watch": watch, "precision": precision, "engine": engine, "processes": processes}
        return _trained(recipe, source, root, place, how)


def _trained(
    recipe: Recipe, source: Path | None, root: Path, place: torch.device, how: dict[str, Any]
) -> Run:
    """The record, made by all processes; the first one alone looks for it, locks and writes."""
    processes, saved = how["processes"], checkpoint_of(recipe, root)
    here = (str(place), root, processes.size)
    known = processes.first(lambda: _finished(recipe, root, here)) if source is None else None
    if known is not None:
        return known
    with ExitStack() as stack:
        processes.first(lambda: stack.enter_context(held(saved, recipe.path)))
        known = processes.first(lambda: _recorded(recipe, root))
        task = task_for(recipe, place, source, processes=processes)
        if known is not None:
            check_images(known, task)
            if processes.first(lambda: _finished(recipe, root, here)) is not None:
                return known
        if processes.rank == 0:
            storage.sweep(saved)
            storage.sweep(root / recipe.path)
        net = folded_start(recipe, root, lambda base: _trained(base, source, root, place, how))
        training = Training(recipe, task, place, saved, **how, net=net)
        if how["watch"]:
            how["watch"].begin()
        journal = training.journal
        if known is not None and journal.epochs < recipe.total_epochs and not lost(known):
            return known  # its checkpoint was not sound
        same = known is not None and known.curves == journal.curves  # else trained again
        run = known if same else training.finish()
        return processes.first(lambda: ended(training, run, root))


def _finished(recipe: Recipe, root: Path, here: tuple[Any, ...] | None = None) -> Run | None:
    """The record of a run, unless its foldings are to be measured yet, `here` or anywhere."""
    known = _recorded(recipe, root)
    if known is None:
        return None
    if not waits(known):  # a process was killed between record and removal
        checkpoint_of(recipe, root).unlink(missing_ok=True)
    elif here is None or unmeasured(known, *here):
        return None
    return known


def _recorded(recipe: Recipe, root: Path) -> Run | None:
    path = root / recipe.path
    try:
        run = Run.load(path)
    except FileNotFoundError:
        return None
    except storage.Damaged as error:
        storage.set_aside(path, str(error))
        return None
    if run.recipe != recipe:
        raise ValueError(f"{path} holds another run than its name says: {run.path}. Move it there.")
    return run


def _check_model(recipe: Recipe) -> None:
    """Refuses what cannot be built before any data are fetched, by a model without memory."""
    with torch.device("meta"):
        net = build(recipe.model, dropout=recipe.dropout, init=recipe.init)
    constrain(net, recipe.coefficients)
    if recipe.recurrence and not banks(net):
        raise ValueError(
            f"The recurrence regulariser needs shared layers; {recipe.model} has none. "
            "Pass recurrence=0 or a soft-shared model."
        )
