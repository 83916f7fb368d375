"""The file of a record: JSON with one line a curve, and its checksum."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from softshare import storage

FORMAT = 1


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Replaces the file in one step, or leaves what was there.

    Raises:
        ValueError: a number is not finite, which JSON cannot hold.
        OSError: the place is full or not writable.
    """
    content = {"format": FORMAT} | dict(content)
    content["sha256"] = _digest(content)
    storage.write(path, (_text(content) + "\n").encode())


def read(path: Path) -> dict[str, Any]:
    """What `write` was given, checked.

    Raises:
        FileNotFoundError: there is no such file.
        Damaged: it is not JSON, not whole, or does not match its checksum.
        ValueError: it comes from a newer version.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write(Path(folder, "record.json"), {"result": {"test_error": 9.5}})
        ...     read(Path(folder, "record.json"))
        {'result': {'test_error': 9.5}}
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no record {path}.")
    damaged = f"The record {path} is damaged:"
    try:
        content = json.loads(path.read_text())
        digest = content.pop("sha256")
        intact = digest == _digest(content)
        version = content.pop("format")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise storage.Damaged(f"{damaged} it is not a whole record.") from error
    if not intact:
        raise storage.Damaged(f"{damaged} its checksum does not match.")
    if version != FORMAT:
        raise ValueError(
            f"This version reads records of format {FORMAT}; {path} has format {version}. "
            "Update softshare."
        )
    return dict(content)


def _text(content: Mapping[str, Any]) -> str:
    """JSON with one line per curve: small in git, and a changed number is one changed line."""
    lines = []
    for name, value in content.items():
        if (
            isinstance(value, dict)
            and value
            and isinstance(next(iter(value.values())), (list, dict))
        ):
            inner = ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in value.items())
            lines.append(f" {json.dumps(name)}: {{\n{inner}\n }}")
        else:
            lines.append(f" {json.dumps(name)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(lines) + "\n}"


def _digest(content: Mapping[str, Any]) -> str:
    canonical = json.dumps(content, sort_keys=True, allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
