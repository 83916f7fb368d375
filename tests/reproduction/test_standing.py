"""What the first page says follows the records, and is said on the pages it stands for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

import softshare as ss
from softshare.recipe import for_profile
from softshare.records import Run
from softshare.reproduction import collection, standing, status
from softshare.results import table_claims


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    runs: list[Run] = []
    for module in (standing, status, collection):
        monkeypatch.setattr(module, "load_runs", lambda *_, **__: list(runs))
    return runs


def test_runs_and_numbers_are_counted(recorded: list[Run], make_run: Callable[..., Run]) -> None:
    trained, numbers = standing.extent()
    assert trained.startswith("0 trained networks recorded: 0 at profile paper, 0 at profile fast")
    everything = len(status.tables())
    assert numbers.endswith(f": {everything} not attempted.")
    recorded += [
        make_run(for_profile("wrn-28-10"), 4.0),
        make_run(for_profile("wrn-28-1", "cifar10-jpeg", "fast"), 14.0),
        make_run(for_profile("wrn-28-1", "digits", "smoke"), 2.0),
    ]
    trained, numbers = standing.extent()
    assert trained.startswith("3 trained networks recorded: 1 at profile paper, 1 at profile fast")
    assert numbers.endswith(f": {everything - 1} not attempted, 1 reproduced.")


def test_demonstrations_conclude_nothing(recorded: list[Run], make_run: Callable[..., Run]) -> None:
    toys = [make_run(for_profile(m, "digits", "smoke")) for m in ("wrn-28-1", "swrn-28-1")]
    recorded += [replace(run, model={"parameters": 369_210, "macs": 1}) for run in toys]
    recorded += [make_run(for_profile("scnn", profile="smoke"))]
    *claims, rule, paths = standing.conclusions()
    assert len(claims) == sum(map(len, table_claims.CLAIMS.values())) and rule == table_claims.RULE
    assert all(line.endswith("Here no such pair has been trained alike yet.") for line in claims)
    assert paths == "Figure 5. No run of the shortest-path task is recorded yet."


def test_every_conclusion_stands_on_its_page() -> None:
    """Of the records that this project holds."""
    pages = {
        "Table 1": str(ss.reproduce("table1", train=False).findings()),
        "Figure 3": str(ss.reproduce("figure3", train=False).findings()),
        "Figure 5": str(ss.reproduce("figure5", train=False).claims()),
    }
    lines = [line.split(". ", 1) for line in standing.conclusions() if line != table_claims.RULE]
    assert {source for source, _ in lines} >= set(pages)
    for source, line in lines:
        if source in pages:
            assert line in pages[source]


def test_images_encoded_for_a_run_conclude_nothing(
    recorded: list[Run], soft_run: Callable[..., Run]
) -> None:
    run = soft_run("swrn-28-1-4", {"stage1": (6, 4, 2)})
    for data, told in (("cifar10", True), ("cifar10-q50", False)):
        recorded[:] = [replace(run, recipe=for_profile(run.recipe.model, data, "fast"))]
        assert any("a chessboard, in each of" in text for text in standing.conclusions()) == told
