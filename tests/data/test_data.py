"""What goes into an archive or a folder comes out of `load`."""

import hashlib
import os
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from softshare import data
from softshare.data import image_folder, load

SUFFIXES = [".tar", ".tar.gz", ".tgz", ".zip", ""]
CLASSES = ("ant", "bee")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(("top", "test"), [("", "test"), ("insects/", "val"), ("./a/", "test")])
def test_pixels_labels_and_names_survive(
    picture, small_set, pack, tmp_path, root, suffix, top, test
):
    files = {top + name: content for name, content in reversed(small_set(test).items())}
    train, held_out = load(str(pack(tmp_path / f"my.set{suffix}", files)), root)
    expected = torch.from_numpy(np.stack([picture(seed) for seed in range(10)])).permute(0, 3, 1, 2)
    assert torch.equal(train.images, expected[:6]) and torch.equal(held_out.images, expected[6:])
    assert train.labels.tolist() == [0, 0, 0, 1, 1, 1] and held_out.labels.tolist() == [0, 0, 1, 1]
    assert train.labels.dtype == torch.int64
    assert (train.name, train.classes, train.num_classes, len(train)) == ("my.set", CLASSES, 2, 6)
    pixels = expected[:6].double() / 255
    torch.testing.assert_close(train.mean, pixels.mean((0, 2, 3)).float())
    torch.testing.assert_close(train.std, pixels.std((0, 2, 3), correction=0).float())
    assert torch.equal(train.mean, held_out.mean) and torch.equal(train.std, held_out.std)
    for part in (train, held_out):
        content = part.images.numpy().tobytes() + part.labels.numpy().tobytes()
        assert part.checksum == f"sha256:{hashlib.sha256(content).hexdigest()}"


def test_grey_and_transparent_images_become_rgb(png, picture, pack, tmp_path, root):
    grey, clear = picture(0, (6, 5)), np.dstack((picture(1), np.zeros((6, 5), np.uint8)))
    files = {"train/ant/0.png": png(grey), "train/ant/1.png": png(clear)}
    train, _ = load(str(pack(tmp_path / "mixed.zip", files | {"test/ant/0.png": png(grey)})), root)
    assert (train.images[0].numpy() == grey).all()
    assert (train.images[1].permute(1, 2, 0).numpy() == picture(1)).all()


def test_a_constant_channel_has_a_finite_scale(png, pack, tmp_path, root):
    black = png(np.zeros((2, 2, 3), np.uint8))
    files = {"train/ant/0.png": black, "test/ant/0.png": black}
    train, _ = load(str(pack(tmp_path / "black.zip", files)), root)
    assert data.normalise(train.images, train.mean, train.std).abs().max() == 0


@pytest.mark.parametrize("suffix", [".tar.gz", ".zip", ""])
def test_what_is_no_image_of_the_set_is_passed_over(small_set, pack, tmp_path, root, suffix):
    stray = {
        "README.md": b"x",
        "train/ant/notes.txt": b"x",
        "train/ant/.0.png": b"x",
        "__MACOSX/train/ant/._0.png": b"x",
        "train/list.png": b"x",
        "train/ant/deep/er/0.png": b"x",
    }
    path = pack(tmp_path / f"insects{suffix}", small_set() | stray)
    assert len(load(str(path), root)[0]) == 6


def test_links_and_climbing_paths_are_never_followed(png, picture, small_set, pack, tmp_path, root):
    secret = tmp_path / "secret.png"
    secret.write_bytes(png(picture(99)))
    path = pack(tmp_path / "evil.tar", small_set() | {"../train/ant/8.png": b"x"})
    with tarfile.open(path, "a") as packed:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            member = tarfile.TarInfo(f"train/ant/link{kind.decode()}.png")
            member.type, member.linkname = kind, str(secret)
            packed.addfile(member)
        for name in ("/train/ant/9.png", "x/../train/ant/9.png"):
            packed.addfile(tarfile.TarInfo(name))
    zipped = pack(tmp_path / "evil.zip", small_set())
    with zipfile.ZipFile(zipped, "a") as packed:
        info = zipfile.ZipInfo("train/ant/link.png")
        info.external_attr = 0o120777 << 16
        packed.writestr(info, str(secret))
    before = set(tmp_path.rglob("*"))
    for name in (path, zipped):
        assert len(load(str(name), root)[0]) == 6
    assert {p for p in set(tmp_path.rglob("*")) - before if root not in (p, *p.parents)} == set()


def test_digits_are_scikit_learns(root):
    from sklearn.datasets import load_digits

    train, test = load("digits", root)
    together = torch.cat((train.images, test.images)).flatten(1)
    original = torch.from_numpy(load_digits().data)
    rounded = (together.double() * 16 / 255).round()
    assert torch.equal(  # each image once, in some order
        torch.unique(rounded, dim=0, return_counts=True)[1],
        torch.unique(original, dim=0, return_counts=True)[1],
    )
    assert torch.equal(torch.unique(rounded, dim=0), torch.unique(original, dim=0))
    assert (together.min(), together.max()) == (0, 255)
    share = test.labels.bincount() / (test.labels.bincount() + train.labels.bincount())
    assert ((share - 0.2).abs() < 0.005).all()
    assert (len(train), len(test)) == (1438, 359)
    # Pinned: records refer to this very split.
    assert (
        train.checksum == "sha256:eaa9f141cf15a5ed9cb61d25c1b786aa0287c6bf17e4e81624882fc19b74978e"
    )


def test_to_moves_every_tensor():
    moved = load("digits")[0].to("meta")
    assert {t.device.type for t in (moved.images, moved.labels, moved.mean, moved.std)} == {"meta"}


def test_images_are_decoded_by_the_cores_that_there_are_for_us(archive, root, monkeypatch):
    """Those of a container or a batch job, not all that the machine has."""
    told = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 3, 5}, raising=False)
    monkeypatch.setattr(
        image_folder, "ThreadPoolExecutor", lambda n: told.append(n) or ThreadPoolExecutor(n)
    )
    load(str(archive), root)
    assert told == [3, 3]
