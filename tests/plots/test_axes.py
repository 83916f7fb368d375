"""Where figures are drawn."""

from __future__ import annotations

import sys

import pytest

from softshare.plots.axes import axes, panels

pytestmark = pytest.mark.usefixtures("on_paper")


def test_panels_come_row_by_row_and_fill_their_figure() -> None:
    drawn = panels(6.0, 4.0, rows=2, columns=3, sharex=True, width_ratios=[2, 1, 1])
    figure = drawn[0].figure
    assert figure.axes == drawn and figure.get_size_inches().tolist() == [6.0, 4.0]
    figure.canvas.draw()
    boxes = [ax.get_position() for ax in drawn]
    assert boxes == sorted(boxes, key=lambda box: (-round(box.y0, 3), box.x0))
    assert boxes[0].width > 1.5 * boxes[1].width


def test_drawing_outside_a_notebook_starts_no_shell() -> None:
    axes()
    shell = sys.modules.get("IPython.core.interactiveshell")
    assert shell is None or not shell.InteractiveShell.initialized()
