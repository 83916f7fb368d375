"""Sets are decoded once, and what is kept of them is never trusted unread."""

import hashlib
import random
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from softshare.data import image_cache, imported, load, register


def test_the_second_load_decodes_nothing(archive, root, monkeypatch):
    first = load(str(archive), root)
    monkeypatch.setattr(imported, "read_image_folder", lambda path: pytest.fail("decoded again"))
    second = load(str(archive), root)
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a.images, b.images) and torch.equal(a.labels, b.labels)
        assert torch.equal(a.mean, b.mean) and torch.equal(a.std, b.std)
        assert (a.name, a.classes, a.checksum) == (b.name, b.classes, b.checksum)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert [p.name for p in (root / "cache").iterdir()] == [f"insects-{digest[:12]}.npz"]


@pytest.mark.parametrize("suffix", [".tar", ""])
def test_a_changed_source_is_read_anew(png, picture, small_set, pack, tmp_path, root, suffix):
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


def test_a_folder_that_happens_to_be_here_changes_no_name(
    png, picture, small_set, pack, archive, root, tmp_path, monkeypatch
):
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
