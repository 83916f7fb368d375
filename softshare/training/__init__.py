"""Training by name: a record that is there, a run that goes on, or a new one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from softshare import storage
from softshare.models import build
from softshare.paths import runs_root
from softshare.recipe import Recipe
from softshare.recipe.request import request
from softshare.records import Run
from softshare.records.holding import checkpoint_of, held
from softshare.records.provenance import own_settings
from softshare.records.weights import keep
from softshare.sharing import banks
from softshare.sharing.constraint import constrain
from softshare.training.device import device_for
from softshare.training.engine import engine_for
from softshare.training.folded_error import measured, score
from softshare.training.loop import Training
from softshare.training.precision import precision_for
from softshare.training.processes import together
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
    ``cost`` and ``origin``. The result is the last epoch's: nothing is chosen on the test set.

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

    def base(recipe: Recipe) -> Run:
        how: dict[str, Any] = {"source": source, "runs": runs, "device": device}
        how |= {"progress": progress, "checkpoint_seconds": checkpoint_seconds, "watch": watch}
        how |= {"precision": precision, "engine": engine}
        return train(recipe.model, recipe.data, recipe.profile, **own_settings(recipe), **how)

    recipe, source = request(model, data, profile, source, **settings)
    root = Path(runs) if runs is not None else runs_root()
    saved = checkpoint_of(recipe, runs)
    if source is None and (known := _recorded(recipe, root)) is not None:
        saved.unlink(missing_ok=True)  # of a process killed between record and removal
        return known
    place = device_for(device)
    _check_model(recipe)
    precision_for(place, asked=precision)  # refused here, before any data are fetched
    engine_for(place, 0.0, 0, engine)
    with together(place) as processes:
        if watch and processes.size > 1:
            raise ValueError("A run of several processes cannot be watched; pass watch=None.")
        options = (checkpoint_seconds, progress, watch, precision, engine, processes)
        if processes.rank:  # the first one writes, and says when it is done
            task = task_for(recipe, place, source, processes=processes)
            net = folded_start(recipe, root, base)
            return Training(recipe, task, place, saved, *options, net).finish()
        with held(saved, recipe.path):
            task = task_for(recipe, place, source, processes=processes)
            if (known := _recorded(recipe, root)) is not None:
                check_images(known, task)
                return known
            storage.sweep(saved)
            storage.sweep(root / recipe.path)
            net = folded_start(recipe, root, base)
            run = _end(Training(recipe, task, place, saved, *options, net), root)
            saved.unlink(missing_ok=True)
    return run


def _end(training: Training, root: Path) -> Run:
    """Trains what is left, measures the foldings, and writes weights and record."""
    run, task, precision = training.finish(), training.task, training.step.precision
    run = measured(run, training.net, task, precision, progress=training.progress)
    last = run.recipe.total_epochs - 1
    run = keep(
        run, training.net, root, lambda net: score(net, task, last, precision, training.device)
    )
    run.save(root)
    return run


def _recorded(recipe: Recipe, root: Path) -> Run | None:
    path = root / recipe.path
    if not path.is_file():
        return None
    try:
        run = Run.load(path)
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
