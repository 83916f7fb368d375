"""The explorer's frames: every state of a network in pieces of SVG and text, and a page of them."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

from softshare.explorer import size_curve
from softshare.explorer.diagram import Diagram
from softshare.explorer.markup import raw, source, style, template
from softshare.explorer.outline import outlines
from softshare.explorer.states import Network
from softshare.explorer.words import Words

PARTS = ("similarity", "outline", "scale", "diagram", "group", "numbers", "curve", "live")


class Page:
    """All states of a network, drawn. A script only chooses among them.

    Args:
        network: what to show.
    """

    def __init__(self, network: Network) -> None:
        self.network, self.words = network, Words(network)
        self._drawn: dict[tuple[Any, ...], str] = {}

    def frame(self, epoch: int, stage: int, position: int) -> dict[str, str]:
        """The pieces of one state, each complete in itself, by the names in `PARTS`."""
        net, words = self.network, self.words
        moment, group = net.moments[epoch], net.groups[stage]
        state = moment.states[position]
        folded = state.foldings[group]
        L, depth = len(folded.layers), self._depth(epoch, stage)
        says = f"{words.counts(folded)}: {folded.program}"
        return {
            "similarity": self._draw(
                "similarity", epoch, group, S=moment.lsm[group].tolist(), layers=folded.layers
            ),
            "outline": self._draw("outline", L, folded.schedule, lines=outlines(folded), size=L),
            "scale": self._draw(
                "scale",
                group,
                words.luck(folded),
                chance=net.chance[group],
                luck=words.luck(folded),
            ),
            "diagram": self._draw(
                "diagram", folded.schedule, depth, d=Diagram(folded), depth=depth, says=says
            ),
            "group": self._draw(
                "group",
                folded.schedule,
                schedule=str(folded.program),
                counts=words.counts(folded),
            ),
            "numbers": self._draw("numbers", epoch, position, state=words.numbers(moment, state)),
            "curve": self._draw(
                "curve",
                epoch,
                c=size_curve.curve(moment, net.parameters, net.metric, words.score),
            ),
            "live": self._draw(
                "live", epoch, stage, position, text=words.sentence(moment, position, group)
            ),
        }

    def panel(self, epoch: int, stage: int, position: int) -> str:
        """One state as HTML that needs no script."""
        moment = self.network.moments[epoch]
        left, right = size_curve.LEFT / size_curve.WIDTH, size_curve.RIGHT / size_curve.WIDTH
        return template("explorer_panel.jinja").render(
            part={k: raw(v) for k, v in self.frame(epoch, stage, position).items()},
            t=moment.states[position].threshold,
            step=position / max(1, len(moment.states) - 1),
            left=f"{100 * left:.2f}%",
            span=f"{100 * (right - left):.2f}%",
            metric=self.words.metric,
            measured=any(self.words.columns(m) for m in self.network.moments),
            score=any(m.score is not None for m in self.network.moments),
        )

    def still(self, epoch: int, stage: int, position: int) -> str:
        """One state with name and style, for a widget that does the choosing."""
        return template("explorer_live.jinja").render(
            name=self.network.name,
            about=self.network.about,
            css=style(),
            panel=raw(self.panel(epoch, stage, position)),
            live=raw(self.frame(epoch, stage, position)["live"]),
        )

    def html(self, epoch: int, stage: int, position: int) -> str:
        """The whole explorer, opened at one state, as a self-contained piece of HTML."""
        net, words = self.network, self.words
        texts: dict[str, int] = {}
        chosen = [
            {
                "names": moment.thresholds,
                "values": [state.threshold for state in moment.states],
                "frames": [
                    [
                        [texts.setdefault(t, len(texts)) for t in self.frame(e, s, p).values()]
                        for p in range(len(moment.states))
                    ]
                    for s in range(len(net.groups))
                ],
            }
            for e, moment in enumerate(net.moments)
        ]
        frames = {"parts": PARTS, "epochs": chosen, "pieces": list(texts)}
        return template("explorer.html.jinja").render(
            name=net.name,
            about=net.about,
            at={"epoch": epoch, "stage": stage, "position": position},
            stages=net.groups,
            epochs=[
                {
                    "title": words.epoch(moment),
                    "when": words.when(moment),
                    "thresholds": moment.thresholds,
                    "columns": words.columns(moment),
                    "rows": words.rows(moment),
                }
                for moment in net.moments
            ],
            css=style(),
            panel=raw(self.panel(epoch, stage, position)),
            live=raw(self.frame(epoch, stage, position)["live"]),
            frames=_packed(frames),
            script=source("explorer.js"),
        )

    def document(self, epoch: int, stage: int, position: int) -> str:
        """The same as a page of its own."""
        return template("explorer_document.jinja").render(
            title=f"{self.network.name}: foldings", explorer=raw(self.html(epoch, stage, position))
        )

    def _draw(self, part: str, *key: Any, **values: Any) -> str:
        """A piece from its macro; the same piece of another state is not drawn again."""
        if (part, *key) not in self._drawn:
            macro = getattr(template("explorer_parts.jinja").module, part)
            self._drawn[part, *key] = str(macro(**values)).strip()
        return self._drawn[part, *key]

    def _depth(self, epoch: int, stage: int) -> int:
        """Room for the arrows of a group at any of its thresholds, so that nothing jumps."""
        group = self.network.groups[stage]
        states = self.network.moments[epoch].states
        schedules = {s.foldings[group].schedule: s.foldings[group] for s in states}
        return max(Diagram(folded).depth for folded in schedules.values())


def _packed(frames: dict[str, Any]) -> str:
    """JSON, compressed, as text: the same frames always give the same text."""
    text = json.dumps(frames, ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
