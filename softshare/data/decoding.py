"""Image files decoded as they are needed, by processes of their own."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

__all__ = ["decoded"]


def decoded(
    batches: Iterable[list[tuple[str, int]]],
    side: int,
    training: bool,
    workers: int = 0,
    pinned: bool = False,
) -> Iterator[Tensor]:
    """Batches of images as pixels, in order, whatever the number of processes that decode them.

    In training each image is cropped at random, 8 to 100 per cent of its area with an aspect of
    3/4 to 4/3, and scaled to the side; in testing its shorter side is scaled to 8/7 of that and
    the middle cut out, 256 and 224 pixels as Section 4.2 has it.

    Args:
        batches: For each image its path and a seed, which alone decides its crop.
        side: Of the images, in pixels.
        training: Which of both.
        workers: Processes that decode; 0 to decode in this one.
        pinned: Whether to put batches where a GPU fetches them without waiting.

    Yields:
        (B, 3, side, side) uint8.

    Raises:
        ValueError: An image that cannot be read, by its path.
    """
    loader: Any = DataLoader(
        _Decoder(_crop(side, training)),
        batch_sampler=batches,
        collate_fn=_stacked,
        num_workers=workers,
        pin_memory=pinned,
        generator=torch.Generator(),  # or it would draw from the run's own stream
        prefetch_factor=4 if workers else None,
    )
    for images in loader:
        if isinstance(images, str):
            raise ValueError(images)
        yield images


class _Decoder(Dataset):
    """One image by its path and seed; a sentence instead, if it cannot be read.

    An exception would reach the other process wrapped in the text of a traceback.
    """

    def __init__(self, crop: Any) -> None:
        self.crop = crop

    def __getitem__(self, item: tuple[str, int]) -> Tensor | str:
        from PIL import Image
        from torchvision.transforms.functional import pil_to_tensor

        path, seed = item
        try:
            with warnings.catch_warnings(), Image.open(path) as image:
                warnings.simplefilter("ignore")  # of metadata: a few of ImageNet's are malformed
                pixels = image.convert("RGB")
        except Exception as error:  # broken bytes can fail anywhere in a decoder
            return f"{path} cannot be read as an image ({error}); replace or remove it"
        before = torch.get_rng_state()
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would ask every device
        crop = self.crop(pixels)
        torch.set_rng_state(before)
        return pil_to_tensor(crop)


def _crop(side: int, training: bool) -> Any:
    from torchvision import transforms

    cubic = transforms.InterpolationMode.BICUBIC
    if training:
        return transforms.RandomResizedCrop(side, interpolation=cubic)
    larger = transforms.Resize(side * 8 // 7, interpolation=cubic)
    return transforms.Compose([larger, transforms.CenterCrop(side)])


def _stacked(items: Sequence[Tensor | str]) -> Tensor | str:
    told = [item for item in items if isinstance(item, str)]
    return told[0] if told else torch.stack([item for item in items if isinstance(item, Tensor)])
