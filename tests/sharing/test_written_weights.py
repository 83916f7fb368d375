"""A layer whose forward writes its own weight is refused: what it writes would be lost."""

import copy

import pytest
import torch
from torch import nn
from torch._subclasses import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.utils import parametrize

import softshare as ss
from softshare.sharing import banks


class Masked(nn.Conv2d):
    """The convolution of a PixelCNN, as most write it: sees what lies above and to the left."""

    def __init__(self):
        super().__init__(4, 4, 3, padding=1)
        self.register_buffer("mask", torch.ones_like(self.weight))
        self.mask[:, :, 1, 2:] = self.mask[:, :, 2] = 0

    def forward(self, x):
        self.weight.data *= self.mask
        return super().forward(x)


class MaxNorm(nn.Conv2d):
    """Bounds the norm of its kernels, as the models of EEGNet do."""

    def __init__(self, bound=0.1):
        super().__init__(4, 4, 3, padding=1)
        self.bound = bound

    def forward(self, x):
        self.weight.data = torch.renorm(self.weight.data, 2, 0, self.bound)
        return super().forward(x)


class Clamped(nn.Conv2d):
    def __init__(self):
        super().__init__(4, 4, 3, padding=1)

    def forward(self, x):
        with torch.no_grad():
            self.weight.clamp_(-0.01, 0.01)
        return super().forward(x)


WRITERS = {
    "masked": Masked,
    "norm": MaxNorm,
    "a norm that is kept": lambda: MaxNorm(100.0),
    "clamped": Clamped,
}
BY_AUTOGRAD = ("clamped", True)
"""What PyTorch refuses itself."""
SENTENCE = r"2, 3: a layer's forward may not write .* torch\.nn\.utils\.parametrize "


def writers(build):
    torch.manual_seed(0)
    plain = [nn.Conv2d(4, 4, 3, padding=1) for _ in range(2)]
    groups = {"plain": ["0", "1"], "written": ["2", "3"]}
    return nn.Sequential(*plain, build(), build()), groups


@pytest.fixture
def x():
    return torch.randn(1, 4, 5, 5, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("name", "grad"),
    [(name, grad) for name in WRITERS for grad in (True, False) if (name, grad) != BY_AUTOGRAD],
)
def test_the_first_pass_refuses_a_layer_that_writes(x, name, grad, training):
    net, groups = writers(WRITERS[name])
    ss.share(net, 1, groups).train(training)
    twin = copy.deepcopy(net)
    with torch.set_grad_enabled(grad):
        for model in (net, net, twin):  # also the next time, and each copy
            with pytest.raises(ValueError, match=SENTENCE):
                model(x)
    assert all(bank._open is bank._baked is None for bank in banks(net).values())


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("build", WRITERS.values(), ids=WRITERS)
def test_folding_refuses_it_where_it_runs_the_model(x, build, shared):
    net, groups = writers(build)
    if shared:
        ss.share(net, 1, groups)
    else:
        net[3].weight.data.copy_(net[2].weight.data)
        net.sharing_groups = lambda: groups
    before = copy.deepcopy(net.state_dict())
    with pytest.raises(ValueError, match=SENTENCE):
        ss.fold(net, 1.0, inputs=x)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


class Mask(nn.Module):
    def __init__(self, mask):
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, weight):
        return weight * self.mask


def test_a_parametrization_does_what_was_wanted(x):
    net = nn.Sequential(*[nn.Conv2d(4, 4, 3, padding=1) for _ in range(3)])
    for layer in net:
        parametrize.register_parametrization(layer, "weight", Mask(Masked().mask))
    ss.share(net, 1, [[f"{i}.parametrizations.weight.original" for i in range(3)]])
    for model in (net, ss.unshare(net), ss.fold(net, 1.0, inputs=x)):
        seen = x.clone().requires_grad_()
        model(seen)[0, 0, 2, 2].backward()
        after = seen.grad.flatten(2)[:, :, 2 * 5 + 3 :]
        assert seen.grad.any() and not after.any()


class Broken(nn.Module):
    def forward(self, x):
        raise RuntimeError("broken layer")


def test_a_pass_that_failed_is_not_the_first(x):
    net, _ = writers(Masked)
    net.insert(2, Broken())
    ss.share(net, 1, [["0", "1"], ["3", "4"]])
    with pytest.raises(RuntimeError, match="broken layer"):
        net(x)
    net[2] = nn.Identity()
    with pytest.raises(ValueError, match="3, 4: a layer's forward"):
        net(x)


def test_later_passes_are_not_looked_at(x, operations):
    net = ss.share(nn.Sequential(*[nn.Conv2d(4, 4, 3, padding=1) for _ in range(3)]), 1)
    counts = []
    for _ in range(3):
        with operations() as ran:
            net(x)
        counts.append(ran["sum"])
    assert counts == [2 * 3, 0, 0]  # as it begins, and as it ends


def test_an_eager_first_pass_compiles_nothing_anew(x):
    net, groups = writers(lambda: nn.Conv2d(4, 4, 3, padding=1))
    ss.share(net, 1, groups)
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    compiled = torch.compile(lambda x: net(x), backend=backend, fullgraph=True)
    for call in (compiled, net, compiled, net, compiled):
        call(x)
    assert len(graphs) == 1


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_passes_without_numbers_are_not_looked_at(x):
    def fresh(device=None):
        net, groups = writers(lambda: nn.Conv2d(4, 4, 3, padding=1))
        return ss.share(net.to(device), 1, groups).eval()

    def faked(net):
        with FakeTensorMode(allow_non_fake_inputs=True):
            net(torch.randn(1, 4, 5, 5))

    fresh("meta")(x.to("meta"))
    faked(fresh())
    torch.jit.trace(fresh(), x)
    torch.compile(fresh(), backend="eager", fullgraph=True)(x)
    torch.func.vmap(fresh(), randomness="error")(x[None])
    torch.func.jacrev(fresh())(x)
    net = fresh()
    torch.func.grad(lambda x: net(x).sum())(x)
    make_fx(fresh())(x)
    net = fresh()
    values = {name: torch.stack([p, p]) for name, p in net.named_parameters()}
    torch.func.vmap(lambda v: torch.func.functional_call(net, v, (x,)))(values)
    with torch.inference_mode():
        fresh()(x)
