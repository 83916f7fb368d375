"""Which weights are one group: found, chosen, in parts, and in which order."""

import copy

import torch
from torch import nn

import softshare as ss
from softshare.sharing import banks


def linears(n=4, size=4):
    return nn.Sequential(*[nn.Linear(size, size) for _ in range(n)])


def test_found_groups_follow_the_model():
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.z = nn.Conv2d(4, 4, 3)
            self.a = nn.Sequential(nn.Conv2d(4, 4, 3), nn.ConvTranspose2d(4, 4, 3))
            self.m = nn.Conv2d(4, 4, 3, stride=2)
            self.up = nn.ConvTranspose2d(4, 4, 3)
            self.one, self.two, self.tied = (nn.Linear(3, 3) for _ in range(3))
            self.tied.weight = self.two.weight
            self.single = nn.Linear(7, 7)
            self.frozen = nn.ModuleList([nn.Linear(3, 3).requires_grad_(False) for _ in range(2)])
            self.wide = nn.ModuleList([nn.Linear(3, 3).double() for _ in range(2)])

    net = Mixed()
    found = {
        "Conv2d 4x4x3x3": ["z", "a.0", "m"],
        "ConvTranspose2d 4x4x3x3": ["a.1", "up"],
        "Linear 3x3 frozen": ["frozen.0", "frozen.1"],
        "Linear 3x3": ["wide.0", "wide.1"],
    }
    assert ss.groups(net) == found
    ss.share(net)
    assert ss.groups(net) == found
    frozen = {n for n, p in net.named_parameters() if not p.requires_grad}
    assert {"frozen.0.weight_bank.templates", "frozen.0.weight_bank.coefficients"} <= frozen
    assert not any(n.startswith(("z", "a", "m", "up", "wide")) for n in frozen)
    assert net.wide[1].weight.dtype == torch.float64


def test_found_groups_of_one_name_all_stand():
    net = nn.Sequential(*[nn.Linear(3, 3, dtype=d) for d in (torch.float32, torch.float64) * 2])
    assert ss.groups(net) == {"Linear 3x3": ["0", "2"], "Linear 3x3 1": ["1", "3"]}


def test_templates_for_each_group():
    net = nn.Sequential(*linears(4, 3), *linears(2, 5))
    assert [b.coefficients.shape for b in banks(ss.share(copy.deepcopy(net), 3)).values()] == [
        (4, 3),
        (2, 2),  # a found group that is smaller than k has one per layer
    ]
    ss.share(net, {"Linear 3x3": 1, "Linear 5x5": 2})
    assert [b.coefficients.shape for b in banks(net).values()] == [(4, 1), (2, 2)]
    names = list(net.state_dict())
    assert [n for n in names if "bank" in n] == [
        "0.weight_bank.templates",
        "0.weight_bank.coefficients",
        "4.weight_bank.templates",
        "4.weight_bank.coefficients",
    ]


def test_what_is_left_can_be_shared_later():
    net = linears(5)
    x = torch.randn(2, 4)
    before = net(x)
    ss.share(net, groups=[["0", "1"]])
    ss.share(net)
    assert sorted(map(tuple, ss.groups(net).values())) == [("0", "1"), ("2", "3", "4")]
    torch.testing.assert_close(net(x), before)
    assert type(ss.unshare(net)[4]) is nn.Linear


def test_groups_keep_the_order_in_which_they_were_given():
    net = linears(6)
    groups = {"z": ["5", "2"], "a": ["3", "4"], "m": ["1", "0"]}
    ss.share(net, groups=groups)
    for model in (net, copy.deepcopy(net)):
        assert list(ss.groups(model).items()) == list(groups.items())
    assert list(ss.groups(torch.optim.swa_utils.AveragedModel(net))) == list(groups)


def test_a_part_of_a_model_can_be_shared(operations):
    net = nn.Sequential(linears(3), nn.ReLU(), linears(3))
    ss.share(net[0], 1)
    ss.share(net[2], 1)
    x = torch.randn(2, 4)
    with operations() as ran:
        net(x)
    assert ran["mm"] == 2
    assert len(ss.groups(net)) == 2
    plain = ss.unshare(net)
    torch.testing.assert_close(plain(x), net(x))
    assert not any(m._forward_hooks for m in plain.modules())
