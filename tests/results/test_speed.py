"""Records of benchmarks: kept whole, and read as they are on the page on speed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from softshare.plots import speed_plot
from softshare.results import speed
from softshare.results.speed_hopes import hopes
from softshare.results.speed_tables import duration, line, missing, overview, table
from softshare.storage import Damaged


def record(name: str = "plain_loop", **changes: Any) -> dict[str, Any]:
    """A record that nobody measured: the plain way takes 6 ms an image, ours 2 ms."""
    origin = {"device": "A CPU", "threads": 2, "torch": "2.11.0", "commit": "0123456789ab"}
    found = {
        "benchmark": name,
        "case": "wrn-28-1",
        "settings": {"net": "WRN 28-1", "batch": 128},
        "ways": {"plain": "slowly", "ours": "fast"},
        "per": "image",
        "medians": {"plain": 0.006, "ours": 0.002},
        "ratio": 3.0,
        "spread": [2.5, 4.0],
        "expected": 1.5,
        "repeats": 5,
        "floor": {
            "flops": 1e9,
            "bytes": 0,
            "seconds": 0.001,
            "set by": "FLOPs",
            "flops_per_second": 1e12,
            "dtype": "float32",
        },
        "quick": False,
        "command": f"python benchmarks/{name}.py",
        "origin": origin | {"date": "2020-02-03T04:05:06+00:00"},
    }
    return found | changes


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    kept = [record(), record("folding"), record(case="wrn-28-2"), record(origin=gpu())]
    places = {speed.save(each, tmp_path) for each in kept}
    assert len(places) == len(kept)
    found = speed.load(folder=tmp_path)
    assert sorted(map(str, found)) == sorted(map(str, kept))
    assert [r["benchmark"] for r in found] == ["plain_loop"] * 3 + ["folding"]
    assert speed.load("folding", tmp_path) == [kept[1]]


def test_a_case_is_replaced_on_its_own_device_alone(tmp_path: Path) -> None:
    speed.save(record(), tmp_path)
    speed.save(record(origin=gpu(), ratio=5.0), tmp_path)
    speed.save(record(ratio=4.0), tmp_path)
    assert sorted(r["ratio"] for r in speed.load(folder=tmp_path)) == [4.0, 5.0]


def test_cases_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for case in ("L10-k8", "L6-k2", "L6-k16"):
        speed.save(record(case=case), tmp_path)
    assert [r["case"] for r in speed.load(folder=tmp_path)] == ["L6-k2", "L6-k16", "L10-k8"]


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"sha256": "0", "benchmark": "folding"}'])
def test_a_damaged_record_is_named(tmp_path: Path, content: str) -> None:
    path = speed.save(record(), tmp_path)
    path.write_text(content)
    with pytest.raises(Damaged, match=r"wrn-28-1\.json is damaged.*run the benchmark again"):
        speed.load(folder=tmp_path)


def test_a_record_of_something_else_is_refused(tmp_path: Path) -> None:
    speed.save(record(benchmark="juggling"), tmp_path)
    with pytest.raises(Damaged, match="of no benchmark known here"):
        speed.load(folder=tmp_path)


def test_a_changed_number_is_noticed(tmp_path: Path) -> None:
    path = speed.save(record(), tmp_path)
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"ratio": 30.0}))
    with pytest.raises(Damaged, match=r"checksum does not match.*run the benchmark again"):
        speed.load(folder=tmp_path)


def test_the_table_by_hand() -> None:
    (row,) = rows([record()])
    assert row == {
        "case": "WRN 28-1, batch 128",
        "plain way": "slowly",
        "plain, images/s": "167",
        "ours, images/s": "500",
        "times as fast": "3 (2.5 to 4)",
        "rounds": "5",
        "floor, images/s": "1000 (FLOPs)",
        "ours / floor": "2",
        "share of the matrix rate": "50 % (float32)",
    }


def test_what_is_no_image_is_a_duration() -> None:
    (row,) = rows([record(per="step")])
    assert (row["plain, a step"], row["ours, a step"]) == ("6 ms", "2 ms")
    assert row["floor, a step"] == "1 ms (FLOPs)"
    assert "share of the matrix rate" not in row


def test_a_single_round_has_no_spread() -> None:
    (row,) = rows([record(repeats=1, spread=[3.0, 3.0])])
    assert (row["times as fast"], row["rounds"]) == ("3", "1")


def test_a_price_is_read_the_other_way_round() -> None:
    price = record("price_of_sharing", ratio=1 / 1.04, spread=[1 / 1.06, 1 / 1.02], per="step")
    price["expected"] = 1 / 1.07
    (row,) = rows([price])
    assert row["times as long"] == "1.04 (1.02 to 1.06)"
    assert "times as fast" not in row
    (hope,) = hopes([price])
    assert hope.endswith("1.04 times as long as slowly, at most 1.07 was hoped for: met.")
    (hope,) = hopes([price | {"ratio": 1 / 1.09, "spread": [1 / 1.1, 1 / 1.08]}])
    assert hope.endswith("**missed**.")
    (hope,) = hopes([price | {"expected": 1 / 1.05}])
    assert hope.endswith("met, within the spread.")


def test_several_devices_have_a_column() -> None:
    found = table([record(), record(origin=gpu())])
    assert found["device"].tolist() == ["A CPU, 2 threads", "A GPU"]


def test_what_is_missed_is_said() -> None:
    good, bad = record(spread=[1.5, 4]), record(ratio=1.4, spread=[1.2, 1.45])
    said = hopes([good, bad, record(expected=None)])
    assert [hope.split(": ")[-1] for hope in said] == ["met.", "**missed**."]


def test_a_hope_inside_the_middle_half_of_the_rounds_is_not_clearly_met_or_missed() -> None:
    unclear = [record(ratio=1.6, spread=[1.4, 1.9]), record(ratio=1.4, spread=[1.2, 1.5])]
    said = [hope.split(": ")[-1] for hope in hopes(unclear)]
    assert said == ["met, within the spread.", "**missed**, within the spread."]


@pytest.mark.parametrize(("seconds", "ending"), [(0.002, "50 %"), (0.0025, "40 %")])
def test_of_a_wide_network_on_a_gpu_a_share_of_the_matrix_rate_is_hoped_for(
    seconds: float, ending: str
) -> None:
    """1e9 FLOP an image at 1e12 FLOP/s take a millisecond at best."""
    settings = {"net": "WRN 28-10", "batch": 128}
    medians = {"plain": 0.006, "ours": seconds}
    wide: dict[str, Any] = {"settings": settings, "medians": medians, "expected": None}
    (hope,) = hopes([record("images_per_second", **wide, origin=gpu())])
    met = "met" if seconds == 0.002 else "**missed**"
    assert hope.endswith(f"A GPU: {ending} of the matrix rate, 45 % was hoped for: {met}.")
    slow = wide | {"medians": {"plain": 0.006, "ours": 0.005}}
    both = [record("images_per_second", **each, origin=gpu()) for each in (slow, wide)]
    assert hopes(both) == [hope], "the fastest engine speaks for the network"
    assert not hopes([record("images_per_second", **wide)]), "on a CPU none"
    assert not hopes([record("images_per_second", expected=None, origin=gpu())]), "nor if narrow"


def test_the_overview_and_the_commands_for_all_that_nobody_measured() -> None:
    records = [record(), record(ratio=1.4), record("folding", origin=gpu())]
    found = overview(records).set_index("benchmark")
    assert found.loc["plain loop"].tolist() == ["1.4 to 3 times as fast", "not measured"]
    assert found.loc["folding"].tolist() == ["not measured", "3 times as fast"]
    assert (found == "not measured").to_numpy().sum() == 2 * len(speed.BENCHMARKS) - 2
    assert len(missing(records)) == 2 * len(speed.BENCHMARKS) - 2
    assert "python benchmarks/folding.py --device cpu" in missing(records)
    assert "python benchmarks/plain_loop.py --device cpu" not in missing(records)


def test_the_line_under_a_table_names_origin_and_command_and_what_is_missing() -> None:
    text = line("plain_loop", [record()])
    for part in ("A CPU, 2 threads", "2.11.0", "`0123456789ab`", "2020-02-03", "1 record "):
        assert part in text
    assert "`python benchmarks/plain_loop.py`" in text
    assert "Not measured on a GPU: `python benchmarks/plain_loop.py --device cuda`" in text
    assert "Ours is: fast." in text
    both = line("plain_loop", [record(), record(origin=gpu())])
    assert "Not measured" not in both


def test_a_thousandfold_and_a_thousandth_are_readable() -> None:
    shown = [plain(duration(s)) for s in (4321.0, 0.5, 2.5e-3, 7.25e-6, 3e-8, 9.996)]
    assert shown == ["4320 s", "500 ms", "2.5 ms", "7.25 µs", "30 ns", "10 s"]


def test_every_record_has_its_dot_and_its_floor() -> None:
    records = [record(), record(ratio=0.5, spread=[0.4, 0.6]), record("folding", origin=gpu())]
    records[2]["floor"] = {"flops": 0.0, "bytes": 0.0, "seconds": 0.0, "set by": ""}
    ax = speed_plot.gaps(records)
    assert ax is not None
    assert [len(c.lines[0].get_xdata()) for c in ax.containers] == [2, 1]
    assert list(ax.containers[0].lines[0].get_xdata()) == pytest.approx([1 / 3, 2])
    (floors,) = ax.collections[-1:]
    assert [x for x, _ in floors.get_offsets().tolist()] == pytest.approx([1 / 6, 1 / 6])
    assert len(ax.get_yticklabels()) == 3
    ax.figure.clear()


def rows(records: list[dict[str, Any]]) -> list[dict[str, str]]:
    found = table(records).to_dict("records")
    return [{str(k): plain(v) for k, v in row.items()} for row in found]


def plain(text: str) -> str:
    return text.replace("\xa0", " ").replace("\u2011", "-")


def gpu() -> dict[str, Any]:
    return record()["origin"] | {"device": "A GPU"}
