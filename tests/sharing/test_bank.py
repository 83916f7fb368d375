"""Eq. 1 from one matrix product, against the sum that the paper writes."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from softshare.sharing.bank import TemplateBank

SHAPES = {
    "vector": (7,),
    "linear": (5, 4),
    "table": (11, 3),
    "conv1d": (6, 4, 3),
    "conv2d": (6, 4, 3, 3),
    "pointwise": (6, 4, 1, 1),
    "depthwise": (6, 1, 3, 3),
    "conv3d": (4, 3, 2, 3, 2),
}
SIZES = [(1, 1), (2, 1), (3, 2), (4, 4), (6, 2), (10, 8)]
LAYOUTS = {4: torch.channels_last, 5: torch.channels_last_3d}


def drawn(L, k, shape, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    T = torch.randn(k, *shape, generator=generator, dtype=dtype)
    return T, torch.randn(L, k, generator=generator, dtype=dtype)


def bank_of(T, A, layout=None):
    bank = TemplateBank(T.clone(), A.clone(), [f"layer{i}" for i in range(len(A))])
    return bank if layout is None else bank.to(memory_format=layout)


def summed(T, A):
    """Eq. 1 as printed: every weight a sum of its own over the templates."""
    return [sum(A[i, j] * T[j] for j in range(A.shape[1])) for i in range(len(A))]


@pytest.mark.parametrize(("L", "k"), SIZES)
@pytest.mark.parametrize(
    ("shape", "layout"),
    [(shape, None) for shape in SHAPES.values()]
    + [(shape, LAYOUTS[len(shape)]) for shape in SHAPES.values() if len(shape) in LAYOUTS],
)
def test_weights_and_gradients_are_those_of_the_sum(L, k, shape, layout):
    T, A = drawn(L, k, shape)
    bank = bank_of(T, A, layout)
    T.requires_grad_(), A.requires_grad_()
    expected = summed(T, A)
    weights = bank.weights()
    assert [w.shape for w in weights] == [torch.Size(shape)] * L
    torch.testing.assert_close(weights, tuple(expected))
    # the last layer gets no gradient, as one that a forward pass leaves out
    for route in (weights, expected):
        sum((w.sin() * (i + 1)).sum() for i, w in enumerate(route[: max(1, L - 1)])).backward()
    torch.testing.assert_close(bank.templates.grad.view(k, *shape), T.grad)
    torch.testing.assert_close(bank.coefficients.grad, A.grad)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_one_layer_alone_is_its_row_of_all(shape):
    bank = bank_of(*drawn(5, 3, shape))
    for i in range(5):
        expected, alone = bank.weights()[i], bank.weight(i)
        torch.testing.assert_close(alone, expected)
        assert alone.stride() == expected.stride()
        own, wanted = (
            torch.autograd.grad(w.square().sum(), [*bank.parameters()]) for w in (alone, expected)
        )
        torch.testing.assert_close(own, wanted)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_first_and_second_derivatives_are_right(layout):
    bank = bank_of(*drawn(3, 2, (2, 2, 3, 1)), layout)

    def mixed(T, A):
        return torch.func.functional_call(
            Weights(bank), {"bank.templates": T, "bank.coefficients": A}, ()
        )

    inputs = (bank.templates, bank.coefficients)
    assert torch.autograd.gradcheck(mixed, inputs)
    assert torch.autograd.gradgradcheck(mixed, inputs)


class Weights(torch.nn.Module):
    def __init__(self, bank):
        super().__init__()
        self.bank = bank

    def forward(self):
        return self.bank.weights()


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam])
@pytest.mark.parametrize("layout", [None, torch.channels_last])
def test_bank_and_sum_stay_together_while_they_train(optimizer, layout):
    T, A = drawn(6, 2, (4, 3, 3, 3))
    target = torch.randn(6, 4, 3, 3, 3, dtype=torch.float64)
    bank = bank_of(T, A, layout)
    T.requires_grad_(), A.requires_grad_()
    one, other = optimizer(bank.parameters(), lr=0.002), optimizer([T, A], lr=0.002)
    for _ in range(8):
        for step, weights in ((one, bank.weights()), (other, summed(T, A))):
            step.zero_grad()
            (torch.stack(list(weights)) - target).square().sum().backward()
            step.step()
    torch.testing.assert_close(bank.templates.view_as(T), T)
    torch.testing.assert_close(bank.coefficients, A)
    assert not torch.allclose(A, drawn(6, 2, (4, 3, 3, 3))[1], atol=1e-3)  # they did train


@settings(max_examples=40, deadline=None)
@given(
    L=st.integers(1, 7),
    data=st.data(),
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=5),
    seed=st.integers(0, 2**20),
)
def test_any_size_and_shape(L, data, shape, seed):
    k = data.draw(st.integers(1, L))
    T, A = drawn(L, k, shape, seed=seed)
    torch.testing.assert_close(bank_of(T, A).weights(), tuple(summed(T, A)))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_one_product_forward_two_backward_and_no_zeros(operations, layout):
    bank = bank_of(*drawn(6, 3, (4, 4, 3, 3), torch.float32), layout)
    with operations() as ran:
        weights = bank.weights()
    assert ran["mm"] == 1
    assert set(ran) <= {"mm", "view", "_unsafe_view", "permute", "unbind", "detach", "t"}
    loss = sum(w.square().sum() for w in weights)
    with operations() as ran:
        loss.backward()
    assert ran["mm"] == 2  # one for A, one for T
    assert ran["stack"] == 1
    written = {"zeros", "new_zeros", "zeros_like", "select_backward", "select_scatter", "zero_"}
    assert not written & set(ran)


@pytest.mark.parametrize("shape", [(6, 4, 3, 3), (6, 1, 3, 3), (6, 4, 1, 1), (4, 3, 2, 3, 2)])
def test_weights_lie_as_a_convolution_takes_them(operations, shape):
    layout = LAYOUTS[len(shape)]
    bank = bank_of(*drawn(5, 3, shape, torch.float32), layout)
    with operations() as ran:
        weights = bank.weights()
    assert not {"clone", "contiguous", "copy_", "_to_copy"} & set(ran)
    numbers = weights[0].numel()
    for i, weight in enumerate(weights):
        assert weight.is_contiguous(memory_format=layout)
        # all of them in the one result of the product, side by side
        assert weight.data_ptr() == weights[0].data_ptr() + 4 * i * numbers
        assert weight.untyped_storage().data_ptr() == weights[0].data_ptr()
    sum(w.square().sum() for w in weights).backward()
    assert bank.templates.grad.is_contiguous(memory_format=layout)


def test_float32_also_under_autocast():
    bank = bank_of(*drawn(4, 2, (3, 3), torch.float32))
    exact = bank.weights()
    with torch.autocast("cpu", torch.bfloat16):
        weights = bank.weights()
        assert torch.mm(bank.coefficients, bank.coefficients.T).dtype == torch.bfloat16
    torch.testing.assert_close(weights, exact, rtol=0, atol=0)
    assert weights[0].dtype == torch.float32


@pytest.mark.parametrize(
    ("T", "A", "layers"),
    [
        ((), (2, 2), "ab"),
        ((2,), (2, 2), "ab"),
        ((2, 3), (3, 2), "ab"),
        ((2, 3), (2, 3), "ab"),
        ((2, 3), (4,), "ab"),
        ((0, 3), (2, 0), "ab"),
        ((2, 3), (0, 2), ""),
    ],
)
def test_shapes_that_do_not_fit_are_refused(T, A, layers):
    with pytest.raises(ValueError, match=r"A bank needs templates of shape \(k, \*weight shape\)"):
        TemplateBank(torch.zeros(T), torch.zeros(A), layers)


def test_what_it_prints():
    bank = TemplateBank(torch.zeros(2, 4, 3, 1, 1), torch.zeros(5, 2), "abcde", "stage1")
    assert repr(bank) == "TemplateBank('stage1', layers=5, templates=2, shape=4x3x1x1)"


def test_weights_rounded_together_are_those_rounded_one_by_one(operations: type) -> None:
    """Same values and gradients under autocast, one cast each way instead of one a layer."""
    T, A = drawn(6, 3, (4, 4, 3, 3), torch.float32)
    x = torch.randn(2, 4, 5, 5)
    found = []
    for rounding in (None, torch.bfloat16):
        bank = bank_of(T.clone(), A.clone())
        bank.rounding = rounding
        with operations() as ran, torch.autocast("cpu", torch.bfloat16):
            bank.open()
            weights = [bank.weight(i) for i in range(6)]
            bank.close()
            y = x
            for weight in weights:
                y = y + torch.nn.functional.conv2d(y, weight, padding=1)
            y.float().square().sum().backward()
        found.append((y, bank.templates.grad, bank.coefficients.grad, ran["_to_copy"]))
        assert {w.dtype for w in weights} == {rounding or torch.float32}
        assert {w.dtype for w in bank.weights()} == {torch.float32}
    for one, two in zip(found[0][:3], found[1][:3], strict=True):
        assert torch.equal(one, two)
    assert found[1][3] == found[0][3] - 2 * 5
    bank.open()
    assert bank.weight(0).dtype == torch.float32, "without autocast nothing is rounded"
    bank.close()
