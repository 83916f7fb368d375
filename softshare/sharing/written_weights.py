"""Layers whose forward writes their own weight: of one that is computed, the write is lost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress

import torch
from torch import Tensor, nn

from softshare.wording import listed

Stamp = tuple[int, float]
"""Place in memory and sum of a weight: what a write changes, also one through ``.data``."""


def stamps(weights: Iterable[Tensor]) -> list[Stamp]:
    """The stamp of each weight; none where no numbers can be had, as in a trace.

    Example:
        >>> W = torch.ones(2, 3)
        >>> before = stamps([W])
        >>> W.data[0] = 0.0
        >>> stamps([W]) == before
        False
    """
    held = list(weights)
    if torch.jit.is_tracing() or not all(map(_has_numbers, held)):
        return []
    with torch.no_grad(), suppress(RuntimeError):  # torch.func gives no numbers out
        sums = [w.sum(dtype=torch.float32).nan_to_num().item() for w in held]
        return [(w.data_ptr(), total) for w, total in zip(held, sums, strict=True)]
    return []


def refuse_written(names: Sequence[str], before: Sequence[Stamp], after: Sequence[Stamp]) -> None:
    """Refuses weights that a forward pass wrote into.

    Raises:
        ValueError: the stamps of some differ; names these, and says what to do instead.
    """
    written = [name for name, a, b in zip(names, before, after, strict=False) if a != b]
    if written:
        raise ValueError(
            f"{listed(written)}: a layer's forward may not write its own weight, for one that is "
            "mixed or folded is computed anew, and what was written lost. Let "
            "torch.nn.utils.parametrize compute the weight before share(), and share what it is "
            "computed from: groups=[['LAYER.parametrizations.weight.original', ...]]."
        )


def _has_numbers(weight: Tensor) -> bool:
    if weight.is_cuda and torch.cuda.is_current_stream_capturing():
        return False
    return type(weight) in (Tensor, nn.Parameter) and not weight.is_meta
