"""The members of an archive of records, which holds nothing else or is refused."""

from __future__ import annotations

import re
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

_LARGEST = 64 * 2**20  # bytes unpacked; what is packed is tensors and numbers, and shrinks little
_TOGETHER = 512 * 2**20
_MEMBERS = 10_000
_RECORD = re.compile(r"runs/(?:[^/\\\x00-\x1f]+/){3}seed\d+-[0-9a-f]{10}\.(?:json|safetensors)")
_CHECKPOINT = re.compile(r"checkpoints/[\w.+-]+-seed\d+-[0-9a-f]{10}\.pt")
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


def members(file: Path) -> dict[str, bytes]:
    """Contents by name: ``runs/<data>/<profile>/<model>/<record>`` and ``checkpoints/<run>``.

    Raises:
        FileNotFoundError: there is no such archive.
        ValueError: it is none, or holds other files, links, paths that lead elsewhere, the same
            name twice, or more than any pack.

    Example:
        >>> members(Path("no/such/place.zip"))
        Traceback (most recent call last):
        ...
        FileNotFoundError: There is no archive no/such/place.zip.
    """
    if not file.is_file():
        raise FileNotFoundError(f"There is no archive {file}.")
    try:
        with zipfile.ZipFile(file) as packed:
            listed = packed.infolist()
            if len(listed) > _MEMBERS or sum(m.file_size for m in listed) > _TOGETHER:
                raise ValueError(f"{file} is no pack of records: it would unpack to too much.")
            found: dict[str, bytes] = {}
            for member in listed:
                found[_checked(member, found, file)] = _read(packed, member, file)
            return found
    except _DAMAGE as error:
        raise ValueError(f"{file} is no pack of records, or damaged: {error}.") from error


def _checked(member: zipfile.ZipInfo, found: dict[str, bytes], file: Path) -> str:
    name, mode = member.orig_filename, member.external_attr >> 16
    known = _RECORD.fullmatch(name) or _CHECKPOINT.fullmatch(name)
    if (
        not known
        or any(part.startswith(".") for part in PurePosixPath(name).parts)
        or (stat.S_IFMT(mode) and not stat.S_ISREG(mode))
        or name in found
    ):
        raise ValueError(f"{file} is no pack of records: it holds {name!r}. Nothing was taken.")
    return name


def _read(packed: zipfile.ZipFile, member: zipfile.ZipInfo, file: Path) -> bytes:
    with packed.open(member) as opened:
        content = opened.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise ValueError(f"{file} is no pack of records: {member.filename} is too large.")
    return content
