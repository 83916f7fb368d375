"""Models to fold, in which layers of each group are alike by twos: 1 2 1 2 ..."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import softshare as ss
from softshare.folding.folded_model import FoldedModel
from softshare.sharing import banks


def _linears(layers: int = 6) -> nn.Sequential:
    return nn.Sequential(*[nn.Linear(5, 5) for _ in range(layers)])


def _attention() -> nn.Module:
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    net = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
    parts = ("self_attn.in_proj_weight", "self_attn.out_proj", "linear1", "linear2")
    return ss.share(net, groups={part: [f"layers.{i}.{part}" for i in range(3)] for part in parts})


_BUILDERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "wrn": (lambda: ss.build("swrn-28-1"), (2, 3, 32, 32)),
    "mixed": (lambda: ss.build("swrn-28-1-2"), (2, 3, 32, 32)),
    "path": (lambda: ss.share(ss.models.PathNetwork(8, 6)), (2, 2, 9, 9)),
    "linear": (lambda: ss.share(_linears()), (3, 5)),
    "attention": (_attention, (2, 5, 8)),
    "plain": (_linears, (3, 5)),
}


def _alike(name: str) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    build, shape = _BUILDERS[name]
    net = build()
    with torch.no_grad():
        for bank in banks(net).values():
            for i in range(2, len(bank.layers)):
                bank.coefficients[i] = bank.coefficients[i - 2] * (-0.5 - 0.1 * i)
            if name == "mixed":  # three ties, two templates
                bank.coefficients[5] = torch.tensor([0.3, 0.4])
        if name == "plain":
            for i in range(2, 6):
                net[i].weight.copy_(-1.5 * net[i - 2].weight)
    return net, torch.randn(shape)


def _folded(name: str, loops: bool = True) -> tuple[FoldedModel, Tensor]:
    net, x = _alike(name)
    made = ss.fold(net, 0.999, loops=loops)
    assert any(len(tie) > 1 for group in made.report.groups for tie in group.ties)
    return made, x


def _shared_places(net: nn.Module) -> list[list[str]]:
    found: dict[int, list[str]] = {}
    for name, parameter in net.named_parameters(remove_duplicate=False):
        found.setdefault(id(parameter), []).append(name)
    return [names for names in found.values() if len(names) > 1]


@pytest.fixture(params=_BUILDERS)
def name(request: pytest.FixtureRequest) -> str:
    """Of each model here; a test that is about some of them names those by parametrize."""
    return request.param


@pytest.fixture
def build() -> Callable[[str], nn.Module]:
    """A model as it starts: ``build("wrn")``."""
    return lambda name: _BUILDERS[name][0]()


@pytest.fixture
def model() -> Callable[[str], tuple[nn.Module, Tensor]]:
    """A model whose layers are alike by twos, and an input: ``net, x = model("wrn")``."""
    return _alike


@pytest.fixture
def folded() -> Callable[..., tuple[FoldedModel, Tensor]]:
    """The same, folded: ``made, x = folded("wrn", loops=True)``."""
    return _folded


@pytest.fixture
def linears() -> Callable[..., nn.Sequential]:
    """Linear layers in a row, six unless told: ``linears(3)``."""
    return _linears


@pytest.fixture
def shared_places() -> Callable[[nn.Module], list[list[str]]]:
    """Names of parameters that are one object."""
    return _shared_places
