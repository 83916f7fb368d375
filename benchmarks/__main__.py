"""Runs the benchmarks one after the other, each in a process of its own, within a budget.

    python -m benchmarks --budget 5m --pack records.tar.gz

A benchmark that fails, crashes or hangs is reported, and the next one begins. Records lie in
data/benchmarks as soon as each case is done; unpack a pack elsewhere with
``tar -xzf records.tar.gz -C data/benchmarks``.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
SHARES = {  # name: part of the budget; the goal first, then what is soon done
    "images_per_second": 6,
    "weight_generation": 1.5,
    "folding": 2,
    "shortest_paths": 1,
    "price_of_sharing": 6,
    "plain_loop": 5,
    "shortest_path_figure": 4,
}
PASSED = ("device", "threads", "repeats")


def seconds(text: str) -> float:
    """A duration such as 90, 90s, 5m or 1h."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if not found or not float(found[1]):
        raise argparse.ArgumentTypeError(f"takes a duration such as 90s, 5m or 1h; got {text!r}")
    return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]]


def run(name: str, words: list[str], within: float, limit: float) -> str:
    """Runs one benchmark; returns what went wrong, or nothing."""
    places = [str(HERE.parent), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, places))}
    command = [sys.executable, str(HERE / f"{name}.py"), *words, f"--within={within:.0f}"]
    with subprocess.Popen(command, env=environment, start_new_session=True) as process:
        try:
            status = process.wait(limit)
        except BaseException as error:  # its own processes, such as data workers, end with it
            os.killpg(process.pid, signal.SIGKILL)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            return f"stopped after {limit:.0f} s; its finished cases are recorded"
    return f"failed with status {status}; its finished cases are recorded" if status else ""


def pack(target: Path, folder: Path, since: float) -> int:
    """Puts the records written since a time into an archive; returns how many."""
    found = [p for p in sorted(folder.rglob("*.json")) if p.stat().st_mtime >= since]
    part = target.with_name(target.name + ".part")
    with tarfile.open(part, "w:gz") as archive:
        for path in found:
            archive.add(path, path.relative_to(folder).as_posix())
    part.replace(target)
    return len(found)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SHARES)}")
    parser.add_argument("--budget", type=seconds, default=1e6, help="e.g. 5m; default none")
    parser.add_argument("--out", type=Path, help="folder of the records; default data/benchmarks")
    parser.add_argument("--pack", type=Path, metavar="FILE", help="archive of the new records")
    for name in PASSED:
        parser.add_argument(f"--{name}", help="as each benchmark has it")
    parser.add_argument("--quick", action="store_true", help="small sizes; records only in --out")
    options = parser.parse_args()
    if unknown := set(options.names) - set(SHARES):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; see --help")
    if options.pack and options.quick and not options.out:
        parser.error("--quick keeps no records to pack without --out")
    if options.pack and not options.pack.absolute().parent.is_dir():
        parser.error(f"--pack writes into a folder that is there; got {options.pack}")
    return options


def main() -> None:
    options = arguments()
    start, began = time.monotonic(), time.time() - 1
    words = [f"--{n}={getattr(options, n)}" for n in PASSED if getattr(options, n) is not None]
    words += ["--quick"] if options.quick else []
    if not options.quick and options.out is None:
        data = os.environ.get("SOFTSHARE_DATA") or HERE.parent / "data"
        options.out = Path(data).expanduser() / "benchmarks"
    words += [f"--out={options.out.absolute()}"] if options.out else []
    names = options.names or list(SHARES)
    failures = {}
    for i, name in enumerate(names):
        left = options.budget - (time.monotonic() - start)
        if left < 5:
            failures[name] = "not begun: the budget is spent"
            continue
        share = SHARES[name] / sum(SHARES[n] for n in names[i:])
        print(f"--- {name}, {time.monotonic() - start:.0f} s", flush=True)
        within = left * share  # a case that began in time may go on for a while
        if trouble := run(name, words, within, min(left, within + min(60, left / 4))):
            failures[name] = trouble
            print(f"{name}: {trouble}", flush=True)
    if options.pack:
        print(f"{pack(options.pack, options.out, began)} new records in {options.pack}")
    ran, took = len(names) - len(failures), time.monotonic() - start
    print(f"{ran} of {len(names)} benchmarks ran through, {took:.0f} s")
    for name, trouble in failures.items():
        print(f"{name}: {trouble}")
    raise SystemExit(bool(failures))


if __name__ == "__main__":
    main()
