"""What sharing refuses, with which sentence, and that a refusal changes nothing."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

import softshare as ss


def linears(n=4, size=4, dtype=None):
    return nn.Sequential(*[nn.Linear(size, size, dtype=dtype) for _ in range(n)])


def snapshot(net):
    return {
        "classes": [(path, type(m), sorted(m.__dict__)) for path, m in net.named_modules()],
        "hooks": [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in net.modules()],
        "parameters": [(name, id(p), p._version) for name, p in net.named_parameters()],
    }


def tied():
    net = linears()
    net[3].weight = net[1].weight
    return net


def frozen():
    net = linears()
    net[2].requires_grad_(False)
    return net


def spread():
    net = linears()
    net[2].double()
    net[3].to("meta")
    return net


@pytest.fixture
def one_process(tmp_path):
    """What DistributedDataParallel asks for."""
    torch.distributed.init_process_group("gloo", f"file://{tmp_path}/s", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def half_shared():
    return ss.share(linears(), groups=[["0", "1"]])


class Gated(nn.Sequential):
    """A sequence with a weight of its own."""

    def __init__(self):
        super().__init__(nn.Linear(4, 4))
        self.mix = nn.Parameter(torch.randn(4, 4))


def normed():
    return nn.Sequential(*[weight_norm(nn.Linear(4, 4)) for _ in range(2)])


def tables(kind, **options):
    return lambda: nn.ModuleList([kind(5, 4, **options) for _ in range(2)])


def whole():
    return nn.Parameter(torch.ones(4, 4, dtype=torch.int32), requires_grad=False)


def lazy():
    return nn.Sequential(nn.LazyLinear(4), nn.LazyLinear(4))


FOLDED = "This model is folded already; take the one that it was made from"
CONV = nn.Conv2d(3, 3, 3)
REFUSED = {
    "nothing equal": (lambda: nn.Sequential(nn.Linear(2, 3)), {}, "two or more weights of equal"),
    "all shared": (lambda: ss.share(linears()), {}, "this model has none that are free"),
    "no groups": (linears, {"groups": []}, r"weights of equal shape; groups is \[\]"),
    "one alone": (linears, {"groups": [["0"]]}, "two layers or more; group 'group 1' has 1"),
    "twice": (linears, {"groups": {"a": ["0", "0"]}}, "joins one group, once; '0' stands twice"),
    "in two": (linears, {"groups": [["0", "1"], ["1", "2"]]}, "'1' stands twice"),
    "two names": (linears, {"groups": [["0", "0.weight"]]}, "'0.weight' stands twice"),
    "tied": (tied, {"groups": [["0", "1"]]}, "'1' is tied to another parameter"),
    "shapes": (
        lambda: nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2)),
        {"groups": {"g": ["0", "1"]}},
        r"agree in shape \(Section 3\); in group 'g', '0' has \(3, 2\) and '1' has \(2, 3\)",
    ),
    "dtypes": (spread, {"groups": [["0", "2"]]}, "dtype.*torch.float32 and '2' has torch.float64"),
    "devices": (spread, {"groups": [["0", "3"]]}, "agree in device.*cpu and '3' has meta"),
    "unlike": (
        lambda: nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4, dtype=torch.float64)),
        {},
        r"none that are free.* 0, 1 are of one shape, but differ in dtype\.$",
    ),
    "one frozen": (
        lambda: nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4).requires_grad_(False)),
        {},
        r"none that are free.* 0, 1 are of one shape, but differ in requires_grad\.$",
    ),
    "half frozen": (frozen, {"groups": [["0", "2"]]}, "agree in requires_grad.*True.*False"),
    "shared": (half_shared, {"groups": [["1", "2"]]}, r"'1' is shared already; unshare\(\)"),
    "shared weight": (half_shared, {"groups": [["0.weight", "2"]]}, "'0.weight' is shared already"),
    "unknown": (linears, {"groups": [["0", "x"]]}, "called 'x' in this model; it has 0, 1, 2, 3"),
    "no weight": (
        lambda: nn.Sequential(nn.ReLU(), nn.Linear(2, 2)),
        {"groups": [["0", "1"]]},
        "'0' is a ReLU, which has no parameters",
    ),
    "no parameters": (nn.ReLU, {"groups": [["0", "1"]]}, "called '0' in this model; it has none"),
    "attention": (
        lambda: nn.ModuleList([nn.MultiheadAttention(4, 2) for _ in range(2)]),
        {"groups": [["0", "1"]]},
        r"'0' is a MultiheadAttention without a parameter called weight; .*: 0\.in_proj_weight, ",
    ),
    "a stage": (
        lambda: nn.Sequential(linears(5), linears(5)),
        {"groups": [["0", "1"]]},
        r"'0' is a Sequential without .*: 0\.0\.weight, .*, \.\.\.",
    ),
    "parametrised": (
        normed,
        {},
        "none that are free.* The weights of 0, 1 are computed, by a parametrization or a hook",
    ),
    "parametrised by name": (
        normed,
        {"groups": [["0", "1"]]},
        r"without a parameter called weight; .*0\.parametrizations\.weight\.original1",
    ),
    "lazy": (lazy, {}, "none that are free.* 0, 1 have no shape yet: run an example"),
    "lazy by name": (
        lazy,
        {"groups": [["0", "1"]]},
        "'0' belongs to a LazyLinear, which has no shape yet; run an example through it",
    ),
    "in a container": (
        lambda: nn.ModuleList([Gated(), Gated()]),
        {"groups": [["0.mix", "1.mix"]]},
        r"'0\.mix' belongs to the container Gated, .* in a module of its own",
    ),
    "renormalised": (
        tables(nn.Embedding, max_norm=1.0),
        {"groups": [["0", "1"]]},
        "'0' belongs to an Embedding with max_norm, which writes into its weight",
    ),
    "sparse gradient": (
        tables(nn.EmbeddingBag, sparse=True),
        {"groups": [["0", "1"]]},
        "'0' belongs to an EmbeddingBag with sparse=True.* build it with sparse=False",
    ),
    "complex": (
        lambda: linears(dtype=torch.complex64),
        {},
        r"none that are free.* The weights of 0, 1, 2, 3 are no real numbers",
    ),
    "complex by name": (
        lambda: linears(dtype=torch.complex64),
        {"groups": [["0", "1"]]},
        r"'0' is of torch\.complex64; .* real",
    ),
    "whole numbers": (
        lambda: nn.ParameterList([whole(), whole()]),
        {"groups": [["0", "1"]]},
        r"'0' is of torch\.int32; .* real",
    ),
    "a scalar": (
        lambda: nn.ParameterList([torch.ones(()), torch.ones(())]),
        {"groups": [["0", "1"]]},
        "'0' is a single number",
    ),
    "folded": (lambda: ss.fold(linears()), {}, FOLDED),
    "folded in part": (lambda: nn.Sequential(ss.fold(linears()), linears()), {}, FOLDED),
    "many": (lambda: linears(9), {"groups": [["a", "b"]]}, r"0, 1, 2, 3, 4, 5, 6, 7, \.\.\."),
    "a name": (linears, {"groups": "0"}, "list of lists of names, .* got '0'"),
    "names": (linears, {"groups": ["0", "1"]}, r"got \['0', '1'\]"),
    "a dict of names": (linears, {"groups": {"a": "01"}}, "list of lists of names, or a dict"),
    "modules": (linears, {"groups": [[CONV, CONV]]}, "list of lists of names, or a dict"),
    "a number": (linears, {"groups": 2}, "got 2"),
    "recurrent": (
        lambda: nn.LSTM(3, 3, 2),
        {"groups": [["weight_hh_l0", "weight_hh_l1"]]},
        "'weight_hh_l0' belongs to an LSTM, which keeps copies",
    ),
    "k = 0": (linears, {"templates": 0}, "A group of 4 layers takes 1 to 4 templates; got 0"),
    "k < 0": (linears, {"templates": -1}, "takes 1 to 4 templates; got -1"),
    "k = 2.0": (linears, {"templates": 2.0}, "takes 1 to 4 templates; got 2.0"),
    "k = '2'": (linears, {"templates": "2"}, "takes 1 to 4 templates; got '2'"),
    "k = True": (linears, {"templates": True}, "takes 1 to 4 templates; got True"),
    "k > L": (
        linears,
        {"templates": 5},
        r"No group has as many as 5 layers: \{'Linear 4x4': 4\}. Pass templates=None",
    ),
    "k > named L": (linears, {"templates": 3, "groups": [["0", "1"]]}, "takes 1 to 2 templates"),
    "k of no group": (linears, {"templates": {"x": 1}}, r"name each group once: \['Linear 4x4'\]"),
    "k too few": (
        linears,
        {"templates": {"a": 1}, "groups": {"a": ["0", "1"], "b": ["2", "3"]}},
        r"each group once: \['a', 'b'\]; got \['a'\]",
    ),
    "k later wrong": (
        linears,
        {"templates": {"a": 1, "b": 3}, "groups": {"a": ["0", "1"], "b": ["2", "3"]}},
        "A group of 2 layers takes 1 to 2 templates; got 3",
    ),
    "init": (linears, {"init": "zeros"}, "start as one of orthogonal, identity, .*; got 'zeros'"),
    "identity": (linears, {"templates": 2, "init": "identity"}, "as many templates as layers, 4"),
}


@pytest.mark.parametrize(("build", "arguments", "sentence"), REFUSED.values(), ids=REFUSED)
def test_refused_with_a_sentence_and_nothing_changed(build, arguments, sentence):
    net = build()
    before, values = snapshot(net), copy.deepcopy(net.state_dict())
    with pytest.raises(ValueError, match=sentence):
        ss.share(net, **arguments)
    assert snapshot(net) == before
    assert list(values) == list(net.state_dict())


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ([linears()], r"A model is a torch\.nn\.Module; got list \[Sequential"),
        (nn.Linear, r"is a torch\.nn\.Module; got type <class"),
        (None, "got NoneType None"),
    ],
)
def test_what_is_no_model_is_refused(given, sentence, tmp_path):
    with pytest.raises(ValueError, match=sentence):
        ss.share(given)
    ss.fold(linears()).save(tmp_path / "a")
    with pytest.raises(ValueError, match=sentence):
        ss.FoldedModel.load(tmp_path / "a", like=lambda: given)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")
def test_a_scripted_model_is_refused():
    with pytest.raises(ValueError, match=r"Sequential is in TorchScript.* it was made from"):
        ss.share(torch.jit.script(linears()))


def test_a_folded_model_is_not_loaded_like_another(tmp_path):
    folded = ss.fold(linears())
    folded.save(tmp_path / "a")
    with pytest.raises(ValueError, match=FOLDED):
        ss.FoldedModel.load(tmp_path / "a", like=folded)


@pytest.mark.parametrize("around", [lambda ddp: ddp, nn.Sequential, torch.compile])
def test_a_model_is_shared_before_it_is_wrapped(one_process, around):
    net = around(nn.parallel.DistributedDataParallel(linears(), find_unused_parameters=True))
    before = snapshot(net)
    with pytest.raises(ValueError, match=r"DistributedDataParallel .* share\(\) before wrapping"):
        ss.share(net, 2)
    assert snapshot(net) == before


@pytest.mark.parametrize("templates", [1, None])
@pytest.mark.parametrize("ask", [ss.groups, ss.lsm, ss.recurrence_penalty, ss.Explorer, ss.unshare])
def test_a_folded_model_has_no_groups(ask, templates):
    folded = ss.fold(ss.share(linears(), templates), threshold=1)  # all layers tied, or none
    with pytest.raises(ValueError, match=FOLDED):
        ask(folded)


def test_lazy_and_parametrised_layers_stay_out_of_the_found_groups():
    net = nn.Sequential(*linears(2), weight_norm(nn.Linear(4, 4)), nn.LazyLinear(4))
    assert ss.groups(net) == {"Linear 4x4": ["0", "1"]}
    assert ss.share(net, 1)(torch.ones(2, 4)).shape == (2, 4)


def test_complex_layers_stay_out_of_the_found_groups():
    net = nn.Sequential(*linears(2), *linears(2, dtype=torch.complex64))
    assert ss.groups(net) == {"Linear 4x4": ["0", "1"]}
    with pytest.raises(ValueError, match="Folding needs two or more"):
        ss.fold(net[2:])


def test_what_a_parametrised_weight_is_computed_from_can_be_shared():
    net, x = normed(), torch.randn(2, 4)
    before = net(x)
    ss.share(net, groups=[[f"{i}.parametrizations.weight.original1" for i in range(2)]])
    torch.testing.assert_close(net(x), before)


def test_a_plain_model_cannot_be_unshared():
    with pytest.raises(ValueError, match="needs a model with shared layers; this one has none"):
        ss.unshare(linears())


def test_a_shared_weight_cannot_be_assigned():
    net = ss.share(linears(), 2)
    with pytest.raises(AttributeError, match=r"Linear\.weight is mixed from templates \(Eq\. 1\)"):
        net[1].weight = nn.Parameter(torch.zeros(4, 4))
    with pytest.raises(AttributeError, match="templates"):
        net[1].weight = torch.zeros(4, 4)
    net[1].bias = nn.Parameter(torch.ones(4))  # all else can
    assert net.state_dict()["1.bias"].sum() == 4
    ss.unshare(net)[1].weight = nn.Parameter(torch.zeros(4, 4))


def test_a_shared_layer_cannot_be_reset():
    net = ss.share(linears(), 2)
    before = copy.deepcopy(net.state_dict())
    with pytest.raises(RuntimeError, match=r"Linear cannot reset weights .* before share\(\), or"):
        net[1].reset_parameters()
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    pair = nn.ModuleList([nn.MultiheadAttention(4, 2) for _ in range(2)])
    ss.share(pair, groups=[["0.in_proj_weight", "1.in_proj_weight"]])
    with pytest.raises(RuntimeError, match="MultiheadAttention cannot reset"):
        pair[0]._reset_parameters()
    ss.unshare(pair)[0]._reset_parameters()
    ss.unshare(net)[1].reset_parameters()
