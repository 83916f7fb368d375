"""Pictures of similarity matrices show the matrices."""

from __future__ import annotations

import numpy as np
import pytest

from softshare import lsm
from softshare.models import build
from softshare.plots.axes import panels
from softshare.plots.similarity_plot import similarities

pytestmark = pytest.mark.usefixtures("on_paper")


def test_matrices_are_drawn_as_they_are_white_for_one() -> None:
    net = build("swrn-16-1-2")  # an LSM with its graph
    found = lsm(net)
    ax = similarities(found, "a title")
    assert [place.get_title() for place in ax] == list(found)
    for place, matrix in zip(ax, found.values(), strict=True):
        (image,) = place.images
        np.testing.assert_allclose(image.get_array(), matrix.detach())
        assert image.get_clim() == (0, 1)
        assert image.cmap(1.0)[:3] == (1, 1, 1) and image.cmap(0.0)[:3] == (0, 0, 0)
        assert place.get_xticklabels()[0].get_text() == "1"
    assert ax[0].figure.get_suptitle() == "a title"


def test_lists_and_given_axes_do_too() -> None:
    given = panels(6.0, 3.0, columns=2)
    drawn = similarities({"a": [[1.0, 0.5], [0.5, 1.0]], "b": [[1.0]]}, ax=given)
    assert drawn is given
    assert given[0].images[0].get_array().tolist() == [[1.0, 0.5], [0.5, 1.0]]


def test_similarities_that_cannot_be_drawn_are_refused() -> None:
    with pytest.raises(ValueError, match="got 0 groups"):
        similarities({})
    given = panels(6.0, 3.0, columns=3)
    with pytest.raises(ValueError, match="got 1 groups and 3 axes"):
        similarities({"a": [[1.0]]}, ax=given)
