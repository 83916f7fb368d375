"""The task of Section 4.1: images are classified."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from softshare import data
from softshare.data.compression import quality
from softshare.recipe import Recipe
from softshare.training.random_streams import epoch_stream, subset

_SCORED = 500  # images at once


class ImageTask:
    """Image classification (Section 4.1): cross-entropy, test error in per cent.

    Padding of the random crop is an eighth of the image, 4 pixels of 32 as in the paper. Digits
    are not mirrored: a mirrored digit is another sign.
    """

    metrics: tuple[str, ...] = ("test_error",)
    recalibrated = False

    def __init__(
        self,
        recipe: Recipe,
        device: torch.device,
        source: str | Path | None = None,
        root: Path | None = None,
    ) -> None:
        train, test = (s.to(device) for s in data.load(str(source or recipe.data), root))
        if train.name != recipe.data:
            raise ValueError(
                f"The recipe is for {recipe.data!r}, and {source} holds {train.name!r}; variants "
                f"are never mixed. Pass data={train.name!r}."
            )
        self.images, self.labels = train.images, train.labels
        if recipe.examples:
            chosen = subset(recipe, len(train)).to(device)
            self.images, self.labels = train.images[chosen], train.labels[chosen]
        self.recipe, self.test, self.device = recipe, test, device
        self.moments: dict[str, Any] = {"mean": train.mean, "std": train.std}
        self.augmentation: dict[str, Any] = {
            "flip": quality(recipe.data)[0] != "digits",
            "crop": train.images.shape[-1] // 8,
            "cutout": recipe.cutout,
        }
        self.input_shape = tuple(train.images.shape[1:])
        self.model_settings = {
            "num_classes": train.num_classes,
            "in_channels": self.input_shape[0],
            "dropout": recipe.dropout,
        }
        self.steps = -(-len(self.images) // recipe.batch_size)
        self.checksum = train.checksum

    def batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        generator = epoch_stream(self.recipe, epoch, self.device)
        order = torch.randperm(len(self.images), generator=generator, device=self.device)
        for rows in order.split(self.recipe.batch_size):
            images = self.images[rows]
            yield (
                data.augment(images, generator, **self.moments, **self.augmentation),
                self.labels[rows],
            )

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs.float(), targets)

    def scores(self, predict: Callable[[Tensor], Tensor], epoch: int) -> dict[str, float]:
        wrong = torch.zeros((), device=self.device)
        test = zip(
            self.test.images.split(_SCORED),
            self.test.labels.split(_SCORED),
            strict=True,
        )
        for images, labels in test:
            wrong += (predict(data.normalise(images, **self.moments)).argmax(1) != labels).sum()
        return {"test_error": 100 * wrong.item() / len(self.test)}

    def facts(self) -> dict[str, Any]:
        return {
            "name": self.recipe.data,
            "checksum": self.checksum,
            "train": len(self.images),
            "test": len(self.test),
        }
