"""Random crop, flip and cutout of a whole batch of images at once, on the images' own device."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Draws", "augment", "draw", "normalise", "transform"]


class Draws(NamedTuple):
    """What chance decides for each of B images; None where an operation is off."""

    flip: Tensor | None  # (B,) bool: mirror left-right
    shift: Tensor | None  # (2, B) int64 in [0, 2 crop]: top and left edge in the padded image
    centre: Tensor | None  # (2, B) int64: row and column of the cutout's centre


def draw(
    count: int,
    size: tuple[int, int],
    generator: torch.Generator,
    *,
    flip: bool = True,
    crop: int = 4,
    cutout: int = 0,
) -> Draws:
    """Draw the parameters of ``count`` augmentations, each uniform and independent.

    Args:
        count: Number of images B.
        size: Height and width of the images, in pixels.
        generator: Source of the draws; they are made on its device.
        flip: Whether to mirror each image with probability 1/2.
        crop: Pixels of padding on each side before the crop; 0 for no crop.
        cutout: Side of the erased square in pixels; 0 for none.

    Example:
        >>> draw(4, (32, 32), torch.Generator().manual_seed(0), crop=0).shift is None
        True
    """
    height, width = size

    def uniform(below: int, *shape: int) -> Tensor:
        return torch.randint(below, shape, generator=generator, device=generator.device)

    return Draws(
        flip=uniform(2, count).bool() if flip else None,
        shift=uniform(2 * crop + 1, 2, count) if crop else None,
        centre=torch.stack((uniform(height, count), uniform(width, count))) if cutout else None,
    )


def normalise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Map pixels 0..255 to (pixel / 255 - mean) / std, channel by channel.

    Args:
        images: (B, C, H, W) uint8.
        mean: (C,) float32, in units where a white pixel is 1.
        std: (C,) float32, positive, in the same units.

    Returns:
        (B, C, H, W) float32 in the memory format of ``images``.

    Example:
        >>> grey = torch.full((1, 1, 2, 2), 255, dtype=torch.uint8)
        >>> normalise(grey, torch.tensor([0.5]), torch.tensor([0.25])).unique()
        tensor([2.])
    """
    scale = 1 / (255 * std)  # (C,)
    return images.float().mul_(scale[:, None, None]).sub_((mean / std)[:, None, None])


def transform(
    images: Tensor, draws: Draws, *, mean: Tensor, std: Tensor, crop: int = 4, cutout: int = 0
) -> Tensor:
    """Apply given draws: zero-padded crop, flip, normalise, cutout, in this order.

    The deterministic half of `augment`, with the same arguments and result.

    Example:
        >>> images = torch.arange(4, dtype=torch.uint8).view(1, 1, 1, 4)
        >>> flipped = Draws(flip=torch.tensor([True]), shift=None, centre=None)
        >>> one = torch.ones(1)
        >>> (255 * transform(images, flipped, mean=0 * one, std=one)).round().flatten()
        tensor([3., 2., 1., 0.])
    """
    output = normalise(_crop(images, draws, crop), mean, std)
    if draws.centre is None:
        return output
    rows, columns = (
        (torch.arange(length, device=images.device) - centre[:, None] + cutout // 2)
        for length, centre in zip(images.shape[-2:], draws.centre, strict=True)
    )  # (B, H) and (B, W): distance from the square's first row and column
    rows, columns = ((d >= 0) & (d < cutout) for d in (rows, columns))
    return output.masked_fill_(rows[:, None, :, None] & columns[:, None, None, :], 0)


def augment(
    images: Tensor,
    generator: torch.Generator,
    *,
    mean: Tensor,
    std: Tensor,
    flip: bool = True,
    crop: int = 4,
    cutout: int = 0,
) -> Tensor:
    """Augment and normalise a batch, every image with draws of its own (section 4.1).

    Crop and flip act on pixels, so that padding is black; cutout acts after normalisation, so
    that the erased square is exactly 0, the mean colour, which no integer pixel value can give.
    One call therefore does all, and returns what the network takes. Any batch size costs the
    same few kernels, and nothing waits for the device.

    Args:
        images: (B, C, H, W) uint8.
        generator: Source of all draws, on the device of ``images``.
        mean: (C,) float32, of the training split, in units where a white pixel is 1.
        std: (C,) float32, positive, in the same units.
        flip: Mirror left-right with probability 1/2. Default True.
        crop: Pixels of black padding on each side before cropping back to (H, W) at a
            uniform position; 0 to the shorter side, 0 for no crop. Default 4.
        cutout: Side of a square set to 0, its centre pixel uniform over the image and the
            square clipped at the border (DeVries & Taylor, 2017); an even side reaches one
            pixel further up and left. 0 to the shorter side, 0 for none. Default 0.

    Returns:
        (B, C, H, W) float32, normalised.

    Raises:
        ValueError: If ``images`` is not a batch of uint8 images, a size is out of range or
            ``generator`` lives on another device.

    Example:
        >>> images = torch.randint(256, (8, 3, 32, 32), dtype=torch.uint8)
        >>> half = torch.full((3,), 0.5)
        >>> generator = torch.Generator().manual_seed(0)
        >>> augment(images, generator, mean=half, std=half, cutout=16).shape
        torch.Size([8, 3, 32, 32])
    """
    if images.dtype != torch.uint8 or images.ndim != 4:
        raise ValueError(
            f"augment takes uint8 images (B, C, H, W), got {images.dtype} of shape "
            f"{tuple(images.shape)}; pass pixels 0..255 as ImageSet.images holds them"
        )
    height, width = images.shape[-2:]
    for name, value in (("crop", crop), ("cutout", cutout)):
        if not isinstance(value, int) or not 0 <= value <= min(height, width):
            raise ValueError(
                f"{name} is a whole number of pixels, 0 (off) to the shorter side of the images, "
                f"got {value} for images of {height} x {width}"
            )
    if generator.device.type != images.device.type:
        raise ValueError(
            f"the generator must live where the images do, got {generator.device} and "
            f"{images.device}; make it with torch.Generator('{images.device}')"
        )
    draws = draw(len(images), (height, width), generator, flip=flip, crop=crop, cutout=cutout)
    return transform(images, draws, mean=mean, std=std, crop=crop, cutout=cutout)


def _crop(images: Tensor, draws: Draws, crop: int) -> Tensor:
    """Crop and flip by one gather over the padded images."""
    batch, channels, height, width = images.shape
    column = torch.arange(width, device=images.device).expand(batch, -1)  # (B, W)
    row = torch.arange(height, device=images.device).expand(batch, -1)  # (B, H)
    if draws.flip is not None:
        column = torch.where(draws.flip[:, None], width - 1 - column, column)
    if draws.shift is not None:
        row, column = row + draws.shift[0, :, None], column + draws.shift[1, :, None]
        images = torch.nn.functional.pad(images, (crop, crop, crop, crop))
    elif draws.flip is None:
        return images
    index = row[:, :, None] * images.shape[-1] + column[:, None, :]  # (B, H, W)
    index = index.flatten(1)[:, None].expand(-1, channels, -1)  # (B, C, H W)
    return images.flatten(2).gather(2, index).view(batch, channels, height, width)
