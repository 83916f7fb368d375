"""The command ``fold``: how it is asked, and what it prints."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from softshare import storage
from softshare.commands.flags import add_runs
from softshare.paths import runs_root
from softshare.records import Run
from softshare.training.device import device_for
from softshare.training.folded_error import remeasured


def fold_parser(adding: Any, prog: str, status: str) -> argparse.ArgumentParser:
    """Adds the command to those of a parser."""
    parser = adding.add_parser(
        "fold",
        allow_abbrev=False,
        usage=f"{prog} fold RECORD [--threshold T] [--out FILE] [--onnx FILE] | --measure",
        help="fold the network of a record into loops, save it, measure it",
        description=(
            "Folds the network whose weights stand beside a record: layers at least as similar as "
            "the threshold run one weight, and blocks that repeat become loops. With --measure, "
            "measures instead the error at every threshold, and keeps it in the record."
        ),
        epilog=status,
    )
    parser.add_argument("record", metavar="RECORD", help="path of a record, or below --runs")
    parser.add_argument(
        "--threshold", type=float, metavar="T", help="similarity from 0 to 1. Default 0.95"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="save the folded network here")
    parser.add_argument("--onnx", type=Path, metavar="FILE", help="export it as ONNX here")
    parser.add_argument(
        "--measure", action="store_true", help="measure every folding, into the record"
    )
    parser.add_argument("--source", metavar="PATH", help="folder or archive of the image set")
    parser.add_argument("--device", metavar="NAME", help="to measure on; CUDA if there is one")
    add_runs(parser)
    parser.set_defaults(run=_fold, check=check, interrupted="; nothing was changed")
    return parser


def check(arguments: argparse.Namespace) -> None:
    """Refuses what does not go together.

    Raises:
        ValueError: with the sentence.
    """
    if arguments.measure:
        for name in ("threshold", "out", "onnx"):
            if getattr(arguments, name) is not None:
                raise ValueError(
                    f"--measure takes every threshold and saves no network: no --{name}"
                )
    else:
        for name in ("source", "device"):
            if getattr(arguments, name) is not None:
                raise ValueError(f"--{name} goes with --measure")
    threshold = arguments.threshold
    if threshold is not None and not 0 <= threshold <= 1:
        raise ValueError(f"--threshold is a similarity, from 0 to 1; got {threshold}")


def _fold(arguments: argparse.Namespace) -> None:
    run, root = _found(arguments.record, arguments.runs or runs_root())
    if arguments.measure:
        device = device_for(arguments.device)
        run = remeasured(run, root, device, arguments.source, progress=True)
        run.save(root)
        print(_curve(run))
        print(f"record {root / run.path}")
        return
    from softshare.folding.network import fold

    threshold = 0.95 if arguments.threshold is None else arguments.threshold
    folded = fold(run.network(root), threshold)
    print(folded.report)
    if arguments.out:
        folded.save(arguments.out)
        print(f"saved {arguments.out}, {arguments.out.stat().st_size} bytes")
    if arguments.onnx:
        from softshare.folding.export import to_onnx

        to_onnx(folded, arguments.onnx)
        print(f"exported {arguments.onnx}, {arguments.onnx.stat().st_size} bytes")


def _found(record: str, root: Path) -> tuple[Run, Path]:
    """The run that a path names, and the folder of records in which it stands."""
    places = [place for place in (Path(record), root / record) if place.is_file()]
    if not places:
        raise FileNotFoundError(
            f"There is no record {record}, neither here nor below {root}; python -m softshare runs "
            "lists them."
        )
    path = places[0].absolute()
    if path.suffix != ".json":
        raise storage.Damaged(f"{record} is no record; the record is the .json file beside it.")
    run = Run.load(path)
    above = path.as_posix().removesuffix(run.path)
    if above == path.as_posix():
        raise ValueError(f"{record} is not in its place, which ends in {run.path}. Move it there.")
    return run, Path(above)


def _curve(run: Run) -> str:
    """The foldings of a run as lines of text."""
    if not run.folded:
        return f"{run.recipe.model} shares nothing to fold; its kept weights were scored"
    rows: list[tuple[str, ...]] = [("threshold", "parameters", run.metric, "recalibrated")]
    digits = 2 if run.metric == "test_error" else 4
    for line in run.folded:
        scores = (line[run.metric], line[f"{run.metric}_recalibrated"])
        shown = [f"{value:.{digits}f}" for value in scores]
        rows.append((f"{line['threshold']:.6f}", f"{line['parameters']}", *shown))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    padded = [[f"{x:>{w}}" for x, w in zip(row, widths, strict=True)] for row in rows]
    return "\n".join(map("  ".join, padded))
