"""The explorer in a notebook with a kernel: the frames of the page, chosen by ipywidgets."""

from __future__ import annotations

from typing import Any

from softshare.explorer.page import Page


def widget(page: Page, epoch: int, stage: int, position: int) -> Any:
    """A box of three choices and the picture they choose.

    Args:
        page: all frames.
        epoch: number of the moment that is shown first.
        stage: number of the group.
        position: number of the threshold.

    Returns:
        An `ipywidgets.VBox`; its `choices` are group, epoch and threshold, in this order.

    Raises:
        ImportError: ipywidgets is not installed.
    """
    import ipywidgets as w

    moments, words = page.network.moments, page.words
    group = w.Dropdown(
        options=[(name, i) for i, name in enumerate(page.network.groups)],
        value=stage,
        description="group",
    )
    after = w.Dropdown(
        options=[(words.epoch(moment), i) for i, moment in enumerate(moments)],
        value=epoch,
        description="after epoch" if words.when(moments[0]) else "moment",
    )
    threshold = w.SelectionSlider(
        options=_numbered(moments[epoch].thresholds),
        value=position,
        description="threshold",
        layout=w.Layout(width="100%"),
        continuous_update=True,
    )
    picture = w.HTML()

    def show(change: Any = None) -> None:
        picture.value = page.still(after.value, group.value, threshold.value)

    def turn(change: Any) -> None:
        """Another epoch has other thresholds: the nearest one is taken."""
        before = moments[change["old"]].states[threshold.value].threshold
        gaps = [abs(state.threshold - before) for state in moments[change["new"]].states]
        threshold.unobserve(show, "value")
        threshold.options = _numbered(moments[change["new"]].thresholds)
        threshold.value = gaps.index(min(gaps))
        threshold.observe(show, "value")
        show()

    group.observe(show, "value")
    threshold.observe(show, "value")
    after.observe(turn, "value")
    show()
    box = w.VBox([w.HBox([group, after]), threshold, picture])
    box.choices, box.picture = (group, after, threshold), picture
    return box


def _numbered(names: list[str]) -> list[tuple[str, int]]:
    return [(name, i) for i, name in enumerate(names)]
