"""A grid of the shortest-path task is drawn in the paper's colours."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from softshare.plots.path_plot import path_example
from softshare.shortest_paths import phase

pytestmark = pytest.mark.usefixtures("on_paper")


def test_each_cell_has_the_colour_of_what_it_is() -> None:
    inputs, targets = phase(2, n=1, seed=3)
    (picture,) = path_example(inputs[0], targets[0]).images
    colours = np.asarray(picture.get_array())
    queries, obstacles = inputs[0].bool().numpy()
    path = targets[0, 0].bool().numpy() & ~queries
    red, green, blue = colours[..., 0], colours[..., 1], colours[..., 2]
    assert queries.sum() == 2 and path.any() and obstacles.any()
    assert (blue[queries] > red[queries]).all() and (blue[queries] > green[queries]).all()
    assert (red[obstacles] > 2 * blue[obstacles]).all()
    assert (colours[path] == 1).all()
    assert (colours[~(queries | obstacles | path)] == 0).all()


def test_logits_are_drawn_as_path_above_zero() -> None:
    logits = torch.tensor([[[-3.0, 0.0], [0.1, 5.0]]], requires_grad=True)
    (picture,) = path_example(torch.zeros(2, 2, 2), logits).images
    assert np.asarray(picture.get_array())[..., 0].tolist() == [[0, 0], [1, 1]]


@pytest.mark.parametrize(
    ("inputs", "cells"), [((4, 2, 8, 8), (4, 1, 8, 8)), ((3, 8, 8), (1, 8, 8)), ((2, 8, 8), (8, 8))]
)
def test_one_grid_at_a_time(inputs: tuple[int, ...], cells: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="One grid has inputs"):
        path_example(torch.zeros(inputs), torch.zeros(cells))
