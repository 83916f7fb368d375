"""Ties and scales, against brute force, scipy's tree and closed forms."""

from __future__ import annotations

import itertools

import hypothesis.extra.numpy as arrays
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from softshare.folding import folding, foldings
from softshare.folding.ties import TOLERANCE, similarities, thresholds, ties
from softshare.sharing.similarity import ZERO, similarity

GROUPS = [(1, 1), (2, 1), (6, 2), (6, 4), (6, 6), (10, 8), (20, 20)]
levels = st.floats(0, 1)


@st.composite
def coefficients(draw: st.DrawFn) -> Tensor:
    """Random rows, some of them zero, some multiples of others."""
    L, k = draw(st.integers(1, 8)), draw(st.integers(1, 5))
    numbers = st.floats(-3, 3, width=32)
    A = torch.from_numpy(draw(arrays.arrays("float32", (L, k), elements=numbers)))
    for i in range(1, L):
        if draw(st.booleans()):
            A[i] = A[draw(st.integers(0, i - 1))] * draw(st.sampled_from([-2.0, 0.0, 0.5, 1.0]))
    return A


def drawn(L: int, k: int, seed: int = 0) -> Tensor:
    return torch.randn(L, k, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=200, deadline=None)
@given(coefficients(), levels)
def test_every_pair_in_a_tie_is_alike_and_no_two_ties_could_be_one(A: Tensor, t: float) -> None:
    S = similarity(A)
    found = ties(S, t)
    assert sorted(itertools.chain(*found)) == list(range(len(A)))
    assert [tie[0] for tie in found] == sorted(tie[0] for tie in found)
    for tie in found:
        assert all(S[i, j] >= t - 2 * TOLERANCE for i, j in itertools.combinations(tie, 2))
    for one, other in itertools.combinations(found, 2):
        assert min(S[i, j] for i in one for j in other) < t


@settings(max_examples=200, deadline=None)
@given(coefficients(), levels, levels)
def test_raising_the_threshold_never_merges_more(A: Tensor, t: float, u: float) -> None:
    fine, coarse = (ties(similarity(A), level) for level in (max(t, u), min(t, u)))
    assert all(any(set(tie) <= set(other) for other in coarse) for tie in fine)


def naive(S: Tensor, t: float) -> set[tuple[int, ...]]:
    """Complete linkage as its definition says."""
    found = [{i} for i in range(len(S))]

    def least(pair: tuple[set[int], set[int]]) -> float:
        return min(S[i, j].item() for i in pair[0] for j in pair[1])

    while len(found) > 1:
        one, other = max(itertools.combinations(found, 2), key=least)
        if least((one, other)) < t:
            break
        found = [tie for tie in found if tie is not one and tie is not other] + [one | other]
    return {tuple(sorted(tie)) for tie in found}


@pytest.mark.parametrize(("L", "k"), GROUPS)
def test_ties_and_thresholds_are_those_of_the_definition(L: int, k: int) -> None:
    S = similarity(drawn(L, k))
    for t in (0.0, 0.13, 0.37, 0.5, 0.71, 0.9, 0.99):
        assert set(ties(S, t)) == naive(S, t)
    falling = thresholds(S)
    assert list(falling) == sorted(set(falling), reverse=True)
    counts = [len(ties(S, t)) for t in falling]
    assert counts == sorted(set(counts), reverse=True)
    assert not falling or counts[-1] == 1
    for t, lower in itertools.pairwise(falling):
        between = (t + lower) / 2
        assert ties(S, between) == ties(S, t)


@pytest.mark.parametrize(("L", "k"), GROUPS)
def test_layers_tied_exactly_are_tied_at_one(L: int, k: int) -> None:
    A = drawn(L, k)
    A = torch.cat([A, A * torch.linspace(-3, -0.01, L)[:, None]])
    expected = tuple((i, L + i) for i in range(L)) if k > 1 else (tuple(range(2 * L)),)
    for S in (similarity(A), similarities(A)):
        assert ties(S, 1.0) == expected
        assert (1.0 in thresholds(S)) and 0.999999 not in thresholds(S)


@pytest.mark.parametrize("apart", [1e-5, 1e-4, 1e-3])
def test_what_is_nearly_tied_is_not_tied_at_one(apart: float) -> None:
    """In single precision the cosine of the first two is 1 in every digit that counts."""
    A = torch.tensor([[1.0, 0.0], [1.0, apart], [0.0, 1.0], [0.0, -3.0]])
    assert folding(A, 1).ties == ((0,), (1,), (2, 3))
    assert folding(A, 0.999999).ties == ((0, 1), (2, 3))
    assert [f.threshold for f in foldings(A)][:2] == [1.0, 0.999999]
    torch.testing.assert_close(folding(A, 1).coefficients, A, rtol=1e-6, atol=0)


@settings(max_examples=200, deadline=None)
@given(coefficients(), levels)
def test_below_one_ties_are_those_of_the_lsm(A: Tensor, t: float) -> None:
    below = min(t, 0.999999)
    assert ties(similarities(A), below) == ties(similarity(A), below)
    assert (similarities(A) - similarity(A)).abs().max() < TOLERANCE


@pytest.mark.parametrize(
    ("threshold", "sentence"),
    [
        (1.01, "from 0 to 1; got 1.01"),
        (-0.1, "from 0 to 1; got -0.1"),
        (float("nan"), "from 0 to 1; got nan"),
        ("0.9", "a number from 0 to 1; got '0.9'"),
        (True, "a number from 0 to 1; got True"),
    ],
)
def test_other_thresholds_are_refused(threshold: float, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        ties(torch.eye(3), threshold)
    with pytest.raises(ValueError, match=sentence):
        folding(torch.eye(3), threshold)


@pytest.mark.parametrize(
    ("S", "sentence"),
    [
        (torch.ones(2, 3), r"shape \(L, L\)"),
        (torch.ones(0, 0), r"L 1 or more; got \(0, 0\)"),
        (torch.tensor([[1.0, 0.1], [0.5, 1.0]]), "symmetric and finite"),
        (torch.full((2, 2), float("nan")), "symmetric and finite"),
        (2 * torch.eye(2), "between 0 and 1; got 0 to 2"),
    ],
)
def test_what_is_no_similarity_matrix_is_refused(S: Tensor, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        thresholds(S)


@settings(max_examples=100, deadline=None)
@example(torch.tensor([[1e-45], [1.0]]), 0.0)  # a scale against the first would overflow
@example(torch.tensor([[1.0, 0.0, 0.0], [0.0, 1e-28, 0.0]]), 0.0)  # as near to either
@example(torch.tensor([[1.0, 1.0], [1e-30, 1e-30], [-2.0, -1.9]]), 0.0)
@given(coefficients(), levels)
def test_a_folding_is_what_its_ties_say(A: Tensor, t: float) -> None:
    found = folding(A, t, group="stage1")
    assert found.ties == ties(similarities(A), t)
    assert found.program.unroll() == found.schedule
    assert found.representatives.shape == (len(found.ties), A.shape[1])
    assert found.coefficients.isfinite().all()
    alone = [tie[0] for tie in found.ties if len(tie) == 1]
    assert torch.equal(found.coefficients[alone], A[alone])
    assert all(found.scales[layer] == 1 for layer in alone)


@pytest.mark.parametrize(("L", "k"), GROUPS)
def test_one_template_is_one_loop_and_nothing_is_lost(L: int, k: int) -> None:
    A = drawn(L, 1)
    found = folding(A, 1.0)
    assert len(found.ties) == 1
    assert str(found.program) == (f"{L}×1" if L > 1 else "1")
    torch.testing.assert_close(found.coefficients, A)


@pytest.mark.parametrize("t", [0.0, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_sign_and_size_are_kept_in_the_scale_alone(t: float, seed: int) -> None:
    A, T = drawn(8, 3, seed), drawn(3, 50, seed + 100)
    c = torch.tensor([1.0, -1.0, 7.0, -0.02, 1.0, 3.0, -5.0, 0.5])
    one, other = (folding(a, t, gram=T @ T.T) for a in (A, A * c[:, None]))
    assert one.schedule == other.schedule and one.program == other.program
    torch.testing.assert_close(other.coefficients, one.coefficients * c[:, None])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("weighted", [False, True])
def test_no_other_representative_has_a_smaller_relative_error(seed: int, weighted: bool) -> None:
    A, T = drawn(6, 4, seed), drawn(4, 30, seed) if weighted else torch.eye(4)
    found = folding(A, 0.0, gram=T @ T.T)

    def error(r: Tensor) -> Tensor:
        """With the best scale of each layer."""
        W, R = A @ T, r @ T
        s = (W @ R) / (R @ R)
        return ((W - s[:, None] * R).norm(dim=1) / W.norm(dim=1)).square().sum()

    W = A @ T
    rest = W - found.coefficients @ T
    reached = (rest.norm(dim=1) / W.norm(dim=1)).square().sum()
    assert reached == pytest.approx(error(found.representatives[0]).item(), rel=1e-4)
    generator = torch.Generator().manual_seed(seed)
    for step in (1e-3, 0.1, 1.0):
        for _ in range(50):
            nudged = found.representatives[0] + step * torch.randn(4, generator=generator)
            assert reached <= error(nudged) + 1e-6


def test_a_layer_of_zeros_is_alone_until_all_are_one() -> None:
    A = torch.tensor([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]])
    assert folding(A, 0.9).schedule == (1, 2, 2)
    last = folding(A, 0.0)
    assert last.schedule == (1, 1, 1) and last.scales[0] == 0
    torch.testing.assert_close(last.coefficients, A)
    assert folding(torch.zeros(3, 2), 0.0).coefficients.eq(0).all()


@pytest.mark.parametrize(("L", "k"), GROUPS)
def test_all_foldings_are_there_once(L: int, k: int) -> None:
    A = drawn(L, k)
    found = foldings(A, [f"conv{i}" for i in range(L)], "stage1")
    levels = [f.threshold for f in found]
    assert levels[0] == 1.0 and levels == sorted(set(levels), reverse=True)
    counts = [len(f.ties) for f in found]
    assert counts[1:] == sorted(set(counts[1:]), reverse=True) and counts[-1] == 1
    for t in torch.linspace(0, 1, 41).tolist():
        same = next((f for f in reversed(found) if f.threshold >= t), found[0])
        assert folding(A, t).schedule == same.schedule


def test_other_similarities_decide_where_they_are_given() -> None:
    A, S = drawn(3, 3), torch.tensor([[1.0, 0.1, 0.9], [0.1, 1.0, 0.2], [0.9, 0.2, 1.0]])
    assert folding(A, 0.9, S=S).schedule == (1, 2, 1)
    assert folding(A, 0.95, S=S).schedule == (1, 2, 3)


@settings(max_examples=100, deadline=None)
@given(coefficients(), levels, levels, st.integers(1, 1000))
def test_a_folded_group_never_holds_more(A: Tensor, t: float, u: float, size: int) -> None:
    L, k = A.shape
    fine, coarse = (folding(A, level) for level in (max(t, u), min(t, u)))
    if 1 < k <= L or (k == 1 and (A.abs() > ZERO).all()):  # else a layer of zeros is a tie apart
        assert fine.parameters(size) <= k * size + L * k
    if not coarse.mixes:
        assert coarse.parameters(size) <= len(coarse.ties) * size + L


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"S": torch.eye(3)}, r"4 layers have 4² similarities; got \(3, 3\)"),
        ({"coefficients": torch.zeros(3)}, r"shape \(L, k\)"),
        ({"coefficients": torch.full((2, 2), float("inf"))}, "finite numbers"),
        ({"layers": ["a"]}, "got 1 names"),
        ({"gram": torch.eye(3)}, r"gram matrix of shape \(2, 2\).*got 4 names and \(3, 3\)"),
    ],
)
def test_what_does_not_fit_is_refused(asked: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        folding(**{"coefficients": drawn(4, 2), "threshold": 0.5} | asked)
