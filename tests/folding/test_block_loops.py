"""Which blocks of any model become loops."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.convnext import CNBlock

import softshare as ss
from softshare.folding.folded_model import FoldedModel


def test_plain_models_fold_where_weights_are_parallel(model, linears):
    net, x = model("plain")
    made = ss.fold(net, 0.999, inputs=x)
    (group,) = made.report.groups
    assert group.schedule == (1, 2, 1, 2, 1, 2)
    assert made.report.gap < 1e-5
    assert str(made.report.loops[0]) == "0_to_5 runs 3×(0 1)"
    assert type(made)(*linears(2)) is not None
    untouched = ss.fold(linears(), 0.999, inputs=x)
    assert untouched.report.groups[0].schedule == (1, 2, 3, 4, 5, 6)
    assert untouched.report.parameters_after == untouched.report.parameters_before
    assert untouched.report.gap == 0


def test_parts_that_were_shared_by_themselves_fold(linears):
    torch.manual_seed(0)
    net = nn.Sequential(linears(3), nn.Tanh(), linears(3), nn.Linear(5, 5))
    ss.share(net[0], 1)
    ss.share(net[2], 1)
    x = torch.randn(4, 5)
    made = ss.fold(net, inputs=x)
    assert [g.layers for g in made.report.groups] == [
        ("0.0", "0.1", "0.2"),
        ("2.0", "2.1", "2.2"),
    ]
    assert [loop.path for loop in made.report.loops] == ["0.0_to_2", "2.0_to_2"]
    assert type(made[3]) is nn.Linear
    assert made.report.gap < 1e-6
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in made.modules())


def convnext(drop: Callable[[int], float]) -> nn.Sequential:
    blocks = [CNBlock(4, 0.5, drop(i)) for i in range(4)]
    for block in blocks:
        nn.init.uniform_(block.layer_scale, 0.5, 1.0)
    return nn.Sequential(*blocks)


def test_vectors_with_axes_of_length_one_are_each_iterations_own(tmp_path):
    torch.manual_seed(0)
    net, x = ss.share(convnext(lambda _: 0.0), 1), torch.randn(2, 4, 6, 6)
    made = ss.fold(net, 1, inputs=x)
    assert [loop.path for loop in made.report.loops] == ["0_to_3"]
    assert made[0].body.layer_scale.shape == (4, 4, 1, 1)
    assert made.report.gap < 1e-5
    made.save(tmp_path / "a")
    back = FoldedModel.load(tmp_path / "a", like=net).to(memory_format=torch.channels_last)
    torch.testing.assert_close(back(x), net(x))


def test_blocks_whose_settings_differ_are_tied_and_no_loop():
    net = ss.share(convnext(lambda i: 0.1 * i), 1)
    report = ss.fold(net, 1, inputs=torch.randn(2, 4, 6, 6)).report
    assert not report.loops and [len(g.ties) for g in report.groups] == [1, 1, 1]


def test_activations_between_layers_join_the_loop_and_alone_are_none():
    torch.manual_seed(0)
    layers = [nn.Linear(4, 4) for _ in range(3)]
    net = nn.Sequential(nn.ReLU(), nn.ReLU(), *[m for a in layers for m in (a, nn.Tanh())])
    made = ss.fold(ss.share(net, 1), inputs=torch.randn(2, 4))
    assert list(made._modules) == ["0", "1", "2_to_7"]
    assert made[2].count == 3 and made.report.gap < 1e-6


def test_one_activation_between_all_layers_joins_the_loop(tmp_path):
    torch.manual_seed(0)
    relu = nn.ReLU()
    net = nn.Sequential(*[m for _ in range(3) for m in (nn.Linear(4, 4), relu)], relu, relu)
    made = ss.fold(ss.share(net, 1), inputs=torch.randn(2, 4))
    assert list(made._modules) == ["0_to_5", "6", "7"]
    assert made[0].count == 3 and made.report.gap < 1e-6
    FoldedModel.save(made, tmp_path / "a")
    assert FoldedModel.load(tmp_path / "a", like=net).report == made.report
    again = nn.Linear(4, 4)
    net = nn.Sequential(again, relu, again, relu, nn.Linear(4, 4), relu)
    assert not ss.fold(ss.share(net, 1), inputs=torch.randn(2, 4)).report.loops


def test_blocks_with_weights_of_their_own_are_no_loop():
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.common, self.own = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.own(self.common(x))

    net = nn.Sequential(*[Block() for _ in range(3)])
    ss.share(net, 1, [[f"{i}.common" for i in range(3)]])
    made = ss.fold(net, inputs=torch.randn(2, 4))
    assert list(made._modules) == ["0", "1", "2"]
    assert [runs for _, runs in made.report.repeats(made.report.groups[0])] == [False]
    assert "single layers, tied" in str(made.report)


def test_modules_used_in_two_places_stay_where_they_are(linears):
    net = nn.Module()
    net.body = linears(3)
    net.last = net.body[2]
    net.forward = lambda x: net.last(net.body(x))
    ss.share(net, 1)
    del net.forward
    net.__class__ = type("Twice", (nn.Module,), {"forward": lambda s, x: s.last(s.body(x))})
    made = ss.fold(net, inputs=torch.randn(2, 5))
    assert list(made.body._modules) == ["0_to_1", "2"]
    assert made.last is made.body[1] and made.report.gap < 1e-6


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")
def test_a_part_in_torchscript_is_let_be():
    torch.manual_seed(0)
    scripted = torch.jit.script(nn.BatchNorm1d(5))
    net = ss.share(nn.Sequential(*[nn.Linear(5, 5) for _ in range(3)], scripted), 1)
    before, x = copy.deepcopy(net.state_dict()), torch.randn(4, 5)
    made = ss.fold(net, 1, inputs=x)
    assert made.report.gap < 1e-6
    torch.testing.assert_close(net.state_dict(), before, rtol=0, atol=0)
