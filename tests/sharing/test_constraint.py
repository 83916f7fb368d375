"""The controls of the coefficients: a plain network in other coordinates, and rows of length 1."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import softshare as ss
from softshare.recipe import Recipe
from softshare.sharing import banks
from softshare.sharing.constraint import CONSTRAINTS, constrain, rescale
from softshare.training.step import Step

STRONG = {"lr": 0.2, "momentum": 0.9, "weight_decay": 0.02}  # so that each of them tells


def rotated_twins() -> tuple[nn.Module, nn.Module]:
    """A plain network, and the same one shared with k = L and an orthogonal A, in float64."""
    torch.manual_seed(0)
    net = ss.build("swrn-22-1").double()
    for bank in banks(net).values():
        A, T = bank.coefficients, bank.templates
        with torch.no_grad():
            W = torch.stack(bank.weights())
            A.copy_(torch.linalg.qr(torch.randn(A.shape, dtype=A.dtype)).Q)
            T.copy_(torch.tensordot(A.T, W, dims=1).flatten(0, 1))
    return ss.unshare(net), net


def batches(count: int) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [
        (
            torch.randn(8, 3, 16, 16, generator=generator, dtype=torch.float64),
            torch.randint(10, (8,), generator=generator),
        )
        for _ in range(count)
    ]


def trained(net: nn.Module, steps: int = 8, **settings: Any) -> dict[str, Tensor]:
    """The weights and buffers of the plain network after steps of SGD at two rates."""
    step = Step(net, Recipe("swrn-22-1", **STRONG, **settings), F.cross_entropy)
    for number, (x, y) in enumerate(batches(steps)):
        step.set_rate(STRONG["lr"] / (1 if number < steps // 2 else 5))
        step(x, y)
    return (ss.unshare(net) if banks(net) else net).state_dict()


def test_with_fixed_orthogonal_coefficients_and_k_equal_l_the_plain_network_is_trained() -> None:
    plain, shared = rotated_twins()
    start = copy.deepcopy(plain.state_dict())
    expected = trained(plain)
    free = trained(copy.deepcopy(shared), coefficients="free")
    fixed = trained(shared, coefficients="fixed")
    layers = [layer for bank in banks(shared).values() for layer in bank.layers]
    assert len(layers) == 12
    for name in (f"{layer}.weight" for layer in layers):
        moved = (expected[name] - start[name]).norm()
        assert moved > 0.05 * start[name].norm(), "the steps are large"
        assert (free[name] - expected[name]).norm() > 1e-3 * moved, "learning A is another thing"
    for name, value in expected.items():
        torch.testing.assert_close(fixed[name], value, rtol=1e-9, atol=1e-10)


def test_fixed_at_the_identity_it_is_the_plain_network_to_the_last_bit() -> None:
    plain = ss.build("wrn-16-1")
    shared = ss.share(copy.deepcopy(plain), groups=plain.sharing_groups(), init="identity")
    steps = [
        Step(net, Recipe("swrn-16-1", coefficients=rule, **STRONG), F.cross_entropy)
        for net, rule in ((plain, "free"), (shared, "fixed"))
    ]
    for x, y in batches(4):
        one, other = (step(x.float(), y).item() for step in steps)
        assert one == other
    assert one != steps[0](x.float(), y).item()


def test_unit_keeps_the_rate_of_a_layers_own_gradient() -> None:
    """A weight follows its own gradient at the rate of a plain one, by hand: eta |alpha|^2."""
    _, net = rotated_twins()
    for bank in banks(net).values():
        with torch.no_grad():
            bank.coefficients.mul_(1.5)
    for rule, scale in (("free", 1.5**2), ("unit", 1.0)):
        one = copy.deepcopy(net)
        recipe = Recipe("swrn-22-1", lr=1e-3, momentum=0.0, weight_decay=0.0, coefficients=rule)
        step = Step(one, recipe, F.cross_entropy)
        bank = banks(one)["stage2"]
        A, T = bank.coefficients, bank.templates
        before = T.detach().clone()
        step(*batches(1)[0])
        k = A.shape[1]
        gradient = torch.linalg.solve(A0_of(net, rule).T, T.grad.reshape(k, -1))  # of the weights
        moved = A0_of(net, rule) @ (T.detach() - before).reshape(k, -1)
        torch.testing.assert_close(moved, -1e-3 * scale * gradient, rtol=1e-6, atol=1e-12)


def A0_of(net: nn.Module, rule: str) -> Tensor:
    A = banks(net)["stage2"].coefficients.detach()
    return A / A.norm(dim=1, keepdim=True) if rule == "unit" else A


@pytest.mark.parametrize("init", ["orthogonal", "uniform"])
def test_unit_keeps_rows_at_length_one_while_they_turn(init: str) -> None:
    torch.manual_seed(0)
    net = ss.build("swrn-22-1-2", init=init).double()
    before = {g: F.normalize(b.coefficients.detach(), dim=1) for g, b in banks(net).items()}
    trained(net, coefficients="unit")
    for group, bank in banks(net).items():
        A = bank.coefficients
        torch.testing.assert_close(A.norm(dim=1), torch.ones(len(A), dtype=A.dtype))
        assert (A - before[group]).abs().max() > 1e-3
        assert A.requires_grad


def test_free_touches_nothing() -> None:
    net = ss.build("swrn-16-1-2", init="uniform")
    before = copy.deepcopy(net.state_dict())
    assert constrain(net) == []
    rescale([])
    assert all(torch.equal(net.state_dict()[name], value) for name, value in before.items())
    assert all(parameter.requires_grad for parameter in net.parameters())
    assert constrain(ss.build("wrn-16-1")) == []


def test_rows_of_zeros_stay_and_nothing_is_waited_for() -> None:
    A = torch.tensor([[0.0, 0.0], [3.0, -4.0]])
    rescale([A])
    assert A.tolist() == [[0.0, 0.0], [pytest.approx(0.6), pytest.approx(-0.8)]]
    on_meta = torch.empty(3, 2, device="meta")
    rescale([on_meta])  # no value is looked at


@pytest.mark.parametrize("rule", CONSTRAINTS)
def test_a_step_goes_on_from_its_state_bit_for_bit(rule: str) -> None:
    _, net = rotated_twins()
    recipe, given = Recipe("swrn-22-1", coefficients=rule, **STRONG), batches(6)
    straight, begun = (Step(copy.deepcopy(net), recipe, F.cross_entropy) for _ in range(2))
    losses = [straight(x, y).item() for x, y in given]
    assert [begun(x, y).item() for x, y in given[:3]] == losses[:3]
    resumed = Step(copy.deepcopy(net), recipe, F.cross_entropy)
    resumed.load_state(copy.deepcopy(begun.state()))
    assert [resumed(x, y).item() for x, y in given[3:]] == losses[3:]
    for name, value in straight.net.state_dict().items():
        assert torch.equal(resumed.net.state_dict()[name], value)


@pytest.mark.parametrize("rule", ["unit", "fixed"])
def test_where_nothing_is_shared_there_is_nothing_to_hold(rule: str) -> None:
    with pytest.raises(ValueError, match=f"coefficients='{rule}' needs shared layers, and this"):
        constrain(ss.build("wrn-16-1"), rule)


def test_an_unknown_word_is_refused() -> None:
    with pytest.raises(ValueError, match="coefficients is one of free, unit, fixed; got 'frozen'"):
        constrain(ss.build("swrn-16-1-2"), "frozen")
