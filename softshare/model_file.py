"""A model's tensors as a safetensors file, each once; nothing in it can be executed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from softshare import storage
from softshare.wording import listed

# In the order of safetensors, which puts tensors of a later type first in a file.
_DTYPES = {
    torch.bool: "BOOL",
    torch.uint8: "U8",
    torch.int8: "I8",
    torch.int16: "I16",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int32: "I32",
    torch.float32: "F32",
    torch.complex64: "C64",
    torch.float64: "F64",
    torch.int64: "I64",
}


def serialised(net: nn.Module, metadata: dict[str, str] | None = None) -> bytes:
    """The tensors of a model as a safetensors file, each once.

    Raises:
        ValueError: its state holds something else than parameters and buffers.
    """
    from safetensors.torch import save

    _check_kept(net)
    tensors: dict[str, Tensor] = {}
    held: set[int] = set()
    for name, tensor in once(net).items():
        value = tensor.detach().cpu().contiguous()
        place = value.untyped_storage().data_ptr()
        tensors[name] = value.clone() if place in held else value  # views of one storage, as two
        held.add(place)
    return save(tensors, metadata)


def serialised_size(net: nn.Module, metadata: dict[str, str] | None = None) -> int:
    """The length of what `serialised` returns, in bytes, from names, types and shapes alone."""
    tensors = once(net)
    if {tensor.dtype for tensor in tensors.values()} - _DTYPES.keys():
        return len(serialised(net, metadata))
    order = list(_DTYPES)
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    end = 0
    for name in sorted(tensors, key=lambda name: (-order.index(tensors[name].dtype), name)):
        start, end = end, end + tensors[name].nbytes
        shape = list(tensors[name].shape)
        dtype = _DTYPES[tensors[name].dtype]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    return 8 + -(-len(text) // 8) * 8 + end  # the header's length, the header padded to 8, the data


def read(path: Path, kind: str) -> tuple[dict[str, Tensor], str]:
    """Tensors and report of a file.

    Raises:
        FileNotFoundError: there is none.
        Damaged: it is not what was written.
        ValueError: it is of another kind.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise FileNotFoundError(f"There is no folded model at {path}.")
    try:
        with safe_open(path, framework="pt") as file:
            facts = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise storage.Damaged(f"{path} is damaged, or no safetensors file: {error}.") from error
    if kind not in facts:
        raise ValueError(
            f"{path} holds no folded model: it has no entry {kind!r}, as files that "
            "FoldedModel.save() writes have."
        )
    return tensors, facts[kind]


def fill(net: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Copies what `read` found into a model of the same parts.

    Raises:
        ValueError: its tensors have other names or shapes.
    """
    expected = once(net)
    if expected.keys() != tensors.keys():
        missing, more = expected.keys() - tensors.keys(), tensors.keys() - expected.keys()
        raise ValueError(f"the file lacks {sorted(missing)} and has besides {sorted(more)}")
    with torch.no_grad():
        for name, tensor in expected.items():
            if tensor.shape != tensors[name].shape:
                raise ValueError(
                    f"{name} has shape {tuple(tensors[name].shape)} instead of "
                    f"{tuple(tensor.shape)}"
                )
            tensor.copy_(tensors[name])


def _check_kept(net: nn.Module) -> None:
    """Refuses what `fill` could not put back, such as what ``get_extra_state`` gives."""
    held = {id(tensor) for tensor in (*net.parameters(), *net.buffers())}
    state = net.state_dict(keep_vars=True)
    if lost := [name for name, value in state.items() if id(value) not in held]:
        raise ValueError(
            f"The file holds parameters and buffers, and of {type(net).__name__} these are "
            f"neither: {listed(lost)}. Hold them as buffers, with register_buffer()."
        )


def once(net: nn.Module) -> dict[str, Tensor]:
    """The tensors of a model's state under the first of their names."""
    first: dict[int, tuple[str, Tensor]] = {}
    for name, value in net.state_dict(keep_vars=True).items():
        if isinstance(value, Tensor):
            first.setdefault(id(value), (name, value))
    return dict(first.values())
