"""Folded models: what they are beside the model's own class, and how they are kept."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from softshare import storage
from softshare.folding import Folding
from softshare.folding.block_loops import BlockLoop, loop_blocks
from softshare.folding.folded_weights import fold_group, mark
from softshare.folding.program import smallest
from softshare.folding.report import Report
from softshare.model_file import fill, read, serialised
from softshare.models import build
from softshare.sharing import banks, unshare
from softshare.sharing.grouping import resolve_groups
from softshare.sharing.refusals import Folded, check_model, refuse_folded

_FORMAT = "softshare-folded-1"
_NAMES = ("report", "save", "load", "to_onnx", "to_bytes", "metadata")


class FoldedModel(Folded, nn.Module):
    """A model that `softshare.fold` made: of the model's own class, and of this one.

    Forward, attributes and methods are the model's, beside the names below, which a model that
    is folded leaves free. A tied layer keeps its class as a base class
    and computes ``weight`` as ``weight_scale`` times ``weight_tie``, one parameter in all layers
    of the tie; runs of tied blocks are a `softshare.folding.looping.Loop`. Training goes on as
    with any model: gradients of all layers of a tie add up in its weight, so ties stay exact.

    Attributes:
        report: what was folded, and what it cost; a `softshare.folding.report.Report`.
    """

    report: Report

    def save(self, path: str | Path) -> None:
        """Writes weights and report to a safetensors file, whole or not at all.

        What ties have in common is stored once. Nothing in the file can be executed.

        Args:
            path: of the file; what was there is replaced.

        Raises:
            OSError: the place is full or not writable.
            ValueError: the model's state holds something else than parameters and buffers.

        Example:
            >>> import softshare as ss, tempfile
            >>> net = ss.share(nn.Sequential(*[nn.Linear(4, 4) for _ in range(3)]), templates=1)
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     ss.fold(net).save(f"{folder}/small.safetensors")
            ...     back = FoldedModel.load(f"{folder}/small.safetensors", like=net)
            >>> [name for name, _ in back.named_parameters()]
            ['0_to_2.body.bias', '0_to_2.body.weight_scale', '0_to_2.body.weight_tie']
        """
        storage.write(Path(path), FoldedModel.to_bytes(self))

    def to_onnx(
        self,
        path: str | Path,
        example: Tensor | tuple[Tensor, ...] | None = None,
        unrolled: bool = False,
    ) -> Path:
        """Writes an ONNX file in which weights stand once and loops as loops.

        Takes and returns what `softshare.folding.export.to_onnx` does.

        Example:
            >>> import softshare as ss, tempfile, torch
            >>> net = ss.share(nn.Sequential(*[nn.Linear(4, 4) for _ in range(3)]), templates=1)
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     ss.fold(net).to_onnx(f"{folder}/small.onnx", torch.zeros(1, 4)).name
            'small.onnx'
        """
        from softshare.folding.export import to_onnx

        return to_onnx(self, path, example, unrolled)

    def to_bytes(self) -> bytes:
        """The content of the file that `save` writes."""
        return serialised(self, FoldedModel.metadata(self))

    def metadata(self) -> dict[str, str]:
        """What `load` needs beside the tensors; one entry, as safetensors shuffles several."""
        return {_FORMAT: replace(self.report, bytes_after=0).to_json()}

    @classmethod
    def load(cls, path: str | Path, like: nn.Module | Callable[[], nn.Module] | str) -> FoldedModel:
        """Reads what `save` wrote.

        Args:
            path: of the file.
            like: the architecture that was folded: a model of it, shared or not, also inside
                DistributedDataParallel or torch.compile, which stays as it is and whose numbers
                do not matter; a function that builds one; or a name that `softshare.build` knows.

        Returns:
            A folded model with the numbers of the file, on the device, of the dtypes and in the
            mode of `like`.

        Raises:
            FileNotFoundError: there is no such file.
            Damaged: it is not what was written.
            ValueError: `like` gives no model, or a folded one, or another architecture than the
                file was folded from; or blocks of `like` that are one loop in the file differ in
                mode, in hooks or in what is trained.
        """
        tensors, facts = read(Path(path), _FORMAT)
        model: Any = build(like) if isinstance(like, str) else like
        if callable(model) and not isinstance(model, nn.Module):
            model = model()
        check_model(model)
        model = unwrapped(model)
        refuse_folded(model)
        check_names(model)
        net = unshare(model) if banks(model) else copy.deepcopy(model)
        report = Report.from_json(facts)
        try:
            folded = _rebuilt(net, report)
            fill(folded, tensors)
        except (RuntimeError, ValueError) as error:
            raise ValueError(
                f"{path} was folded from another architecture than {type(model).__name__} as "
                f"given in like=: {error}"
            ) from error
        return _with_report(folded, replace(report, bytes_after=Path(path).stat().st_size))

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        with _ties_kept(self):  # assign=True would give each layer a tensor of its own
            return super().load_state_dict(state_dict, strict, assign)

    def _apply(self, fn: Callable, recurse: bool = True) -> FoldedModel:
        with _ties_kept(self):  # so would a move to a device of another kind, such as "meta"
            return super()._apply(fn, recurse)


def unwrapped(net: nn.Module) -> nn.Module:
    """What is inside DistributedDataParallel and torch.compile."""
    if isinstance(net, nn.parallel.DistributedDataParallel):
        return unwrapped(net.module)
    inside = getattr(net, "_orig_mod", None)  # of torch.compile
    return net if inside is None else unwrapped(inside)


def check_names(net: nn.Module) -> None:
    """Refuses a model that uses a name of `FoldedModel` for something of its own.

    Raises:
        ValueError: it does, and one of the two would be lost.
    """
    names = [name for name in _NAMES if hasattr(net, name)]
    if names and not isinstance(net, FoldedModel):
        raise ValueError(
            f"A folded model has {', '.join(_NAMES)} of its own, and {type(net).__name__} uses "
            f"{', '.join(names)} for something else; rename that, or fold the module inside it."
        )


def finish(net: nn.Module, report: Report, loops: Sequence[BlockLoop] | None = None) -> FoldedModel:
    """Turns a model with folded layers into a `FoldedModel`, its blocks into all loops or these."""
    found = loop_blocks(net, loops)
    mark(net, FoldedModel)
    return _with_report(net, replace(report, loops=found))


def _with_report(net: Any, report: Report) -> FoldedModel:
    net.__dict__["report"] = report
    return net


def _rebuilt(net: nn.Module, report: Report) -> FoldedModel:
    members = resolve_groups(net, {g.group: g.layers for g in report.groups})
    for g in report.groups:
        weight = members[g.group][0].parameter.detach()
        rows = weight.new_zeros(len(g.ties), g.templates)
        ones = (1.0,) * len(g.layers)
        folded = Folding(
            g.group, report.threshold, g.layers, g.schedule, ones, rows, smallest(g.schedule)
        )
        templates = weight.new_zeros(g.templates * len(weight), *weight.shape[1:])
        fold_group(members[g.group], folded, templates)
    return finish(net, report, report.loops)


@contextmanager
def _ties_kept(net: nn.Module) -> Iterator[None]:
    """What was one parameter in several places stays one, also when it is replaced."""
    places: dict[int, list[tuple[dict[str, Any], str]]] = {}
    for module in net.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                places.setdefault(id(parameter), []).append((module._parameters, name))
    yield
    for (first, name), *others in places.values():
        for held, other in others:
            held[other] = first[name]
