"""Batched augmentation against torchvision, image by image, and against chance."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as tv

from softshare.data.augmentation import Draws, augment, draw, normalise, transform

MEAN, STD = torch.tensor([0.49, 0.48, 0.45]), torch.tensor([0.25, 0.24, 0.26])


def random_images(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randint(256, shape, dtype=torch.uint8, generator=generator)


def one_by_one(images: Tensor, draws: Draws, mean: Tensor, std: Tensor, crop: int, cutout: int):
    """The same draws given to torchvision's own operations."""
    results = []
    height, width = images.shape[-2:]
    for i, image in enumerate(images):
        if draws.shift is not None:
            top, left = draws.shift[:, i].tolist()
            image = tv.crop(tv.pad(image, [crop] * 4, fill=0), top, left, height, width)
        if draws.flip is not None and draws.flip[i]:
            image = tv.horizontal_flip(image)
        image = tv.normalize(tv.to_dtype(image, torch.float32, scale=True), mean, std)
        if draws.centre is not None:
            row, column = (draws.centre[:, i] - cutout // 2).tolist()
            top, left = max(row, 0), max(column, 0)
            sides = min(row + cutout, height) - top, min(column + cutout, width) - left
            image = tv.erase(image, top, left, *sides, torch.zeros(()))
        results.append(image)
    return torch.stack(results)


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(1, 6), st.integers(1, 3), st.integers(1, 12), st.integers(1, 12)),
    flip=st.booleans(),
    data=st.data(),
)
def test_equals_torchvision_image_by_image(size, flip, data):
    crop, cutout = (data.draw(st.integers(0, min(size[2:])), label=n) for n in ("crop", "cutout"))
    images, mean, std = random_images(*size), MEAN[: size[1]], STD[: size[1]]
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 1000)))
    draws = draw(size[0], size[2:], generator, flip=flip, crop=crop, cutout=cutout)
    got = transform(images, draws, mean=mean, std=std, crop=crop, cutout=cutout)
    expected = one_by_one(images, draws, mean, std, crop, cutout)
    torch.testing.assert_close(got, expected, rtol=1e-6, atol=2e-6)
    assert torch.equal(got == 0, expected == 0)


def test_augment_is_its_draws_applied():
    images, settings_ = random_images(32, 3, 32, 32), {"flip": True, "crop": 4, "cutout": 16}
    draws = draw(32, (32, 32), torch.Generator().manual_seed(5), **settings_)
    got = augment(images, torch.Generator().manual_seed(5), mean=MEAN, std=STD, **settings_)
    torch.testing.assert_close(
        got, one_by_one(images, draws, MEAN, STD, 4, 16), rtol=1e-6, atol=2e-6
    )


def test_a_generator_decides_everything_and_moves_on():
    images = random_images(16, 3, 32, 32)

    def twice(seed: int) -> list[Tensor]:
        generator = torch.Generator().manual_seed(seed)
        return [augment(images, generator, mean=MEAN, std=STD, cutout=8) for _ in range(2)]

    before = torch.get_rng_state()
    (a1, a2), (b1, b2), (c1, _) = twice(0), twice(0), twice(1)
    assert torch.equal(a1, b1) and torch.equal(a2, b2)
    assert not torch.equal(a1, a2) and not torch.equal(a1, c1)
    assert torch.equal(torch.get_rng_state(), before)


def test_pixels_given_are_not_changed():
    images = random_images(8, 3, 16, 16)
    copy = images.clone()
    augment(images, torch.Generator(), mean=MEAN, std=STD, cutout=8)
    normalise(images, MEAN, STD)
    assert torch.equal(images, copy)


def test_flips_and_shifts_are_uniform_and_independent():
    draws = draw(100_000, (32, 32), torch.Generator().manual_seed(0))
    assert draws.flip is not None and draws.shift is not None
    cell = (draws.flip * 9 + draws.shift[0]) * 9 + draws.shift[1]
    counts = torch.bincount(cell, minlength=162)
    assert len(counts) == 162
    assert chisquare(counts.numpy()).pvalue > 0.01


def test_outcomes_are_as_frequent_as_torchvisions():
    """Each of the 18 outcomes of a 1 x 3 image, told apart by its pixels, in both libraries."""
    image = torch.tensor([[[10, 20, 30]]], dtype=torch.uint8).repeat(1, 3, 1)  # (1, 3, 3)
    image += torch.tensor([0, 1, 2], dtype=torch.uint8)[:, None]
    count = 9_000
    ours = augment(
        image.expand(count, -1, -1, -1),
        torch.Generator().manual_seed(0),
        mean=torch.zeros(1),
        std=torch.full((1,), 1 / 255),
        crop=1,
    ).round()
    torch.manual_seed(0)
    theirs = v2.Compose([v2.RandomHorizontalFlip(), v2.RandomCrop(3, padding=1)])
    other = torch.stack([theirs(image) for _ in range(count)]).float()
    outcomes = torch.unique(torch.cat((ours, other)), dim=0)
    assert len(outcomes) == 18
    tables = [
        (batch[:, None] == outcomes).flatten(2).all(2).sum(0).numpy() for batch in (ours, other)
    ]
    for table in tables:
        assert table.sum() == count
        assert chisquare(table).pvalue > 0.01


@pytest.mark.parametrize("cutout", [1, 5, 16, 32])
def test_area_of_the_cutout(cutout):
    """By hand: a centre is uniform, so the erased rows are those of the 32 clipped intervals."""
    count, size = 5_000, 32
    white = torch.full((1, 1, 1, 1), 255, dtype=torch.uint8).expand(count, 1, size, size)
    one = torch.ones(1)
    out = augment(
        white, torch.Generator().manual_seed(0), mean=0 * one, std=one,
        flip=False, crop=0, cutout=cutout,
    )  # fmt: skip
    assert set(out.unique().tolist()) == {0.0, 1.0}
    area = (out == 0).sum((1, 2, 3))
    starts = torch.arange(size) - cutout // 2
    sides = (starts + cutout).clamp(max=size) - starts.clamp(min=0)
    expected = torch.bincount((sides[:, None] * sides).flatten(), minlength=size**2 + 1)
    possible = expected > 0
    counts = torch.bincount(area, minlength=size**2 + 1)
    assert counts[possible].sum() == count
    frequencies = expected[possible] * count / size**2
    if len(frequencies) > 1:
        assert chisquare(counts[possible].numpy(), frequencies.numpy()).pvalue > 0.01
    # Every erased region is a rectangle: as many pixels as rows times columns.
    gone = out[:, 0] == 0
    assert torch.equal(gone.any(1).sum(1) * gone.any(2).sum(1), area)


def test_padding_is_black_and_cutout_is_the_mean_colour():
    images = torch.full((64, 3, 8, 8), 200, dtype=torch.uint8)
    generator = torch.Generator().manual_seed(0)
    out = augment(images, generator, mean=MEAN, std=STD, flip=False, crop=4, cutout=4)
    black, grey = -MEAN / STD, (200 / 255 - MEAN) / STD
    for c in range(3):
        values = out[:, c].unique()
        torch.testing.assert_close(values, torch.stack((black[c], 0 * grey[c], grey[c])))
    assert (out == 0).any(3).any(2).all()


def test_all_off_is_plain_normalisation():
    images = random_images(4, 3, 8, 8)
    out = augment(images, torch.Generator(), mean=MEAN, std=STD, flip=False, crop=0)
    assert torch.equal(out, normalise(images, MEAN, STD))


def test_an_empty_batch_stays_empty():
    out = augment(random_images(0, 3, 8, 8), torch.Generator(), mean=MEAN, std=STD, cutout=2)
    assert out.shape == (0, 3, 8, 8)


def test_memory_layout_does_not_matter():
    images = random_images(8, 3, 16, 16)
    plain, last = (
        augment(batch, torch.Generator().manual_seed(0), mean=MEAN, std=STD, cutout=8)
        for batch in (images, images.to(memory_format=torch.channels_last))
    )
    assert torch.equal(plain, last)


def test_compiles_as_one_graph():
    images = random_images(4, 3, 8, 8)
    draws = draw(4, (8, 8), torch.Generator().manual_seed(0), crop=2, cutout=3)
    one_graph = torch.compile(transform, fullgraph=True, backend="aot_eager")
    expected = transform(images, draws, mean=MEAN, std=STD, crop=2, cutout=3)
    assert torch.equal(one_graph(images, draws, mean=MEAN, std=STD, crop=2, cutout=3), expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu_without_waiting_for_it(no_waiting):
    images, mean, std = (t.cuda() for t in (random_images(128, 3, 32, 32), MEAN, STD))
    generator = torch.Generator("cuda").manual_seed(0)
    draws = draw(128, (32, 32), generator, cutout=16)
    on_gpu = transform(images, draws, mean=mean, std=std, cutout=16).cpu()
    there = Draws(*(t.cpu() for t in draws))  # type: ignore[union-attr]
    on_cpu = transform(images.cpu(), there, mean=MEAN, std=STD, cutout=16)
    torch.testing.assert_close(on_gpu, on_cpu, rtol=1e-6, atol=2e-6)
    with no_waiting():
        augment(images, generator, mean=mean, std=std, cutout=16)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"crop": -1}, r"crop is a whole number of pixels, 0 .* got -1 for images of 8 x 6"),
        ({"crop": 7}, r"crop .* got 7"),
        ({"cutout": 7}, r"cutout .* shorter side .* got 7"),
        ({"cutout": 2.5}, r"cutout is a whole number .* got 2.5"),
        ({"images": torch.zeros(2, 3, 8, 6)}, r"takes uint8 images .* got torch.float32"),
        ({"images": random_images(3, 8, 6)}, r"\(B, C, H, W\), got .* shape \(3, 8, 6\)"),
        ({"images": random_images(2, 3, 8, 6).to("meta")}, r"generator must live .* cpu and meta"),
    ],
)
def test_a_wrong_argument_is_explained(change, sentence):
    arguments = {"images": random_images(2, 3, 8, 6), "generator": torch.Generator()}
    with pytest.raises(ValueError, match=sentence):
        augment(**(arguments | change), mean=MEAN, std=STD)


def test_an_unknown_augmentation_is_refused():
    with pytest.raises(TypeError, match="translate"):
        augment(random_images(1, 3, 8, 8), torch.Generator(), mean=MEAN, std=STD, translate=2)  # type: ignore[call-arg]
