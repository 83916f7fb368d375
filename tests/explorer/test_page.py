"""The page holds every folding and needs nothing else; the widget shows its frames."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
import torch

import softshare as ss
from softshare.explorer import Explorer
from softshare.records import Run


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
            cells = [str(state.foldings[group].program) for group in run.model["groups"]]
            row = "".join(f"<td>{cell}</td>" for cell in cells)
            size = f"{state.parameters:,}".replace(",", "\u202f")
            assert f'<tr><th scope="row">{shown}</th><td>{size}</td>{row}' in table
    assert table.count("\N{NO-BREAK SPACE}%</td>") == 2 * len(run.folded)


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
