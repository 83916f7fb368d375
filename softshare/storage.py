"""Files that are whole or absent: atomic writes, checked reads."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import pickle
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import torch

from softshare.paths import data_root

_HEAD = b"softshare-checkpoint-1\n"


class Damaged(ValueError):
    """A file that is not what was written."""


def write(path: Path, content: bytes) -> None:
    """Replaces a file in one step, as `replacing` does."""
    with replacing(path) as file:
        file.write(content)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """What is written inside replaces a file in one step: a reader sees the old content or the new.

    Raises:
        OSError: the disk is full or not writable; what was there stays.
    """
    name = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException as error:
        if name:
            Path(name).unlink(missing_ok=True)
        if not isinstance(error, OSError):
            raise
        raise OSError(
            error.errno,
            f"Could not write {path} ({error.strerror}); what was there before is untouched. "
            f"{_advice(path, error.errno)}",
        ) from error


def _advice(path: Path, number: int | None) -> str:
    ours = path.absolute().is_relative_to(data_root().absolute())
    room = "Free some space, or " if number in (errno.ENOSPC, errno.EDQUOT) else "You may "
    return room + ("set SOFTSHARE_DATA to a writable folder." if ours else "write it elsewhere.")


def sweep(path: Path) -> None:
    """Removes what a killed `write` of this file left beside it; for who alone writes it."""
    for leftover in path.parent.glob(f".{path.name}.*"):
        leftover.unlink(missing_ok=True)


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Writes tensors and plain values with their checksum."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getvalue()
    write(path, _HEAD + hashlib.sha256(content).digest() + content)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Reads what `save_checkpoint` wrote, without executing anything in it.

    Raises:
        Damaged: the content does not match its checksum, or would have to be executed.
    """
    content = path.read_bytes()
    body = content[len(_HEAD) + 32 :]
    digest = content[len(_HEAD) : len(_HEAD) + 32]
    if not content.startswith(_HEAD) or hashlib.sha256(body).digest() != digest:
        raise Damaged(f"The checkpoint {path} is damaged: its checksum does not match.")
    try:
        state = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise Damaged(
            f"The checkpoint {path} is damaged: it holds more than tensors and plain values."
        ) from error
    return dict(state)


def set_aside(path: Path, why: str, then: str = "the run is trained anew") -> Path:
    """Renames a damaged file, says so and what follows, and returns its new place."""
    place = path.with_name(path.name + ".damaged")
    with suppress(FileNotFoundError):  # another process was quicker
        os.replace(path, place)
    warnings.warn(f"{why} The file was set aside as {place.name}; {then}.", stacklevel=3)
    return place
