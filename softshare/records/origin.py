"""Where and with what a result was made."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from softshare.paths import PACKAGE
from softshare.wording import plural

_UNKNOWN = "unknown"


def origin(device: torch.device, processes: int = 1) -> dict[str, Any]:
    """What a record says of its making: device, processes, threads, versions and commit.

    A copy of the code without its history, on a cluster's scratch disk, say, is told the commit by
    the environment variable ``SOFTSHARE_COMMIT``.

    Example:
        >>> from unittest.mock import patch
        >>> with patch.dict(os.environ, SOFTSHARE_COMMIT="0123456789ab"):
        ...     origin(torch.device("cpu"))["commit"]
        '0123456789ab'
    """
    import softshare

    return {
        "device": device_name(device),
        "processes": processes,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "softshare": softshare.__version__,
        "commit": _commit(),
    }


def unknown_commit() -> str:
    """A sentence for who makes records whose commit nobody could tell; else nothing.

    Example:
        >>> from unittest.mock import patch
        >>> with patch.dict(os.environ, SOFTSHARE_COMMIT="0123456789ab"):
        ...     unknown_commit()
        ''
    """
    if _commit() != _UNKNOWN:
        return ""
    return (
        "Records name the commit that made them, and this copy of the code has no history: set "
        "SOFTSHARE_COMMIT to what `git rev-parse --short=12 HEAD` prints in the checkout."
    )


def made_on(origin: Mapping[str, Any]) -> str:
    """The device of a result and what it had of it: threads of a CPU, or a share of a GPU.

    Example:
        >>> made_on({"device": "A CPU", "threads": 2})
        'A CPU, 2 threads'
        >>> made_on({"device": "A GPU", "threads": 8, "runs_at_once": 4})
        'A GPU, up to 4 runs at once'
    """
    name = shown_device(origin)
    if on_cpu(origin):
        return f"{name}, {plural(origin['threads'], 'thread')}"
    at_once = origin.get("runs_at_once", 1)
    return f"{name}, up to {at_once} runs at once" if at_once > 1 else name


def shown_device(origin: Mapping[str, Any]) -> str:
    """The device of a result as pages name it, without the marks of its maker.

    Example:
        >>> shown_device({"device": "Intel(R) Xeon(R) Processor CPU"})
        'Intel Xeon CPU'
    """
    return re.sub(r"\((R|TM)\)|Processor ", "", origin["device"])


def on_cpu(origin: Mapping[str, Any]) -> bool:
    """Whether a result was made without a GPU."""
    return origin["device"].endswith("CPU")


def device_name(device: torch.device) -> str:
    """The kind of device: a GPU's own name, or the processor's.

    Example:
        >>> device_name(torch.device("cpu")).endswith("CPU")
        True
    """
    return torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]} CPU" if names else f"{platform.machine()} CPU"


def _commit() -> str:
    if told := os.environ.get("SOFTSHARE_COMMIT"):
        return told

    def git(*words: str) -> str:
        command = ["git", "-C", str(PACKAGE.parent), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", "softshare/__init__.py")  # else the commit is another's
        changed = git("status", "--porcelain", "--untracked-files=no", "--", "softshare")
        return git("rev-parse", "--short=12", "HEAD") + ("-changed" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return _UNKNOWN
