"""Work in processes of their own, which start with PyTorch imported and no GPU in use."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from softshare.wording import error_line

_METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
CONTEXT: Any = multiprocessing.get_context(_METHOD)
if _METHOD == "forkserver":
    # imported once for all: PyTorch, and what making an optimiser imports
    CONTEXT.set_forkserver_preload(["softshare.queue.workers", "torch._dynamo"])


def alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a function in a process of its own, so that this one never holds a GPU's memory.

    Raises:
        RuntimeError: the function raised, or its process died.
    """
    near, far = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=_call, args=(function, arguments, far), daemon=True)
    process.start()
    far.close()
    try:
        sound, value = near.recv()
    except EOFError:
        sound, value = False, "its process died."
    process.join()
    if not sound:
        raise RuntimeError(f"Could not {function.__name__} on this device: {value}")
    return value


def _call(function: Callable[..., Any], arguments: tuple[Any, ...], pipe: Connection) -> None:
    try:
        pipe.send((True, function(*arguments)))
    except Exception as error:
        pipe.send((False, error_line(error)))
