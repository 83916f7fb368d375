"""What a run notes on its way, epoch by epoch, and the record that it becomes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import torch
from torch import nn

from softshare.counting import count
from softshare.folding.folded_model import FoldedModel
from softshare.recipe import Recipe
from softshare.records import Run
from softshare.records.origin import origin
from softshare.sharing import banks
from softshare.training.precision import name_of

KEPT_EPOCHS = (0, 1, 5, 25, 50, 100, 150)
"""Epochs after which the coefficients are kept, besides the last (Figure 8 shows some)."""


class Journal:
    """Curves, coefficients, seconds and commits of one run.

    Args:
        recipe: what is trained.
        net: the network, as it starts.
        metrics: names of the scores.
        input_shape: of one example, for the count of operations.
        device: where it is trained.
        processes: that train it together.
    """

    def __init__(
        self,
        recipe: Recipe,
        net: nn.Module,
        metrics: tuple[str, ...],
        input_shape: tuple[int, ...],
        device: torch.device,
        processes: int = 1,
    ) -> None:
        self.recipe, self.net, self.metrics, self.device = recipe, net, metrics, device
        size = count(net, input_shape)
        self.model = {
            "name": recipe.model,
            "parameters": size.parameters,
            "macs": size.macs,
            "groups": {label: list(bank.layers) for label, bank in banks(net).items()},
        }
        self.macs = size.macs
        if isinstance(net, FoldedModel):
            self.model["schedules"] = {g.group: list(g.schedule) for g in net.report.groups}
        names = ("epoch", "phase", "lr", "loss", *metrics)
        self.curves: dict[str, list[Any]] = {name: [] for name in names}
        self.coefficients: dict[str, Any] = {}
        self.seconds = 0.0
        self.processor_seconds: float | None = 0.0
        self.at_once = 1  # runs on the device, at most
        # now: the checkout may have changed when the run ends
        self.origin = origin(device, processes)
        self.commits = [self.origin["commit"]]
        self._keep(0)

    @property
    def epochs(self) -> int:
        """How many are done."""
        return len(self.curves["epoch"])

    def note(
        self, loss: float, scores: dict[str, float], seconds: float, processor_seconds: float
    ) -> None:
        """One epoch more; `scores` holds the metrics and what else is measured with them."""
        epoch = self.epochs
        new = {
            "epoch": epoch + 1,
            "phase": self.recipe.phase_at(epoch) + 1,
            "lr": self.recipe.lr_at(epoch),
            "loss": loss,
            **scores,
        }
        for name, value in new.items():
            if name in self.curves or not epoch:  # a checkpoint may be older than a curve
                self.curves.setdefault(name, []).append(value)
        self.seconds += seconds
        if self.processor_seconds is not None:
            self.processor_seconds += processor_seconds
        if epoch + 1 in (*KEPT_EPOCHS, self.recipe.total_epochs):
            self._keep(epoch + 1)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of it."""
        return {
            "curves": self.curves,
            "coefficients": self.coefficients,
            "seconds": self.seconds,
            "processor_seconds": self.processor_seconds,
            "at_once": self.at_once,
            "commits": self.commits,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Goes on from a checkpoint, which this commit may not have made."""
        self.curves, self.coefficients = state["curves"], state["coefficients"]
        self.seconds = state["seconds"]
        self.processor_seconds = state.get("processor_seconds")  # older checkpoints lack it
        self.at_once = state.get("at_once", 1)
        self.commits = list(dict.fromkeys([*state["commits"], *self.commits]))

    def run(self, data: dict[str, Any], precision: torch.dtype, engine: str) -> Run:
        """The record of what was noted so far."""
        cuda = self.device.type == "cuda"
        seen = self.epochs * data["train"] / self.recipe.phases
        return Run(
            self.recipe,
            model=self.model,
            data=data,
            curves=self.curves,
            result={name: self.curves[name][-1] for name in self.metrics},
            coefficients=self.coefficients,
            cost={
                "seconds": round(self.seconds, 2),
                "processor_seconds": self.processor_seconds and round(self.processor_seconds, 2),
                "images_per_second": round(seen / max(self.seconds, 1e-9), 1),
                "peak_memory_bytes": torch.cuda.max_memory_allocated(self.device) if cuda else None,
            },
            origin=self.origin
            | {
                "commit": ", ".join(self.commits),
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
                "precision": name_of(precision),
                "engine": engine,
            }
            | ({"runs_at_once": self.at_once} if self.at_once > 1 else {}),
        )

    def _keep(self, epoch: int) -> None:
        found = {g: b.coefficients.detach().tolist() for g, b in banks(self.net).items()}
        if found:
            self.coefficients[str(epoch)] = found
