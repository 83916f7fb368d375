"""Draws the README's picture from the records: `python book/picture.py` writes book/assets/."""

from pathlib import Path

import matplotlib

import softshare as ss
from softshare.plots.axes import panels
from softshare.plots.curve_plot import curves
from softshare.plots.similarity_plot import similarities
from softshare.records.naming import label

TARGET = Path(__file__).parent / "assets" / "records.svg"


def draw() -> None:
    """Left the curves of the shortest-path task, right what the layers of an SWRN became."""
    paths = ss.reproduce("figure5", train=False).best()
    networks = ss.reproduce("table1", train=False).sets()[0]
    shared = next(run for run in networks if run.recipe.model.count("-") == 2 and run.coefficients)
    left, *right = panels(11.0, 3.2, columns=4, width_ratios=[2.2, 1, 1, 1])
    curves(paths, ax=left).set_title(
        f"shortest paths, {paths[0].recipe.epochs} epochs a phase, held-out F1"
    )
    similarities(shared.lsm(), ax=right)
    right[1].set_xlabel(f"layers of {label(shared)}, {shared.data['name']}")
    with matplotlib.rc_context({"svg.hashsalt": "softshare"}):  # the same records, the same file
        left.figure.savefig(TARGET, facecolor="white", metadata={"Date": None})


if __name__ == "__main__":
    draw()
