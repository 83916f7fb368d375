"""The picture of the sharing scheme shows the coefficients."""

from __future__ import annotations

import pytest
import torch
from matplotlib.colors import to_rgba

from softshare.plots.axes import axes
from softshare.plots.mixture_plot import mixture

pytestmark = pytest.mark.usefixtures("on_paper")


@pytest.mark.parametrize(("L", "k"), [(1, 1), (6, 2), (3, 5), (12, 10)])
def test_each_line_is_a_coefficient(L: int, k: int) -> None:
    A = torch.randn(L, k, generator=torch.Generator().manual_seed(L))
    ax = mixture(A.requires_grad_(), "a title")
    widths = torch.tensor([line.get_linewidth() for line in ax.lines]).view(L, k)
    torch.testing.assert_close(widths / widths.max(), A.abs() / A.abs().max())
    for line, number in zip(ax.lines, A.flatten(), strict=True):
        assert to_rgba(line.get_color()) == to_rgba("C0" if number > 0 else "C1")
    places = {text.get_text(): text.get_position() for text in ax.texts}
    assert len(places) == L + k
    for at, line in enumerate(ax.lines):
        i, j = divmod(at, k)
        ends = [tuple(map(float, end)) for end in line.get_xydata()]
        assert ends == [places[f"$T_{{{j + 1}}}$"], places[f"$W_{{{i + 1}}}$"]]
    assert ax.get_title() == "a title"


def test_zeros_are_drawn_as_nothing_and_given_axes_are_used() -> None:
    given = axes()
    assert mixture(torch.zeros(2, 2), ax=given) is given
    assert {line.get_linewidth() for line in given.lines} == {0.0}


@pytest.mark.parametrize("A", [torch.zeros(3), torch.zeros(0, 2), torch.full((2, 2), torch.nan)])
def test_what_is_no_matrix_of_coefficients_is_refused(A: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"finite numbers of shape \(L, k\)"):
        mixture(A)
