"""A folded network as an ONNX file: weights stand once, loops stand as loops."""

from __future__ import annotations

import copy
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from softshare.folding import looping
from softshare.folding.outputs import input_shape_of
from softshare.storage import write

_FOLDED = 8
"""What is computed from constants of at most so many elements is computed at export."""

_LARGEST = 2**31 - 2**24
"""Bytes of numbers that fit into one file: the format's own limit, and room for the graph."""


def to_onnx(
    net: nn.Module,
    path: str | os.PathLike[str],
    example: Tensor | tuple[Tensor, ...] | None = None,
    unrolled: bool = False,
) -> Path:
    """Writes a model as one ONNX file, in eval mode and for any batch size.

    Every `softshare.folding.looping.Loop` becomes one ``Scan`` node, a loop within a loop a
    ``Scan`` within a ``Scan``. A weight that several layers or iterations share stands once in the
    file, whose size therefore grows with the number of iterations by their own vectors alone.

    Args:
        net: any model, folded or not; it stays as it is.
        path: the file; an older one is replaced.
        example: an input, or a tuple of inputs, with the batch as their first axis. Default:
            zeros of the model's ``input_shape`` and type of numbers, if it has one.
        unrolled: writes the iterations one after the other instead, for runtimes without
            ``Scan``, and for speed where these treat a ``Scan`` badly. Weights still stand once.

    Returns:
        The path.

    Raises:
        ValueError: no example and no ``input_shape`` that is one, or a model that
            ``torch.export`` cannot follow or ONNX has no operators for; no file is written then.
        ModuleNotFoundError: onnx or onnxscript is not installed.

    Example:
        >>> import tempfile
        >>> layers = [nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)) for _ in range(3)]
        >>> for layer in layers[1:]:
        ...     layer[0].weight, layer[0].bias = layers[0][0].weight, layers[0][0].bias
        >>> net = looping.Loop(layers)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = to_onnx(net, f"{folder}/net.onnx", torch.zeros(2, 4))
        ...     file.name, file.stat().st_size > 0
        ('net.onnx', True)
    """
    inputs = _inputs(net, example)
    plain = looping.unrolled(net) if unrolled else copy.deepcopy(net)
    plain = plain.cpu().eval().requires_grad_(False)
    loops = sum(isinstance(module, looping.Loop) for module in plain.modules())
    model = _simplified(_converted(plain, inputs))
    scans = sum(node.op_type == "Scan" for node in model.graph.all_nodes())
    if scans < loops:
        warnings.warn(
            f"{loops - scans} of {loops} loops stand unrolled in {path}, for their body returns "
            "another shape than it takes, which ONNX's Scan cannot carry.",
            stacklevel=2,
        )
    return _saved(model, Path(path))


def _inputs(net: nn.Module, example: Any) -> tuple[Tensor, ...]:
    """Two examples or more: a batch of one would be taken for a constant."""
    if example is None:
        shape = input_shape_of(net)
        if shape is None:
            raise ValueError(
                f"{type(net).__name__} does not say what it takes (it has no input_shape); pass "
                "example=, an input with the batch as its first axis."
            )
        kinds = (p.dtype for p in net.parameters() if p.is_floating_point())
        example = torch.zeros(2, *shape, dtype=next(kinds, None))
    inputs = example if isinstance(example, tuple) else (example,)
    if not inputs or not all(isinstance(x, Tensor) and x.dim() and len(x) for x in inputs):
        raise ValueError(
            "An example is a tensor, or a tuple of tensors, with a batch of one or more as first "
            f"axis; got {example!r}."
        )
    pairs = [torch.cat([x, x]) if len(x) == 1 else x for x in inputs]
    return tuple(x.detach().cpu().clone() for x in pairs)  # inputs may not overlap in memory


def _converted(net: nn.Module, inputs: tuple[Tensor, ...]) -> Any:
    try:
        import onnxscript  # noqa: F401  PyTorch's exporter needs it, and says so at length
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "ONNX files are written with the packages onnx and onnxscript: pip install onnx "
            "onnxscript, and onnxruntime to run them."
        ) from error
    shapes = tuple({0: torch.export.Dim("batch")} for _ in inputs)
    with torch.no_grad():
        try:
            program = torch.export.export(net, inputs, dynamic_shapes=shapes)
        except Exception as error:
            raise ValueError(
                f"torch.export cannot follow {type(net).__name__} for inputs of shape "
                f"{[tuple(x.shape) for x in inputs]} with any batch size; what it says stands "
                "above. Where a loop is the reason, unrolled=True exports without it."
            ) from error
        named = (shapes[0], *(None for _ in inputs[1:]))  # all inputs have one batch axis
        converted = torch.onnx.export(
            program, dynamo=True, optimize=False, verbose=False, dynamic_shapes=named
        )
    return converted.model  # type: ignore[union-attr]


def _simplified(model: Any) -> Any:
    """What the exporter's own optimizer does, but for two things that would undo ties.

    That folds constants of thousands of elements, so that each layer's scaled weight becomes a
    constant, and merges BN into convolutions, so that one weight becomes many.
    """
    from onnx_ir.passes import Sequential, common
    from onnxscript import optimizer

    for number, output in enumerate(model.graph.outputs):
        output.name = "output" if len(model.graph.outputs) == 1 else f"output{number}"
    optimizer.inline(model)
    optimizer.fold_constants_ir(model, input_size_limit=_FOLDED)
    passes = Sequential(
        common.IdentityEliminationPass(),
        common.RemoveUnusedNodesPass(),
        common.RemoveUnusedFunctionsPass(),
        common.RemoveUnusedOpsetsPass(),
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        common.LiftSubgraphInitializersToMainGraphPass(),
        common.DeduplicateInitializersPass(),
        common.CommonSubexpressionEliminationPass(),
        common.RemoveUnusedNodesPass(),
        common.OutputFixPass(),
        common.NameFixPass(),
        common.ClearMetadataAndDocStringPass(),  # traces of the source, with paths of this machine
    )
    return passes(model).model


def _saved(model: Any, path: Path) -> Path:
    import onnx_ir

    size = sum(value.const_value.nbytes for value in model.graph.initializers.values())
    if size < _LARGEST:
        proto = onnx_ir.to_proto(model)
        _check(proto)
        write(path, proto.SerializeToString())
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        onnx_ir.save(model, f"{folder}/{path.name}", external_data=f"{path.name}.data")
        _check(f"{folder}/{path.name}")
        for name in (f"{path.name}.data", path.name):
            os.replace(f"{folder}/{name}", path.with_name(name))
    return path


def _check(model: Any) -> None:
    import onnx

    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ValueError(
            "ONNX's own checker refuses this model, and no file was written; where it lacks a "
            f"type of numbers, export net.float(). It says: {error}"
        ) from error
