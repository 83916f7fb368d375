"""The command ``train``: how it is asked, and what it prints."""

from __future__ import annotations

import argparse
import warnings
from dataclasses import fields
from typing import Any

from softshare.commands.flags import add_recipe, add_runs
from softshare.paths import runs_root
from softshare.recipe import Recipe
from softshare.recipe.request import request
from softshare.records import Run
from softshare.records.naming import length
from softshare.records.origin import unknown_commit
from softshare.training import train
from softshare.training.engine import ENGINES, VARIABLE
from softshare.training.precision import PRECISIONS
from softshare.training.processes import speaks


def train_parser(adding: Any, prog: str, status: str) -> argparse.ArgumentParser:
    """Adds the command to those of a parser."""
    parser = adding.add_parser(
        "train",
        allow_abbrev=False,
        usage=f"{prog} train MODEL [--data NAME] [--profile NAME] [--seed N] [options]",
        help="train a model, go on with it, or find its record",
        description=(
            "Trains a model of the paper and writes its record. Stopped at any moment, the same "
            "command goes on from the last checkpoint; where the record is there already, it is "
            "shown and nothing is trained."
        ),
        epilog=status,
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
    parser.set_defaults(run=_train, check=check, interrupted=goes_on)
    return parser


def check(arguments: argparse.Namespace) -> None:
    """Refuses a recipe that cannot be.

    Raises:
        ValueError: with the sentence.
    """
    request(**asked(arguments))


def asked(arguments: argparse.Namespace) -> dict[str, Any]:
    """Model, data, profile and source, and of the other settings those that were given."""
    given = {f.name: getattr(arguments, f.name) for f in fields(Recipe)}
    settings = {name: value for name, value in given.items() if value is not None}
    fixed = {"data": None, "profile": "paper", "source": arguments.source}
    return fixed | settings


def _train(arguments: argparse.Namespace) -> None:
    if speaks() and (text := unknown_commit()):
        warnings.warn(text, stacklevel=2)
    run = train(
        **asked(arguments),
        runs=arguments.runs,
        device=arguments.device,
        progress=not arguments.quiet,
        precision=arguments.precision,
        engine=arguments.engine,
    )
    if not speaks():
        return
    print(
        f"{run.recipe.model} on {run.recipe.data}, {run.profile}, seed {run.seed}: "
        f"{result_of(run)} after {length(run.recipe)}, {run.cost['seconds']} s; "
        f"record {(arguments.runs or runs_root()) / run.path}"
    )


def result_of(run: Run) -> str:
    """The score of a run, with its name and unit."""
    return (
        f"test error {run.test_error:.2f} %" if run.metric == "test_error" else f"F1 {run.f1:.4f}"
    )
