"""In eval without gradient the weights are mixed once, and anew when anything has changed."""

import copy
import threading

import pytest
import torch
from torch import nn
from torch._subclasses import FakeTensor, FakeTensorMode
from torch.func import functional_call, stack_module_state, vmap

import softshare as ss
from softshare.sharing.bank import TemplateBank


def shared(seed=0, templates=2):
    torch.manual_seed(seed)
    net = nn.Sequential(*[nn.Conv2d(3, 3, 3, padding=1) for _ in range(4)])
    return ss.share(net, templates).eval()


@pytest.fixture
def x():
    return torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(1))


def bank_of(net):
    return next(m for m in net.modules() if isinstance(m, TemplateBank))


def unbaked(net, x):
    """The output by weights that no earlier forward pass has seen."""
    return copy.deepcopy(net).train()(x).detach()


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_mixed_once(operations, x, mode):
    net = shared()
    with mode():
        with operations() as first:
            y = net(x)
        with operations() as second:
            again = net(x)
    products = [ran["mm"] + ran["matmul"] for ran in (first, second)]  # matmul in inference_mode
    assert products == [1, 0]
    assert torch.equal(y, again)
    torch.testing.assert_close(y.clone(), unbaked(net, x))


def test_not_baked_where_a_gradient_or_training_needs_the_mix(operations, x):
    net = shared()
    with operations() as ran:
        net(x), net(x)
        with torch.no_grad():
            net.train()(x), net(x)
    assert ran["mm"] == 4


def step(net, x, **options):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, **options)
    net(x).square().sum().backward()
    optimizer.step()


def ema(net, x):
    other = shared(seed=7)
    for mine, theirs in zip(net.parameters(), other.parameters(), strict=True):
        mine.data.lerp_(theirs.data, 0.5)
    net.eval()


def in_place(net, x):
    with torch.no_grad():
        bank_of(net).templates.mul_(2)


def replaced(net, x):
    bank_of(net).coefficients.data = torch.randn(4, 2)


def averaged(net, x):
    average = torch.optim.swa_utils.AveragedModel(net)
    average.update_parameters(net)
    other = shared(seed=7)
    average.module = net
    average.update_parameters(other)


CHANGES = {
    "load_state_dict": lambda net, x: net.load_state_dict(shared(seed=7).state_dict()),
    "load and assign": lambda net, x: net.load_state_dict(shared(seed=7).state_dict(), assign=True),
    "optimizer step": step,
    "step, one by one": lambda net, x: step(net, x, foreach=False),
    "fused step": lambda net, x: step(net, x, fused=True),
    "in place": in_place,
    "another tensor": replaced,
    "EMA through .data": ema,
    "AveragedModel": averaged,
    "fine templates": lambda net, x: nn.init.normal_(bank_of(net).templates),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_mixed_anew_after_a_change(operations, x, change):
    net = shared()
    with torch.no_grad():
        before = net(x)
    change(net, x)
    assert not net.training
    with operations() as ran, torch.no_grad():
        after = net(x)
    assert ran["mm"] == 1
    torch.testing.assert_close(after, unbaked(net, x))
    assert not torch.allclose(after, before, atol=1e-3)


@pytest.mark.parametrize("training", [True, False])
def test_a_bank_starts_in_the_mode_of_its_layers(x, training):
    net = ss.share(nn.Sequential(*[nn.Conv2d(3, 3, 3) for _ in range(2)]).train(training))
    with torch.no_grad():
        net(x)
    assert bank_of(net).training == training
    assert (bank_of(net)._baked is None) == training


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_mixed_anew_in_another_dtype(x, dtype):
    net = shared()
    with torch.no_grad():
        exact = net(x)
        net.to(dtype)
        there = net(x.to(dtype))
        assert there.dtype == dtype
        torch.testing.assert_close(there.float(), exact, atol=0.05, rtol=0.05)
        back = net.float()(x)
        torch.testing.assert_close(back, unbaked(net, x))
    assert bank_of(net)._baked is not None


def test_a_move_lets_the_old_weights_go(x):
    net = shared()
    with torch.no_grad():
        net(x)
    assert bank_of(net)._baked is not None
    net.to("meta")
    assert bank_of(net)._baked is None


def test_what_a_fake_mode_mixes_stays_in_it(x):
    net = shared()
    with torch.no_grad():
        with FakeTensorMode(allow_non_fake_inputs=True):
            assert isinstance(net(torch.randn(2, 3, 5, 5)), FakeTensor)
        y = net(x)
    assert type(y) is torch.Tensor
    torch.testing.assert_close(y, unbaked(net, x))


def doubled(net):
    in_place(net, None)


@pytest.mark.parametrize("baked", [True, False])
def test_what_another_process_writes_is_seen(x, baked):
    net = shared()
    with torch.no_grad():
        if baked:
            net(x)
        for parameter in net.parameters():
            parameter.share_memory_()
        before = net(x)
        process = torch.multiprocessing.get_context("spawn").Process(target=doubled, args=(net,))
        process.start()
        process.join()
        after = net(x)
    assert process.exitcode == 0
    torch.testing.assert_close(after, unbaked(net, x))
    assert not torch.allclose(after, before, atol=1e-3)


@pytest.mark.filterwarnings("ignore:`torch.jit")
@pytest.mark.parametrize("warm", [True, False])
@pytest.mark.parametrize("mode", [torch.no_grad, torch.enable_grad])
def test_a_trace_holds_parameters_and_no_baked_weights(x, mode, warm):
    net = shared()
    with torch.no_grad():
        before = net(x) if warm else unbaked(net, x)
    with mode():
        traced = torch.jit.trace(net, x)
        torch.testing.assert_close(traced(x), before)
        in_place(net, x)
        torch.testing.assert_close(traced(x), unbaked(net, x))


def test_other_parameters_for_one_call(x):
    net = shared()
    with torch.no_grad():
        own = net(x)
        for scale in range(1, 6):  # freed tensors come back at the same address
            values = {name: scale * p for name, p in shared(seed=7).named_parameters()}
            twin = shared()
            twin.load_state_dict(values)
            torch.testing.assert_close(functional_call(net, values, (x,)), twin(x))
        torch.testing.assert_close(net(x), own)


def test_an_ensemble_by_vmap(x):
    nets = [shared(seed) for seed in range(3)]
    values, _ = stack_module_state(nets)
    with torch.no_grad():
        together = vmap(lambda v: functional_call(nets[0], v, (x,)))(values)
        for net, y in zip(nets, together, strict=True):
            torch.testing.assert_close(net(x), y, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("inside", [torch.no_grad, torch.inference_mode])
def test_inference_mode_leaves_nothing_that_training_cannot_use(x, inside):
    net = shared()
    with inside():
        net(x)
    with torch.inference_mode():
        net(x)
    with torch.no_grad():
        net(x)
    net(x).sum().backward()
    assert bank_of(net).templates.grad.any()


def test_built_in_inference_mode(x):
    with torch.inference_mode():
        net = shared()
        torch.testing.assert_close(net(x), unbaked(net, x))
        bank_of(net).templates.mul_(2)
        torch.testing.assert_close(net(x), unbaked(net, x))


class Broken(nn.Module):
    def forward(self, x):
        raise RuntimeError("broken layer")


@pytest.mark.parametrize("grad", [True, False])
def test_an_exception_leaves_nothing_open(x, grad):
    net = shared()
    net.insert(2, Broken())
    with torch.set_grad_enabled(grad), pytest.raises(RuntimeError, match="broken layer"):
        net(x)
    assert bank_of(net)._open is None
    del net[2]
    in_place(net, x)
    with torch.set_grad_enabled(grad):  # no layer sees a weight of the pass that broke
        torch.testing.assert_close(net(x), unbaked(net, x))
        torch.testing.assert_close(net[3](x), copy.deepcopy(net)[3](x))


def test_a_wrong_input_leaves_nothing_open():
    net = shared()
    with pytest.raises(RuntimeError, match="channels"):
        net(torch.zeros(1, 2, 5, 5))
    assert bank_of(net)._open is None


class Interrupted(nn.Module):
    def forward(self, x):
        raise KeyboardInterrupt


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("assign", [True, False])
def test_what_is_loaded_after_ctrl_c_is_seen(x, grad, assign):
    net = shared()
    net.append(Interrupted())
    with torch.set_grad_enabled(grad), pytest.raises(KeyboardInterrupt):
        net(x)
    other = shared(seed=7)
    net.load_state_dict(other.state_dict(), assign=assign)
    with torch.set_grad_enabled(grad):
        torch.testing.assert_close(net[2].weight, other[2].weight)


@pytest.mark.parametrize("grads", [(False, False), (True, True), (True, False)])
def test_threads_do_not_see_each_other(x, grads):
    class Wait(nn.Module):
        """Lets both threads stand in the middle of a forward pass at the same time."""

        def forward(self, x):
            barrier.wait(20)
            return x

    def work(turn, grad):
        try:
            with torch.set_grad_enabled(grad):
                for _ in range(5):
                    leaf = x.clone().requires_grad_(grad)
                    y = net(leaf * (turn + 1))
                    if grad:
                        own = torch.autograd.grad(y.sum(), [leaf, *net.parameters()])
                        results[turn].append((y.detach(), *own))
                    else:
                        results[turn].append((y,))
        except Exception as error:
            results[turn].append(error)
            barrier.abort()

    net = shared()
    expected = []
    for turn, grad in enumerate(grads):
        leaf = x.clone().requires_grad_()
        y = net(leaf * (turn + 1))
        own = torch.autograd.grad(y.sum(), [leaf, *net.parameters()]) if grad else ()
        expected.append((y.detach(), *own))
    net.insert(1, Wait())
    net.insert(3, Wait())
    barrier, results = threading.Barrier(2), ([], [])
    threads = [threading.Thread(target=work, args=pair) for pair in enumerate(grads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for turn in (0, 1):
        assert len(results[turn]) == 5
        for result in results[turn]:
            torch.testing.assert_close(result, expected[turn])
