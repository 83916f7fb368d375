"""The LSM against scipy's cosine, its chance level, and the regulariser's gradient."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.distance import cdist
from torch import nn

import softshare as ss
from softshare.sharing.bank import TemplateBank
from softshare.sharing.similarity import ZERO, similarity

SIZES = [(2, 1), (3, 3), (6, 2), (6, 4), (10, 8)]
matrices = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 8), st.integers(1, 6)),
    elements=st.floats(-4, 4).filter(lambda x: x == 0 or abs(x) > 1e-3),
)


def cosines(A):
    """|cos| of all pairs of rows, by scipy."""
    return np.abs(1 - cdist(A, A, "cosine"))


def penalty(A):
    """The sum of all similarities, pair by pair as printed."""
    return sum(abs(a @ b) / (np.linalg.norm(a) * np.linalg.norm(b)) for a in A for b in A)


def net_with(*sizes, shape=4):
    """A shared model with one group for each (L, k)."""
    net = nn.Sequential(*[nn.Linear(shape, shape) for L, _ in sizes for _ in range(L)])
    groups, start = {}, 0
    for n, (L, _) in enumerate(sizes):
        groups[f"g{n}"] = [str(i) for i in range(start, start + L)]
        start += L
    return ss.share(net, {f"g{n}": k for n, (_, k) in enumerate(sizes)}, groups, init="normal")


def coefficients(net):
    return [m.coefficients for m in net.modules() if isinstance(m, TemplateBank)]


@settings(max_examples=60, deadline=None)
@given(matrices)
def test_similarity_is_the_absolute_cosine(A):
    S = similarity(torch.from_numpy(A)).numpy()
    zero = ~A.any(axis=1)
    assert S.dtype == np.float32
    assert not S[zero].any()
    assert not S[:, zero].any()
    np.testing.assert_allclose(S[~zero][:, ~zero], cosines(A[~zero]), atol=1e-5)
    assert S.min() >= 0
    assert S.max() <= 1


@settings(max_examples=40, deadline=None)
@given(matrices, st.data())
def test_similarity_ignores_sign_and_size(A, data):
    size = st.floats(1e-3, 1e3)
    scales = data.draw(st.lists(size, min_size=len(A), max_size=len(A)))
    signs = data.draw(st.lists(st.sampled_from([-1, 1]), min_size=len(A), max_size=len(A)))
    other = A * (np.array(scales) * np.array(signs))[:, None]
    S = [similarity(torch.from_numpy(a).float()) for a in (A, other)]
    torch.testing.assert_close(*S, atol=1e-5, rtol=0)


def test_similarities_of_many_groups_at_once_are_those_of_each():
    A = torch.randn(3, 2, 6, 4)
    each = torch.stack([similarity(a) for a in A.flatten(0, 1)]).view(3, 2, 6, 6)
    torch.testing.assert_close(similarity(A), each, atol=1e-6, rtol=0)


def test_similarity_is_that_of_rotated_templates():
    A = torch.randn(6, 4)
    Q = torch.linalg.qr(torch.randn(4, 4)).Q
    torch.testing.assert_close(similarity(A), similarity(A @ Q), atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_lsm_is_float32_whatever_the_model(dtype):
    net = net_with((5, 3)).to(dtype)
    with torch.autocast("cpu", torch.bfloat16):
        S = ss.lsm(net)["g0"]
    assert S.dtype == torch.float32
    expected = cosines(coefficients(net)[0].detach().double().numpy())
    np.testing.assert_allclose(S.detach().numpy(), expected, atol=1e-5)


def test_the_lsm_has_a_matrix_for_every_group():
    net = net_with((4, 2), (3, 1), (5, 5))
    S = ss.lsm(net)
    assert list(S) == ["g0", "g1", "g2"] == list(ss.groups(net))
    for A, matrix in zip(coefficients(net), S.values(), strict=True):
        np.testing.assert_allclose(matrix.detach().numpy(), cosines(A.detach().numpy()), atol=1e-5)
    assert torch.equal(S["g1"].round(decimals=5), torch.ones(3, 3))  # k = 1


def test_zero_coefficients_give_no_nan():
    net = net_with((4, 3))
    (A,) = coefficients(net)
    with torch.no_grad():
        A[1] = 0
    S = ss.lsm(net)["g0"]
    assert not S[1].any()
    ss.recurrence_penalty(net).backward()
    assert A.grad.isfinite().all()
    with torch.no_grad():
        A.zero_()
    A.grad = None
    value = ss.recurrence_penalty(net)
    value.backward()
    assert value == 0
    assert A.grad.isfinite().all()


def test_similarity_falls_in_proportion_below_zeros_norm():
    S = similarity(torch.tensor([[ZERO / 4, 0.0], [1.0, 0.0], [0.0, 4 * ZERO]]))
    expected = torch.tensor([[1 / 16, 1 / 4, 0], [1 / 4, 1, 0], [0, 0, 1]])
    torch.testing.assert_close(S, expected)


@pytest.mark.parametrize("sizes", [[size] for size in SIZES] + [[(4, 2), (6, 3)]])
def test_penalty_and_gradient_are_those_of_the_printed_sum(sizes):
    net = net_with(*sizes)
    value = ss.recurrence_penalty(net)
    value.backward()
    every = [A.detach().double().numpy() for A in coefficients(net)]
    assert value.item() == pytest.approx(sum(map(penalty, every)), rel=1e-5)
    for A, leaf in zip(every, coefficients(net), strict=True):
        for at in np.ndindex(A.shape):
            step = np.zeros_like(A)
            step[at] = 1e-6
            slope = (penalty(A + step) - penalty(A - step)) / 2e-6
            assert leaf.grad[at].item() == pytest.approx(slope, abs=2e-4)


def test_subtracting_the_penalty_ties_the_layers():
    net = net_with((5, 3))
    with torch.no_grad():
        coefficients(net)[0].copy_(torch.eye(5, 3) + 0.1)  # orthogonal ones have no slope
    optimizer = torch.optim.SGD(coefficients(net), lr=0.05)
    before = ss.recurrence_penalty(net).item()
    for _ in range(150):
        optimizer.zero_grad()
        (-ss.recurrence_penalty(net)).backward()
        optimizer.step()
    after = ss.recurrence_penalty(net).item()
    assert before < 24
    assert after == pytest.approx(25, abs=0.05)  # L^2: all alike


@pytest.mark.parametrize(
    ("L", "k", "expected"), [(6, 6, 0), (6, 4, 0.27), (6, 2, 0.58), (10, 8, 0.13)]
)
def test_chance_level_of_orthogonal_coefficients(L, k, expected):
    assert ss.chance_level(L, k) == pytest.approx(expected, abs=0.006)


@pytest.mark.parametrize("L", [2, 3, 7])
@pytest.mark.parametrize("init", ["orthogonal", "uniform", "normal", "sparse-normal"])
def test_with_one_template_all_layers_are_alike(L, init):
    assert ss.chance_level(L, 1, init, draws=20) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("L", [2, 5, 9])
@pytest.mark.parametrize("init", ["orthogonal", "identity"])
def test_with_a_template_each_none_are(L, init):
    assert ss.chance_level(L, L, init, draws=20) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("L", [2, 4, 8])
def test_chance_level_of_two_templates_by_another_route(L):
    random = np.random.default_rng(0)
    total, n = 0.0, 1500
    for _ in range(n):
        Q, _ = np.linalg.qr(random.standard_normal((L, 2)))
        S = cosines(Q)
        total += (S.sum() - L) / (L * (L - 1))
    assert ss.chance_level(L, 2) == pytest.approx(total / n, abs=0.02)


@pytest.mark.parametrize("k", [2, 3, 5])
def test_chance_level_of_normal_coefficients_in_closed_form(k):
    # directions are uniform on the sphere: E|cos| = Gamma(k/2) / (sqrt(pi) Gamma((k+1)/2))
    expected = math.gamma(k / 2) / (math.sqrt(math.pi) * math.gamma((k + 1) / 2))
    assert ss.chance_level(6, k, "normal") == pytest.approx(expected, abs=0.01)


def test_chance_level_repeats_and_leaves_the_global_state():
    state = torch.get_rng_state()
    first = ss.chance_level(6, 3, draws=50)
    assert first == ss.chance_level(6, 3, draws=50)
    assert first != ss.chance_level(6, 3, draws=50, seed=1)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("call", [ss.lsm, ss.recurrence_penalty])
def test_a_plain_model_has_no_lsm(call):
    with pytest.raises(ValueError, match=r"LSM needs shared layers; .* Call share\(\) first"):
        call(nn.Linear(2, 2))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((1, 1), "two layers or more; got 1"),
        ((0, 1), "two layers or more; got 0"),
        ((4, 5), "takes 1 to 4 templates; got 5"),
        ((4, 2, "zeros"), "got 'zeros'"),
        ((4, 2, "identity"), "as many templates as layers"),
        ((4, 2, "orthogonal", 0), "draws.* got 0"),
    ],
)
def test_chance_level_refuses(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        ss.chance_level(*arguments)
