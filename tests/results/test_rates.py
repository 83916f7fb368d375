"""How far a step moves a weight, against a real step of gradient descent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn

import softshare as ss
from softshare.plots.rate_plot import own_rates
from softshare.recipe import PATHS, for_profile
from softshare.records import Run
from softshare.results.rates import rates, sentences, table
from softshare.sharing import banks


@pytest.fixture
def runs(make_run: Callable[..., Run]) -> list[Run]:
    free = {"0": {"g": [[1.0, 0.0], [0.0, 1.0]]}, "5": {"g": [[2.0, 0.0], [3.0, 1.0]]}}
    made = [make_run(for_profile("swrn-28-1", "digits", "smoke", seed=s)) for s in (0, 1)]
    made += [make_run(for_profile("scnn", PATHS, "smoke")), make_run(for_profile("wrn-28-1"))]
    return [
        replace(run, coefficients={} if run.recipe.model == "wrn-28-1" else free) for run in made
    ]


@pytest.mark.parametrize(("L", "k"), [(2, 2), (6, 6), (6, 2), (5, 1)])
def test_a_step_on_the_templates_moves_weights_by_the_rates(L: int, k: int) -> None:
    torch.manual_seed(L + k)
    net = nn.Sequential(*[nn.Linear(4, 4, bias=False) for _ in range(L)]).double()
    net = ss.share(net, templates=k)
    (bank,) = banks(net).values()
    bank.coefficients.data += 0.5 * torch.randn_like(bank.coefficients)
    before = torch.stack([W.detach().clone() for W in bank.weights()])
    plain = ss.unshare(net)
    x = torch.randn(7, 4, dtype=torch.float64)
    plain(x).square().mean().backward()
    G = torch.stack([layer.weight.grad for layer in plain])  # (L, 4, 4)
    bank.coefficients.requires_grad_(False)
    optimizer = torch.optim.SGD([bank.templates], lr=0.1)
    net(x).square().mean().backward()
    optimizer.step()
    moved = torch.stack([W.detach() for W in bank.weights()]) - before
    R = rates(bank.coefficients).double()
    torch.testing.assert_close(moved, -0.1 * torch.einsum("il,lab->iab", R, G))


def test_as_many_templates_as_layers_start_as_without_sharing() -> None:
    net = ss.share(nn.Sequential(*[nn.Linear(4, 4) for _ in range(3)]), templates=3)
    (bank,) = banks(net).values()
    torch.testing.assert_close(rates(bank.coefficients), torch.eye(3))


def test_coefficients_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(L, k\), a row a layer; got \(3,\)"):
        rates(torch.ones(3))


def test_the_table_tells_runs_epochs_and_groups_apart(runs: list[Run]) -> None:
    found = table(runs)
    assert list(found["epoch"]) == 3 * [0, 5]
    assert found["record"].nunique() == 3
    assert list(found["own"]) == pytest.approx(3 * [1, (4 + 10) / 2])
    assert list(found["others"]) == pytest.approx(3 * [0, 6])


def test_sentences_tell_the_mean_over_seeds_and_their_range(runs: list[Run]) -> None:
    said = sentences([*runs[1:], *runs[:1]])
    assert len(said) == 2
    assert said[0].startswith("SWRN 28-1 (digits, 2 seeds), epoch 0 to 5: g 1.00 to 7.00 (7.00 to")
    assert said[1].endswith("(shortest-paths, seed 0), epoch 0 to 5: g 1.00 to 7.00.")
    runs[1] = replace(runs[1], coefficients=runs[1].coefficients | {"5": {"g": [[1.0], [1.0]]}})
    assert "g 1.00 to 4.00 (1.00 to 7.00)." in sentences(runs)[0]
    assert sentences(runs[3:]) == ["No soft-shared network is recorded yet."]


def test_the_picture_has_a_panel_a_data_set_and_a_line_a_group(runs: list[Run]) -> None:
    panels = own_rates(runs)
    assert [panel.get_title() for panel in panels] == ["digits", "shortest-paths"]
    lines = [line.get_xydata().tolist() for line in panels[0].lines if len(line.get_xdata()) == 2]
    assert lines.count([[0, 1], [100, 7]]) == 2
    panels[0].figure.clear()
    assert own_rates(runs[3:]) == []
