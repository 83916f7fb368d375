"""Files as a set: found, linked, cropped as torchvision crops them, in order on any cores."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode, RandomResizedCrop
from torchvision.transforms import functional as tv

from softshare.data.decoding import decoded
from softshare.data.image_stream import adopt, image_files, stream


def asked(paths: list[str], size: int = 2) -> list[list[tuple[str, int]]]:
    """Batches of all paths, each image with a seed of its own."""
    items = [(path, 1000 + i) for i, path in enumerate(paths)]
    return [items[i : i + size] for i in range(0, len(items), size)]


def test_splits_are_found_in_order(photo_folder: Callable[..., Path]) -> None:
    train, test = image_files(photo_folder(train=7, held_out=4))
    assert (len(train), len(test), train.classes) == (7, 4, ("a", "b", "c"))
    assert test.classes == train.classes
    assert list(train.paths) == sorted(train.paths)
    for path, label in zip(train.paths, train.labels.tolist(), strict=True):
        assert Path(path).parent.name == train.classes[label]


def test_test_stands_for_val(photo_folder: Callable[..., Path]) -> None:
    folder = photo_folder()
    before = len(image_files(folder)[1])
    (folder / "val").rename(folder / "test")
    assert len(image_files(folder)[1]) == before


def test_the_checksum_knows_names_and_sizes_and_not_the_place(
    photo_folder: Callable[..., Path], tmp_path: Path
) -> None:
    folder = photo_folder()
    first = image_files(folder)[0].checksum
    moved = shutil.copytree(folder, tmp_path / "elsewhere" / "again")
    assert image_files(moved)[0].checksum == image_files(moved)[1].checksum == first
    path = Path(image_files(moved)[1].paths[0])
    path.write_bytes(path.read_bytes() + b"\0")
    longer = image_files(moved)[0].checksum
    path.rename(path.with_name("renamed.jpg"))
    assert len({first, longer, image_files(moved)[0].checksum}) == 3


@pytest.mark.parametrize("training", [True, False])
def test_crops_are_torchvisions(photo_folder: Callable[..., Path], training: bool) -> None:
    """Each image on its own, at the sizes of Section 4.2."""
    paths = list(image_files(photo_folder())[0].paths)
    (batch,) = decoded(asked(paths, len(paths)), 224, training)
    assert (batch.shape, batch.dtype) == ((len(paths), 3, 224, 224), torch.uint8)
    cubic = InterpolationMode.BICUBIC
    for i, path in enumerate(paths):
        image = Image.open(path).convert("RGB")
        if training:
            torch.manual_seed(1000 + i)
            crop = RandomResizedCrop(224, (0.08, 1.0), (3 / 4, 4 / 3), interpolation=cubic)
            expected = crop(image)
        else:
            expected = tv.center_crop(tv.resize(image, [256], cubic), [224, 224])
        assert torch.equal(batch[i], tv.pil_to_tensor(expected))


@pytest.mark.slow
def test_any_number_of_decoders_yields_the_same(photo_folder: Callable[..., Path]) -> None:
    batches = asked(list(image_files(photo_folder(train=9))[0].paths))
    alone, two = (list(decoded(batches, 16, True, workers)) for workers in (0, 2))
    assert [len(batch) for batch in alone] == [2, 2, 2, 2, 1]
    for ours, theirs in zip(alone, two, strict=True):
        assert torch.equal(ours, theirs)


def test_decoding_leaves_the_random_stream_alone(photo_folder: Callable[..., Path]) -> None:
    batches = asked(list(image_files(photo_folder())[0].paths))
    torch.manual_seed(7)
    expected = torch.rand(4)
    torch.manual_seed(7)
    list(decoded(batches, 16, True))
    assert torch.equal(torch.rand(4), expected)


def test_images_of_any_mode_become_three_channels(photo_folder: Callable[..., Path]) -> None:
    folder = photo_folder()
    for mode in ("L", "CMYK"):
        Image.new(mode, (30, 20)).save(folder / "train" / "a" / f"{mode}.jpg")
    Image.new("RGBA", (30, 20)).save(folder / "train" / "a" / "RGBA.png")
    paths = list(image_files(folder)[0].paths)
    (batch,) = decoded(asked(paths, len(paths)), 16, False)
    assert batch.shape[1] == 3


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_a_broken_image_is_named(photo_folder: Callable[..., Path], workers: int) -> None:
    paths = list(image_files(photo_folder())[0].paths)
    Path(paths[3]).write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"cannot be read as an image.*replace or remove") as told:
        list(decoded(asked(paths), 16, True, workers))
    assert str(told.value).startswith(paths[3])


def test_imagenet_is_a_link(photo_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder, root = photo_folder(), tmp_path / "data"
    with pytest.raises(FileNotFoundError, match="data imagenet --from FOLDER"):
        stream("imagenet", root=root)
    assert adopt(folder, root)[0].checksum == stream("imagenet", root=root)[0].checksum
    assert (root / "imagenet").is_symlink()
    adopt(folder, root)  # once more is no harm
    other = shutil.copytree(folder, tmp_path / "other")
    with pytest.raises(ValueError, match="already stands for"):
        adopt(other, root)
    shutil.rmtree(folder)
    with pytest.raises(FileNotFoundError, match="imagenet is not in"):
        stream("imagenet", root=root)
    adopt(other, root)  # what it stood for is gone
    assert len(stream("imagenet", root=root)[0]) == 6


def test_a_source_needs_no_name(photo_folder: Callable[..., Path], tmp_path: Path) -> None:
    assert len(stream("photos", photo_folder(), tmp_path)[0]) == 6
    with pytest.raises(ValueError, match=r"pass 'imagenet', or the path .* got 'cifar10'"):
        stream("cifar10", root=tmp_path)


def test_other_layouts_are_refused(photo_folder: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        image_files(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="lacks train, or val and test"):
        image_files(tmp_path / "empty")
    folder = photo_folder()
    shutil.rmtree(folder / "val" / "b")
    with pytest.raises(ValueError, match="only one of them has b"):
        image_files(folder)
    os.mkdir(folder / "val" / "b")
    with pytest.raises(FileNotFoundError, match="class"):
        image_files(folder)
