"""The training loop: steps, scores, checkpoints, and a record at the end."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from softshare import storage
from softshare.counting import count
from softshare.models import build
from softshare.optimisation import param_groups
from softshare.origin import origin
from softshare.recipe import Recipe
from softshare.records import Run
from softshare.sharing import banks
from softshare.similarity import recurrence_penalty
from softshare.tasks import Task, autocast, predictor

KEPT_EPOCHS = (0, 1, 5, 25, 50, 100, 150)
"""Epochs after which the coefficients are kept, besides the last (Figure 8 shows some)."""

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

    Raises:
        ValueError: the checkpoint comes from another kind of device.
    """

    def __init__(
        self,
        recipe: Recipe,
        task: Task,
        device: torch.device,
        saved: Path,
        checkpoint_seconds: float,
        progress: bool,
    ) -> None:
        self.recipe, self.task, self.device = recipe, task, device
        self.saved, self.checkpoint_seconds, self.progress = saved, checkpoint_seconds, progress
        cuda = device.type == "cuda"
        if cuda:
            torch.cuda.reset_peak_memory_stats(device)
        bf16 = cuda and torch.cuda.is_bf16_supported()
        self.precision = torch.bfloat16 if bf16 else torch.float32
        with _seeded(recipe.seed, device):
            net = build(recipe.model, init=recipe.init, **task.model_settings)
        self.facts, self.data = self._describe(net), task.facts()
        self.net = net.to(device).to(memory_format=torch.channels_last)
        self.optimizer = _optimizer(self.net, recipe, cuda)
        self.curves: dict[str, list[Any]] = {
            name: [] for name in ("epoch", "phase", "lr", "loss", task.metric)
        }
        self.coefficients: dict[str, Any] = {}
        self.seconds = 0.0
        self.origin = origin(device)  # now: the checkout may have changed when the run ends
        self.commits = [self.origin["commit"]]
        self._keep_coefficients(0)
        self._resume()

    def finish(self) -> Run:
        """Trains the epochs that are left.

        Raises:
            FloatingPointError: the loss or an output is no longer a number.
        """
        from tqdm.auto import tqdm

        done = len(self.curves["epoch"])
        total = self.recipe.total_epochs
        bar = tqdm(
            total=total * self.task.steps,
            initial=done * self.task.steps,
            desc=f"{self.recipe.model} seed {self.recipe.seed}",
            unit="step",
            mininterval=1.0,
            disable=not self.progress,
        )
        written = time.monotonic()
        with bar:
            for epoch in range(done, total):
                start = time.monotonic()
                loss, score = self._epoch(epoch, bar)
                self.seconds += time.monotonic() - start
                self._note(epoch, loss, score)
                bar.set_postfix({"loss": f"{loss:.3g}", self.task.metric: f"{score:.4g}"})
                if epoch + 1 < total and time.monotonic() - written >= self.checkpoint_seconds:
                    self._checkpoint()
                    written = time.monotonic()
        return self._record()

    def _epoch(self, epoch: int, bar: Any) -> tuple[float, float]:
        net, recipe = self.net, self.recipe
        net.train()
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.lr_at(epoch)
        losses = torch.zeros(self.task.steps, device=self.device)
        with _seeded(recipe.seed * 1_000_003 + epoch + 1 + _DROPOUT, self.device):
            for step, (inputs, targets) in enumerate(self.task.batches(epoch)):
                inputs = inputs.contiguous(memory_format=torch.channels_last)
                with autocast(self.device, self.precision):
                    loss = self.task.loss(net(inputs), targets)
                losses[step] = loss.detach()  # stays on the device: no wait inside an epoch
                if recipe.recurrence:
                    loss = loss - recipe.recurrence * recurrence_penalty(net)
                self.optimizer.zero_grad(set_to_none=True)
                loss.backward()
                self.optimizer.step()
                bar.update()
        broken = (~losses.isfinite()).nonzero()
        if len(broken):
            self._refuse("loss", f"at step {broken[0].item() + 1} of epoch {epoch + 1}", epoch)
        score, sound = self._score(epoch)
        if not sound:
            self._refuse("output", f"in the last step of epoch {epoch + 1}", epoch)
        return losses.mean().item(), score

    def _score(self, epoch: int) -> tuple[float, bool]:
        """The metric, and whether all outputs were numbers: the last step may have broken them."""
        predict = predictor(self.net, self.precision)
        sound = torch.ones((), dtype=torch.bool, device=self.device)

        def watched(inputs: Tensor) -> Tensor:
            outputs = predict(inputs)
            sound.logical_and_(outputs.isfinite().all())
            return outputs

        return self.task.score(watched, epoch), bool(sound)

    def _refuse(self, what: str, where: str, epoch: int) -> NoReturn:
        kept = "; the last checkpoint, from before, is kept" if self.saved.is_file() else ""
        raise FloatingPointError(
            f"The {what} of {self.recipe.model} stopped being a number {where}, learning rate "
            f"{self.recipe.lr_at(epoch)}; lower lr. No record was written{kept}."
        )

    def _note(self, epoch: int, loss: float, score: float) -> None:
        new = {
            "epoch": epoch + 1,
            "phase": epoch // self.recipe.epochs + 1,
            "lr": self.recipe.lr_at(epoch),
            "loss": loss,
            self.task.metric: score,
        }
        for name, value in new.items():
            self.curves[name].append(value)
        if epoch + 1 in (*KEPT_EPOCHS, self.recipe.total_epochs):
            self._keep_coefficients(epoch + 1)

    def _keep_coefficients(self, epoch: int) -> None:
        found = {g: b.coefficients.detach().tolist() for g, b in banks(self.net).items()}
        if found:
            self.coefficients[str(epoch)] = found

    def _checkpoint(self) -> None:
        state = {
            "fits": self._fit(),
            "place": self._place(),
            "net": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "curves": self.curves,
            "coefficients": self.coefficients,
            "seconds": self.seconds,
            "commits": self.commits,
        }
        storage.save_checkpoint(self.saved, state)

    def _resume(self) -> None:
        if not self.saved.is_file():
            return
        try:
            state = storage.load_checkpoint(self.saved)
            if state.get("fits") != self._fit():
                raise storage.Damaged(
                    f"The checkpoint {self.saved} is of other data or another version."
                )
        except storage.Damaged as error:
            storage.set_aside(self.saved, str(error))
            return
        if state["place"] != self._place():
            raise ValueError(
                f"The checkpoint {self.saved} was made on {state['place']}, and this is "
                f"{self._place()}; go on there, or delete it to start anew."
            )
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.curves, self.coefficients = state["curves"], state["coefficients"]
        self.seconds = state["seconds"]
        self.commits = list(dict.fromkeys([*state["commits"], *self.commits]))

    def _fit(self) -> dict[str, Any]:
        """What a checkpoint must agree on: recipe, images, and the tensors of this version."""
        shapes = {name: list(tensor.shape) for name, tensor in self.net.state_dict().items()}
        return {"key": self.recipe.key, "data": self.data["checksum"], "shapes": shapes}

    def _place(self) -> str:
        return f"{self.device.type} in {str(self.precision).removeprefix('torch.')}"

    def _describe(self, net: nn.Module) -> dict[str, Any]:
        size = count(net, self.task.input_shape)
        return {
            "name": self.recipe.model,
            "parameters": size.parameters,
            "macs": size.macs,
            "groups": {label: list(bank.layers) for label, bank in banks(net).items()},
        }

    def _record(self) -> Run:
        cuda = self.device.type == "cuda"
        seen = self.recipe.total_epochs * self.data["train"] / self.recipe.phases
        return Run(
            self.recipe,
            model=self.facts,
            data=self.data,
            curves=self.curves,
            result={self.task.metric: self.curves[self.task.metric][-1]},
            coefficients=self.coefficients,
            cost={
                "seconds": round(self.seconds, 2),
                "images_per_second": round(seen / max(self.seconds, 1e-9), 1),
                "peak_memory_bytes": torch.cuda.max_memory_allocated(self.device) if cuda else None,
            },
            origin=self.origin
            | {
                "commit": ", ".join(self.commits),
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                "precision": str(self.precision).removeprefix("torch."),
            },
        )


def _optimizer(net: nn.Module, recipe: Recipe, fused: bool) -> torch.optim.Optimizer:
    groups = param_groups(net, recipe.weight_decay)
    if recipe.optimizer == "adam":
        return torch.optim.Adam(groups, lr=recipe.lr, fused=fused)
    nesterov = recipe.momentum > 0
    return torch.optim.SGD(
        groups, lr=recipe.lr, momentum=recipe.momentum, nesterov=nesterov, fused=fused
    )


@contextlib.contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seeds PyTorch's global generators inside, and leaves them as they were outside."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed % 2**63)
        yield
