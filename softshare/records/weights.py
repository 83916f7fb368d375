"""The weights of small networks, kept beside their records in half precision."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from softshare import storage
from softshare.folding.folded_model import FoldedModel
from softshare.model_file import once
from softshare.models import build
from softshare.paths import runs_root
from softshare.records import Run

LIMIT = 4_000_000
"""Networks of fewer parameters keep their weights."""

_ROUNDING = 1e-3  # of half precision: 2**-11 where nothing over- or underflows


def companions(record: Path | str) -> tuple[Path, ...]:
    """The files that belong to a record and travel with it; of those, the ones that are there.

    Example:
        >>> companions("no/such/folder/seed0-1f4459d4e1.json")
        ()
    """
    place = Path(record).with_suffix(".safetensors")
    return (place,) if place.is_file() else ()


def small(net: nn.Module) -> bool:
    """Whether a network is one of those that keep their weights."""
    return sum(p.numel() for p in net.parameters()) < LIMIT


def keep(
    run: Run,
    net: nn.Module | Mapping[str, Tensor],
    root: Path | str | None = None,
    score: Callable[[nn.Module], float] | None = None,
) -> Run:
    """Writes the weights of a run's network beside its record, if the network is small.

    The record itself is not written: ``keep(run, net).save()`` does both, in the order in which a
    crash between them leaves an old record and no wrong one. Kernels of convolutions are rounded
    to half precision; what is left is small and stays as it is (coefficients, which decide what
    folds, scales, biases, the classifier, batch normalisation), and so does a kernel whose range
    half precision does not have.

    Args:
        run: the record of the network.
        net: the trained network, or its ``state_dict()``.
        root: folder of records. Default ``data/runs`` of the checkout.
        score: measures a network; of the rounded one, the result is kept too.

    Returns:
        The run with its ``weights``; for `LIMIT` parameters or more, and with a warning where
        safetensors is not installed, the run as it was.

    Raises:
        ValueError: a ``state_dict()`` of another network.
        OSError: the place is full or not writable.

    Example:
        >>> import tempfile
        >>> from softshare.recipe import Recipe
        >>> run, net = Run(Recipe("swrn-16-1-1")), build("swrn-16-1-1")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = keep(run, net, folder).save(folder)
        ...     back = Run.load(path).network(folder)
        >>> torch.equal(back.conv.weight, net.conv.weight.half().float())
        True
    """
    if isinstance(net, Mapping):
        net = _filled(run, net, "the given state_dict")
    if not small(net):
        return run
    try:
        from safetensors.torch import save
    except ModuleNotFoundError:
        warnings.warn(
            f"The weights of {run.path} are not kept, as safetensors is not installed; "
            "pip install safetensors.",
            stacklevel=2,
        )
        return run
    about = net.metadata() if isinstance(net, FoldedModel) else {"record": run.path}
    content = save(_rounded(net), about)
    path = _place(run, root)
    storage.sweep(path)
    storage.write(path, content)
    facts: dict[str, Any] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    kept = replace(run, weights=facts)
    if score is not None:
        facts[run.metric] = score(network(kept, root))
    return kept


def network(run: Run, root: Path | str | None = None) -> nn.Module:
    """The network of a run as its kept weights have it: on the CPU, float32, for evaluation.

    Args:
        run: a record with ``weights``.
        root: folder of records. Default ``data/runs`` of the checkout.

    Raises:
        ValueError: the run kept no weights.
        FileNotFoundError: they are not beside the record.
        Damaged: they are not those that were written.
    """
    if not run.weights:
        parameters = run.model.get("parameters", 0)
        why = (
            f"only networks of fewer than {LIMIT} parameters keep them, and this has {parameters}"
            if parameters >= LIMIT
            else "it is older than this habit, or safetensors was not installed; train it again"
        )
        raise ValueError(f"The run {run.path} has a record but no weights: {why}.")
    path = _place(run, root)
    again = "Fetch the file that came with the record, or remove the record and train again."
    if not path.is_file():
        raise FileNotFoundError(f"There are no weights {path} beside the record. {again}")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != run.weights["sha256"]:
        raise storage.Damaged(
            f"The weights {path} are damaged, or of another run: their checksum is not the "
            f"record's. {again}"
        )
    tensors = _tensors(content)
    if run.recipe.tune:
        return FoldedModel.load(path, like=_blank(run, tensors)).eval()
    return _filled(run, tensors, str(path))


def _place(run: Run, root: Path | str | None) -> Path:
    return (Path(root or runs_root()) / run.path).with_suffix(".safetensors")


def _tensors(content: bytes) -> dict[str, Tensor]:
    try:
        from safetensors.torch import load
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "Kept weights are read with safetensors, which is not installed; "
            "pip install safetensors."
        ) from error
    return load(content)


def _rounded(net: nn.Module) -> dict[str, Tensor]:
    """The network's tensors for the file: on the CPU, kernels in half precision."""
    found = {}
    for name, tensor in once(net).items():
        value = tensor.detach().cpu().contiguous().clone()
        if value.dim() > 3 and value.is_floating_point():
            half = value.half()
            if (half.to(value.dtype) - value).norm() <= _ROUNDING * value.norm():
                value = half
        found[name] = value
    return found


def _filled(run: Run, tensors: Mapping[str, Tensor], source: str) -> nn.Module:
    """A network of the run's name with these tensors."""
    net = _blank(run, tensors)
    try:
        net.load_state_dict({name: tensor.detach() for name, tensor in tensors.items()})
    except RuntimeError as error:
        raise ValueError(
            f"The tensors of {source} are not those of {run.recipe.model}: {error}"
        ) from error
    return net.eval()


def _blank(run: Run, tensors: Mapping[str, Tensor]) -> nn.Module:
    """A network of the run's name, for as many classes and channels as the tensors have."""
    settings: dict[str, int] = {}
    if "fc.bias" in tensors:
        settings["num_classes"] = len(tensors["fc.bias"])
    if "conv.weight" in tensors:
        settings["in_channels"] = tensors["conv.weight"].shape[1]
    recipe = run.recipe
    with torch.random.fork_rng([]):
        return build(recipe.model, dropout=recipe.dropout, init=recipe.init, **settings)
