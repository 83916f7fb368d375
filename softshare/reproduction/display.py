"""A figure or table in a notebook, with the line under it that says where it came from."""

from __future__ import annotations

import re
from html import escape
from typing import Any

from softshare.wording import p_value

_WHOLE = ("network", "row", "table", "paper", "shared", "against")
"""Columns of names and numbers, whose cells are not broken over lines where all are short."""
_SHORT = 24  # characters, such as "SWRN 28-10-2, cutout 16"


def show(what: Any, under: str = "", digits: int = 2) -> None:
    """Shows axes, lists of axes or a data frame, then a line of Markdown.

    A notebook draws open figures after everything else in a cell; shown here and closed, a
    figure stands above its line.

    Args:
        what: Axes, a list of them, a data frame, an explorer, a text, or None for nothing to see.
        under: the line, in Markdown.
        digits: after the point, of the numbers in a data frame.
    """
    import pandas as pd
    from IPython.display import Markdown, display

    if what is None or (isinstance(what, (list, pd.DataFrame)) and not len(what)):
        display(Markdown("Nothing to show yet."))
    elif isinstance(what, pd.DataFrame):
        unbroken: Any = [{"selector": "td", "props": "white-space: nowrap"}]
        names = [name for name in _WHOLE if name in what]
        whole = {n: unbroken for n in names if what[n].astype(str).str.len().max() <= _SHORT}
        style = what.style.hide(axis="index").format(precision=digits, na_rep="")
        texts = [name for name in what if all(isinstance(cell, str) for cell in what[name])]
        style.format(_together, subset=texts)
        if "p" in what:
            style.format(_chance, subset=["p"], na_rep="")
        display(style.set_table_styles(whole))
    elif hasattr(what, "_repr_mimebundle_") or hasattr(what, "_repr_markdown_"):
        display(what)
    else:
        import matplotlib.pyplot as plt

        shown = what if isinstance(what, list) else [what]
        for figure in dict.fromkeys(axes.figure for axes in shown):
            display(figure)
            plt.close(figure)
    if under:
        display(Markdown(under))


def _together(text: Any) -> str:
    """A cell as HTML that a browser does not break at the hyphens of SWRN 28-10-2."""
    return re.sub(r"\d+(-\d+)+\*?", r'<span style="white-space: nowrap">\g<0></span>', text)


def _chance(p: Any) -> str:
    """The cell of a p, as HTML."""
    return escape(p_value(p).removeprefix("= "))
