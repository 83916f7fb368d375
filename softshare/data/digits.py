"""The digits that scikit-learn ships: grey images of 8 x 8 pixels, always at hand."""

from __future__ import annotations

import numpy as np

from softshare.data.image_set import Splits


def load_digits() -> Splits:
    """Every fifth of a class is held out, as no seed need outlive numpy."""
    try:
        from sklearn import datasets
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "digits come with scikit-learn, which is not installed; pip install scikit-learn"
        ) from error
    bunch = datasets.load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[:, None]  # (N, 1, 8, 8)
    labels = bunch.target.astype(np.int64)
    rank = np.tril(labels[:, None] == labels).sum(1) - 1  # of an image within its class
    held_out = rank % 5 == 2
    train, test = ((images[mask], labels[mask]) for mask in (~held_out, held_out))
    return Splits(tuple(str(n) for n in bunch.target_names), train, test)
