"""Colours of a batch against torchvision, image by image, and the axes against their meaning."""

from __future__ import annotations

import pytest
import torch
from torchvision.transforms import ColorJitter
from torchvision.transforms import functional as tv

from softshare.data.augmentation import normalise
from softshare.data.colour import _AXES, MEAN, STD, Colours, draw_colours, recolour

ONE_BY_ONE = (tv.adjust_brightness, tv.adjust_contrast, tv.adjust_saturation)


def photographs(count: int = 6) -> torch.Tensor:
    return torch.randint(256, (count, 3, 9, 7), generator=chance(1), dtype=torch.uint8)


def chance(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def still(colours: Colours, **changed: torch.Tensor) -> Colours:
    """Draws that change nothing but what is named."""
    none = {"flip": torch.zeros_like(colours.flip), "light": torch.zeros_like(colours.light)}
    none |= {"factor": torch.ones_like(colours.factor)}
    return colours._replace(**(none | changed))


@pytest.mark.parametrize("strength", [0.4, 1.0])
def test_blends_are_torchvisions_in_each_images_own_order(strength: float) -> None:
    """At full strength many pixels end black or white on the way, where the order matters."""
    images = photographs()
    colours = draw_colours(len(images), chance(2), strength)
    assert len({tuple(order.tolist()) for order in colours.order.T}) > 2
    ours = recolour(images, still(colours, factor=colours.factor))
    for i, image in enumerate(images / 255):
        for which in colours.order[:, i].tolist():
            image = ONE_BY_ONE[which](image, colours.factor[which, i].item())
        theirs = tv.normalize(image, list(MEAN), list(STD))
        torch.testing.assert_close(ours[i], theirs, rtol=1e-4, atol=1e-5)


def test_draws_have_torchvisions_statistics() -> None:
    n = 20_000
    colours = draw_colours(n, chance(3))
    assert torch.equal(colours.order.sort(0).values, torch.arange(3)[:, None].expand(3, n))
    first = colours.order[0].bincount() / n
    torch.manual_seed(0)
    jitter = ColorJitter(0.4, 0.4, 0.4)
    theirs = [
        jitter.get_params(jitter.brightness, jitter.contrast, jitter.saturation, None)
        for _ in range(n // 4)
    ]
    assert torch.allclose(first, torch.full((3,), 1 / 3), atol=0.015)
    expected = torch.tensor([draw[1:4] for draw in theirs])  # (n / 4, 3)
    for q in (0.0, 0.25, 0.5, 0.75, 1.0):
        ours = colours.factor.quantile(q, dim=1)
        torch.testing.assert_close(ours, expected.quantile(q, dim=0), rtol=0, atol=0.015)
    assert colours.flip.float().mean() == pytest.approx(0.5, abs=0.015)
    assert colours.light.std().item() == pytest.approx(0.1, abs=0.003)


def test_light_moves_all_pixels_along_orthonormal_axes() -> None:
    axes = torch.tensor(_AXES)
    torch.testing.assert_close(axes.T @ axes, torch.eye(3), rtol=0, atol=2e-3)
    images = photographs()
    colours = draw_colours(len(images), chance(4))
    plain = normalise(images, torch.tensor(MEAN), torch.tensor(STD))
    moved = recolour(images, still(colours, light=colours.light)) - plain
    moved = moved * torch.tensor(STD)[:, None, None]
    assert (moved - moved.mean((2, 3), keepdim=True)).abs().max() < 1e-5
    along = moved.mean((2, 3)) @ axes / colours.light
    torch.testing.assert_close(
        along.mean(0), torch.tensor([0.2175, 0.0188, 0.0045]), atol=1e-3, rtol=0.02
    )


def test_mirrored_images_are_mirrored_and_nothing_else_is() -> None:
    images = photographs()
    colours = draw_colours(len(images), chance(5))
    ours = recolour(images, still(colours, flip=colours.flip))
    plain = normalise(images, torch.tensor(MEAN), torch.tensor(STD))
    assert 0 < colours.flip.sum() < len(images)
    for image, before, flip in zip(ours, plain, colours.flip, strict=True):
        torch.testing.assert_close(image, before.flip(-1) if flip else before)


def test_a_part_of_the_draws_colours_that_part_of_the_batch() -> None:
    images, rows = photographs(), torch.tensor([1, 4, 5])
    colours = draw_colours(len(images), chance(6))
    torch.testing.assert_close(
        recolour(images, colours)[rows], recolour(images[rows], colours.of(rows))
    )
