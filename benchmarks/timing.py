"""Timings in turn: every way once, then every way again, so that a busy machine slows all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import torch

_WARM = 3  # calls before a graph is recorded
LEAST = 0.02  # seconds that one timing takes or more; a shorter call is repeated within it


def in_turn(
    ways: Mapping[str, Callable[[], object]],
    repeats: int,
    device: torch.device,
    until: float = float("inf"),
) -> dict[str, list[float]]:
    """Seconds of one call of each way, in rounds, after a call of each to warm up.

    Every other round goes through the ways backwards, so that none always follows the same. A GPU
    is waited for, so that what a way leaves running there is counted.

    Args:
        ways: name and work.
        repeats: rounds, 1 or more.
        device: what to wait for.
        until: time of ``time.monotonic`` after which no further round begins; one is always made.

    Returns:
        For each way a list of seconds, one a round.
    """
    calls = {name: _calls(work, device) for name, work in ways.items()}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(repeats):
        if turn and time.monotonic() > until:
            break
        for name in list(ways)[:: -1 if turn % 2 else 1]:
            seconds[name].append(once(ways[name], device, calls[name]))
    return seconds


def once(work: Callable[[], object], device: torch.device, calls: int = 1) -> float:
    """Seconds of a call of ``work``, as mean of `calls` calls."""
    wait(device)
    start = time.perf_counter()
    for _ in range(calls):
        work()
    wait(device)
    return (time.perf_counter() - start) / calls


def wait(device: torch.device) -> None:
    """Until all that was started on a GPU is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def replayed(work: Callable[[], object], device: torch.device) -> Callable[[], object]:
    """The same work on a GPU as one CUDA graph, so that its own time is measured and no launches.

    Elsewhere the work itself. It must take no input and leave its results where they were.
    """
    if device.type != "cuda":
        return work
    with torch.cuda.device(device):
        here, side = torch.cuda.current_stream(), torch.cuda.Stream()
        side.wait_stream(here)
        with torch.cuda.stream(side):
            for _ in range(_WARM):
                work()
        here.wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            work()
    return graph.replay


def ratios(plain: Sequence[float], ours: Sequence[float]) -> list[float]:
    """How many times as long the plain way took in each round."""
    return [a / b for a, b in zip(plain, ours, strict=True)]


def quartiles(values: Sequence[float]) -> list[float]:
    """Where the middle half of the values lies; of one value, that value twice."""
    if len(values) < 2:
        return [values[0]] * 2
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return [low, high]


def _calls(work: Callable[[], object], device: torch.device) -> int:
    first = once(work, device)  # on a GPU it also loads libraries, compiles and records
    long = device.type == "cpu" and first > 50 * LEAST
    steady = first if long else once(work, device)
    return max(1, round(LEAST / max(steady, 1e-9)))
