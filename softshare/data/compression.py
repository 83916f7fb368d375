"""Image sets encoded as JPEG once more, to see what an encoding costs a network."""

from __future__ import annotations

import io
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from softshare.cores import cores
from softshare.data.image_set import ImageSet, Splits, image_sets

__all__ = ["encoded", "quality", "steps"]

_NAME = re.compile(r"(?P<base>.+)-q(?P<quality>[1-9]\d?)")
_OWN = {"cifar10-jpeg": 75}  # by the quantisation tables of each of its 60 000 files
_CHUNK = 64  # images that a thread takes at once


def quality(name: str) -> tuple[str, int | None]:
    """The set that a name is made of, and the JPEG quality, 1 to 99, of "<set>-q<quality>".

    Example:
        >>> quality("cifar10-q75"), quality("cifar10-jpeg")
        (('cifar10', 75), ('cifar10-jpeg', None))
    """
    found = _NAME.fullmatch(name)
    if found is None or _NAME.fullmatch(found["base"]):
        return name, None
    return found["base"], int(found["quality"])


def steps(name: str) -> float:
    r"""How coarsely the coarsest encoding of a set rounds, in units of the standard's own tables.

    At quality q they are multiplied by :math:`2 - q/50` from 50 up and :math:`50/q` below, the
    rule of the Independent JPEG Group; 0 for a set of which no encoding is known.

    Example:
        >>> [steps(f"cifar10{lossy}") for lossy in ("", "-jpeg", "-q75", "-jpeg-q50", "-jpeg-q90")]
        [0.0, 0.5, 0.5, 1.0, 0.5]
    """
    base, at = quality(name)
    return max((2 - q / 50 if q >= 50 else 50 / q for q in (at, _OWN.get(base)) if q), default=0.0)


def encoded(name: str, sets: tuple[ImageSet, ImageSet], at: int) -> tuple[ImageSet, ImageSet]:
    """Both splits as they look after JPEG at one quality; statistics and checksums are their own.

    Colours are halved in resolution (4:2:0) and the tables of the standard scaled by the quality,
    as most programs write JPEG unasked.

    Args:
        name: What to call the result.
        sets: Training and test split.
        at: The quality, 1 to 99; 75 is what most programs write.

    Example:
        >>> from softshare import data
        >>> grey = data.load("digits")
        >>> lossy = encoded("digits-q50", grey, 50)
        >>> moved = lossy[0].images.float() - grey[0].images
        >>> lossy[0].name, moved.abs().mean().round().item()  # of 255
        ('digits-q50', 10.0)
    """
    train, test = ((_encoded(split.images.numpy(), at), split.labels.numpy()) for split in sets)
    return image_sets(name, Splits(sets[0].classes, train, test))


def _encoded(images: np.ndarray, at: int) -> np.ndarray:
    """(N, C, H, W) uint8, by as many threads as there are cores; order and bytes are the same."""
    result = np.empty_like(images)

    def encode(start: int) -> None:
        for i in range(start, min(start + _CHUNK, len(images))):
            result[i] = _round_trip(images[i], at)

    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(encode, range(0, len(images), _CHUNK)))
    return result


def _round_trip(image: np.ndarray, at: int) -> np.ndarray:
    from PIL import Image

    grey = len(image) == 1
    pixels = image[0] if grey else image.transpose(1, 2, 0)
    file = io.BytesIO()
    options = {} if grey else {"subsampling": "4:2:0"}
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "JPEG", quality=at, **options)
    with Image.open(file) as decoded:
        found = np.asarray(decoded)
    return found[None] if grey else found.transpose(2, 0, 1)
