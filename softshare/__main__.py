"""The command line: ``python -m softshare COMMAND``, or ``softshare COMMAND`` once installed."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence

from softshare.commands import parse
from softshare.wording import error_line

_REFUSALS = (ValueError, OSError, RuntimeError, ArithmeticError, ImportError, MemoryError)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: the words after ``softshare``. Default: those of this process.

    Returns:
        The exit status: 0 done, 1 refused or failed with a sentence on stderr, 130 interrupted,
        143 terminated.

    Raises:
        SystemExit: with status 2 where the command line itself is wrong, 0 after ``--help``.

    Example:
        >>> main(["runs", "--runs", "no/such/folder"])
        No runs are recorded in no/such/folder.
        0
    """
    arguments = parse(argv)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", UserWarning)
            warnings.showwarning = _warn
            status = arguments.run(arguments)
            sys.stdout.flush()
    except KeyboardInterrupt:
        print(f"Interrupted{arguments.interrupted}.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except _REFUSALS as error:
        if arguments.traceback:
            raise
        print(f"softshare: {error_line(error)}", file=sys.stderr)
        return 1
    return status or 0


def _warn(message: Warning | str, *rest: object, **more: object) -> None:
    print(f"softshare: {message}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
