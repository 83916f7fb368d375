"""Which runs a table or figure shows, and which it says are missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import softshare as ss
from softshare.recipe import Recipe, for_profile
from softshare.records import Run


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ({}, [0, 1, 2, 3, 4]),
        ({"profile": "paper"}, [0]),
        ({"profile": "smoke"}, [3, 4]),
        ({"data": "cifar10"}, [0, 1]),
        ({"data": "cifar10-jpeg"}, [2]),
        ({"epochs": 30}, [1, 2]),
        ({"epochs": 3}, [4]),
        ({"width": 1}, [3, 4]),
        ({"profile": "fast", "width": 4}, [2]),
        ({"k": 3}, [0, 1, 2, 3, 4]),
        ({"profile": "paper", "data": "digits"}, []),
    ],
)
def test_just_what_is_asked_for_is_shown(
    save: Callable[..., Run], tmp_path: Path, asked: dict[str, Any], shown: list[int]
) -> None:
    runs = [
        save("wrn-28-10", "cifar10"),
        save("wrn-28-10", "cifar10", "fast"),
        save("swrn-28-4", "cifar10-jpeg", "fast"),
        save("wrn-28-1", "digits", "smoke"),
        save("swrn-28-1-1", "digits", "smoke", epochs=3),
    ]
    save("scnn", profile="smoke")
    save("swrn-28-10", cutout=16)  # a row of Table 4
    found = ss.reproduce("table1", train=False, **asked, runs=tmp_path)
    order = {"paper": 0, "fast": 1, "smoke": 2}
    assert found.runs == sorted(
        (runs[i] for i in shown), key=lambda run: (order[run.profile], run.path)
    )


@pytest.mark.parametrize(
    ("target", "model", "both"),
    [
        *((target, "swrn-28-1-4", False) for target in ("table1", "figure3", "figure4", "folding")),
        *((target, "swrn-40-1-8", True) for target in ("figure6", "figure7", "figure8")),
    ],
)
def test_a_training_that_is_only_begun_shows_its_layers_and_not_its_error(
    make_run: Callable[..., Run], tmp_path: Path, target: str, model: str, both: bool
) -> None:
    """Kept at its first learning rate, a network errs more than at the end of a schedule."""
    alpha = {group: torch.eye(6, 4).tolist() for group in ("stage1", "stage2", "stage3")}
    whole = make_run(for_profile(model, "cifar10", "fast"), alpha=alpha)
    begun = make_run(for_profile(model, "cifar10", "fast", milestones=()), alpha=alpha)
    for run in (whole, begun):
        run.save(tmp_path)
    found = ss.reproduce(target, train=False, runs=tmp_path)
    assert {run.path for run in found.runs} == {whole.path, *[begun.path] * both}


def test_the_banner_names_profiles_variants_and_what_was_just_trained(
    trainer: Any, save: Callable[..., Run], tmp_path: Path
) -> None:
    save("wrn-28-10", "cifar10-jpeg", "fast", epochs=7)
    text = str(ss.reproduce("table1", runs=tmp_path))
    fast, smoke, *missing = text.splitlines()
    assert fast.startswith("1 run at profile FAST (") and "not the paper's setting" in fast
    assert fast.endswith(": cifar10-jpeg, 7 epochs.")
    assert smoke.startswith("5 runs at profile SMOKE (")
    assert "a demonstration that everything runs, not a result" in smoke
    assert smoke.endswith(": digits, 10 epochs, 5 of them trained just now.")
    assert [line.partition(":")[0] for line in missing] == [
        "Not attempted at the paper's settings on cifar10",
        "Not attempted at the paper's settings on cifar100",
    ]
    assert "trained just now" not in str(ss.reproduce("table1", runs=tmp_path))


@pytest.fixture
def every(rows: list) -> list[Recipe]:
    """The rows at the paper's settings."""
    return [
        for_profile(model, data, **options)
        for data in ("cifar10", "cifar100")
        for model, options in rows
    ]


def test_every_row_on_every_set_is_missing_at_first(every: list[Recipe], tmp_path: Path) -> None:
    found = ss.reproduce("table1", train=False, runs=tmp_path)
    assert found.missing == every
    assert len(found.commands()) == len(set(found.commands())) == 10


@pytest.mark.parametrize("number", range(10))
def test_a_run_at_the_papers_settings_fills_its_own_gap_alone(
    every: list[Recipe], make_run: Callable[..., Run], tmp_path: Path, number: int
) -> None:
    make_run(replace(every[number], seed=3)).save(tmp_path)
    for profile in ("auto", "smoke"):
        found = ss.reproduce("table1", train=False, profile=profile, runs=tmp_path)
        assert found.missing == every[:number] + every[number + 1 :]


def test_other_settings_fill_no_gap(
    every: list[Recipe], save: Callable[..., Run], tmp_path: Path
) -> None:
    save("wrn-28-10", "cifar10", "fast")
    save("wrn-28-10", "cifar10-jpeg")
    save("wrn-28-10", epochs=100)
    save("wrn-28-4")
    assert ss.reproduce("table1", train=False, runs=tmp_path).missing == every


def test_the_row_of_k_and_the_networks_of_figure5_can_be_missing(
    every: list[Recipe], save: Callable[..., Run], tmp_path: Path
) -> None:
    missing = ss.reproduce("table1", k=2, train=False, runs=tmp_path).missing
    assert [r for r in missing if r not in every] == [
        for_profile("swrn-28-10-2", data) for data in ("cifar10", "cifar100")
    ]
    save("scnn", seed=2)
    save("cnn", epochs=2)
    missing = ss.reproduce("figure5", train=False, runs=tmp_path).missing
    assert missing == [for_profile("cnn"), for_profile("scnn-r")]


def test_figure3_misses_its_networks_on_both_of_its_sets(
    save: Callable[..., Run], tmp_path: Path
) -> None:
    save("wrn-28-4", "cifar100")
    missing = ss.reproduce("figure3", train=False, runs=tmp_path).missing
    assert {r.data for r in missing} == {"cifar10", "cifar100"} and len(missing) == 2 * 8 - 1
    assert for_profile("wrn-28-4", "cifar100") not in missing


def test_a_figure_shows_the_stand_ins_of_its_network_alone(
    save: Callable[..., Run], tmp_path: Path
) -> None:
    own = [save("swrn-40-1-8", "digits", "smoke"), save("swrn-40-8-8", "cifar10-jpeg", "fast")]
    for model in ("swrn-40-8", "swrn-40-8-4", "swrn-28-8-8", "wrn-40-8"):
        save(model, "cifar10", "fast")
    save("swrn-40-8-8", "cifar10", "fast", dropout=0.3)
    found = ss.reproduce("figure7", runs=tmp_path, train=False)
    assert {run.path for run in found.runs} == {run.path for run in own}
