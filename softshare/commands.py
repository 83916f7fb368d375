"""What the command line can do, and how it is asked."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, NoReturn

from softshare import data
from softshare.engine import ENGINES, VARIABLE
from softshare.flags import add_recipe, add_runs
from softshare.fold_command import check, fold_parser
from softshare.paths import data_root, runs_root
from softshare.precision import PRECISIONS
from softshare.processes import speaks
from softshare.queue_command import queue_parser
from softshare.recipe import PATHS, Recipe
from softshare.records import Run, load_runs
from softshare.records_command import records_parser
from softshare.request import recipe_for
from softshare.training import train

_PROG = "python -m softshare"
_STATUS = (
    "Exit status: 0 done; 1 refused or failed, with a sentence that says why; 2 the command line "
    "is wrong; 130 interrupted."
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message.rstrip('.')}; see {self.prog} --help.\n")


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The words of a command line, checked as far as they tell; ``run`` is the function to call.

    Raises:
        SystemExit: with status 2 and a sentence on stderr, or 0 after ``--help``.
    """
    parser = _Parser(
        prog=_PROG,
        description="Train the networks of the paper, and keep what came of them as records.",
        epilog=f"`{_PROG} COMMAND --help` explains a command. {_STATUS}",
    )
    adding = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    commands = {
        "train": _train_parser(adding),
        "data": _data_parser(adding),
        "runs": _runs_parser(adding),
        "fold": fold_parser(adding, _PROG, _STATUS),
        "queue": queue_parser(adding),
        "records": records_parser(adding),
    }
    for command in commands.values():
        command.add_argument("--traceback", action="store_true", help="show where an error arose")
    arguments, unknown = parser.parse_known_args(argv)
    chosen = commands[arguments.command]
    if unknown:
        word = unknown[0].partition("=")[0]
        close = difflib.get_close_matches(word, re.findall(r"--[\w-]+", chosen.format_help()), n=1)
        chosen.error(f"there is no {word!r}" + (f", did you mean {close[0]}?" if close else ""))
    if arguments.command == "fold":
        try:
            check(arguments)
        except ValueError as error:
            chosen.error(str(error))
    if arguments.command == "train":
        asked = _asked(arguments)
        try:
            recipe_for(asked.pop("model"), asked.pop("data"), asked.pop("profile"), **asked)
        except ValueError as error:
            chosen.error(str(error))
    return arguments


def _train_parser(adding: Any) -> argparse.ArgumentParser:
    parser = adding.add_parser(
        "train",
        allow_abbrev=False,
        usage=f"{_PROG} train MODEL [--data NAME] [--profile NAME] [--seed N] [options]",
        help="train a model, go on with it, or find its record",
        description=(
            "Trains a model of the paper and writes its record. Stopped at any moment, the same "
            "command goes on from the last checkpoint; where the record is there already, it is "
            "shown and nothing is trained."
        ),
        epilog=_STATUS,
    )
    add_recipe(parser)
    where = parser.add_argument_group("where and how, no part of the recipe")
    where.add_argument("--source", metavar="PATH", help="folder or archive of the image set")
    where.add_argument("--device", metavar="NAME", help="cpu, cuda or cuda:N; CUDA if there is one")
    where.add_argument(
        "--precision",
        choices=("auto", *PRECISIONS),
        help="what the network computes in; bfloat16 on a device made for it",
    )
    where.add_argument(
        "--engine",
        choices=("auto", *ENGINES),
        help=f"how steps are driven; by the size of a step, or ${VARIABLE} where that is set",
    )
    add_runs(where)
    where.add_argument("--quiet", action="store_true", help="no progress bar")
    goes_on = "; the same command goes on from the last checkpoint"
    parser.set_defaults(run=_train, interrupted=goes_on)
    return parser


def _data_parser(adding: Any) -> argparse.ArgumentParser:
    parser = adding.add_parser(
        "data",
        allow_abbrev=False,
        help="fetch or import an image set, and show what is there",
        description=(
            "Makes an image set ready for training and shows its size and checksums. cifar10 and "
            "cifar100 are downloaded where they are missing; any other set is imported once from "
            "an archive or folder that holds train/<class>/<image> and test/<class>/<image>."
        ),
        epilog=_STATUS,
    )
    parser.add_argument("name", metavar="NAME", help="cifar10, cifar100, digits, or your own name")
    parser.add_argument(
        "--from", dest="archive", metavar="PATH", help="archive or folder to import under NAME"
    )
    parser.set_defaults(run=_data, interrupted="")
    return parser


def _runs_parser(adding: Any) -> argparse.ArgumentParser:
    parser = adding.add_parser(
        "runs",
        allow_abbrev=False,
        help="list the records",
        description="Lists the records with their results, all or those that match.",
        epilog=_STATUS,
    )
    for name in ("model", "data", "profile"):
        parser.add_argument(f"--{name}", metavar="NAME", help=f"only runs of this {name}")
    add_runs(parser)
    parser.set_defaults(run=_runs, interrupted="")
    return parser


def _asked(arguments: argparse.Namespace) -> dict[str, Any]:
    """Model, data, profile and source, and of the other settings those that were given."""
    given = {f.name: getattr(arguments, f.name) for f in fields(Recipe)}
    settings = {name: value for name, value in given.items() if value is not None}
    fixed = {"data": None, "profile": "paper", "source": arguments.source}
    return fixed | settings


def _train(arguments: argparse.Namespace) -> None:
    run = train(
        **_asked(arguments),
        runs=arguments.runs,
        device=arguments.device,
        progress=not arguments.quiet,
        precision=arguments.precision,
        engine=arguments.engine,
    )
    if not speaks():
        return
    epochs = f"{run.recipe.total_epochs} epoch" + "s" * (run.recipe.total_epochs > 1)
    print(
        f"{run.recipe.model} on {run.recipe.data}, {run.profile}, seed {run.seed}: {_result(run)} "
        f"after {epochs}, {run.cost['seconds']} s; "
        f"record {(arguments.runs or runs_root()) / run.path}"
    )


def _data(arguments: argparse.Namespace) -> None:
    if arguments.name == PATHS:
        raise ValueError(f"{PATHS} is drawn anew for each run; there is nothing to fetch.")
    archive = arguments.archive
    sets = data.register(arguments.name, archive) if archive else data.load(arguments.name)
    channels, height, width = sets[0].images.shape[1:]
    print(
        f"{sets[0].name}: {len(sets[0])} training and {len(sets[1])} test images of {channels} x "
        f"{height} x {width}, {sets[0].num_classes} classes, in {data_root()}"
    )
    for split, images in zip(("training", "test"), sets, strict=True):
        print(f"{split:>8} {images.checksum}")


def _runs(arguments: argparse.Namespace) -> None:
    names = ("model", "data", "profile")
    wanted = {name: getattr(arguments, name) for name in names if getattr(arguments, name)}
    found = load_runs(arguments.runs, **wanted)
    if not found:
        kind = "".join(f", {name} {value}" for name, value in wanted.items())
        print(f"No runs are recorded in {arguments.runs or runs_root()}{kind}.")
        return
    rows = [("result", "epochs", "seconds", "record")]
    for run in found:
        rows.append(
            (_result(run), str(run.recipe.total_epochs), f"{run.cost['seconds']}", run.path)
        )
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    for result, epochs, seconds, path in rows:
        print(f"{result:{widths[0]}}  {epochs:>{widths[1]}}  {seconds:>{widths[2]}}  {path}")


def _result(run: Run) -> str:
    return (
        f"test error {run.test_error:.2f} %" if run.metric == "test_error" else f"F1 {run.f1:.4f}"
    )
