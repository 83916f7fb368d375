"""Every trained parameter in one group, and no weight decay on the coefficients."""

import copy

import pytest
import torch
from torch import nn

import softshare as ss
from softshare.sharing.bank import TemplateBank

MODELS = {
    "plain": lambda: nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 4)),
    "shared": lambda: ss.share(nn.Sequential(*[nn.Linear(4, 4) for _ in range(3)]), 2),
    "one bank": lambda: TemplateBank(torch.randn(2, 3), torch.randn(4, 2), "abcd"),
    "swrn": lambda: ss.build("swrn-16-1-1"),
    "scnn": lambda: ss.build("scnn"),
}


def coefficients(net):
    return {id(m.coefficients) for m in net.modules() if isinstance(m, TemplateBank)}


@pytest.mark.parametrize("build", MODELS.values(), ids=MODELS)
def test_each_parameter_once_and_coefficients_apart(build):
    net = build()
    decayed, free = ss.param_groups(net, weight_decay=0.1)
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.1, 0.0)
    assert {id(p) for p in free["params"]} == coefficients(net)
    together = [id(p) for p in decayed["params"] + free["params"]]
    assert len(together) == len(set(together))
    assert set(together) == {id(p) for p in net.parameters()}
    torch.optim.SGD([decayed, free], lr=0.1)  # also with nothing in the second


def test_tied_parameters_once_and_frozen_ones_not():
    net = ss.share(nn.Sequential(*[nn.Linear(4, 4) for _ in range(4)]), groups=[["0", "1"]])
    net[3].weight = net[2].weight
    net[2].bias.requires_grad_(False)
    together = [p for group in ss.param_groups(net) for p in group["params"]]
    assert sum(p is net[2].weight for p in together) == 1
    assert not any(p is net[2].bias for p in together)
    assert len(together) == len(list(net.parameters())) - 1
    bank = next(m for m in net.modules() if isinstance(m, TemplateBank))
    bank.coefficients.requires_grad_(False)
    assert ss.param_groups(net)[1]["params"] == []


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.AdamW, torch.optim.Adam])
def test_decay_alone_leaves_the_coefficients_where_they_are(optimizer):
    net = MODELS["shared"]()
    before = copy.deepcopy(net.state_dict())
    groups = ss.param_groups(net, weight_decay=0.5)
    steps = optimizer(groups, lr=0.1)
    for _ in range(5):
        for p in net.parameters():
            p.grad = torch.zeros_like(p)
        steps.step()
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name]) == name.endswith("coefficients")
        if optimizer is torch.optim.SGD and not name.endswith("coefficients"):
            torch.testing.assert_close(value, before[name] * (1 - 0.1 * 0.5) ** 5)


def test_found_inside_other_wrappers():
    net = MODELS["shared"]()
    wrapped = torch.optim.swa_utils.AveragedModel(net)
    assert [len(g["params"]) for g in ss.param_groups(wrapped)] == [
        len(g["params"]) for g in ss.param_groups(net)
    ]
    compiled = torch.compile(net, backend="eager")
    assert {id(p) for p in ss.param_groups(compiled)[1]["params"]} == coefficients(net)


@pytest.mark.parametrize("wrong", [-1e-9, -1, float("nan")])
def test_negative_decay_is_refused(wrong):
    with pytest.raises(ValueError, match="Weight decay is 0 or more; got "):
        ss.param_groups(nn.Linear(2, 2), wrong)
