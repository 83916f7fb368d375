"""Which blocks of a model could be iterations of one body."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor, nn

from softshare.folding.folded_weights import FoldedWeights
from softshare.folding.program import Program, Repeat, Step, smallest
from softshare.folding.stacking import alike


class Bodies:
    """Tells which blocks of a model could be iterations of one body."""

    def __init__(self, net: nn.Module) -> None:
        modules = list(net.modules())
        self.held: list[Any] = [net]  # kept, so that no new object comes by the id of an old one
        for module in modules:
            for parts in (module._parameters, module._buffers, module._modules):
                self.held += [part for part in parts.values() if part is not None]
        self.uses = Counter(map(id, self.held))
        self.weights = {id(p) for p in net.parameters() if p.numel() > max(p.shape, default=1)}
        self.weights |= {id(p) for m in modules for n, p in _computed(m) if n.endswith("_mix")}

    def steps(self, blocks: Sequence[nn.Module]) -> tuple[Step, ...]:
        """The smallest program of these blocks, with the repeats that are worth a loop."""
        schedule = self.numbered(blocks)
        folded = {n for n, block in zip(schedule, blocks, strict=True) if _is_folded(block)}
        return tuple(_worthwhile(smallest(schedule).steps, folded))

    def numbered(self, blocks: Sequence[nn.Module]) -> tuple[int, ...]:
        """The same number for blocks that can be one."""
        kinds: list[nn.Module] = []
        schedule = []
        for block in blocks:
            number = next((i for i, kind in enumerate(kinds) if self.one(kind, block)), len(kinds))
            if number == len(kinds):
                kinds.append(block)
            schedule.append(number)
        return tuple(schedule)

    def one(self, first: nn.Module, other: nn.Module) -> bool:
        if first is other:  # one activation in many places, say; layers have iterations apart
            return all(isinstance(part, nn.Module) for part in _parts(first))
        if not alike(first, other):
            return False
        pairs = zip(_parts(first), _parts(other), strict=True)
        return all(a is b or (self.own(a) and self.own(b)) for a, b in pairs)

    def own(self, part: nn.Module | Tensor) -> bool:
        """Whether an iteration may have it to itself: used in one place, and not a weight."""
        return self.uses[id(part)] < 2 and id(part) not in self.weights


def _worthwhile(steps: Sequence[Step], folded: set[int]) -> Iterator[Step]:
    for step in steps:
        if isinstance(step, int):
            yield step
        elif folded.isdisjoint(step.body.unroll()):  # activations alone, say
            for _ in range(step.count):
                yield from _worthwhile(step.body.steps, folded)
        else:
            yield Repeat(step.count, Program(tuple(_worthwhile(step.body.steps, folded))))


def _parts(block: nn.Module) -> Iterator[nn.Module | Tensor]:
    for _, module in block.named_modules(remove_duplicate=False):
        yield module
        for tensors in (module._parameters, module._buffers):
            yield from (tensor for tensor in tensors.values() if tensor is not None)


def _computed(module: nn.Module) -> list[tuple[str, nn.Parameter]]:
    if not isinstance(module, FoldedWeights):
        return []
    return [(name, p) for name, p in module._parameters.items() if p is not None]


def _is_folded(block: nn.Module) -> bool:
    return any(isinstance(m, FoldedWeights) for m in block.modules())
