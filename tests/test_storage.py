"""Files that are whole or absent: what was written comes back, what was damaged does not."""

from __future__ import annotations

import io
import os
import random
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from softshare import storage

STATE: dict[str, Any] = {
    "net": {
        "weight": torch.arange(48.0).reshape(2, 4, 2, 3).to(memory_format=torch.channels_last),
        "half": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
        "count": torch.tensor(2**40),
    },
    "curves": {"loss": [0.1 + 0.2, 1e-300], "epoch": [1, 2]},
    "seconds": 1.5,
    "fits": {"shapes": {"weight": [2, 4, 2, 3]}, "key": "0f"},
}


def test_a_checkpoint_comes_back_to_the_bit_and_the_stride(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "run.pt"
    storage.save_checkpoint(path, STATE)
    found = storage.load_checkpoint(path)
    assert list(found) == list(STATE)
    for name, tensor in STATE["net"].items():
        assert torch.equal(found["net"][name], tensor)
        assert found["net"][name].dtype == tensor.dtype
        assert found["net"][name].stride() == tensor.stride()
    assert {**found, "net": None} == {**STATE, "net": None}


def test_damage_anywhere_is_found_and_named(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    storage.save_checkpoint(path, STATE)
    whole = path.read_bytes()
    draw = random.Random(0)
    broken = [b"", b"\0" * len(whole), whole[:10], whole[:50], whole[:-1], whole + b"\0"]
    broken += [whole[: draw.randrange(len(whole))] for _ in range(20)]
    for place in [0, 30, len(whole) - 1, *draw.sample(range(len(whole)), 60)]:
        flipped = bytearray(whole)
        flipped[place] ^= 1 << draw.randrange(8)
        broken.append(bytes(flipped))
    for content in broken:
        path.write_bytes(content)
        with pytest.raises(storage.Damaged, match=re.escape(f"The checkpoint {path} is damaged")):
            storage.load_checkpoint(path)


class Malice:
    def __reduce__(self) -> tuple:
        return os.mkdir, ("executed",)


def test_nothing_in_a_checkpoint_is_executed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checksum is no signature: a file with a right one may still be hostile."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "run.pt"
    storage.save_checkpoint(path, {"net": Malice()})
    assert not (tmp_path / "executed").exists()
    with pytest.raises(storage.Damaged, match="holds more than tensors and plain values"):
        storage.load_checkpoint(path)
    assert not (tmp_path / "executed").exists()
    body = path.read_bytes()[len(storage._HEAD) + 32 :]
    torch.load(io.BytesIO(body), weights_only=False)
    assert (tmp_path / "executed").exists(), "else this test shows nothing"


def test_a_writer_killed_at_any_step_leaves_the_old_file(tmp_path: Path, start: Callable) -> None:
    def die(path: str, step: str) -> None:
        import os
        import signal
        from pathlib import Path

        from softshare import storage

        def kill(*arguments: object) -> None:
            os.kill(os.getpid(), signal.SIGKILL)

        if step == "half written":
            make = os.fdopen

            def half(*arguments: object) -> object:
                file = make(*arguments)
                return type(
                    "Half",
                    (),
                    {
                        "__enter__": lambda self: self,
                        "__exit__": lambda self, *error: None,
                        "write": lambda self, content: (
                            file.write(content[:9]),
                            file.flush(),
                            kill(),
                        ),
                    },
                )()

            os.fdopen = half
        else:
            setattr(os, step, kill)
        storage.write(Path(path), b"the new content")

    path = tmp_path / "run.pt"
    storage.write(path, b"the old content")
    for step in ("half written", "fsync", "chmod", "replace"):
        writer = start(die, str(path), step)
        writer.join()
        assert writer.exitcode == -signal.SIGKILL
        assert path.read_bytes() == b"the old content"
    other = tmp_path / ".run.pts.k3j2"
    other.touch()
    assert len(os.listdir(tmp_path)) == 6, "the killed writers leave their unfinished files"
    storage.sweep(path)
    assert set(os.listdir(tmp_path)) == {path.name, other.name}


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "run.pt"
    with pytest.raises(OSError, match=re.escape(f"Could not write {path} (")):
        storage.write(path, b"content")


def test_the_advice_is_for_the_place_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOFTSHARE_DATA", str(tmp_path / "data"))
    for folder, advice in (
        ("data", "You may set SOFTSHARE_DATA"),
        ("out", "You may write it else"),
    ):
        (tmp_path / folder).touch()
        with pytest.raises(OSError, match=f"before is untouched. {advice}"):
            storage.write(tmp_path / folder / "net.safetensors", b"content")


def test_setting_aside_keeps_the_file_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    for content in (b"first", b"second"):
        path.write_bytes(content)
        with pytest.warns(
            UserWarning, match=r"^It broke\. The file was set aside as run\.pt\.damaged"
        ):
            place = storage.set_aside(path, "It broke.")
        assert not path.exists()
        assert place.read_bytes() == content
    with pytest.warns(UserWarning, match="It broke"):  # another process has just moved it
        assert storage.set_aside(path, "It broke.") == place
    assert place.read_bytes() == b"second"
