"""The words of the command line: which command they name, and whether they can be meant."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Sequence
from typing import NoReturn

from softshare.commands.data import data_parser
from softshare.commands.fold import fold_parser
from softshare.commands.queue import queue_parser
from softshare.commands.records import records_parser
from softshare.commands.runs import runs_parser
from softshare.commands.train import train_parser

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
        "train": train_parser(adding, _PROG, _STATUS),
        "data": data_parser(adding, _STATUS),
        "runs": runs_parser(adding, _STATUS),
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
    if check := getattr(arguments, "check", None):
        try:
            check(arguments)
        except ValueError as error:
            chosen.error(str(error))
    return arguments
