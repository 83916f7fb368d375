"""Where data sets, records, checkpoints and the paper's numbers live on disk."""

from __future__ import annotations

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def data_root() -> Path:
    """The folder of data sets, records and checkpoints; it need not exist yet.

    The environment variable `SOFTSHARE_DATA` names it; unset or empty, it is `data/` of the
    checkout that this package was imported from (told by its `paper.json`), and where there is no
    checkout, `data/` of the working directory.

    Example:
        >>> from unittest.mock import patch
        >>> with patch.dict(os.environ, SOFTSHARE_DATA="/scratch/softshare"):
        ...     runs_root().as_posix()
        '/scratch/softshare/runs'
    """
    if chosen := os.environ.get("SOFTSHARE_DATA"):
        return Path(chosen).expanduser()
    checkout = PACKAGE.parent / "data"
    return checkout if (checkout / "paper.json").is_file() else Path("data")


def runs_root() -> Path:
    """The folder of the run records, `data_root()/runs`."""
    return data_root() / "runs"


def checkpoints_root() -> Path:
    """The folder of unfinished runs, `data_root()/checkpoints`; git ignores it."""
    return data_root() / "checkpoints"


def paper_json() -> Path:
    """The file of the paper's numbers.

    It is the data root's own; a data root without one (a scratch disk, say) takes the checkout's,
    and an installed package its own copy.

    Example:
        >>> paper_json().name
        'paper.json'
    """
    return _committed("paper.json")


def plan_toml() -> Path:
    """The file that lists all runs, found like `paper_json`.

    Example:
        >>> plan_toml().name
        'plan.toml'
    """
    return _committed("plan.toml")


def _committed(name: str) -> Path:
    places = (data_root(), PACKAGE.parent / "data", PACKAGE)
    found = (place / name for place in places if (place / name).is_file())
    return next(found, data_root() / name)
