"""``softshare data`` shows and imports sets of images."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from softshare.__main__ import main
from softshare.data import image_cache
from softshare.data.image_set import Splits, image_sets
from softshare.records import Run

Captured = pytest.CaptureFixture[str]


def test_data_shows_what_is_there(capsys: Captured, folder: Path) -> None:
    assert main(["data", "digits"]) == 0
    first, train, test = capsys.readouterr().out.splitlines()
    assert first == (
        f"digits: 1438 training and 359 test images of 1 x 8 x 8, 10 classes, in {folder / 'data'}"
    )
    assert re.fullmatch(r"training sha256:[0-9a-f]{64}", train)
    assert re.fullmatch(r"    test sha256:[0-9a-f]{64}", test)


def test_imagenet_is_shown_where_it_is(capsys: Captured, photo_folder: Callable[..., Path]) -> None:
    place = photo_folder(train=7, held_out=4)
    assert main(["data", "imagenet", "--from", str(place)]) == 0
    shown = capsys.readouterr().out
    first, checksum = shown.splitlines()
    assert first == f"imagenet: 7 training and 4 test images, 3 classes, in {place}"
    assert re.fullmatch(r"names and sizes, sha256:[0-9a-f]{64}", checksum)
    assert main(["data", "imagenet"]) == 0
    again = capsys.readouterr().out.splitlines()
    assert again[1] == checksum


def test_an_imported_set_can_be_trained_on_by_its_name(
    record: Callable, folder: Path, capsys: Captured
) -> None:
    image = pytest.importorskip("PIL.Image")
    for split, label in (("train", "a"), ("train", "b"), ("test", "a"), ("test", "b")):
        place = folder / "pictures" / split / label
        place.mkdir(parents=True)
        for i in range(3):
            image.new("RGB", (8, 8), (90 * (label == "b"), 40 * i, 7)).save(place / f"{i}.png")
    assert main(["data", "shades", "--from", "pictures"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("shades: 6 training and 6 test images of 3 x 8 x 8, 2 classes")
    assert main(["data", "shades"]) == 0
    assert capsys.readouterr().out == shown
    settings = ["--epochs", "1", "--device", "cpu", "--quiet"]
    assert main(["train", "wrn-10-1", "--data", "shades", *settings]) == 0
    run = Run.load(record())
    assert run.data["checksum"] in shown
    assert run.data["name"] == "shades"


def test_a_damaged_copy_of_an_imported_set_is_named(folder: Path, capsys: Captured) -> None:
    pixels = np.zeros((2, 3, 8, 8), dtype=np.uint8), np.arange(2)
    cache = folder / "data" / "cache" / f"pair-{'0' * 12}.npz"
    image_cache.save(cache, *image_sets("pair", Splits(("a", "b"), pixels, pixels)))
    assert main(["data", "pair"]) == 0
    cache.write_bytes(cache.read_bytes()[:-50])
    capsys.readouterr()
    assert main(["data", "pair"]) == 1
    warning, sentence = capsys.readouterr().err.splitlines()
    assert warning.startswith(f"softshare: the decoded images in {cache} are damaged")
    assert "import its archive with" in sentence
