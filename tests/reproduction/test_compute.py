"""What was trained, where and for how long; and what waits, at the fastest rate of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from softshare.recipe import for_profile
from softshare.records import Run
from softshare.reproduction import compute, status

Make = Callable[..., Run]


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    runs: list[Run] = []
    for module in (compute, status):
        monkeypatch.setattr(module, "load_runs", lambda: runs)
    monkeypatch.setattr(compute.speed, "load", lambda name: [])
    return runs


def test_time_adds_up_by_device_data_and_profile(recorded: list[Run], make_run: Make) -> None:
    def add(device: str, data: str, seed: int, profile: str = "fast", **cost: float) -> None:
        run = make_run(for_profile("wrn-28-1", data, profile, seed=seed))
        recorded.append(
            replace(
                run,
                model={"macs": 50e6},
                origin=run.origin | {"device": device},
                cost={"images_per_second": 200.0} | cost,
            )
        )

    assert compute.spent().empty
    add("A(R) CPU", "digits", 0, "smoke", seconds=36.0)
    add("A(R) CPU", "cifar10", 0, seconds=7200.0)
    add("A(R) CPU", "cifar10", 1, seconds=3600.0)
    add("NVIDIA X", "cifar10", 0, seconds=360.0, images_per_second=10_000.0)
    add("A(R) CPU", "cifar10-jpeg-q50", 0, seconds=18_000.0)
    for number, there in enumerate(("cpu", "cuda", "cpu")):  # where foldings were made up for
        how = {"folded": f"on {there} in float32, from the kept weights"}
        run = recorded[number + 1]
        cost = run.cost | {"folding_seconds": 1800.0}
        recorded[number + 1] = replace(run, origin=run.origin | how, cost=cost)
    found = compute.spent()
    assert found[["device", "trained on", "profile", "runs"]].to_numpy().tolist() == [
        ["A CPU", "cifar10-jpeg-q50", "fast", 1],
        ["A CPU", "cifar10", "fast", 2],
        ["A CPU", "digits", "smoke", 1],
        ["NVIDIA X", "cifar10", "fast", 1],
    ]
    assert found["hours of training"].tolist() == pytest.approx([5.0, 3.0, 0.01, 0.1])
    assert found["hours of foldings"].tolist() == pytest.approx([0.0, 0.5, 0.0, 0.0])
    by_hand = [6 * 50e6 * images / 1e15 for images in (3.6e6, 2.16e6, 7.2e3, 3.6e6)]
    assert found["PFLOP"].tolist() == pytest.approx(by_hand)


def test_what_waits_is_reckoned_by_the_fastest_training(
    recorded: list[Run], make_run: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = status.tables()
    assert "no training is recorded yet" in compute.waiting(every)
    slow, fast = (
        replace(
            make_run(for_profile("wrn-28-1", "digits", "smoke", seed=seed)),
            model={"macs": 50e6},
            cost={"images_per_second": rate},
        )
        for seed, rate in enumerate((10, 100))
    )
    recorded += [slow, fast]
    told = compute.waiting(every)  # 6 x 50e6 x 100 FLOP a second
    assert "ran at 0.03 TFLOP/s (WRN 28-1 on a device)" in told
    smallest = every["cost of a run (EFLOP)"].min() * 1e18 / 3e10 / 86_400
    assert f"smallest of these networks takes {smallest:.0f} days" in told
    once = every.drop_duplicates("command")["cost of a run (EFLOP)"].sum() * 1e18
    assert f"and one of each {once / 3e10 / 86_400 / 365.25:.0f} years;" in told
    assert compute.waiting(every.assign(verdict="close")) == "Nothing is left to attempt."
    benchmark = {
        "settings": {"net": "WRN 28-10", "batch": 128},
        "quick": False,
        "origin": {"device": "A GPU", "threads": 1},
        "floor": {"flops": 30e9},
        "medians": {"plain": 2e-4, "ours": 1e-4},
    }
    monkeypatch.setattr(compute.speed, "load", lambda name: [benchmark])
    wide = compute.waiting(every).replace("\xa0", " ").replace("\u2011", "-")
    assert "at 300 TFLOP/s (the benchmark of WRN 28-10, batch 128 on A GPU)" in wide
