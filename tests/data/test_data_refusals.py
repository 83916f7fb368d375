"""Names that stand for no set, and archives that hold none, say why."""

import hashlib
import random

import numpy as np
import pytest

from softshare.data import inventory, load, register


def test_an_unknown_name_lists_the_known_ones(root):
    with pytest.raises(
        ValueError, match=r"cifar10, cifar100, digits, cifar10-jpeg.* path .*'cfar'"
    ):
        load("cfar", root)


def test_a_known_archive_not_yet_imported_names_the_command(root):
    with pytest.raises(FileNotFoundError, match="data cifar10-jpeg --from ARCHIVE"):
        load("cifar10-jpeg", root)


@pytest.mark.parametrize("call", ["load", "register"])
def test_another_archive_cannot_pass_for_the_known_one(small_set, pack, tmp_path, root, call):
    path = pack(tmp_path / "cifar10-jpeg.tar.gz", small_set())
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    wanted = inventory.PINNED["cifar10-jpeg"]
    with pytest.raises(ValueError, match=f"sha256 {wanted}, but .* has {found}"):
        load(str(path), root) if call == "load" else register("cifar10-jpeg", path, root=root)


@pytest.mark.parametrize("name", ["cifar10", "digits", "shortest-paths"])
def test_no_archive_bears_the_name_of_another_set(small_set, pack, tmp_path, root, name):
    path = pack(tmp_path / f"{name}.zip", small_set())
    with pytest.raises(ValueError, match=f"'{name}' is taken"):
        load(str(path), root)


@pytest.mark.parametrize("name", ["", "a/b", "../up", ".hidden", "bugs.zip", "a b"])
def test_a_name_must_be_plain(archive, root, name):
    with pytest.raises(ValueError, match="called by letters"):
        register(name, archive, root=root)


def test_a_name_stands_for_one_archive(small_set, pack, tmp_path, archive, root):
    register("bugs", archive, root=root)
    other = pack(tmp_path / "bugs.zip", small_set("val"))
    with pytest.raises(ValueError, match=r"'bugs' already stands for another archive.*\.npz"):
        register("bugs", other, root=root)
    load(str(other), root)  # by path there is no doubt
    with pytest.raises(ValueError, match="decoded from several archives"):
        load("bugs", root)


def test_a_missing_path_is_named(tmp_path, root):
    for name in (tmp_path / "gone", tmp_path / "gone.zip"):
        with pytest.raises(FileNotFoundError, match=str(name)):
            load(str(name), root)


def test_other_kinds_of_file_are_refused(tmp_path, root):
    path = tmp_path / "insects.rar"
    path.write_bytes(b"Rar!")
    with pytest.raises(ValueError, match=r"ends in .tar.gz, .tgz, .tar, .zip, got .*rar"):
        load(str(path), root)


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".zip"])
def test_a_truncated_archive_is_never_taken_for_a_smaller_one(
    small_set, pack, tmp_path, root, suffix
):
    path = pack(tmp_path / f"insects{suffix}", small_set())
    content = path.read_bytes()
    size = len(content)
    cuts = {0, 1, 100, 512, size // 4, size // 2, size - 20, size - 1}
    if suffix == ".tar":
        cuts = {cut for cut in cuts if cut < size - 2000} | set(range(512, 9000, 512))
    for cut in cuts:
        path.write_bytes(content[:cut])
        with pytest.raises(ValueError, match=r"insects\S* is damaged .* fetch it again"):
            load(str(path), root)


@pytest.mark.parametrize("suffix", [".tar.gz", ".zip"])
def test_a_flipped_bit_is_noticed_or_harmless(small_set, pack, tmp_path, root, suffix):
    path = pack(tmp_path / f"insects{suffix}", small_set())
    content = path.read_bytes()
    want = load(str(path), root)[0].checksum
    chance = random.Random(1)
    noticed = 0
    for _ in range(80):
        place = chance.randrange(len(content))
        changed = bytearray(content)
        changed[place] ^= 1 << chance.randrange(8)
        path.write_bytes(changed)
        try:
            train, _ = load(str(path), root)
            names_only = suffix == ".zip"  # its directory of names has no sum
            assert names_only or train.checksum == want
        except ValueError as error:
            noticed += 1
            assert "insects" in str(error)
    assert noticed > 60


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda f, png: {n: c for n, c in f.items() if "test" not in n},
            "6 training and 0 test images",
        ),
        (
            lambda f, png: {n.replace("train", "tr"): c for n, c in f.items()},
            "0 training and 4 test",
        ),
        (
            lambda f, png: {n.replace("/ant/", "/"): c for n, c in f.items() if "ant" in n},
            "0 training",
        ),
        (
            lambda f, png: {("a/" if "0" in n else "b/") + n: c for n, c in f.items()},
            "in 2 folders",
        ),
        (
            lambda f, png: f | {"train/cow/0.png": png(np.zeros((6, 5, 3), np.uint8))},
            "same classes.*only one of them.*cow",
        ),
        (
            lambda f, png: f | {"test/cow/0.png": png(np.zeros((6, 5, 3), np.uint8))},
            "same classes.*only one of them.*cow",
        ),
        (
            lambda f, png: f | {"test/bee/1.png": png(np.zeros((5, 6, 3), np.uint8))},
            r"one size.*test/bee/1.png",
        ),
        (
            lambda f, png: f | {"train/bee/1.png": b"not a picture"},
            r"train/bee/1.png in .* cannot be r",
        ),
        (
            lambda f, png: f | {"train/bee/1.png": f["train/bee/1.png"][:90]},
            r"train/bee/1.png .* cannot",
        ),
        (
            lambda f, png: f | {"train/ant/0.png": png(np.zeros((6, 5), np.uint16))},
            r"train/ant/0.png .*more than 8 bits",
        ),
    ],
)
@pytest.mark.parametrize("suffix", [".tar.gz", ".zip", ""])
def test_a_wrong_layout_is_explained(
    png, small_set, pack, tmp_path, root, suffix, change, sentence
):
    path = pack(tmp_path / f"insects{suffix}", change(small_set(), png))
    with pytest.raises(ValueError, match=sentence) as caught:
        load(str(path), root)
    assert str(path) in str(caught.value)
    assert not root.exists()
