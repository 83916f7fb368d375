"""The explorer's numbers and sentences."""

from __future__ import annotations

from dataclasses import dataclass

from softshare.explorer.states import Moment, Network, State
from softshare.folding import Folding
from softshare.wording import plural, thousands

_PERCENT = "\N{NO-BREAK SPACE}%"
METRICS = {"test_error": "test error", "f1": "F1"}


@dataclass(frozen=True)
class Words:
    """How a network's states are put into words.

    Args:
        network: the network.
    """

    network: Network

    @property
    def metric(self) -> str:
        """What is measured, in words; empty for a model."""
        return METRICS.get(self.network.metric, self.network.metric)

    def score(self, value: float) -> str:
        """A measured value with its unit."""
        return f"{value:.2f}{_PERCENT}" if self.network.metric == "test_error" else f"{value:.3f}"

    def epoch(self, moment: Moment) -> str:
        """The name of a moment."""
        return "0 (untrained)" if moment.name == "0" else moment.name

    def when(self, moment: Moment) -> str:
        """When that was; of a model as it stands, nothing."""
        return "" if moment.name == "now" else f" after epoch {moment.name}"

    def counts(self, folded: Folding) -> str:
        """How many layers run on how many weights."""
        return f"{plural(len(folded.layers), 'layer')} on {plural(len(folded.ties), 'weight')}"

    def luck(self, folded: Folding) -> str:
        """A warning where untrained layers would be tied as well; else empty."""
        chance = self.network.chance[folded.group]
        if len(folded.ties) == len(folded.layers) or folded.threshold > chance + 1e-6:
            return ""
        return f"At or below the chance level, {chance:.2f}: untrained layers tie here too."

    def change(self, state: State) -> str:
        """Parameters against those of the unfolded network, in per cent."""
        return f"{100 * (state.parameters / self.network.parameters - 1):+.1f}{_PERCENT}".replace(
            "-", "\N{MINUS SIGN}"
        )

    def unfolded(self, moment: Moment) -> str:
        """The score before folding; empty where there is none."""
        if moment.score is None:
            return ""
        text, again = self.score(moment.score), self.network.metric + "_recalibrated"
        if again in moment.states[0].measured:
            text += f"; recalibrated {self.score(moment.states[0].measured[again])}"
        return text

    def folded(self, state: State) -> str:
        """The score after folding."""
        metric = self.network.metric
        if not any(len(f.ties) < len(f.layers) for f in state.foldings.values()):
            return "nothing is folded"
        if not metric or metric not in state.measured:
            return "not measured"
        text = self.score(state.measured[metric])
        if metric + "_recalibrated" in state.measured:
            text += f"; recalibrated {self.score(state.measured[metric + '_recalibrated'])}"
        return text

    def numbers(self, moment: Moment, state: State) -> dict[str, str]:
        """The figures beside the picture; they are those of the whole network."""
        return {
            "before": thousands(self.network.parameters),
            "after": thousands(state.parameters),
            "change": self.change(state),
            "share": f"{state.parameters / self.network.parameters:.4f}",
            "metric": self.metric,
            "score": self.unfolded(moment),
            "folded": self.folded(state),
        }

    def sentence(self, moment: Moment, position: int, name: str) -> str:
        """All that a state shows, to be read out."""
        state = moment.states[position]
        folded = state.foldings[name]
        text = (
            f"{name}{self.when(moment)}, threshold {moment.thresholds[position]}: "
            f"{self.counts(folded)}, run as {folded.program}. Folded so in all groups, the network "
            f"has {thousands(state.parameters)} of {thousands(self.network.parameters)} parameters"
        )
        return f"{text}; {self.metric or 'error'}: {self.folded(state)}."

    def columns(self, moment: Moment) -> list[str]:
        """The scores that a table of a moment has columns for."""
        metric = self.network.metric
        found = {key for state in moment.states for key in state.measured}
        ends = {"": f"{self.metric}, folded", "_recalibrated": "recalibrated"}
        return [text for end, text in ends.items() if metric + end in found]

    def rows(self, moment: Moment) -> list[list[str]]:
        """A table of a moment: threshold, parameters, each group's program, scores."""
        keys = [self.network.metric + end for end in ("", "_recalibrated")][
            : len(self.columns(moment))
        ]
        return [
            [name, thousands(state.parameters)]
            + [str(state.foldings[group].program) for group in self.network.groups]
            + [
                self.score(state.measured[k]) if k in state.measured else "not measured"
                for k in keys
            ]
            for name, state in zip(moment.thresholds, moment.states, strict=True)
        ]
