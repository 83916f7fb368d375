"""What a shared model says of its groups, also once it has been taken apart."""

import copy

import pytest
import torch
from torch import nn

import softshare as ss
from softshare.sharing import banks


def linears(n=4, size=4):
    return nn.Sequential(*[nn.Linear(size, size) for _ in range(n)])


def replaced(net):
    net[0] = nn.Linear(4, 4)
    return net


APART = {
    "first replaced": replaced,
    "first removed": lambda net: net[1:],
    "children elsewhere": lambda net: nn.ModuleList([net[2], nn.ReLU(), net[3]]),
    "copied layer": lambda net: copy.deepcopy(net[2]),
    "pickled apart": lambda net: copy.deepcopy(replaced(net)),
}
ASKED = [
    banks,
    ss.groups,
    ss.lsm,
    ss.recurrence_penalty,
    ss.param_groups,
    ss.count,
    ss.fold,
    ss.Explorer,
]


@pytest.mark.parametrize("ask", ASKED)
@pytest.mark.parametrize("apart", APART.values(), ids=APART)
def test_a_model_without_its_templates_is_refused(apart, ask):
    net = apart(ss.share(linears(), 2))
    sentence = r"mixed from the templates of group 'Linear 4x4', which this model lacks\. .* '0'"
    with pytest.raises(ValueError, match=sentence):
        ask(net)


@pytest.mark.parametrize("used", [True, False])
@pytest.mark.parametrize("grad", [True, False])
def test_it_is_not_run_either(used, grad):
    net, x = ss.share(linears(), 2).eval(), torch.randn(2, 4)
    with torch.set_grad_enabled(grad):
        if used:
            net(x)
        replaced(net)
        for model in (net, copy.deepcopy(net)):
            with pytest.raises(ValueError, match=r"1, 2, 3: mixed from .* unshare\(\)"):
                model(x)
        del net[1:]
        net(x)  # nothing that is mixed is left


@pytest.mark.parametrize("apart", APART.values(), ids=APART)
def test_unshare_gives_its_layers_the_weights_that_they_have(apart):
    net = apart(ss.share(linears(), 2))
    plain = ss.unshare(net)
    layers = [m for m in net.modules() if isinstance(m, nn.Linear)]
    twins = [m for m in plain.modules() if isinstance(m, nn.Linear)]
    assert len(layers) == len(twins) >= 1
    for layer, twin in zip(layers, twins, strict=True):
        assert type(twin) is nn.Linear
        torch.testing.assert_close(twin.weight, layer.weight)
    assert len(list(plain.parameters())) == 2 * len(twins)
    assert not any(m._forward_pre_hooks for m in plain.modules())


def test_layers_can_be_wrapped_and_later_ones_removed():
    net, x = ss.share(linears(), 2), torch.randn(2, 4)
    before = net(x)
    net[0] = nn.Sequential(net[0])  # the bank stands elsewhere now
    net[2] = nn.Sequential(net[2])
    for _ in range(2):
        torch.testing.assert_close(net(x), before)
    assert net[0][0].weight_bank in set(banks(net).values())
    del net[3]
    net(x).sum().backward()
    assert net[0][0].weight_bank.templates.grad.any()


def test_a_part_that_has_the_first_layer_is_whole():
    net = ss.share(nn.Sequential(linears(2), linears(2)), 2)
    assert list(banks(net[0])) == ["Linear 4x4"]
    with pytest.raises(ValueError, match="0, 1: mixed from"):
        banks(net[1])


def test_a_later_part_is_trained_as_unshare_gives_it():
    net = ss.share(nn.Sequential(linears(2), linears(2)), 2)
    names = {}
    for source in (net, ss.unshare(net)):
        part = nn.Sequential(copy.deepcopy(source[1]), nn.Linear(4, 2))
        part(torch.randn(2, 4)).sum().backward()
        names[source is net] = [n for n, p in part.named_parameters() if p.grad is not None]
    assert "0.0.weight" in names[False] and "0.0.weight" not in names[True]
    with pytest.raises(ValueError, match=r"0\.0, 0\.1: mixed from the templates of group"):
        ss.param_groups(nn.Sequential(copy.deepcopy(net[1]), nn.Linear(4, 2)))


class Halves(nn.Module):
    """Two stacks, and a table in each."""

    def __init__(self):
        super().__init__()
        self.enc, self.dec = linears(3), linears(3, 5)
        for half in (self.enc, self.dec):
            half.append(nn.Bilinear(2, 2, 2))
            half.append(nn.Bilinear(2, 2, 2))


def test_names_are_those_of_the_model_that_is_asked():
    net = Halves()
    ss.share(net.enc)
    ss.share(net.enc, groups={"b": ["4.weight", "3"]})
    ss.share(net.dec)
    assert ss.groups(net.enc) == {"Linear 4x4": ["0", "1", "2"], "b": ["4", "3"]}
    found = {
        "Linear 4x4": ["enc.0", "enc.1", "enc.2"],
        "b": ["enc.4", "enc.3"],
        "Linear 5x5": ["dec.0", "dec.1", "dec.2"],
    }
    assert ss.groups(net) == found
    layers = ss.Explorer(net).page.network.moments[0].states[0].foldings
    assert {group: list(folding.layers) for group, folding in layers.items()} == found
    plain = ss.unshare(net)
    ss.share(plain, groups=found)  # the names can be given back
    assert ss.groups(plain) == found
    around = nn.ModuleDict({"net": net})
    assert ss.groups(around)["b"] == ["net.enc.4", "net.enc.3"]
    assert list(ss.lsm(net)) == list(found)
    ss.fold(net)


def test_a_group_keeps_its_label_when_more_is_shared_around_it():
    net = nn.ModuleDict({"e": ss.share(linears(3), 1), "h": linears(2)})
    before = ss.lsm(net)
    ss.share(net)
    assert ss.groups(net) == {
        "Linear 4x4": ["e.0", "e.1", "e.2"],
        "Linear 4x4 h.0": ["h.0", "h.1"],
    }
    assert torch.equal(ss.lsm(net)["Linear 4x4"], before["Linear 4x4"])


def test_lists_without_labels_are_counted_on():
    net = ss.share(ss.share(linears(), groups=[["0", "1"]]), {"group 1": 1}, groups=[["2", "3"]])
    assert ss.groups(net) == {"group 1": ["0", "1"], "group 1 2": ["2", "3"]}


def later_replaced(net):
    net[1][1] = nn.Linear(4, 4)
    return net


def later_removed(net):
    del net[1][0]  # and the next takes its name
    return net


@pytest.mark.parametrize("ask", [ss.groups, ss.fold, ss.Explorer])
@pytest.mark.parametrize(
    ("change", "gone"),
    [
        (later_replaced, "1.1"),
        (later_removed, "1.0"),
        (lambda net: net[:1], "1.0, 1.1"),
        (lambda net: net[0], "1.0, 1.1"),  # which has a layer of its own called "1"
    ],
)
def test_a_group_that_has_lost_layers_is_refused(change, gone, ask):
    net = change(ss.share(nn.Sequential(linears(2), linears(2)), 2))
    with pytest.raises(ValueError, match=rf"does not hold, shared as {gone}: .* unshare\(\)"):
        ask(net)
    plain = ss.unshare(net)
    assert ss.fold(plain, 1, inputs=torch.randn(2, 4)).report.gap < 1e-6


def test_a_group_is_frozen_by_its_bank():
    net, x = ss.share(nn.Sequential(*linears(3), nn.Linear(4, 2)), 2), torch.randn(2, 4)
    (bank,) = banks(net).values()
    bank.requires_grad_(False)
    net(x).sum().backward()
    got = {name for name, p in net.named_parameters() if p.grad is not None}
    assert got == {"0.bias", "1.bias", "2.bias", "3.weight", "3.bias"}
    bank.requires_grad_(True)
    net[0].requires_grad_(False)  # which has the bank
    assert not net[2].weight.requires_grad
