"""The task of Section 4.2: photographs are classified, read from files as they are needed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from softshare import data
from softshare.cores import cores
from softshare.data.colour import draw_colours, moments, recolour
from softshare.data.decoding import decoded
from softshare.data.image_stream import stream
from softshare.recipe import Recipe
from softshare.training.processes import ALONE, Processes
from softshare.training.random_streams import epoch_stream, subset

_SCORED = 200  # images at once


class StreamTask:
    """Classification of ImageNet (Section 4.2): cross-entropy, top-1 and top-5 error in per cent.

    Augmentation is that of Gross & Wilber (2016), whom the paper follows: a random crop of random
    size and aspect, scaled to 224 pixels, colours, mirror. One crop from the middle is scored.
    Files are decoded by other processes while a GPU computes. Where several processes train a
    network, each decodes its part of a batch alone.
    """

    metrics: tuple[str, ...] = ("test_error", "top5_error")
    recalibrated = False
    side = 224

    def __init__(
        self,
        recipe: Recipe,
        device: torch.device,
        source: str | Path | None = None,
        processes: Processes = ALONE,
    ) -> None:
        train, self.test = stream(recipe.data, source)
        self.chosen = subset(recipe, len(train))
        self.recipe, self.train, self.device = recipe, train, device
        self.processes = processes
        self.input_shape: tuple[int, ...] = (3, self.side, self.side)
        self.model_settings: dict[str, Any] = {
            "num_classes": len(train.classes),
            "dropout": recipe.dropout,
        }
        self.steps = -(-len(self.chosen) // recipe.batch_size)
        self.decoding: dict[str, Any] = {
            "side": self.side,
            "workers": _decoders(device),
            "pinned": device.type == "cuda",
        }

    def batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Of each batch the images of this process' part, and the labels of all."""
        chance = epoch_stream(self.recipe, epoch, torch.device("cpu"))
        order = self.chosen[torch.randperm(len(self.chosen), generator=chance)]
        seeds = torch.randint(2**62, (len(order),), generator=chance)
        batches = list(zip(*(t.split(self.recipe.batch_size) for t in (order, seeds)), strict=True))
        part = self.processes.part
        asked = (self._asked(part(rows), part(chosen)) for rows, chosen in batches)
        chance = epoch_stream(self.recipe, epoch, self.device)
        images = decoded(asked, training=True, **self.decoding)
        for (rows, _), pixels in zip(batches, images, strict=True):
            mine = part(torch.arange(len(rows), device=self.device))
            colours = draw_colours(len(rows), chance).of(mine)
            pixels = pixels.to(self.device, non_blocking=True)
            labels = self.train.labels[rows].to(self.device, non_blocking=True)
            yield recolour(pixels, colours), labels

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs.float(), targets)

    def scores(self, predict: Callable[[Tensor], Tensor], epoch: int) -> dict[str, float]:
        wrong = torch.zeros(2, device=self.device)  # among the first, and among the first five
        mean, std = moments(self.device)
        rows = torch.arange(len(self.test)).split(_SCORED)
        asked = ([(self.test.paths[i], 0) for i in some.tolist()] for some in rows)
        images = decoded(asked, training=False, **self.decoding)
        for some, pixels in zip(rows, images, strict=True):
            logits = predict(data.normalise(pixels.to(self.device), mean, std))
            best = logits.topk(min(5, logits.shape[1])).indices  # (B, 5)
            right = best == self.test.labels[some].to(self.device)[:, None]
            wrong += torch.stack([(~right[:, 0]).sum(), (~right.any(1)).sum()])
        shares = [100 * count / len(self.test) for count in wrong.tolist()]
        return dict(zip(self.metrics, shares, strict=True))

    def facts(self) -> dict[str, Any]:
        return {
            "name": self.recipe.data,
            "checksum": self.train.checksum,
            "train": len(self.chosen),
            "test": len(self.test),
        }

    def _asked(self, rows: Tensor, seeds: Tensor) -> list[tuple[str, int]]:
        paths = [self.train.paths[i] for i in rows.tolist()]
        return list(zip(paths, seeds.tolist(), strict=True))


def _decoders(device: torch.device) -> int:
    """Processes that decode for one that trains: a GPU leaves it the cores, a CPU needs them."""
    if device.type == "cpu":
        return 0
    return max(1, cores() // int(os.environ.get("LOCAL_WORLD_SIZE", 1)))
