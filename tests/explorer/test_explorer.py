"""The folding explorer: what it shows is what folding computes, for every state."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn

import softshare as ss
from softshare.explorer import Explorer
from softshare.explorer.states import Network
from softshare.folding import folding, foldings
from softshare.records import Run
from softshare.sharing import banks


def states(network: Network) -> list[tuple[int, int, int]]:
    return [
        (epoch, stage, position)
        for epoch, moment in enumerate(network.moments)
        for stage in range(len(network.groups))
        for position in range(len(moment.states))
    ]


def text(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def test_every_state_shows_what_folding_computes(run: Run, explorer: Explorer) -> None:
    network, last = explorer.page.network, list(run.coefficients)[-1]
    measured = {round(line["threshold"], 6): line for line in run.folded}
    seen, chance = 0, f"chance level {ss.chance_level(6, 4):.2f}"
    for epoch, stage, position in states(network):
        name, group = list(run.coefficients)[epoch], list(run.model["groups"])[stage]
        A = torch.tensor(run.coefficients[name][group])
        state = network.moments[epoch].states[position]
        own = [f for f in foldings(A) if f.threshold >= state.threshold][-1]
        parts = {k: text(v) for k, v in explorer.page.frame(epoch, stage, position).items()}
        ties = len(own.ties)
        counts = f"6 layers on {ties} weight" + ("s" if ties > 1 else "")
        assert parts["group"] == f"{own.program} {counts}"
        assert chance in parts["scale"]
        size = f"{state.parameters:,}".replace(",", "\u202f")
        assert size in explorer.page.frame(epoch, stage, position)["numbers"]
        shown = network.moments[epoch].thresholds[position]
        beginning = f"{group} after epoch {name}, threshold {shown}: {counts}, run as"
        assert parts["live"].startswith(beginning) and f"{own.program}." in parts["live"]
        assert size in explorer.page.frame(epoch, stage, position)["live"]
        tied = any(len(f.ties) < 6 for f in state.foldings.values())
        if name == last:
            line = measured[round(state.threshold, 6)]
            assert state.parameters == line["parameters"]
            values = f"{line['test_error']:.2f} %; recalibrated "
            values += f"{line['test_error_recalibrated']:.2f} %"
            before = f"{run.folded[0]['test_error_recalibrated']:.2f} %"
            assert f"14.25 %; recalibrated {before}" in parts["numbers"], "unfolded, both ways"
        else:
            values = "not measured"
        expected = values if tied else "nothing is folded"
        assert parts["live"].endswith(f"test error: {expected}.") and expected in parts["numbers"]
        seen += tied
    assert seen > 20


def test_folding_at_the_threshold_that_is_shown_makes_the_ties_that_are_shown(
    explorer: Explorer,
) -> None:
    for moment in explorer.page.network.moments:
        for shown, state in zip(moment.thresholds, moment.states, strict=True):
            for group, folded in state.foldings.items():
                S = moment.lsm[group]
                again = folding(torch.eye(len(S)), float(shown), S=S)
                assert again.schedule == folded.schedule, (moment.name, shown, group)


def test_thresholds_are_asked_for_by_epoch(explorer: Explorer) -> None:
    moments = explorer.page.network.moments
    assert explorer.thresholds() == moments[-1].thresholds
    for epoch, moment in zip(explorer.epochs, moments, strict=True):
        assert explorer.thresholds(epoch) == explorer.thresholds(int(epoch)) == moment.thresholds
    with pytest.raises(ValueError, match=rf"kept at {', '.join(explorer.epochs)}; got 77"):
        explorer.thresholds(77)


def test_a_score_is_shown_at_the_folding_that_it_was_measured_at(run: Run) -> None:
    """Beside lines a last decimal away, and one that was measured where other layers were tied."""
    states = ss.Explorer(run).page.network.moments[-1].states
    lines = [
        {"threshold": s.threshold + off, "parameters": s.parameters + other, "test_error": error}
        for s in states
        for error, (off, other) in enumerate([(1.5e-6, 0), (1e-6, 0), (0, 1), (-1.5e-6, 0)])
    ]
    measured = replace(run, folded=[m | {"test_error_recalibrated": 0.0} for m in lines])
    again = ss.Explorer(measured).page.network.moments[-1].states
    assert [state.measured["test_error"] for state in again] == [1] * len(states)
    wrong = [m | {"parameters": m["parameters"] + 1} for m in measured.folded]
    again = ss.Explorer(replace(run, folded=wrong)).page.network.moments[-1].states
    assert not any(state.measured for state in again)


def test_luck_is_called_luck(soft_run: Callable[..., Run]) -> None:
    run = soft_run("swrn-28-1-2", {f"stage{i}": (6, 2, 6) for i in (1, 2, 3)})
    page = Explorer(run).page
    chance = page.network.chance["stage1"]
    for epoch, stage, position in states(page.network):
        group = page.network.groups[stage]
        folded = page.network.moments[epoch].states[position].foldings[group]
        said = "At or below the chance level" in page.frame(epoch, stage, position)["scale"]
        assert said == (len(folded.ties) < 6 and folded.threshold <= chance)


@pytest.mark.parametrize("init", ["orthogonal", "normal", "sparse-uniform"])
def test_the_chance_level_is_that_of_how_the_model_started(init: str) -> None:
    made = ss.share(nn.Sequential(*[nn.Linear(3, 3) for _ in range(6)]), init=init)
    for net in (made, copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert Explorer(net).page.network.chance["Linear 3x3"] == ss.chance_level(6, 6, init)
    (bank,) = banks(made).values()
    del bank.init  # as in a bank that was pickled by an earlier version
    assert Explorer(made).page.network.chance["Linear 3x3"] == ss.chance_level(6, 6)


def test_a_model_is_shown_as_it_stands_and_stays_so() -> None:
    torch.manual_seed(0)
    net = ss.build("swrn-28-1-2")
    before = {name: value.clone() for name, value in net.state_dict().items()}
    explorer = Explorer(net)
    assert explorer.epochs == ["now"] and explorer.groups == list(ss.groups(net))
    network = explorer.page.network
    assert network.parameters == ss.count(net).parameters
    assert network.moments[0].states[-1].parameters < network.parameters
    for group, S in ss.lsm(net).items():
        assert torch.equal(network.moments[0].lsm[group], S.detach())
    assert "not measured" in explorer.html()
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


@pytest.mark.parametrize("templates", [1, 2, 4])
def test_parameters_are_those_of_the_folded_network(templates: int) -> None:
    torch.manual_seed(templates)
    net = ss.build(f"swrn-22-1-{templates}")
    for state in Explorer(net).page.network.moments[0].states[::3]:
        folded = ss.fold(net, state.threshold)
        assert sum(p.numel() for p in folded.parameters()) == state.parameters, state.threshold


def test_it_opens_where_the_paper_ties_its_layers_or_where_something_is_tied(run: Run) -> None:
    explorer = Explorer(run)
    epoch, _, position = explorer.opening
    thresholds = [s.threshold for s in explorer.page.network.moments[epoch].states]
    assert epoch == 2 and thresholds[position] >= 0.8 > thresholds[position + 1]
    top = Explorer(run, threshold=1.0)
    assert top.opening[2] == 1, "nothing is tied at 1, so it opens at the first tie"
    assert Explorer(run, threshold=0).opening[2] == len(thresholds) - 1


@pytest.mark.parametrize(
    ("of", "threshold", "sentence"),
    [
        (torch.nn.Linear(2, 2), 0.8, "this model shares nothing. Call share"),
        ("swrn-28-1-2", 0.8, "takes a run or a model; got str"),
        (torch.nn.Linear(2, 2), 1.5, "from 0 to 1; got 1.5"),
        (torch.nn.Linear(2, 2), "high", "from 0 to 1; got 'high'"),
    ],
)
def test_what_it_cannot_show_it_says(of: object, threshold: float, sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        Explorer(of, threshold)  # type: ignore[arg-type]


def test_a_run_that_shares_nothing_is_refused(make_run: Callable[..., Run]) -> None:
    with pytest.raises(ValueError, match="wrn-28-1 shares nothing"):
        Explorer(make_run(ss.records.Recipe("wrn-28-1", epochs=2)))
