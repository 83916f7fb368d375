"""Appendix B: every way in which the coefficients can start keeps its promise."""

import math

import pytest
import torch

from softshare.sharing.initialisation import INITS, initial_coefficients

SIZES = [(1, 1), (2, 1), (6, 2), (6, 4), (6, 6), (10, 8), (12, 5)]
DRAWN = [init for init in INITS if init not in ("orthogonal", "identity")]


def draws(L, k, init, n=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([initial_coefficients(L, k, init, generator) for _ in range(n)])


@pytest.mark.parametrize(("L", "k"), SIZES)
def test_orthogonal_columns(L, k):
    for A in draws(L, k, "orthogonal", 10):
        torch.testing.assert_close(A.T @ A, torch.eye(k), atol=1e-5, rtol=0)


@pytest.mark.parametrize("L", [1, 2, 6])
def test_identity_gives_each_layer_its_own(L):
    assert torch.equal(initial_coefficients(L, L, "identity"), torch.eye(L))


@pytest.mark.parametrize(("L", "k"), SIZES)
@pytest.mark.parametrize("init", DRAWN)
def test_half_of_each_row_of_the_sparse_is_zero(L, k, init):
    zeros = (draws(L, k, init, 20) == 0).sum(dim=2)
    assert (zeros == (k // 2 if init.startswith("sparse") else 0)).all()


@pytest.mark.parametrize(("L", "k"), SIZES)
@pytest.mark.parametrize("init", [i for i in INITS if i != "identity"])
def test_mean_squared_row_length_is_that_of_an_orthogonal_matrix(L, k, init):
    n = 400
    lengths = draws(L, k, init, n).square().sum(dim=2).flatten()
    # five standard errors, from the sample itself; an orthogonal matrix has no error in its mean
    bound = 5 * lengths.std() / math.sqrt(n) + 1e-6
    assert abs(lengths.mean() - k / L) < bound


@pytest.mark.parametrize("init", [i for i in INITS if i != "identity"])
def test_signs_and_places_are_fair(init):
    A = draws(6, 4, init, 3000)
    assert A.mean(dim=0).abs().max() < 5 * A.std() / math.sqrt(3000)
    free = (A != 0).float().mean(dim=0)  # how often each place is kept
    expected = 0.5 if init.startswith("sparse") else 1.0
    assert (free - expected).abs().max() < 0.05


@pytest.mark.parametrize("k", [1, 4, 5])
def test_uniform_ends_where_its_variance_says(k):
    for init, kept in (("uniform", k), ("sparse-uniform", k - k // 2)):
        A = draws(6, k, init, 300)
        edge = math.sqrt(3 * k / kept / 6)  # variance of U(-e, e) is e^2 / 3
        assert 0.97 * edge < A.abs().max() <= edge


@pytest.mark.parametrize("init", [*DRAWN, "orthogonal"])
def test_the_generator_alone_decides(init):
    state = torch.get_rng_state()
    first = draws(6, 4, init, seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, draws(6, 4, init, seed=3))
    assert not torch.equal(first, draws(6, 4, init, seed=4))
    torch.manual_seed(5)
    one = initial_coefficients(6, 4, init)
    torch.manual_seed(5)
    assert torch.equal(one, initial_coefficients(6, 4, init))


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("k", [0, -1, 7, 2.0, "2", None, True])
def test_k_out_of_range(init, k):
    with pytest.raises(ValueError, match="A group of 6 layers takes 1 to 6 templates; got "):
        initial_coefficients(6, k, init)


def test_unknown_init_and_identity_of_fewer():
    with pytest.raises(ValueError, match=r"start as one of orthogonal, .*; got 'ones'"):
        initial_coefficients(6, 2, "ones")
    with pytest.raises(ValueError, match="needs as many templates as layers, 6; got 2"):
        initial_coefficients(6, 2, "identity")
