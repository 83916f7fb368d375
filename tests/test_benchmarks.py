"""The benchmarks run and leave whole records; nothing here asks how fast anything is."""

from __future__ import annotations

import importlib
import runpy
import shlex
import statistics
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from softshare.results import speed

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "benchmarks"


@pytest.fixture
def part(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a module that the benchmarks share."""
    monkeypatch.syspath_prepend(str(SCRIPTS))

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    return load


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", [*speed.BENCHMARKS, "shortest_path_figure --profile smoke --full"]
)
def test_it_runs_and_leaves_records(
    command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name, *more = command.split()
    words = ["--quick", "--device", "cpu", "--out", str(tmp_path), *more]
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *words])
    monkeypatch.syspath_prepend(str(SCRIPTS))
    monkeypatch.setattr("softshare.training.path_task.HELD_OUT", 20)
    with torch.compiler.set_stance("force_eager"):  # compiling would take minutes
        runpy.run_path(str(SCRIPTS / f"{name}.py"), run_name="__main__")
    found = speed.load(name, tmp_path)
    assert found
    assert speed.load(folder=tmp_path) == found
    assert len({record["case"] for record in found}) == len(found)
    for record in found:
        for way, seconds in record["seconds"].items():
            assert len(seconds) == record["repeats"] == 2
            assert record["medians"][way] == pytest.approx(statistics.median(seconds))
        each = [a / b for a, b in zip(*record["seconds"].values(), strict=True)]
        assert record["ratio"] == pytest.approx(statistics.median(each))
        assert record["spread"] == pytest.approx(np.quantile(each, [0.25, 0.75]))
        floor = record["floor"]
        for work, rate in (("flops", "flops_per_second"), ("bytes", "bytes_per_second")):
            assert not floor[work] or floor[work] / floor[rate] <= floor["seconds"] * (1 + 1e-9)
        assert record["origin"]["threads"] == torch.get_num_threads()
        assert record["command"] == shlex.join(
            ["python", f"benchmarks/{name}.py", "--quick", *more]
        )
        assert record["quick"]


def test_a_copy_without_history_is_told_how_records_name_their_commit(
    part: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    shared = part("benchmark")
    monkeypatch.setattr(sys, "argv", ["some.py", "--device", "cpu", "--out", str(tmp_path)])
    monkeypatch.setattr("softshare.records.origin.PACKAGE", tmp_path / "softshare")
    for commit in ("", "0123456789ab"):
        monkeypatch.setenv("SOFTSHARE_COMMIT", commit)
        shared.Benchmark("some.py", shared.arguments("A benchmark."))
        assert ("set SOFTSHARE_COMMIT to what" in capsys.readouterr().out) == (not commit)


def test_every_script_is_known_and_has_its_place_on_the_page() -> None:
    scripts = {p.stem for p in SCRIPTS.glob("*.py") if "def main" in p.read_text()}
    assert scripts - {"__main__"} == set(speed.BENCHMARKS)
    page = (ROOT / "book" / "speed.md").read_text()
    places = [page.index(f'speed.load("{name}")') for name in speed.BENCHMARKS]
    assert places == sorted(places)
    runner = runpy.run_path(str(SCRIPTS / "__main__.py"), run_name="runner")
    assert set(runner["SHARES"]) == set(speed.BENCHMARKS)


def test_sharing_is_hoped_to_cost_less_on_a_gpu_and_nothing_there_with_few_templates(
    part: Any,
) -> None:
    most = part("price_of_sharing").most
    assert [f"{most('cuda', k, 10):.3g}" for k in "L21"] == ["1.02", "1", "1"]
    assert [most("cpu", "L", width) for width in (1, 2, 10)] == [None, 1.05, 1.05]


def test_the_records_of_the_project_are_whole() -> None:
    for record in speed.load():
        assert not record["quick"]
        assert record["ratio"] > 0


def test_ways_take_turns_and_every_other_round_goes_backwards(part: Any) -> None:
    order: list[str] = []
    long = part("timing").LEAST * 1.5  # needs no second call within a timing

    def way(name: str) -> Any:
        return lambda: (order.append(name), time.sleep(long))

    found = part("timing").in_turn({name: way(name) for name in "abc"}, 3, torch.device("cpu"))
    assert "".join(order) == "aabbcc" + "abc" + "cba" + "abc"
    assert {name: len(seconds) for name, seconds in found.items()} == dict.fromkeys("abc", 3)
    assert all(long <= s for seconds in found.values() for s in seconds)


def test_short_calls_are_timed_many_at_once(part: Any) -> None:
    calls = 0

    def work() -> None:
        nonlocal calls
        calls += 1
        time.sleep(0.002)

    (seconds,) = part("timing").in_turn({"it": work}, 1, torch.device("cpu"))["it"]
    assert calls > 4
    assert 0.002 <= seconds < part("timing").LEAST


def test_no_round_begins_when_the_time_is_over_but_one_is_made(part: Any) -> None:
    found = part("timing").in_turn(
        {"it": lambda: time.sleep(0.03)}, 50, torch.device("cpu"), until=time.monotonic()
    )
    assert len(found["it"]) == 1


def test_work_that_is_replayed_is_done_again(part: Any) -> None:
    gpu = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    number = torch.zeros((), device=gpu)
    again = part("timing").replayed(lambda: number.add_(1), gpu)
    before = number.item()
    for times in (1, 2, 3):
        again()
        assert number.item() == before + times


@pytest.mark.parametrize("values", [[3.0], [1.0, 2.0], [4.0, 1.0, 3.0, 2.0, 9.0]])
def test_quartiles_are_numpys(part: Any, values: list[float]) -> None:
    expected = np.quantile(values, [0.25, 0.75])
    assert part("timing").quartiles(values) == pytest.approx(expected)


def test_the_work_of_a_step_by_hand(part: Any) -> None:
    from dataclasses import replace

    epochs, work = part("epochs"), part("work")
    recipe = epochs.image_recipe("wrn-10-1", batch_size=4)
    found = work.step_work(epochs.Epochs(recipe, torch.device("cpu"), steps=1), 4)
    macs, passed = 3 * 16 * 9 * 32**2 + 64 * 10, (3 + 16) * 32**2
    for i, o, outer, side in ((16, 16, 32, 32), (16, 32, 32, 16), (32, 64, 16, 8)):
        macs += (9 * i * o + 9 * o * o + (i * o if outer != side or i != o else 0)) * side**2
        passed += i * outer**2 + 3 * o * side**2  # in and out of two convolutions
        if i != o:
            macs_of_shortcut = i * outer**2 + o * side**2
            passed += macs_of_shortcut
    parameters = 77850  # of WRN 10-1, by count() too
    assert found["flops"] == 6 * macs
    assert found["moved"] == pytest.approx(12 * passed + 6 * parameters)
    shared = epochs.Epochs(replace(recipe, model="swrn-16-1-1"), torch.device("cpu"), steps=1)
    plain = epochs.Epochs(replace(recipe, model="wrn-16-1"), torch.device("cpu"), steps=1)
    mixing = sum(2 * 9 * c * c for c in (16, 32, 64))  # L k n of three groups, k = 1
    more = work.step_work(shared, 4)["flops"] - work.step_work(plain, 4)["flops"]
    assert more == 6 * mixing / 4


STUBS = {
    "weight_generation": "import sys; sys.exit(3)",
    "shortest_paths": "import time; time.sleep(600)",
    "folding": """
import pathlib, sys
out = next(w for w in sys.argv if w.startswith("--out=")).removeprefix("--out=")
place = pathlib.Path(out) / "a-device" / "folding"
place.mkdir(parents=True)
(place / "case.json").write_text(" ".join(sys.argv[1:]))
""",
}


@pytest.fixture
def runner(tmp_path: Path) -> Any:
    """`python -m benchmarks` with stand-ins: one fails, one hangs, one works."""
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    (folder / "__main__.py").write_text((SCRIPTS / "__main__.py").read_text())
    for name, text in STUBS.items():
        (folder / f"{name}.py").write_text(text)

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "benchmarks", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)

    return run


def test_one_failure_is_reported_and_the_rest_goes_on(runner: Any, tmp_path: Path) -> None:
    archive, out = tmp_path / "pack.tar.gz", tmp_path / "records"
    words = ["--budget", "7", "--out", str(out), "--pack", str(archive), "--threads", "1"]
    done = runner("weight_generation", "folding", "shortest_paths", *words)
    assert done.returncode == 1
    assert "weight_generation: failed with status 3" in done.stdout
    assert "shortest_paths: stopped after" in done.stdout
    assert "1 of 3 benchmarks ran through" in done.stdout
    with tarfile.open(archive) as packed:
        assert packed.getnames() == ["a-device/folding/case.json"]
    assert "--threads=1" in (out / "a-device/folding/case.json").read_text()


def test_a_spent_budget_is_reported(runner: Any) -> None:
    done = runner("folding", "--budget", "1")
    assert done.returncode == 1
    assert "folding: not begun: the budget is spent" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["faster"], "there is no benchmark faster"),
        (["--budget", "soon"], "takes a duration such as 90s, 5m or 1h; got 'soon'"),
        (["--quick", "--pack", "x"], "--quick keeps no records to pack without --out"),
        (["--pack", "no/where.tgz"], "--pack writes into a folder that is there; got no/where.tgz"),
    ],
)
def test_wrong_words_are_refused(runner: Any, words: list[str], said: str) -> None:
    done = runner(*words)
    assert done.returncode == 2
    assert said in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--repeats", "0"], "takes a whole number from 1 to 999; got '0'"),
        (["--threads", "-1"], "takes a whole number from 1 to 999; got '-1'"),
        (["--device", "gpu"], "A device is cpu, cuda or cuda:N; got 'gpu'"),
        (["--device", "cuda:99"], "There is no cuda:99 here"),
    ],
)
def test_a_benchmark_refuses_wrong_words(
    part: Any,
    words: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    benchmark = part("benchmark")
    monkeypatch.setattr(sys, "argv", ["folding.py", *words])
    with pytest.raises(SystemExit) as caught:
        benchmark.Benchmark("folding.py", benchmark.arguments("About."))
    assert caught.value.code == 2
    assert said in capsys.readouterr().err
