"""The folding explorer: one slider that folds a trained network before the reader's eyes."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from torch import nn

from softshare import storage
from softshare.explorer.page import Page
from softshare.explorer.states import network
from softshare.folding.ties import check_threshold
from softshare.records import Run


class Explorer:
    r"""All foldings of a soft-shared network, to be looked through with a slider.

    A network has finitely many foldings, one for each distinct similarity at which two ties
    merge. All are computed here, once, from the coefficients :math:`\alpha`, after each epoch
    whose coefficients were kept: similarity matrix with tied pairs outlined, chance level,
    layers and the weights they fold to, loops as arrows with their counts, parameters, and the
    error where it was measured.

    In a notebook with a kernel it is a widget; everywhere else, and from `html` and `save`, a
    piece of HTML that works from disk, by keyboard and touch, and without scripts shows one
    state and a table of all.

    Args:
        of: a run with coefficients, or a model with shared layers.
        threshold: similarity, in [0, 1], at which it opens; default 0.8, about which the paper
            ties the layers of its Figure 6. Where nothing is tied there, it opens at the first
            threshold where something is.

    Raises:
        ValueError: nothing is shared, or a threshold out of range.

    Example:
        >>> import softshare as ss
        >>> explorer = Explorer(ss.build("swrn-28-1-2"))
        >>> explorer.groups, explorer.epochs
        (['stage1', 'stage2', 'stage3'], ['now'])
        >>> "<svg" in explorer.html()
        True
    """

    def __init__(self, of: Run | nn.Module, threshold: float = 0.8) -> None:
        check_threshold(threshold)
        if not isinstance(of, (Run, nn.Module)):
            raise ValueError(
                f"The explorer takes a run or a model; got {type(of).__name__}. Records are read "
                "by load_runs()."
            )
        self.page = Page(network(of))
        self.opening = self._opening(threshold)

    @property
    def groups(self) -> list[str]:
        """Labels of the groups of layers, a stage of the network each."""
        return self.page.network.groups

    @property
    def epochs(self) -> list[str]:
        """Names of the moments: epochs whose coefficients were kept, or ``now``."""
        return [moment.name for moment in self.page.network.moments]

    def thresholds(self, epoch: str | int | None = None) -> list[str]:
        """The distinct thresholds after an epoch, falling; default the last.

        Raises:
            ValueError: coefficients were not kept after that epoch.
        """
        name = self.epochs[-1] if epoch is None else str(epoch)
        if name not in self.epochs:
            raise ValueError(f"Coefficients were kept at {', '.join(self.epochs)}; got {epoch!r}.")
        return self.page.network.moments[self.epochs.index(name)].thresholds

    def html(self) -> str:
        """A self-contained piece of HTML, to be put into any page, several if wanted."""
        return self.page.html(*self.opening)

    def save(self, path: Path | str) -> Path:
        """Writes a page of its own, which opens from disk.

        Raises:
            OSError: the place is full or not writable.
        """
        path = Path(path)
        storage.write(path, self.page.document(*self.opening).encode())
        return path

    def widget(self) -> Any:
        """The same frames as a live widget, by ipywidgets.

        Raises:
            ImportError: ipywidgets is not installed.
        """
        from softshare.explorer.widget import widget

        return widget(self.page, *self.opening)

    def __repr__(self) -> str:
        net = self.page.network
        return f"Explorer({net.name!r}, groups={self.groups}, epochs={self.epochs})"

    def _repr_html_(self) -> str:
        return self.html()

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        """HTML for every page, and before it the widget where a kernel can move it."""
        bundle = {"text/plain": repr(self), "text/html": self.html()}
        if _live():
            bundle |= self.widget()._repr_mimebundle_() | bundle
        return bundle

    def _opening(self, threshold: float) -> tuple[int, int, int]:
        """Epoch, group and threshold of the first look: the most folded group there."""
        net = self.page.network
        epoch, states = len(net.moments) - 1, net.moments[-1].states
        near = [p for p, state in enumerate(states) if state.threshold >= threshold]
        position = (near or [0])[-1]
        if not any(
            f.loops or len(f.ties) < len(f.layers) for f in states[position].foldings.values()
        ):
            position = min(position + 1, len(states) - 1)
        folded = states[position].foldings
        stage = min(
            range(len(net.groups)),
            key=lambda g: len(folded[net.groups[g]].ties) / len(folded[net.groups[g]].layers),
        )
        return epoch, stage, position


def _live() -> bool:
    """Whether a kernel stands behind what is shown; never in a book, whose pages have none."""
    if os.environ.get("SOFTSHARE_BOOK") or "IPython" not in sys.modules:
        return False
    try:
        import ipywidgets  # noqa: F401
    except ImportError:
        return False
    from IPython import get_ipython

    return hasattr(get_ipython(), "kernel")
