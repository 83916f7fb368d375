"""Random drift: its closed form in the plane, and what it keeps of the layers that drifted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from softshare.records import Run
from softshare.results.drift import drifted, greatest, matrices
from softshare.sharing.initialisation import initial_coefficients
from softshare.sharing.similarity import similarity


def moved(L: int, k: int, far: float, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Coefficients before and after each took a random step of the given length."""
    generator = torch.Generator().manual_seed(seed)
    start = initial_coefficients(L, k, generator=generator)
    step = torch.randn(L, k, generator=generator)
    return start, start + far * step / step.norm(dim=1, keepdim=True)


def test_in_the_plane_a_layer_can_turn_two_ways_only() -> None:
    start = torch.eye(2)
    angle = torch.tensor(0.3)
    turn = torch.tensor([[angle.cos(), -angle.sin()], [angle.sin(), angle.cos()]])
    S = drifted(start, start @ turn, draws=4000)[:, 0, 1]
    apart = S < 1e-6  # both the same way: at right angles still
    torch.testing.assert_close(S[~apart], (2 * angle).sin().expand(int((~apart).sum())))
    assert apart.float().mean() == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("far", [0.0, 0.3, 2.0])
def test_the_end_found_is_one_of_the_ends_drawn(far: float) -> None:
    """Steps that were themselves drawn at random rank anywhere among the draws."""
    ranks = []
    for seed in range(60):
        start, end = moved(6, 6, far, seed)
        S, drawn = similarity(end), drifted(start, end, draws=99, seed=seed)
        ranks.append((drawn.sum((1, 2)) < S.sum() - 1e-5).float().mean())
    if far == 0:
        assert max(ranks) == 0, "nothing moved: all draws are alike"
    else:
        assert torch.tensor(ranks).mean() == pytest.approx(0.5, abs=0.12)


@pytest.mark.parametrize(("L", "k"), [(6, 6), (10, 8), (6, 2)])
def test_how_far_each_layer_turned_and_grew_is_kept(L: int, k: int) -> None:
    start, end = moved(L, k, 0.5)
    for layer in range(L):
        pair = start[[layer, layer]]  # a twin that stays shows how far the other turned
        turned = similarity(torch.stack([start[layer], end[layer]]))
        drawn = drifted(pair, torch.stack([start[layer], end[layer]]), draws=5)
        torch.testing.assert_close(drawn, turned.expand(5, 2, 2))


def test_one_template_leaves_nowhere_to_turn() -> None:
    assert (drifted(torch.ones(4, 1), torch.rand(4, 1) + 1, draws=3) == 1).all()


def test_the_global_stream_is_left_alone() -> None:
    end, before = torch.eye(3).roll(1, 0), torch.get_rng_state()
    assert torch.equal(drifted(torch.eye(3), end, draws=2), drifted(torch.eye(3), end, draws=2))
    assert torch.equal(torch.get_rng_state(), before)


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match=r"got \(2, 2\), \(3, 3\) and 10"):
        drifted(torch.eye(2), torch.eye(3), draws=10)
    with pytest.raises(ValueError, match=r"1 or more draws; got .* and 0"):
        drifted(torch.eye(2), torch.eye(2), draws=0)


def test_five_per_cent_of_the_draws_have_a_pair_beyond_the_greatest(
    soft_run: Callable[..., Run],
) -> None:
    run = soft_run("swrn-28-1", {"stage1": (6, 6, 2), "stage2": (6, 6, 3), "stage3": (6, 6, 6)})
    found = matrices(run)
    assert list(found) == ["stage1", "stage2", "stage3"]
    beyond = torch.zeros(1000, dtype=torch.bool)
    for S in found.values():
        beyond |= (S - torch.eye(6)).flatten(1).amax(1) > greatest(run)
    assert beyond.float().mean() == pytest.approx(0.05, abs=0.002)
    kept = {epoch: alpha for epoch, alpha in run.coefficients.items() if epoch != "0"}
    lost = replace(run, coefficients=kept)
    assert matrices(lost) == {} and greatest(lost) != greatest(lost), "nan"
