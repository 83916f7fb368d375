"""What a run draws follows from its seed, and the generators of others are left alone."""

from __future__ import annotations

import pytest
import torch

from softshare.training.random_streams import seeded


def test_inside_all_follows_from_the_seed_and_outside_nothing_has_changed() -> None:
    torch.manual_seed(7)
    expected = torch.randn(3)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    with seeded(7, torch.device("cpu")):
        assert torch.equal(torch.randn(3), expected)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_run_on_the_cpu_seeds_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does one on a GPU seed the others: PyTorch's own call seeds all that there are."""
    for name in ("manual_seed", "manual_seed_all"):
        monkeypatch.setattr(torch.cuda, name, lambda seed: pytest.fail("a GPU was seeded"))
    with seeded(7, torch.device("cpu")):
        torch.randn(3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_run_on_a_gpu_draws_from_its_seed_there() -> None:
    gpu = torch.device("cuda:0")
    torch.cuda.manual_seed_all(7)
    expected = torch.randn(3, device=gpu)
    torch.cuda.manual_seed_all(1)
    before = torch.cuda.get_rng_state_all()
    with seeded(7, gpu):
        assert torch.equal(torch.randn(3, device=gpu), expected)
    after = torch.cuda.get_rng_state_all()
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
