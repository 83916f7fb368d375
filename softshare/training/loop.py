"""The training loop: steps, scores and checkpoints, and a record at the end."""

from __future__ import annotations

import copy
import time
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from softshare.models import build
from softshare.recipe import Recipe
from softshare.records import Run
from softshare.records.weights import small
from softshare.sharing import banks
from softshare.sharing.constraint import constrain
from softshare.training.checkpoints import Checkpoint
from softshare.training.engine import engine_for, tuned
from softshare.training.journal import Journal
from softshare.training.precision import PRECISIONS, precision_for
from softshare.training.processes import ALONE, Processes
from softshare.training.random_streams import seeded
from softshare.training.recalibration import recalibrated_scores
from softshare.training.step import Step
from softshare.training.tasks import Task, predictor
from softshare.training.watch import Stopped, Watch

_DROPOUT = 2**31  # keeps the masks of dropout apart from the task's own draws of the same epoch


class Training:
    """One run on its way from the last checkpoint, or from nothing, to its record.

    Args:
        recipe: what to train.
        task: the data, on the device.
        device: where.
        saved: the checkpoint, which nobody else writes.
        checkpoint_seconds: at least this long between checkpoints.
        progress: show a progress bar.
        watch: asked between epochs and between steps whether to leave. Default: never.
        precision: ``float32``, ``bfloat16``, or as `precision_for` chooses.
        engine: as `engine_for` takes it.
        processes: that train the network together. The first one's checkpoint is read, and it
            alone writes any.
        net: to start from. Default: the recipe's model, freshly drawn.

    Raises:
        ValueError: the checkpoint comes from another kind of device or number of processes, or
            the engine cannot be had.
    """

    def __init__(
        self,
        recipe: Recipe,
        task: Task,
        device: torch.device,
        saved: Path,
        checkpoint_seconds: float,
        progress: bool,
        watch: Watch | None = None,
        precision: str | None = None,
        engine: str | None = None,
        processes: Processes = ALONE,
        net: nn.Module | None = None,
    ) -> None:
        self.recipe, self.task, self.device, self.watch = recipe, task, device, watch
        self.checkpoint_seconds, self.processes = checkpoint_seconds, processes
        self.progress = progress and processes.rank == 0
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        if net is None:
            with seeded(recipe.seed, device):
                net = build(recipe.model, init=recipe.init, **task.model_settings)
        constrain(net, recipe.coefficients)  # before the journal keeps how they start
        self.journal = Journal(recipe, net, task.metrics, task.input_shape, device, processes.size)
        self.data = task.facts()
        flops = 6.0 * (self.journal.macs or 0) * recipe.batch_size  # of a step, both ways
        chosen = precision_for(device, flops, precision)
        self.checkpoint = Checkpoint(
            saved,
            recipe,
            net,
            self.data["checksum"],
            device,
            chosen,
            precision in PRECISIONS,
            processes.size,
        )
        state = processes.first(self.checkpoint.load)
        if state is not None:
            self.journal.load_state(state)
        left = (recipe.total_epochs - self.journal.epochs) * task.steps
        self.step = Step(
            net,
            recipe,
            task.loss,
            device,
            processes.first(lambda: self.checkpoint.precision),
            engine_for(device, flops, left, engine, alone=processes.size == 1),
            processes,
        )
        if state is not None:
            self.step.load_state(state)
        self.net = self.step.net
        self._unsaved: dict[str, Any] | None = None

    def finish(self) -> Run:
        """Trains the epochs that are left.

        Raises:
            FloatingPointError: the loss or an output is no longer a number.
            Stopped: the watch said so; a checkpoint holds all epochs that were done.
        """
        done, total = self.journal.epochs, self.recipe.total_epochs
        written, seconds = time.monotonic(), 0.0
        with self._bar(done, total) as bar, tuned(self.device):
            for epoch in range(done, total):
                self._leave_if_due(seconds)
                start, worked = time.monotonic(), time.process_time()
                loss, scores = self._epoch(epoch, bar)
                seconds = time.monotonic() - start
                self.journal.note(loss, scores, seconds, time.process_time() - worked)
                if self.watch:
                    self.journal.at_once = max(self.journal.at_once, self.watch.at_once)
                shown = {"loss": f"{loss:.3g}"} | {n: f"{x:.4g}" for n, x in scores.items()}
                bar.set_postfix(shown)
                if epoch + 1 == total:
                    if banks(self.net) or small(self.net):
                        self._save()  # scoring foldings and kept weights may be cut off
                elif time.monotonic() - written >= self.checkpoint_seconds:
                    self._save()
                    written = time.monotonic()
                elif self.watch:
                    self._unsaved = copy.deepcopy(self._state())
                if self.watch:
                    self.watch.note(epoch + 1, total, seconds)
        return self.journal.run(self.data, self.step.precision, self.step.engine)

    def _epoch(self, epoch: int, bar: Any) -> tuple[float, dict[str, float]]:
        self.net.train()
        self.step.set_rate(self.recipe.lr_at(epoch))
        losses = torch.zeros(self.task.steps, device=self.device)
        masks = self.recipe.seed * 1_000_003 + epoch + 1 + _DROPOUT + 104_729 * self.processes.rank
        with seeded(masks, self.device):
            for number, (inputs, targets) in enumerate(self.task.batches(epoch)):
                self._leave_if_due()
                losses[number] = self.step(inputs, targets)  # on the device: nothing waits
                bar.update()
        losses = self.processes.mean(losses)
        broken = (~losses.isfinite()).nonzero()
        if len(broken):
            self._refuse("loss", f"at step {broken[0].item() + 1} of epoch {epoch + 1}", epoch)
        scores, sound = self.processes.first(lambda: self._scores(epoch))
        if not sound:
            self._refuse("output", f"in the last step of epoch {epoch + 1}", epoch)
        if self.task.recalibrated:
            scores |= self.processes.first(
                lambda: recalibrated_scores(self.net, self.task, epoch, self.step.precision)
            )
        return losses.mean().item(), scores

    def _scores(self, epoch: int) -> tuple[dict[str, float], bool]:
        """The scores, and whether all outputs were numbers: the last step may have broken them."""
        predict = predictor(self.net, self.step.precision)
        sound = torch.ones((), dtype=torch.bool, device=self.device)

        def watched(inputs: Tensor) -> Tensor:
            outputs = predict(inputs)
            sound.logical_and_(outputs.isfinite().all())
            return outputs

        return self.task.scores(watched, epoch), bool(sound)

    def _refuse(self, what: str, where: str, epoch: int) -> NoReturn:
        there = self.checkpoint.path.is_file()
        kept = "; the last checkpoint, from before, is kept" if there else ""
        raise FloatingPointError(
            f"The {what} of {self.recipe.model} stopped being a number {where}, learning rate "
            f"{self.recipe.lr_at(epoch)}; lower lr. No record was written{kept}."
        )

    def _leave_if_due(self, seconds: float = 0.0) -> None:
        """Leaves, with the last whole epoch on disk, if there is no time for so many seconds."""
        if self.watch and self.watch.due(seconds):
            if self._unsaved:
                self.checkpoint.save(self._unsaved)
            raise Stopped(f"{self.journal.epochs} of {self.recipe.total_epochs} epochs are done.")

    def _state(self) -> dict[str, Any]:
        return self.step.state() | self.journal.state()

    def _save(self) -> None:
        if self.processes.rank == 0:
            self.checkpoint.save(self._state())
        self._unsaved = None

    def _bar(self, done: int, total: int) -> Any:
        from tqdm.auto import tqdm

        return tqdm(
            total=total * self.task.steps,
            initial=done * self.task.steps,
            desc=f"{self.recipe.model} seed {self.recipe.seed}",
            unit="step",
            mininterval=1.0,
            disable=not self.progress,
        )
