"""How fast a layer learns for its size, against real steps of gradient descent."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

import softshare as ss
from softshare.recipe import for_profile
from softshare.records import Run
from softshare.records.weights import keep
from softshare.results.relative_rates import relative, sentences, table
from softshare.sharing import banks


def chain() -> nn.Sequential:
    """Convolutions that batch normalisation follows: no output changes with a weight's size."""
    return nn.Sequential(
        *(
            nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
            for _ in range(4)
        )
    )


def turned(net: nn.Module, weights: Callable[[], list[torch.Tensor]]) -> torch.Tensor:
    """How far one step of gradient descent moves each weight, for its size."""
    before = [weight.detach().clone() for weight in weights()]
    x, y = torch.randn(2, 32, 8, 8, 8, generator=torch.Generator().manual_seed(1))
    optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.01)
    (net(x) - y).square().mean().backward()
    optimizer.step()
    pairs = zip(weights(), before, strict=True)
    return torch.stack([(new - old).norm() / old.norm() for new, old in pairs]).detach()


@pytest.mark.parametrize("scale", [1.0, 2.0, 5.0])
def test_it_is_how_far_a_step_turns_a_weight_beside_the_plain_network(scale: float) -> None:
    """With orthogonal coefficients of any length, where a layer follows its own gradient alone."""
    torch.manual_seed(0)
    net = ss.share(chain(), templates=4).train()
    (bank,) = banks(net).values()
    plain = ss.unshare(copy.deepcopy(net)).train()
    for weight in (layer[0].weight for layer in plain):
        weight.data *= 1.7  # the same function
    bank.coefficients.data *= scale
    bank.coefficients.requires_grad_(False)
    found = relative(net, plain)
    assert list(found) == [f"{i}.0" for i in range(4)]
    steps = turned(net, lambda: list(bank.weights()))
    beside = turned(plain, lambda: [layer[0].weight for layer in plain])
    ratios = torch.tensor([ratio for _, _, ratio in found.values()])
    torch.testing.assert_close(steps / beside, ratios, rtol=1e-3, atol=0)
    own = [own for own, _, _ in found.values()]
    assert own == pytest.approx([scale**2] * 4)


@pytest.fixture
def pair(
    make_run: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[Run]:
    monkeypatch.setenv("SOFTSHARE_DATA", str(tmp_path))
    torch.manual_seed(0)
    net = ss.build("swrn-16-1")
    alpha = {label: bank.coefficients.tolist() for label, bank in banks(net).items()}
    runs = []
    for model, network in {"swrn-16-1": net, "wrn-16-1": ss.build("wrn-16-1")}.items():
        run = make_run(for_profile(model, "digits", "fast"), alpha=alpha)
        run = keep(replace(run, coefficients=run.coefficients if network is net else {}), network)
        run.save()
        runs.append(run)
    return runs


def test_networks_with_and_without_cutout_are_told_apart(pair: list[Run]) -> None:
    cut = [keep(replace(run, recipe=replace(run.recipe, cutout=4)), run.network()) for run in pair]
    plain, other = sentences([*pair, *cut])
    assert plain == sentences(pair)[0]
    assert other.startswith("SWRN 16-1, cutout 4 (")


def test_only_networks_with_a_plain_twin_trained_alike_are_set_beside_it(pair: list[Run]) -> None:
    found = table(pair)
    assert len(found) == sum(
        len(rows) for rows in next(iter(pair[0].coefficients.values())).values()
    )
    assert (found["relative"] * found["size"] ** 2).to_list() == pytest.approx(found["own"])
    (line,) = sentences(pair)
    assert line.startswith("SWRN 16-1 (digits, ") and f"over {len(found)} layers" in line
    seeds = [keep(replace(r, recipe=replace(r.recipe, seed=2)), r.network()) for r in pair]
    assert sentences([*pair, *seeds]) == [
        line.replace("seed 0", "2 seeds").replace("layers)", "layers of 2 seeds each)")
    ], "weights alike have means alike"
    shared, plain = pair
    for other in ({"seed": 1}, {"epochs": 3}, {"optimizer": "adam"}):
        assert table([shared, replace(plain, recipe=replace(plain.recipe, **other))]).empty
    elsewhere = [replace(run, recipe=replace(run.recipe, seed=1)) for run in pair]
    for twins in (pair[:1], pair[1:], [shared, replace(plain, weights={})], elsewhere):
        assert sentences(twins)[0].startswith("No soft-shared network and its plain twin")
