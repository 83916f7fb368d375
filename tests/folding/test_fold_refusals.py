"""What cannot be folded says why."""

from __future__ import annotations

import pytest
from torch import nn

import softshare as ss
from softshare.folding.folded_model import FoldedModel


@pytest.mark.parametrize("name", ["report", "save", "load", "to_onnx", "to_bytes", "metadata"])
def test_names_of_a_models_own_are_not_replaced(linears, name, tmp_path):
    def own(self: nn.Module) -> int:
        return 7

    by_class = linears(3)
    by_class.__class__ = type("Kept", (nn.Sequential,), {name: own})
    by_value = linears(3)
    setattr(by_value, name, {"made": "today"})
    path = tmp_path / "a"
    ss.fold(ss.share(linears(3), 1)).save(path)
    for net in (by_class, by_value):
        for refused in (lambda net=net: ss.fold(net), lambda net=net: FoldedModel.load(path, net)):
            with pytest.raises(ValueError, match=rf"uses {name} for something else; rename that"):
                refused()


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"threshold": 1.5}, "from 0 to 1; got 1.5"),
        ({"threshold": "high"}, "a number from 0 to 1; got 'high'"),
        ({"inputs": "noise"}, "inputs is a tensor, a tuple .* got str 'noise'"),
    ],
)
def test_what_makes_no_sense_is_refused(model, asked, sentence):
    net, _ = model("linear")
    with pytest.raises(ValueError, match=sentence):
        ss.fold(net, **asked)


def test_models_that_cannot_be_folded_are_refused(folded):
    with pytest.raises(ValueError, match="Folding needs two or more weights of equal shape"):
        ss.fold(nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2)))
    made, _ = folded("linear")
    for net in (made, nn.Sequential(made)):
        with pytest.raises(ValueError, match="folded already"):
            ss.fold(net)
    with pytest.raises(ValueError, match="needs shared layers"):
        ss.lsm(made)
    with pytest.raises(ValueError, match="needs a model with shared layers"):
        ss.unshare(made)
