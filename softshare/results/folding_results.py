"""What folding cost the recorded networks, in numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from softshare.explorer.states import cut
from softshare.paper import value
from softshare.records import Run
from softshare.records.naming import full_label, label, length
from softshare.results import drift
from softshare.sharing.similarity import chance_level

if TYPE_CHECKING:
    import pandas as pd

AGAIN = "_recalibrated"
FEW = 5e-4  # of the parameters: with fewer templates than layers, a tie may save coefficients alone
_TOLD = ("seed", "epochs", "data", "dropout", "init", "coefficients", "fold", "tune")
COLUMNS = (
    *("network", "trained on", "profile", "seed", "threshold", "chance", "parameters", "share"),
    *("metric", "unfolded", "folded", "cost"),
    *("unfolded recalibrated", "recalibrated", "cost recalibrated"),
)


def table(runs: Sequence[Run]) -> pd.DataFrame:
    """A row for each measured folding.

    Returns:
        `threshold`; `chance`, the chance level of the group where it is highest; `parameters`,
        and `share` of the unfolded network's; the score `unfolded` and `folded`, and the `cost`
        in points: hundredths, positive where folding made it worse; the same three with batch
        statistics estimated anew in both networks.

    Example:
        >>> table([]).empty
        True
    """
    import pandas as pd

    lines = []
    for run in runs:
        for folded in run.folded:
            scores: list[float] = []
            for end in ("", AGAIN):
                score = folded[run.metric + end]
                scores += unfolded(run, end), score, cost(run, score, end)
            lines.append(
                (
                    *(full_label(run), run.data["name"], run.profile, run.seed),
                    *(folded["threshold"], chance_of(run), int(folded["parameters"])),
                    *(folded["parameters"] / run.model["parameters"], run.metric, *scores),
                )
            )
    return pd.DataFrame(lines, columns=list(COLUMNS))


def unfolded(run: Run, end: str = "") -> float:
    """The score of the network as trained, or with batch statistics estimated anew.

    Args:
        run: with measured foldings, the first of them at t = 1, where only what is one already
            is tied.
        end: ``_recalibrated`` for the latter.
    """
    return run.folded[0][run.metric + end] if end else run.result[run.metric]


def cost(run: Run, score: float, end: str = "") -> float:
    """How many points worse a score is than that of the unfolded network, both alike estimated."""
    worse = score - unfolded(run, end)
    return worse if run.metric == "test_error" else -100 * worse


def furthest(run: Run, points: float, end: str = "") -> Mapping[str, float] | None:
    """The smallest folding that costs at most so many points; None where each costs more.

    Args:
        run: with measured foldings.
        points: the bound.
        end: ``_recalibrated`` for the score with batch statistics estimated anew.
    """
    cheap = [x for x in run.folded if cost(run, x[run.metric + end], end) <= points + 1e-9]
    return min(cheap, key=lambda line: line["parameters"], default=None)


def summary(runs: Sequence[Run]) -> pd.DataFrame:
    """A row for each soft-shared run: how far it folds within the paper's 0.3 points (Figure 6).

    Returns:
        What was trained and how; `chance` and `greatest drift`, the similarities that need no
        training and no more than movement; its `score`, the `threshold` of its smallest folding
        within the bound, and how much of its parameters is `left` then; the same two where
        batch statistics are estimated anew.

    Example:
        >>> summary([]).empty
        True
    """
    import pandas as pd

    bound = value("figures/figure6/error_increase")
    lines = []
    for run in runs:
        if not run.coefficients:
            continue
        line = {
            "network": label(run),
            "training": ", ".join(map(_whole, _training(run))),
            "seed": run.seed,
            "chance": chance_of(run),
            "greatest drift": drift.greatest(run),
            "score": _whole(score(run, unfolded(run))),
        }
        for name, end in (("", ""), ("recal. ", AGAIN)):
            best = furthest(run, bound, end)
            if best and not saves(run, best):
                best = None
            line[f"{name}threshold"] = threshold(run, best) if best else _none(run)
            line[f"{name}left"] = _share(run, best) if best else ""
        lines.append(line)
    return pd.DataFrame(lines)


def saves(run: Run, line: Mapping[str, float]) -> bool:
    """Whether a folding is smaller than that at t = 1 by more than `FEW`."""
    return line["parameters"] < (1 - FEW) * run.folded[0]["parameters"]


def threshold(run: Run, line: Mapping[str, float]) -> str:
    """The threshold of one of a run's foldings as text, at which `softshare.fold` makes it."""
    thresholds = [folded["threshold"] for folded in run.folded]
    return cut(thresholds)[thresholds.index(line["threshold"])]


def score(run: Run, value: float) -> str:
    """A score with its unit: per cent of errors, or F1."""
    return f"{value:.2f} %" if run.metric == "test_error" else f"F1 {value:.3f}"


def chance_of(run: Run) -> float:
    """The chance level of a run's group where it is highest."""
    shapes = {(len(rows), len(rows[0])) for rows in _last(run).values()}
    return max(chance_level(*shape, run.recipe.init) for shape in shapes)


def _training(run: Run) -> list[str]:
    """What a run was trained on and how long, and what its name does not say of it."""
    own = run.recipe.own().items()
    settings = [f"{name} {value}" for name, value in own if name not in _TOLD]
    return [run.data["name"], run.profile, length(run.recipe), *settings]


def _whole(text: str) -> str:
    """A text that a narrow column does not break."""
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def _share(run: Run, line: Mapping[str, float]) -> str:
    """What a folding leaves of a network's parameters."""
    return f"{line['parameters'] / run.model['parameters']:.1%}"


def _none(run: Run) -> str:
    return "none" if run.folded else "not measured"


def _last(run: Run) -> Mapping[str, Sequence[Sequence[float]]]:
    return list(run.coefficients.values())[-1]
