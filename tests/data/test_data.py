"""Image sets: what goes into an archive comes out of `load`, and broken input is named."""

import hashlib
import io
import os
import pickle
import random
import tarfile
import warnings
import zipfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from softshare import data
from softshare.data import archives, image_cache, image_folder, inventory, load, register

SUFFIXES = [".tar", ".tar.gz", ".tgz", ".zip", ""]
CLASSES = ("ant", "bee")


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def picture(seed: int, size: tuple[int, ...] = (6, 5, 3)) -> np.ndarray:
    return np.random.default_rng(seed).integers(256, size=size, dtype=np.uint8)


def small_set(test: str = "test") -> dict[str, bytes]:
    """Paths and contents of a set: six training images and four to test, losslessly packed."""
    counts = {"train": 3, test: 2}
    names = [f"{s}/{c}/{i}.png" for s, n in counts.items() for c in CLASSES for i in range(n)]
    return {name: png(picture(seed)) for seed, name in enumerate(names)}


def pack(path: Path, files: dict[str, bytes]) -> Path:
    """Write a folder, or an archive in the order given."""
    if path.name.endswith(".zip"):
        with zipfile.ZipFile(path, "w") as packed:
            for name, content in files.items():
                packed.writestr(name, content)
    elif ".t" in path.name:
        with tarfile.open(path, "w" if path.suffix == ".tar" else "w:gz") as packed:
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                packed.addfile(member, io.BytesIO(content))
    else:
        for name, content in files.items():
            place = path / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return pack(tmp_path / "insects.tar.gz", small_set())


# What is read


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(("top", "test"), [("", "test"), ("insects/", "val"), ("./a/", "test")])
def test_pixels_labels_and_names_survive(tmp_path, root, suffix, top, test):
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


def test_grey_and_transparent_images_become_rgb(tmp_path, root):
    grey, clear = picture(0, (6, 5)), np.dstack((picture(1), np.zeros((6, 5), np.uint8)))
    files = {"train/ant/0.png": png(grey), "train/ant/1.png": png(clear)}
    train, _ = load(str(pack(tmp_path / "mixed.zip", files | {"test/ant/0.png": png(grey)})), root)
    assert (train.images[0].numpy() == grey).all()
    assert (train.images[1].permute(1, 2, 0).numpy() == picture(1)).all()


def test_a_constant_channel_has_a_finite_scale(tmp_path, root):
    black = png(np.zeros((2, 2, 3), np.uint8))
    files = {"train/ant/0.png": black, "test/ant/0.png": black}
    train, _ = load(str(pack(tmp_path / "black.zip", files)), root)
    assert data.normalise(train.images, train.mean, train.std).abs().max() == 0


@pytest.mark.parametrize("suffix", [".tar.gz", ".zip", ""])
def test_what_is_no_image_of_the_set_is_passed_over(tmp_path, root, suffix):
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


def test_links_and_climbing_paths_are_never_followed(tmp_path, root):
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


# What is kept


def test_the_second_load_decodes_nothing(archive, root, monkeypatch):
    first = load(str(archive), root)
    monkeypatch.setattr(data, "read_image_folder", lambda path: pytest.fail("decoded again"))
    second = load(str(archive), root)
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a.images, b.images) and torch.equal(a.labels, b.labels)
        assert torch.equal(a.mean, b.mean) and torch.equal(a.std, b.std)
        assert (a.name, a.classes, a.checksum) == (b.name, b.classes, b.checksum)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert [p.name for p in (root / "cache").iterdir()] == [f"insects-{digest[:12]}.npz"]


@pytest.mark.parametrize("suffix", [".tar", ""])
def test_a_changed_source_is_read_anew(tmp_path, root, suffix):
    path, files = tmp_path / f"insects{suffix}", small_set()
    before = load(str(pack(path, files)), root)[0]
    after = load(str(pack(path, files | {"train/ant/7.png": png(picture(7))})), root)[0]
    assert (len(before), len(after)) == (6, 7)


def test_a_registered_set_needs_its_archive_no_more(archive, root):
    train, _ = register("bugs", archive, root=root)
    archive.unlink()
    again, _ = load("bugs", root)
    assert again.name == "bugs" and again.checksum == train.checksum
    with pytest.raises(FileNotFoundError, match="no folder or archive"):
        load(str(archive), root)


def test_a_folder_that_happens_to_be_here_changes_no_name(archive, root, tmp_path, monkeypatch):
    """What a recipe means does not depend on where it is read."""
    train, _ = register("bugs", archive, root=root)
    monkeypatch.chdir(tmp_path)
    pack(tmp_path / "bugs", small_set() | {"train/ant/7.png": png(picture(7))})
    assert load("bugs", root)[0].checksum == train.checksum
    assert len(load("./bugs", root)[0]) == len(train) + 1
    (tmp_path / "bugs").rename("beetles")
    with pytest.raises(ValueError, match=r"got 'beetles'; the folder of .* here is \./beetles"):
        load("beetles", root)


def test_a_damaged_cache_is_named_set_aside_and_rebuilt(archive, root):
    """Wherever a byte is lost, no wrong pixel, label or statistic comes back."""
    want = load(str(archive), root)
    (cache,) = (root / "cache").iterdir()
    content = cache.read_bytes()
    chance = random.Random(0)
    damages = [b"", content[: len(content) // 2], content[:-1], b"\0" * len(content)]
    for _ in range(60):
        place = chance.randrange(len(content))
        flipped = content[place] ^ (1 << chance.randrange(8))
        damages.append(content[:place] + bytes([flipped]) + content[place + 1 :])
    noticed = 0
    for damage in damages:
        cache.write_bytes(damage)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            got = load(str(archive), root)
        for a, b in zip(want, got, strict=True):
            assert torch.equal(a.images, b.images) and torch.equal(a.labels, b.labels)
            assert torch.equal(a.mean, b.mean) and torch.equal(a.std, b.std)
            assert a.checksum == b.checksum and a.classes == b.classes
        if caught:
            noticed += 1
            assert f"{cache} are damaged" in str(caught[0].message)
            assert cache.with_name(cache.name + ".damaged").read_bytes() == damage
            assert cache.read_bytes() == content
    assert noticed > 40  # the rest fell on dates and other words that carry nothing


def test_a_damaged_registered_set_asks_for_its_archive(archive, root):
    register("bugs", archive, root=root)
    (cache,) = (root / "cache").iterdir()
    cache.write_bytes(cache.read_bytes()[:500])
    with (
        pytest.warns(UserWarning, match=r"bugs.*damaged.*set aside as"),
        pytest.raises(FileNotFoundError, match=r"python -m softshare data bugs --from ARCHIVE"),
    ):
        load("bugs", root)


def test_many_may_read_at_once(archive, root):
    with ThreadPoolExecutor(8) as pool:
        sets = list(pool.map(lambda _: load(str(archive), root)[0], range(8)))
    assert len({s.checksum for s in sets}) == 1
    assert len(list((root / "cache").iterdir())) == 1


def test_a_full_disk_stops_an_import_and_leaves_nothing(archive, root, monkeypatch):
    def full(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(image_cache.np, "savez", full)
    with pytest.raises(OSError, match=r"cannot be kept in .*No space left.*make room"):
        register("bugs", archive, root=root)
    with pytest.warns(UserWarning, match=r"No space left.*every start will decode"):
        train, _ = load(str(archive), root)
    assert len(train) == 6
    assert list((root / "cache").iterdir()) == []


# What is refused


def test_an_unknown_name_lists_the_known_ones(root):
    with pytest.raises(
        ValueError, match=r"cifar10, cifar100, digits, cifar10-jpeg.* path .*'cfar'"
    ):
        load("cfar", root)


def test_a_known_archive_not_yet_imported_names_the_command(root):
    with pytest.raises(FileNotFoundError, match="data cifar10-jpeg --from ARCHIVE"):
        load("cifar10-jpeg", root)


@pytest.mark.parametrize("call", ["load", "register"])
def test_another_archive_cannot_pass_for_the_known_one(tmp_path, root, call):
    path = pack(tmp_path / "cifar10-jpeg.tar.gz", small_set())
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    wanted = data.PINNED["cifar10-jpeg"]
    with pytest.raises(ValueError, match=f"sha256 {wanted}, but .* has {found}"):
        load(str(path), root) if call == "load" else register("cifar10-jpeg", path, root=root)


@pytest.mark.parametrize("name", ["cifar10", "digits", "shortest-paths"])
def test_no_archive_bears_the_name_of_another_set(tmp_path, root, name):
    path = pack(tmp_path / f"{name}.zip", small_set())
    with pytest.raises(ValueError, match=f"'{name}' is taken"):
        load(str(path), root)


@pytest.mark.parametrize("name", ["", "a/b", "../up", ".hidden", "bugs.zip", "a b"])
def test_a_name_must_be_plain(archive, root, name):
    with pytest.raises(ValueError, match="called by letters"):
        register(name, archive, root=root)


def test_a_name_stands_for_one_archive(tmp_path, archive, root):
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
def test_a_truncated_archive_is_never_taken_for_a_smaller_one(tmp_path, root, suffix):
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
def test_a_flipped_bit_is_noticed_or_harmless(tmp_path, root, suffix):
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
        (lambda f: {n: c for n, c in f.items() if "test" not in n}, "6 training and 0 test images"),
        (lambda f: {n.replace("train", "tr"): c for n, c in f.items()}, "0 training and 4 test"),
        (lambda f: {n.replace("/ant/", "/"): c for n, c in f.items() if "ant" in n}, "0 training"),
        (lambda f: {("a/" if "0" in n else "b/") + n: c for n, c in f.items()}, "in 2 folders"),
        (lambda f: f | {"train/cow/0.png": png(picture(0))}, "same classes.*only one of them.*cow"),
        (lambda f: f | {"test/cow/0.png": png(picture(0))}, "same classes.*only one of them.*cow"),
        (lambda f: f | {"test/bee/1.png": png(picture(0, (5, 6, 3)))}, r"one size.*test/bee/1.png"),
        (lambda f: f | {"train/bee/1.png": b"not a picture"}, r"train/bee/1.png in .* cannot be r"),
        (
            lambda f: f | {"train/bee/1.png": f["train/bee/1.png"][:90]},
            r"train/bee/1.png .* cannot",
        ),
        (
            lambda f: f | {"train/ant/0.png": png(np.zeros((6, 5), np.uint16))},
            r"train/ant/0.png .*more than 8 bits",
        ),
    ],
)
@pytest.mark.parametrize("suffix", [".tar.gz", ".zip", ""])
def test_a_wrong_layout_is_explained(tmp_path, root, suffix, change, sentence):
    path = pack(tmp_path / f"insects{suffix}", change(small_set()))
    with pytest.raises(ValueError, match=sentence) as caught:
        load(str(path), root)
    assert str(path) in str(caught.value)
    assert not root.exists()


# The official sets, in miniature


@pytest.fixture
def official(tmp_path, monkeypatch):
    """torchvision's CIFAR-10 made to expect a tiny archive, served by this machine."""
    folder = tmp_path / "made" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    sums = {}
    for number, name in enumerate(["data_batch_1", "data_batch_2", "test_batch", "batches.meta"]):
        pixels = picture(number, (4, 3072))
        content = {"data": pixels, "labels": [number] * 4, "label_names": list("abcdefghij")}
        (folder / name).write_bytes(pickle.dumps(content))
        sums[name] = hashlib.md5((folder / name).read_bytes()).hexdigest()
    archive = tmp_path / "served.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(folder, folder.name)
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path)
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *args: None)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    dataset = torchvision.datasets.CIFAR10
    changes = {
        "url": f"http://127.0.0.1:{server.server_port}/{archive.name}",
        "tgz_md5": hashlib.md5(archive.read_bytes()).hexdigest(),
        "train_list": [[name, sums[name]] for name in ("data_batch_1", "data_batch_2")],
        "test_list": [["test_batch", sums["test_batch"]]],
        "meta": dataset.meta | {"md5": sums["batches.meta"]},
    }
    for name, value in changes.items():
        monkeypatch.setattr(dataset, name, value)
    yield archive
    server.shutdown()
    server.server_close()


def assert_is_official(sets):
    train, test = sets
    expected = [picture(number, (4, 3072)).reshape(4, 3, 32, 32) for number in range(3)]
    assert (train.images.numpy() == np.concatenate(expected[:2])).all()
    assert (test.images.numpy() == expected[2]).all()
    assert train.labels.tolist() == [0] * 4 + [1] * 4 and test.labels.tolist() == [2] * 4
    assert (train.name, train.classes) == ("cifar10", tuple("abcdefghij"))
    assert train.images.is_contiguous()


def test_cifar_is_downloaded_once(official, root):
    assert_is_official(load("cifar10", root))
    official.unlink()
    assert_is_official(load("cifar10", root, download=False))
    assert {p.name for p in root.iterdir()} == {"cifar-10-python.tar.gz", "cifar-10-batches-py"}


def test_cifar_imports_a_copy_without_a_network(official, root, tmp_path):
    copy = tmp_path / "copy.tar.gz"
    official.rename(copy)
    assert_is_official(register("cifar10", copy, root=root))
    copy.unlink()
    assert_is_official(load("cifar10", root))


def test_cifar_may_start_many_times_on_a_new_machine(official, root):
    with ThreadPoolExecutor(4) as pool:
        for sets in pool.map(lambda _: load("cifar10", root), range(4)):
            assert_is_official(sets)


def test_missing_cifar_says_where_and_how(official, root, monkeypatch):
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "url", "http://127.0.0.1:9/closed.tar.gz")
    for download, reason in ((False, "not allowed"), (True, "refused")):
        with pytest.raises(FileNotFoundError) as caught:
            load("cifar10", root, download=download)
        sentence = str(caught.value)
        assert "cifar10 is missing" in sentence and reason in sentence
        assert str(root / "cifar-10-batches-py") in sentence
        assert "`python -m softshare data cifar10`" in sentence
        assert "--from ARCHIVE" in sentence and "http://127.0.0.1:9/closed.tar.gz" in sentence


def test_images_are_decoded_by_the_cores_that_there_are_for_us(archive, root, monkeypatch):
    """Those of a container or a batch job, not all that the machine has."""
    told = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 3, 5}, raising=False)
    monkeypatch.setattr(
        image_folder, "ThreadPoolExecutor", lambda n: told.append(n) or ThreadPoolExecutor(n)
    )
    load(str(archive), root)
    assert told == [3, 3]


def test_an_inventory_names_the_files_of_a_set_that_is_there(official, root, archive):
    assert inventory.files("cifar10", root) == inventory.files("insects", root) == ()
    load("cifar10", root)
    folder, packed = root / "cifar-10-batches-py", root / "cifar-10-python.tar.gz"
    assert {path.name for path in inventory.files("cifar10", root)} == {
        *("data_batch_1", "data_batch_2", "test_batch")
    }
    (folder / "test_batch").unlink()
    assert inventory.files("cifar10", root) == (packed,), "from which it is unpacked again"
    packed.unlink()
    assert inventory.files("cifar10", root) == ()
    register("insects", archive, root=root)
    (found,) = inventory.files("insects", root)
    assert found.parent == root / "cache"


def test_damaged_cifar_is_healed_from_its_archive_or_named(official, root, monkeypatch):
    load("cifar10", root)
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "url", "http://127.0.0.1:9/closed.tar.gz")
    batch = root / "cifar-10-batches-py" / "data_batch_2"
    batch.write_bytes(batch.read_bytes()[:-1] + b"?")
    assert_is_official(load("cifar10", root, download=False))
    batch.write_bytes(b"")
    (root / "cifar-10-python.tar.gz").write_bytes(b"")
    for download in (False, True):
        with pytest.raises(FileNotFoundError, match="cifar10 is damaged: looked for"):
            load("cifar10", root, download=download)


def test_a_damaged_copy_of_cifar_names_both_sums(official, root):
    wanted = hashlib.md5(official.read_bytes()).hexdigest()
    official.write_bytes(official.read_bytes()[:-10])
    found = hashlib.md5(official.read_bytes()).hexdigest()
    with pytest.raises(ValueError, match=f"not the official archive .* {found}, not {wanted}"):
        register("cifar10", official, root=root)
    assert not root.exists()


# The real archive, where there is one

REAL = Path(
    os.environ.get(
        "SOFTSHARE_CIFAR10_JPEG",
        Path(__file__).parents[3] / "shared" / "data" / "cifar10-jpeg.tar.gz",
    )
)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not REAL.is_file(), reason=f"no {REAL}; set SOFTSHARE_CIFAR10_JPEG to it")
def test_the_real_archive(root, tmp_path):
    train, test = register("cifar10-jpeg", REAL, root=root)
    assert train.images.shape == (50_000, 3, 32, 32) and test.images.shape == (10_000, 3, 32, 32)
    assert train.labels.bincount().tolist() == [5_000] * 10
    assert test.labels.bincount().tolist() == [1_000] * 10
    assert train.classes[0] == "airplane" and train.classes[9] == "truck"
    value = np.arange(256) / 255
    for c in range(3):
        share = np.bincount(train.images[:, c].numpy().ravel(), minlength=256) / (50_000 * 1024)
        mean = share @ value
        assert train.mean[c].item() == pytest.approx(mean, rel=1e-7)
        assert train.std[c].item() == pytest.approx((share @ (value - mean) ** 2) ** 0.5, rel=1e-7)
    # One image of each split by another road.
    unpacked = dict(archives.contents(REAL))
    for part, row, name in (
        (train, 5_007, "train/automobile/0007"),
        (test, 9_999, "test/truck/0999"),
    ):
        with Image.open(io.BytesIO(unpacked[f"cifar10-jpeg/{name}.jpg"])) as image:
            assert (part.images[row].permute(1, 2, 0).numpy() == np.asarray(image)).all()
    # Another name of the file does not hide which set it is.
    (tmp_path / "mine.tar.gz").symlink_to(REAL)
    assert load(str(tmp_path / "mine.tar.gz"), root)[0].name == "cifar10-jpeg"
    assert load("cifar10-jpeg", root)[1].checksum == test.checksum
