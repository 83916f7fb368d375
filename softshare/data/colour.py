"""Colours of photographs changed at random, a whole batch at once on the images' own device."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from softshare.data.augmentation import normalise

__all__ = ["MEAN", "STD", "Colours", "draw_colours", "moments", "recolour"]

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's channels, in units where a white pixel is 1; the field's usual numbers."""

_GREY = (0.2989, 0.587, 0.114)  # weights of red, green and blue
_AXES = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))
_LIGHT = 0.1  # standard deviation of the shifts along the axes (Krizhevsky et al., 2012)
_SPREAD = (0.2175, 0.0188, 0.0045)  # of ImageNet's colours along each axis: their eigenvalues


class Colours(NamedTuple):
    """What chance decides for each of B images."""

    flip: Tensor  # (B,) bool: mirror left-right
    order: Tensor  # (3, B) which of the three comes first, second, third
    factor: Tensor  # (3, B) of brightness, contrast and saturation; 1 changes nothing
    light: Tensor  # (B, 3) along the axes of ImageNet's colours

    def of(self, rows: Tensor) -> Colours:
        """Those of some of the images."""
        flip, order, factor = (t[..., rows] for t in (self.flip, self.order, self.factor))
        return Colours(flip, order, factor, self.light[rows])


def draw_colours(count: int, generator: torch.Generator, strength: float = 0.4) -> Colours:
    """Draws the changes of ``count`` images (Gross & Wilber, 2016, whom Section 4.2 follows).

    Args:
        count: Number of images B.
        generator: Source of the draws, which are made on its device.
        strength: Factors are uniform in 1 - strength to 1 + strength; in [0, 1]. Default 0.4.

    Example:
        >>> draw_colours(4, torch.Generator().manual_seed(0), strength=0).factor.unique()
        tensor([1.])
    """

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, device=generator.device)

    shape = (count, 3)
    return Colours(
        flip=uniform(count) < 0.5,
        order=uniform(3, count).argsort(0),
        factor=1 + strength * (2 * uniform(3, count) - 1),
        light=_LIGHT * torch.randn(shape, generator=generator, device=generator.device),
    )


def recolour(images: Tensor, colours: Colours) -> Tensor:
    r"""Applies given draws and normalises: three blends, a shift of all pixels, the mirror.

    Brightness, contrast and saturation all move a pixel :math:`x` to
    :math:`\min(1, \max(0, z + f (x - z)))`; black, the mean grey of the image and the grey of the
    pixel are their :math:`z`.

    Args:
        images: (B, 3, H, W) uint8.
        colours: Draws for B images, on their device.

    Returns:
        (B, 3, H, W) float32, normalised by `MEAN` and `STD`.

    Example:
        >>> images = torch.randint(256, (8, 3, 224, 224), dtype=torch.uint8)
        >>> recolour(images, draw_colours(8, torch.Generator().manual_seed(0))).shape
        torch.Size([8, 3, 224, 224])
    """
    grey, axes, spread = _constants(images.device)
    pixels = images.float().div_(255)
    for which in colours.order:  # (B,)
        factor = colours.factor.gather(0, which[None])[0][:, None, None, None]
        which = which[:, None, None, None]
        greys = (pixels * grey[:, None, None]).sum(1, keepdim=True)  # (B, 1, H, W)
        target = torch.where(which == 1, greys.mean((1, 2, 3), keepdim=True), greys)
        target = target.masked_fill(which == 0, 0)
        pixels = target.lerp(pixels, factor).clamp_(0, 1)
    shift = (colours.light * spread) @ axes.T  # (B, 3) @ (3, 3)
    pixels = pixels.add_(shift[:, :, None, None])
    pixels = torch.where(colours.flip[:, None, None, None], pixels.flip(-1), pixels)
    return normalise(pixels.mul_(255), *moments(images.device))


@lru_cache
def moments(device: torch.device) -> tuple[Tensor, Tensor]:
    """`MEAN` and `STD` on a device; made once, as making them there waits for it."""
    return torch.tensor(MEAN, device=device), torch.tensor(STD, device=device)


@lru_cache
def _constants(device: torch.device) -> tuple[Tensor, ...]:
    return tuple(torch.tensor(t, device=device) for t in (_GREY, _AXES, _SPREAD))
