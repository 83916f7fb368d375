"""Blocks that repeat: runs of an nn.Sequential whose weights are tied become loops."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from torch import nn

from softshare.folding.bodies import Bodies
from softshare.folding.looping import Loop
from softshare.folding.program import Program, Repeat, Step


@dataclass(frozen=True)
class BlockLoop:
    """A loop over whole blocks, which runs as one.

    Attributes:
        path: where its `Loop` stands in the folded model; empty for a loop inside the later
            iterations of another, where the copy inside the first stands for all.
        iterations: the blocks of each iteration, by their names before folding.

    Example:
        >>> loop = BlockLoop("stage2.1_to_4", (("stage2.1", "stage2.2"), ("stage2.3", "stage2.4")))
        >>> str(loop), loop.turn("stage2.3.conv1"), loop.turn("stage2.5.conv1")
        ('stage2.1_to_4 runs 2×(stage2.1 stage2.2)', 1, None)
    """

    path: str
    iterations: tuple[tuple[str, ...], ...]

    def turn(self, layer: str) -> int | None:
        """The iteration, from 0, in which a layer runs; None for one outside the loop."""
        for number, blocks in enumerate(self.iterations):
            if any(layer == block or layer.startswith(f"{block}.") for block in blocks):
                return number
        return None

    def __str__(self) -> str:
        return f"{self.path} runs {len(self.iterations)}×({' '.join(self.iterations[0])})"


def loop_blocks(
    net: nn.Module, recorded: Sequence[BlockLoop] | None = None
) -> tuple[BlockLoop, ...]:
    """Replaces, in place, children of every nn.Sequential that repeat by loops, nested ones too.

    Two blocks are one body when they have the same structure and every weight, that is, every
    parameter that is longer than 1 along two axes or more, is the same object in both. Vectors,
    such as biases, scales and the parameters of batch normalisation, and buffers are each
    iteration's own. A loop takes the names of its first and last block, ``"1_to_4"``.

    Args:
        net: a model with folded layers.
        recorded: makes exactly these loops, instead of looking for blocks that repeat.

    Returns:
        All loops: those that stand in the model, in its order, then the others.

    Raises:
        ValueError: blocks of a recorded loop are not there, or cannot be one body.
    """
    found: list[tuple[nn.Module, BlockLoop]] = []
    bodies = Bodies(net)
    for path, module in reversed(list(net.named_modules())):
        if isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward:
            blocks = [(name, m) for name, m in module._modules.items() if m is not None]
            run = _Run(blocks, f"{path}." if path else "", found)
            if recorded is None:
                steps = bodies.steps([block for _, block in blocks])
            else:
                steps = _recorded([run.prefix + name for name, _ in blocks], recorded)
            children = dict(run.children(steps))
            module._modules.clear()
            module._modules.update(children)
    records = dict(found)
    iterations = {loop.iterations for loop in records.values()}
    for loop in recorded or ():
        if loop.iterations not in iterations:
            first, last = loop.iterations[0][0], loop.iterations[-1][-1]
            raise ValueError(f"it has no nn.Sequential with the blocks {first} to {last} to loop.")
    running = [(path, module) for path, module in net.named_modules() if module in records]
    made = [replace(records.pop(module), path=path) for path, module in running]
    return (*made, *records.values())


class _Run:
    """The children of a Sequential, as the steps of a program take them one after the other."""

    def __init__(
        self,
        blocks: list[tuple[str, nn.Module]],
        prefix: str,
        found: list[tuple[nn.Module, BlockLoop]],
    ) -> None:
        self.left, self.prefix, self.found = list(blocks), prefix, found

    def children(self, steps: Sequence[Step]) -> Iterator[tuple[str, nn.Module]]:
        for step in steps:
            yield self.left.pop(0) if isinstance(step, int) else self.loop(step)

    def loop(self, repeat: Repeat) -> tuple[str, Loop]:
        bodies, iterations = [], []
        for _ in range(repeat.count):
            names = [name for name, _ in self.left][: len(repeat.body.unroll())]
            parts = [block for _, block in self.children(repeat.body.steps)]
            bodies.append(parts[0] if len(parts) == 1 else nn.Sequential(*parts))
            iterations.append(names)
        loop = Loop(bodies)
        full = tuple(tuple(self.prefix + name for name in names) for names in iterations)
        self.found.append((loop, BlockLoop("", full)))
        return f"{iterations[0][0]}_to_{iterations[-1][-1]}", loop


def _recorded(blocks: Sequence[str], loops: Sequence[BlockLoop]) -> tuple[Step, ...]:
    """The steps in which blocks of these names run where just these loops are made of them."""
    steps: list[Step] = []
    whole = {sum(loop.iterations, ()): loop for loop in loops}
    at = 0
    while at < len(blocks):
        here = [names for names in whole if names == tuple(blocks[at : at + len(names)])]
        if here:
            names = max(here, key=len)  # the outermost
            turns = whole[names].iterations
            steps.append(Repeat(len(turns), Program(_recorded(turns[0], loops))))
            at += len(names)
        else:
            steps.append(at)
            at += 1
    return tuple(steps)
