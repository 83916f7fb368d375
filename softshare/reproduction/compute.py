"""Compute: what the recorded training took, and what the paper's remaining numbers would."""

from __future__ import annotations

from typing import TYPE_CHECKING

from softshare.records import Run, load_runs
from softshare.records.naming import full_label
from softshare.records.origin import made_on, on_cpu, shown_device
from softshare.results import speed
from softshare.results.speed_tables import three
from softshare.wording import span

if TYPE_CHECKING:
    import pandas as pd


def spent() -> pd.DataFrame:
    """A row for each device, image set or task and profile: the runs recorded, and their time.

    Returns:
        The hours of training, and of measuring what folding costs, by the clock of each run, also
        where several shared a device, and without foldings measured on another kind of device
        afterwards; the operations of training alone, in PFLOP, two a MAC. What took a device
        longest stands first.

    Example:
        >>> spent().columns.tolist()[:4]
        ['device', 'trained on', 'profile', 'runs']
    """
    import pandas as pd

    keys = ["device", "trained on", "profile"]
    runs = load_runs()
    every = pd.DataFrame(
        {
            "device": [shown_device(run.origin) for run in runs],
            "trained on": [run.data["name"] for run in runs],
            "profile": [run.profile for run in runs],
            "runs": 1,
            "hours of training": [run.cost["seconds"] / 3600 for run in runs],
            "hours of foldings": [_folding(run) / 3600 for run in runs],
            "PFLOP": [_rate(run) * run.cost["seconds"] / 1e15 for run in runs],
        }
    )
    found = every.groupby(keys, as_index=False).sum()
    order = ["device", "hours of training"]
    return found.sort_values(order, ascending=[True, False], ignore_index=True)


def waiting(every: pd.DataFrame) -> str:
    """How long what is not attempted would take, at the fastest rate of training measured.

    Of a record, or of a benchmark of images per second: most of the networks that are left are
    wide, and what a narrow one reaches on a GPU says little of them.

    Args:
        every: as `softshare.reproduction.status.tables` returns it.

    Example:
        >>> from softshare.reproduction.status import tables
        >>> print(waiting(tables().iloc[:0]))
        Nothing is left to attempt.
    """
    left = every[every["verdict"] == "not attempted"].drop_duplicates("command")
    if left.empty:
        return "Nothing is left to attempt."
    rates = [(_rate(r), f"{full_label(r)} on {made_on(r.origin)}") for r in load_runs()]
    for record in speed.load("images_per_second"):
        words = f"the benchmark of {speed.label(record)} on {speed.device(record)}"
        rates.append((record["floor"]["flops"] / record["medians"]["ours"], words))
    if not rates:
        return "How long that takes is not known: no training is recorded yet."
    rate, fastest = max(rates)
    seconds = 1e18 * left["cost of a run (EFLOP)"] / rate
    return (
        "What is not attempted is a matter of time. The fastest training that was measured ran at "
        f"{three(rate / 1e12)} TFLOP/s ({fastest}). At that rate one run of the smallest of "
        f"these networks takes {span(seconds.min())}, and one of each {span(seconds.sum())}; "
        "narrow networks reach less of it."
    )


def _folding(run: Run) -> float:
    """Seconds in which the training's own kind of device measured what folding costs."""
    kind = "cpu" if on_cpu(run.origin) else "cuda"
    how = run.origin.get("folded", "")  # "on cpu in float32, from the kept weights", say
    there = not how.startswith("on ") or how.startswith(f"on {kind} ")
    return run.cost.get("folding_seconds") or 0.0 if there else 0.0


def _rate(run: Run) -> float:
    """FLOP a second in training: two a MAC, forward once and backward twice."""
    return 6.0 * (run.model["macs"] or 0) * run.cost["images_per_second"]
