"""What folding did to a model, in numbers and as text."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass

from softshare.folding.block_loops import BlockLoop
from softshare.folding.program import Program, Repeat, smallest


@dataclass(frozen=True)
class GroupReport:
    """One group of a folded model.

    Attributes:
        group: its label.
        layers: names of its L weights in the model that was folded.
        templates: k; for a model that shared nothing, L.
        size: numbers in one weight.
        schedule: the number of each layer's tie, from 1.

    Example:
        >>> group = GroupReport("stage1", ("a", "b", "c"), 2, 9, (1, 2, 2))
        >>> group.ties, str(group.program), group.mixes
        ((('a',), ('b', 'c')), '1 2×2', False)
    """

    group: str
    layers: tuple[str, ...]
    templates: int
    size: int
    schedule: tuple[int, ...]

    @property
    def ties(self) -> tuple[tuple[str, ...], ...]:
        """The layers of each tie."""
        named = list(zip(self.schedule, self.layers, strict=True))
        return tuple(
            tuple(layer for number, layer in named if number == tie)
            for tie in dict.fromkeys(self.schedule)
        )

    @property
    def program(self) -> Program:
        """The smallest program of nested repeats that prints the schedule."""
        return smallest(self.schedule)

    @property
    def mixes(self) -> bool:
        """Whether ties outnumber templates, and mix their weights from them."""
        return len(self.ties) > self.templates


@dataclass(frozen=True)
class Report:
    """What `softshare.fold` found and what it cost; printed, it is a page of plain text.

    Attributes:
        threshold: t, in [0, 1].
        groups: ties, schedule and program of each group.
        loops: those over whole blocks, which run as loops.
        parameters_before: numbers of the model, each counted once.
        parameters_after: the same of the folded model.
        bytes_before: size of the model's tensors as a safetensors file.
        bytes_after: size of the file that `FoldedModel.save` writes.
        gap: greatest difference in any output between the folded model and the model, in eval
            mode; None where it was not measured.
        not_measured: why not, where something stood in the way.
        rounding: the same between the folded model and a plain one with the tied weights.
        largest_output: of the model, in size, to which to compare them.
    """

    threshold: float
    groups: tuple[GroupReport, ...]
    loops: tuple[BlockLoop, ...] = ()
    parameters_before: int = 0
    parameters_after: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    gap: float | None = None
    rounding: float | None = None
    largest_output: float | None = None
    not_measured: str = ""

    def repeats(self, group: GroupReport) -> list[tuple[Repeat, bool]]:
        """The loops in a group's program, and whether each runs as a loop over whole blocks.

        The others are loops of single layers that begin or end inside a block, or lie within
        one: their layers are tied, and the code around them is not repeated.
        """
        found: dict[Repeat, bool] = {}
        for repeat, start, stop in _occurrences(group.program, 0):
            turns = [{loop.turn(a) for a in group.layers[start:stop]} for loop in self.loops]
            runs = any(None not in turn and len(turn) > 1 for turn in turns)
            found[repeat] = found.get(repeat, True) and runs
        return list(found.items())

    def __str__(self) -> str:
        tied = sum(len(tie) for g in self.groups for tie in g.ties if len(tie) > 1)
        into = sum(len(tie) > 1 for g in self.groups for tie in g.ties)
        layers = sum(len(g.layers) for g in self.groups)
        lines = [
            f"Folded at similarity {self.threshold:g}: {tied} of {layers} layers tied into {into}.",
            _change("parameters", self.parameters_before, self.parameters_after),
            _change("bytes of file", self.bytes_before, self.bytes_after),
        ]
        if self.gap is not None:
            lines.append(
                f"greatest output gap: {self.gap:.3g} to the model, {self.rounding:.2g} to its "
                f"tied weights (outputs up to {self.largest_output:.3g})"
            )
        else:
            why = f", because {self.not_measured}" if self.not_measured else ""
            lines.append(f"greatest output gap: not measured{why}; pass inputs=")
        for group in self.groups:
            mixed = f", mixed from {group.templates} templates" if group.mixes else ""
            weights = f"{len(group.ties)} weight{'s'[: len(group.ties) > 1]}"
            lines.append(f"{group.group}: {len(group.layers)} layers, {weights}{mixed}")
            lines.append(f"  schedule {' '.join(map(str, group.schedule))}")
            lines += [f"  program  {group.program}"] if group.program.loops else []
            for repeat, runs in self.repeats(group):
                kind = "whole blocks, runs as a loop" if runs else "single layers, tied"
                lines.append(f"  {repeat}: {kind}")
        running = [loop for loop in self.loops if loop.path]
        lines += ["loops that run:"] if running else ["loops that run: none"]
        return "\n".join([*lines, *(f"  {loop}" for loop in running)])

    def to_json(self) -> str:
        """The report for a file; `from_json` takes it back."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Report:
        """Reads what `to_json` wrote.

        Raises:
            ValueError: it is no report.
        """
        try:
            facts = json.loads(text)
            groups = [
                GroupReport(**{**g, "layers": tuple(g["layers"]), "schedule": tuple(g["schedule"])})
                for g in facts.pop("groups")
            ]
            loops = [
                BlockLoop(loop["path"], tuple(map(tuple, loop["iterations"])))
                for loop in facts.pop("loops")
            ]
            return cls(groups=tuple(groups), loops=tuple(loops), **facts)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"This is no report of a folding: {error!r}.") from error


def _occurrences(program: Program, at: int) -> Iterator[tuple[Repeat, int, int]]:
    """Each repeat, every time it begins, with the part of the schedule that it prints."""
    for step in program.steps:
        if isinstance(step, int):
            at += 1
            continue
        length = len(step.body.unroll())
        yield step, at, at + step.count * length
        for _ in range(step.count):
            yield from _occurrences(step.body, at)
            at += length


def _change(what: str, before: int, after: int) -> str:
    share = f" ({after / before:.1%})" if before else ""
    return f"{what}: {before:,} -> {after:,}{share}".replace(",", " ")
