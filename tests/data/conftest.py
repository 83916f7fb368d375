"""Image sets of a few pictures, packed in every way that can be read."""

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def _png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def _picture(seed: int, size: tuple[int, ...] = (6, 5, 3)) -> np.ndarray:
    return np.random.default_rng(seed).integers(256, size=size, dtype=np.uint8)


def _small_set(test: str = "test") -> dict[str, bytes]:
    counts = {"train": 3, test: 2}
    names = [
        f"{s}/{c}/{i}.png" for s, n in counts.items() for c in ("ant", "bee") for i in range(n)
    ]
    return {name: _png(_picture(seed)) for seed, name in enumerate(names)}


def _pack(path: Path, files: dict[str, bytes]) -> Path:
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
def png() -> Callable[[np.ndarray], bytes]:
    """Encodes pixels without loss: ``png(picture(0))``."""
    return _png


@pytest.fixture
def picture() -> Callable[..., np.ndarray]:
    """Pixels by a seed: ``picture(3, (6, 5, 3))``."""
    return _picture


@pytest.fixture
def small_set() -> Callable[..., dict[str, bytes]]:
    """Paths and contents of a set: six training images and four to test, ants and bees."""
    return _small_set


@pytest.fixture
def pack() -> Callable[[Path, dict[str, bytes]], Path]:
    """Writes a folder, or an archive in the order given: ``pack(path, small_set())``."""
    return _pack


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The data folder."""
    return tmp_path / "root"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Of the small set."""
    return _pack(tmp_path / "insects.tar.gz", _small_set())
