"""What a set of runs says, in numbers and in computed sentences."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from softshare import paper
from softshare.curriculum import by_phase
from softshare.matching import PROFILES, data_set, kind, place
from softshare.naming import label
from softshare.paper_file import read
from softshare.provenance import own_settings, plural
from softshare.recipe import PATHS
from softshare.records import Run

if TYPE_CHECKING:
    import pandas as pd

_COLLAPSE = 0.3
COLUMNS = (
    *("shared", "plain", "trained on", "profile", "epochs", "n", "ours", "noise"),
    *("pair in the paper", "paper"),
)


def alike(runs: Sequence[Run], among: Sequence[str] = ()) -> list[Run]:
    """The largest set of runs that differ in model and seed alone: those that may be compared.

    Dropout belongs to the model; networks of several widths are kept apart. Among sets that cover
    as many models, the one at the better profile.

    Args:
        runs: any runs.
        among: paths of runs that the set must touch; none for any set.

    Example:
        >>> alike([])
        []
    """
    sets: dict[Any, list[Run]] = {}
    for run in runs:
        sets.setdefault(_setting(run), []).append(run)
    touched = [s for s in sets.values() if not among or any(run.path in among for run in s)]
    return max(
        touched,
        key=lambda s: (len({label(run) for run in s}), -PROFILES.index(s[0].profile), len(s)),
        default=[],
    )


def contrasts(runs: Sequence[Run], table: str) -> pd.DataFrame:
    r"""Every soft-shared network against the plain one of its size, trained alike.

    Args:
        runs: runs of a table.
        table: ``table1``, ``table2`` or ``table4``.

    Returns:
        A row a pair: `n`, runs of each; `ours`, the difference of our mean errors, negative where
        sharing lowered the error; `noise`, the standard error that drawing N test images alone
        gives such a difference, :math:`100 \sqrt{(p_1 (1 - p_1) + p_2 (1 - p_2)) / N}`;
        `pair in the paper`, the rows of one width that they are or stand in for, and `paper`, the
        difference of the errors printed there.

    Example:
        >>> contrasts([], "table1").empty
        True
    """
    import pandas as pd

    sets: dict[Any, dict[str, list[Run]]] = {}
    for run in runs:
        sets.setdefault(_setting(run), {}).setdefault(label(run), []).append(run)
    lines = []
    for models in sets.values():
        for name, shared in models.items():
            plain = models.get(_plain_name(name))
            if name.startswith("SWRN") and plain:
                lines.append(_contrast(table, name, shared, plain))
    return pd.DataFrame(lines, columns=list(COLUMNS))


def table_sentences(runs: Sequence[Run], table: str) -> list[str]:
    """One sentence for each contrast, and what it is worth."""
    lines = []
    for _, row in contrasts(runs, table).iterrows():
        sign = "more" if row["ours"] > 0 else "fewer"
        text = (
            f"{row['shared']} makes {abs(row['ours']):.2f} points {sign} errors than "
            f"{row['plain']} ({row['trained on']}, {row['epochs']} epochs, profile "
            f"{row['profile']}, n = {row['n']}); the test set alone makes such a difference "
            f"uncertain by {row['noise']:.2f} points (one standard error)."
        )
        if row["pair in the paper"]:
            text += f" The paper has {row['paper']:+.2f} for {row['pair in the paper']}."
        lines.append(text)
    return lines or ["No soft-shared network and its plain twin have both been trained alike yet."]


def curve_sentences(runs: Sequence[Run]) -> list[str]:
    """Who leads at the end of the curriculum, and who adapts fastest when a phase begins."""
    if not runs:
        return ["No run of the shortest-path task is recorded yet."]
    lines = [
        f"F1 at the end of the last phase: {_by_model(runs, lambda run: run.f1)}.",
        "F1 averaged over all epochs: "
        f"{_by_model(runs, lambda run: statistics.mean(run.curves['f1']))}.",
        f"F1 after the very first epoch: {_by_model(runs, lambda run: run.curves['f1'][0])}.",
    ]
    if all(len(by_phase(run)) > 1 for run in runs):
        lines.append(
            "F1 after the first epoch of a new phase, mean over phases 2 on: "
            f"{_by_model(runs, lambda run: statistics.mean(f[0] for f in by_phase(run)[1:]))}."
        )
    for run in runs:
        if run.coefficients:
            S = run.lsm()["body"]
            off = (S.sum() - S.trace()).item() / (S.numel() - len(S))
            lines.append(
                f"Mean off-diagonal similarity of {label(run)}, seed {run.seed}, at the end: "
                f"{off:.2f}."
            )
    lines += [f"{label(run)}, seed {run.seed}: {_falls(run)}" for run in runs if _falls(run)]
    left_over = {r.examples % r.batch_size for r in (run.recipe for run in runs)} - {0}
    if left_over:
        lines.append(
            f"Each epoch of these runs ends with a partial batch of {max(left_over)} examples, "
            "which can throw the running averages of batch normalisation off just before F1 is "
            "measured: part of the jumps may be our choice of batch size, not the networks'. The "
            "recipe has been changed since to batches that divide the examples."
        )
    epochs = paper.value("settings/shortest_paths/epochs")
    if any(run.recipe.epochs != epochs for run in runs):
        lines.append(
            f"These runs had {plural(runs[0].recipe.epochs, 'epoch')} a phase where the paper has "
            f"{epochs}: they can hint at its claims, not settle them."
        )
    return lines


def _by_model(runs: Sequence[Run], of: Callable[[Run], float]) -> str:
    """A quantity of each model, mean over seeds, largest first."""
    values: dict[str, list[float]] = {}
    for run in runs:
        values.setdefault(label(run), []).append(of(run))
    means = {model: statistics.mean(found) for model, found in values.items()}
    return ", ".join(f"{m} {means[m]:.3f}" for m in sorted(means, key=lambda m: -means[m]))


def _falls(run: Run) -> str:
    """Epochs in which F1 collapses while the phase stays the same."""
    f1, phase = run.curves["f1"], run.curves["phase"]
    falls = [
        run.curves["epoch"][i]
        for i in range(1, len(f1))
        if phase[i] == phase[i - 1] and f1[i] < f1[i - 1] - _COLLAPSE
    ]
    if not falls:
        return ""
    return (
        f"inside a phase, F1 fell by more than {_COLLAPSE} in epoch "
        f"{', '.join(map(str, falls))} of {len(f1)}. A last epoch can be one of these; "
        "no epoch was chosen."
    )


def _setting(run: Run) -> tuple[Any, ...]:
    """What runs must have in common to be set beside each other."""
    own = {k: v for k, v in own_settings(run.recipe).items() if k not in ("seed", "dropout")}
    examples = None if run.recipe.data == PATHS else run.data.get("checksum")  # drawn for each seed
    return run.profile, run.data["name"], examples, kind(run.recipe.model)[1], repr(own)


def _plain_name(name: str) -> str:
    star = "*" if name.endswith("*") else ""
    return "-".join(name.removesuffix("*").removeprefix("S").split("-")[:2]) + star


def _contrast(table: str, name: str, shared: list[Run], plain: list[Run]) -> dict[str, Any]:
    a, b = (statistics.mean(run.test_error for run in runs) for runs in (shared, plain))
    variance = sum(e / 100 * (1 - e / 100) for e in (a, b)) / shared[0].data["test"]
    pair, paper_difference = _printed(table, shared[0], plain[0])
    return {
        "shared": name,
        "plain": _plain_name(name),
        "trained on": shared[0].data["name"],
        "profile": shared[0].profile,
        "epochs": shared[0].recipe.total_epochs,
        "n": min(len(shared), len(plain)),
        "ours": a - b,
        "noise": 100 * math.sqrt(variance),
        "pair in the paper": pair,
        "paper": paper_difference,
    }


def _printed(table: str, shared: Run, plain: Run) -> tuple[str, float]:
    """The paper's rows for a pair, if both are of one width, and the difference of their errors."""
    tables = read()[0]["tables"]
    places = [place(run, table, tables) for run in (shared, plain)]
    ours, other = (found.row if found else None for found in places)
    if not ours or not other or kind(ours["model"])[1] != kind(other["model"])[1]:
        return "", math.nan
    column = "cifar100" if data_set(shared) == "cifar100" else "cifar10"
    difference = ours["values"][column] - other["values"][column]
    return f"{ours['row']} against {other['row']} on {column}", difference


__all__ = ["alike", "contrasts", "curve_sentences", "table_sentences"]
