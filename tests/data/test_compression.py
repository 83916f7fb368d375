"""A set after JPEG: the pixels of another encoder, the more lost the lower the quality."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.fft import dctn, idctn

import softshare as ss
from softshare.data import ImageSet, compression, inventory, load, register, require
from softshare.data.compression import encoded, quality
from softshare.data.image_set import Splits, image_sets
from softshare.recipe import for_profile
from softshare.training.cost import cost


@pytest.fixture
def smooth() -> tuple[ImageSet, ImageSet]:
    """Waves of colour with a little noise, as pictures are, of a size that JPEG has to pad."""
    rows, columns = torch.meshgrid(torch.arange(19.0), torch.arange(21.0), indexing="ij")
    phase = torch.rand(150, 3, 1, 1) * 6
    waves = (rows * torch.rand(150, 3, 1, 1) + columns * torch.rand(150, 3, 1, 1) + phase).sin()
    images = (128 + 90 * waves + 8 * torch.randn(150, 3, 19, 21)).clamp(0, 255).byte().numpy()
    labels = np.arange(150) % 2
    return image_sets("waves", Splits(("a", "b"), (images, labels), (images[:70], labels[:70])))


# ITU-T T.81, Table K.1: by how much each frequency of brightness is divided at quality 50.
LUMINANCE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)


@pytest.mark.parametrize("at", [5, 25, 50, 75, 95])
@pytest.mark.parametrize("colours", [1, 3])
def test_grey_pixels_are_those_of_the_standard(smooth, at, colours):
    grey = smooth[0].images[:, :1, :16, :16]
    scale = 5000 // at if at < 50 else 200 - 2 * at  # of the Independent JPEG Group
    steps = np.clip((LUMINANCE * scale + 50) // 100, 1, 255)
    blocks = grey.numpy().reshape(-1, 2, 8, 2, 8).swapaxes(2, 3).astype(float) - 128
    kept = np.round(dctn(blocks, axes=(-2, -1), norm="ortho") / steps) * steps
    pixels = np.clip(np.round(idctn(kept, axes=(-2, -1), norm="ortho") + 128), 0, 255)
    expected = torch.from_numpy(pixels.swapaxes(2, 3).reshape(-1, 1, 16, 16))
    split = replace(smooth[0], images=grey.expand(-1, colours, -1, -1))
    found = encoded("lossy", (split, split), at)[0].images
    away = (found - expected).abs()  # where a frequency is halfway between steps, a whole one
    assert away.median() == 0 and (away <= 1).double().mean() > 0.9


def test_colour_is_kept_at_half_the_resolution(smooth):
    red, blue = torch.tensor([[180, 90, 90], [90, 90, 180]], dtype=torch.uint8)
    for width, survives in ((16, True), (1, False)):
        stripes = (torch.arange(32) // width % 2)[:, None] == 0
        images = torch.where(stripes, red, blue).T[None, :, None].expand(4, -1, 32, -1)
        split = replace(smooth[0], images=images.contiguous())
        after = encoded("lossy", (split, split), 95)[0].images.float()
        apart = (after[:, 0] - after[:, 2]).abs().mean()  # 90 before
        assert apart > 80 if survives else apart < 20


def test_labels_classes_and_shapes_stay(smooth):
    for before, after in zip(smooth, encoded("lossy", smooth, 50), strict=True):
        assert torch.equal(after.labels, before.labels) and after.classes == before.classes
        assert after.images.shape == before.images.shape and after.images.dtype == torch.uint8
        assert after.name == "lossy" and after.checksum != before.checksum


def test_statistics_are_those_of_the_encoded_training_images(smooth):
    train, test = encoded("lossy", smooth, 5)
    pixels = train.images.double() / 255
    torch.testing.assert_close(train.mean, pixels.mean((0, 2, 3)).float())
    assert torch.equal(train.mean, test.mean) and not torch.equal(train.mean, smooth[0].mean)


def lost(before: ImageSet, after: ImageSet) -> float:
    """Mean square of what changed in the training images."""
    return (before.images.float() - after.images.float()).square().mean().item()


@pytest.mark.parametrize("colours", [1, 3])
def test_a_lower_quality_loses_more_and_the_same_again_next_to_nothing(smooth, colours):
    plain = tuple(replace(split, images=split.images[:, :colours]) for split in smooth)
    losses = []
    for at in (90, 50, 20, 5):
        once = encoded("once", plain, at)
        losses.append(lost(plain[0], once[0]))
        assert lost(once[0], encoded("twice", once, at)[0]) < losses[-1] / 3
    assert losses == sorted(losses)


def test_the_number_of_threads_changes_nothing(smooth, monkeypatch):
    found = set()
    for threads in (1, 3):
        monkeypatch.setattr(compression, "cores", lambda threads=threads: threads)
        found.add(encoded("lossy", smooth, 30)[0].checksum)
    assert len(found) == 1


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("cifar10-q5", ("cifar10", 5)),
        ("cifar10-jpeg-q99", ("cifar10-jpeg", 99)),
        ("cifar10-q50-q20", ("cifar10-q50-q20", None)),
        *(
            (name, (name, None))
            for name in ("cifar10-q0", "cifar10-q100", "cifar10-q", "-q5", "q5")
        ),
    ],
)
def test_a_name_says_what_was_done(name, parts):
    assert quality(name) == parts


def test_any_set_known_by_name_has_its_encoded_ones(archive, root):
    plain = register("bugs", archive, root=root)
    train, test = load("bugs-q20", root)
    assert train.name == test.name == "bugs-q20" and test.checksum != plain[1].checksum
    assert train.checksum == encoded("bugs-q20", plain, 20)[0].checksum
    assert inventory.files("bugs-q20", root) == inventory.files("bugs", root) != ()


def test_encoded_sets_of_nothing_are_refused(archive, root):
    for call in (require, load):
        for name in ("cfar10", "imagenet", "shortest-paths"):
            with pytest.raises(ValueError, match=rf"an image set is one of .* got '{name}"):
                call(f"{name}-q50")
    with pytest.raises(FileNotFoundError, match="data cifar10-jpeg --from ARCHIVE"):
        load("cifar10-jpeg-q50", root)
    with pytest.raises(
        ValueError, match=r"'bugs-q50' stands for 'bugs' after JPEG.*something else"
    ):
        register("bugs-q50", archive, root=root)
    assert not root.exists()


def test_networks_train_on_them_under_a_name_of_their_own(tmp_path):
    run = ss.train(
        "wrn-10-1", "digits-q10", profile="smoke", epochs=1, runs=tmp_path, progress=False
    )
    assert run.path.startswith("digits-q10/smoke/wrn-10-1+epochs=1/")
    assert run.data["checksum"] == load("digits-q10")[0].checksum != load("digits")[0].checksum
    assert cost(for_profile("wrn-10-1", "digits-q10")) == cost(for_profile("wrn-10-1", "digits"))
