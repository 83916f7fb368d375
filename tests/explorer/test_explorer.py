"""The folding explorer: what it shows is what folding computes, for every state."""

from __future__ import annotations

import copy
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise, product
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import softshare as ss
from softshare.explorer import Explorer
from softshare.explorer.diagram import WIDTH, Diagram, colours, edges
from softshare.explorer.outline import outlines
from softshare.explorer.states import Network
from softshare.folding import folding, foldings
from softshare.folding.program import smallest
from softshare.records import Run
from softshare.sharing import banks

GROUPS = {"stage1": (6, 4, 2), "stage2": (6, 4, 3), "stage3": (6, 4, 1)}
schedules = st.lists(st.integers(1, 5), min_size=1, max_size=14)


@pytest.fixture(scope="module")
def run(soft_run: Callable[..., Run]) -> Run:
    return soft_run("swrn-28-1-4", GROUPS)


@pytest.fixture(scope="module")
def explorer(run: Run) -> Explorer:
    return Explorer(run)


def states(network: Network) -> list[tuple[int, int, int]]:
    return [
        (epoch, stage, position)
        for epoch, moment in enumerate(network.moments)
        for stage in range(len(network.groups))
        for position in range(len(moment.states))
    ]


def numbered(schedule: list[int]) -> list[int]:
    """The same schedule, its numbers in order of first appearance."""
    order = list(dict.fromkeys(schedule))
    return [order.index(tie) + 1 for tie in schedule]


def text(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


# what is drawn


@settings(max_examples=200, deadline=None)
@given(schedules)
def test_arrows_are_the_steps_of_the_schedule(schedule: list[int]) -> None:
    walked = numbered(schedule)
    program = smallest(walked)
    found = edges(program)
    assert {(e.source, e.target) for e in found} == set(pairwise([0, *walked, max(walked) + 1]))
    assert len({(e.source, e.target) for e in found}) == len(found)
    counts = [count for e in found for count in e.counts]
    assert set(counts) == {loop.count for loop in program.loops}


@settings(max_examples=100, deadline=None)
@given(schedules)
def test_boxes_and_lines_stay_in_the_picture_and_arrows_have_lanes_of_their_own(
    schedule: list[int],
) -> None:
    rows = torch.eye(5)[[tie - 1 for tie in schedule]]
    diagram = Diagram(folding(rows, 1.0))
    boxes = diagram.layers + diagram.weights
    assert [b.text for b in diagram.layers] == [str(i + 1) for i in range(len(schedule))]
    assert len(diagram.weights) == len(set(schedule)) and len(diagram.merges) == len(schedule)
    assert all(b.left >= 0 and b.left + b.width <= WIDTH for b in boxes)
    for row in (diagram.layers, diagram.weights):
        assert all(a.left + a.width < b.left for a, b in pairwise(row))
    drawn = [float(x) for a in diagram.arcs for x in re.findall(r"[MH]([\d.]+)", a.path)]
    assert all(0 <= x <= WIDTH for x in drawn)
    spans = [sorted(map(float, re.findall(r"[MH]([\d.]+)", a.path)[:2])) for a in diagram.arcs]
    for (a, one), (b, other) in product(zip(diagram.arcs, spans, strict=True), repeat=2):
        if a is not b and a.y == b.y:
            assert one[1] < other[0] or other[1] < one[0], "two arrows on top of each other"
    assert all(a.y < diagram.height() for a in diagram.arcs)


@settings(max_examples=100, deadline=None)
@given(schedules)
def test_outlines_enclose_exactly_the_tied_pairs(schedule: list[int]) -> None:
    folded = folding(torch.eye(5)[[tie - 1 for tie in schedule]], 1.0)
    lines = outlines(folded)
    tied = [tie for tie in folded.ties if len(tie) > 1]
    assert [line.colour for line in lines] == list(range(1, len(tied) + 1))
    assert [c for c in colours(folded) if c] == [line.colour for line in lines]
    for tie, line in zip(tied, lines, strict=True):
        sides = set()
        for x, y, way, end in re.findall(r"M(\d+) (\d+)([HV])(\d+)", line.path):
            x, y, end = int(x), int(y), int(end)
            assert end > (x if way == "H" else y)
            sides |= {(way, i, y) for i in range(x, end)} if way == "H" else set()
            sides |= {(way, x, i) for i in range(y, end)} if way == "V" else set()
        cells = set(product(tie, tie))
        expected = {("V", j, i) for i, j in cells if (i, j - 1) not in cells}
        expected |= {("V", j + 1, i) for i, j in cells if (i, j + 1) not in cells}
        expected |= {("H", j, i) for i, j in cells if (i - 1, j) not in cells}
        expected |= {("H", j, i + 1) for i, j in cells if (i + 1, j) not in cells}
        assert sides == expected


def test_colours_are_the_papers_red_green_and_blue_first() -> None:
    from softshare.explorer.markup import style

    light = style().split("}")[0]
    for number, strongest in enumerate((0, 1, 2), start=1):
        found = re.search(rf"--c{number}: #(..)(..)(..);", light)
        assert found
        channels = [int(value, 16) for value in found.groups()]
        assert channels.index(max(channels)) == strongest


# what is said


def test_every_state_shows_what_folding_computes(run: Run, explorer: Explorer) -> None:
    network, last = explorer.page.network, list(run.coefficients)[-1]
    measured = {round(line["threshold"], 6): line for line in run.folded}
    seen, chance = 0, f"chance level {ss.chance_level(6, 4):.2f}"
    for epoch, stage, position in states(network):
        name, group = list(run.coefficients)[epoch], list(GROUPS)[stage]
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


# the page


class Checker(HTMLParser):
    """Counts ids, and that every element is closed in order."""

    VOID = ("meta", "input", "br")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.names: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.names.add(tag)
        assert len({name for name, _ in attrs}) == len(attrs), tag
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_pages_are_well_formed_and_need_nothing_from_elsewhere(
    explorer: Explorer, tmp_path: Path
) -> None:
    page = explorer.save(tmp_path / "page.html").read_text(encoding="utf-8")
    checker = Checker()
    checker.feed(page)
    assert not checker.open
    assert not checker.ids, "several explorers on a page would clash"
    assert not {"link", "img", "iframe", "object"} & checker.names
    assert not re.search(r"""(?:src|href)\s*=|url\(|https?:|@import""", page)
    for html in explorer.page.frame(*explorer.opening).values():
        ElementTree.fromstring(f"<div>{html}</div>")


def test_names_are_names_and_not_html(soft_run: Callable[..., Run]) -> None:
    net = torch.nn.Sequential()
    for name in ("<b>", "a&b", "</script><script>"):
        net.add_module(name, torch.nn.Linear(4, 4))
    ss.share(net, 2, {"<i>'\"": list(dict(net.named_children()))})
    page = Explorer(net).page.document(0, 0, 0)
    checker = Checker()
    checker.feed(page)
    assert not checker.open and not {"b><", "i", "script><"} & (checker.names - {"b", "i"})
    assert "&lt;b&gt;" in page and "<b>.weight" not in page and "<i>'" not in page
    assert page.count("<script") == 2


def test_the_largest_networks_of_the_paper_fit_one_page(soft_run: Callable[..., Run]) -> None:
    stages = {f"stage{i}": (10, 8, period) for i, period in ((1, 2), (2, 4), (3, 3))}
    epochs = (0, 1, 5, 25, 50, 100, 150, 200)
    largest = [
        soft_run("swrn-40-8-8", stages, epochs),
        soft_run("scnn-r", {"body": (20, 20, 20)}, epochs),
    ]
    assert len(largest[1].folded) == 20, "a merge at a time"
    assert sum(len(Explorer(run).html().encode()) for run in largest) < 0.75e6


def test_the_table_holds_every_folding(run: Run, explorer: Explorer) -> None:
    page = explorer.html()
    table = page[page.index("<details") : page.index("</details>")]
    for moment in explorer.page.network.moments:
        for shown, state in zip(moment.thresholds, moment.states, strict=True):
            cells = [str(state.foldings[group].program) for group in GROUPS]
            row = "".join(f"<td>{cell}</td>" for cell in cells)
            size = f"{state.parameters:,}".replace(",", "\u202f")
            assert f'<tr><th scope="row">{shown}</th><td>{size}</td>{row}' in table
    assert table.count("\N{NO-BREAK SPACE}%</td>") == 2 * len(run.folded)


# live


def test_the_widget_shows_the_frames_of_the_page(explorer: Explorer) -> None:
    pytest.importorskip("ipywidgets")
    box, page = explorer.widget(), explorer.page
    group, epoch, threshold = box.choices
    assert (epoch.value, group.value, threshold.value) == explorer.opening
    for e, moment in enumerate(page.network.moments):
        near = page.network.moments[epoch.value].states[threshold.value].threshold
        epoch.value = e
        gaps = [abs(state.threshold - near) for state in moment.states]
        assert threshold.value == gaps.index(min(gaps))
        assert [name for name, _ in threshold.options] == moment.thresholds
        for s in range(len(page.network.groups)):
            group.value = s
            for p in range(len(moment.states)):
                threshold.value = p
                assert box.picture.value == page.still(e, s, p)
    frame = page.frame(e, s, p)
    assert all(part in box.picture.value for part in frame.values())


def test_a_kernel_shows_the_widget_and_a_book_the_page(
    explorer: Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ipywidgets")
    IPython = pytest.importorskip("IPython")
    monkeypatch.delenv("SOFTSHARE_BOOK", raising=False)
    view = "application/vnd.jupyter.widget-view+json"
    assert view not in explorer._repr_mimebundle_()
    monkeypatch.setattr(IPython, "get_ipython", lambda: SimpleNamespace(kernel=object()))
    live = explorer._repr_mimebundle_()
    assert view in live and live["text/html"] == explorer.html()
    monkeypatch.setenv("SOFTSHARE_BOOK", "1")
    assert set(explorer._repr_mimebundle_()) == {"text/plain", "text/html"}


def test_importing_it_needs_torch_and_numpy_alone() -> None:
    optional = "jinja2 markupsafe scipy ipywidgets IPython pandas matplotlib"
    code = (
        "import builtins, sys, torch\n"
        f"hidden = set({optional.split()!r}) - set(sys.modules)\n"
        "import softshare\n"
        "print(softshare.Explorer.__name__, *sorted(hidden & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["Explorer"]
