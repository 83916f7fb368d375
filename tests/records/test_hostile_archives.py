"""An archive that no pack made is refused, and nothing of it taken."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from softshare.records import Run
from softshare.records.merging import merge
from softshare.records.packing import pack

pytestmark = pytest.mark.usefixtures("apart")
THERE, HERE = "there/runs", "here/runs"


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


GOOD = "runs/digits/smoke/wrn-10-1/seed0-0123456789.json"
HOSTILE = {
    "absolute": "/runs/digits/smoke/wrn-10-1/seed0-0123456789.json",
    "upwards": "runs/../../x/seed0-0123456789.json",
    "upwards-inside": "runs/digits/../x/seed0-0123456789.json",
    "backslash": "runs\\digits\\smoke\\x\\seed0-0123456789.json",
    "drive": "C:/runs/digits/smoke/x/seed0-0123456789.json",
    "hidden": "runs/digits/smoke/.git/seed0-0123456789.json",
    "other-file": "runs/digits/smoke/wrn-10-1/seed0-0123456789.py",
    "other-place": "softshare/digits/smoke/seed0-0123456789.json",
    "folder": "runs/digits/smoke/wrn-10-1/",
    "checkpoint-upwards": "checkpoints/../seed0-0123456789.pt",
    "nul": "runs/digits/smoke/wrn-10-1\0/seed0-0123456789.json",
    "new-line": "runs/digits/smoke/wrn\n10/seed0-0123456789.json\n",
}


@pytest.mark.parametrize("kind", [*HOSTILE, "link", "twice", "huge", "bomb", "no-zip", "cut"])
def test_an_archive_that_no_pack_made_is_refused_and_nothing_of_it_taken(
    files: Callable, kind: str, runs: list[Run]
) -> None:
    pack("bad.zip", [run.path for run in runs], THERE)
    pack("good.zip", [run.path for run in runs], THERE)
    with zipfile.ZipFile("bad.zip", "a", zipfile.ZIP_DEFLATED) as bad:
        if kind in HOSTILE:
            info = zipfile.ZipInfo("x")
            info.filename = HOSTILE[kind]
            bad.writestr(info, b"{}")
        elif kind == "link":
            bad.writestr(link(GOOD), "/etc/passwd")
        elif kind == "twice":
            bad.writestr(GOOD, b"{}")
            with pytest.warns(UserWarning, match="Duplicate"):
                bad.writestr(GOOD, b"{ }")
        elif kind == "huge":
            bad.writestr(GOOD, bytes(65 * 2**20))
        elif kind == "bomb":
            for number in range(9):
                bad.writestr(GOOD.replace("0123", f"012{number}"), bytes(63 * 2**20))
    if kind == "no-zip":
        Path("bad.zip").write_bytes(b"a record")
    elif kind == "cut":
        Path("bad.zip").write_bytes(Path("bad.zip").read_bytes()[:-30])
    before = files(".")
    with pytest.raises(ValueError, match=r"^bad\.zip is no pack of records"):
        merge(["good.zip", "bad.zip"], HERE)
    assert files(".") == before


def test_an_archive_that_is_not_there_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"There is no archive nowhere\.zip"):
        merge(["nowhere.zip"])
