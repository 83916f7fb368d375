"""CIFAR, in miniature and served by this machine; its JPEG archive, where there is one."""

import hashlib
import io
import os
import pickle
import tarfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torchvision
from PIL import Image

from softshare.data import archives, inventory, load, register


@pytest.fixture
def official(tmp_path, monkeypatch, picture):
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


@pytest.fixture
def assert_is_official(picture):
    def check(sets):
        train, test = sets
        expected = [picture(number, (4, 3072)).reshape(4, 3, 32, 32) for number in range(3)]
        assert (train.images.numpy() == np.concatenate(expected[:2])).all()
        assert (test.images.numpy() == expected[2]).all()
        assert train.labels.tolist() == [0] * 4 + [1] * 4 and test.labels.tolist() == [2] * 4
        assert (train.name, train.classes) == ("cifar10", tuple("abcdefghij"))
        assert train.images.is_contiguous()

    return check


def test_cifar_is_downloaded_once(assert_is_official, official, root):
    assert_is_official(load("cifar10", root))
    official.unlink()
    assert_is_official(load("cifar10", root, download=False))
    assert {p.name for p in root.iterdir()} == {"cifar-10-python.tar.gz", "cifar-10-batches-py"}


def test_cifar_imports_a_copy_without_a_network(assert_is_official, official, root, tmp_path):
    copy = tmp_path / "copy.tar.gz"
    official.rename(copy)
    assert_is_official(register("cifar10", copy, root=root))
    copy.unlink()
    assert_is_official(load("cifar10", root))


def test_cifar_may_start_many_times_on_a_new_machine(assert_is_official, official, root):
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


def test_damaged_cifar_is_healed_from_its_archive_or_named(
    assert_is_official, official, root, monkeypatch
):
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
