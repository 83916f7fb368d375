"""The command line, called where nothing else is read or written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from softshare.__main__ import main


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data root, and the working directory."""
    monkeypatch.setenv("SOFTSHARE_COMMIT", "0123456789ab")  # tests may be a copy without history
    monkeypatch.setenv("SOFTSHARE_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def usage(capsys: pytest.CaptureFixture[str], one_line: Callable) -> Callable[[list[str]], str]:
    """What a wrong command line is told: one sentence, and exit status 2."""

    def usage(argv: list[str]) -> str:
        with pytest.raises(SystemExit) as caught:
            main(argv)
        out, err = capsys.readouterr()
        assert (caught.value.code, out) == (2, "")
        return one_line(err)

    return usage


@pytest.fixture
def refusal(capsys: pytest.CaptureFixture[str], one_line: Callable) -> Callable[[list[str]], str]:
    """What a refused command says: one sentence on stderr, and exit status 1."""

    def refusal(argv: list[str]) -> str:
        assert main(argv) == 1
        out, err = capsys.readouterr()
        assert out == ""
        return one_line(err)

    return refusal


@pytest.fixture
def one_line() -> Callable[[str], str]:
    """A line without its end, when it is one and no traceback."""

    def one_line(text: str) -> str:
        assert text.endswith("\n")
        assert text.count("\n") == 1, text
        assert "Traceback" not in text
        return text[:-1]

    return one_line


@pytest.fixture
def record(folder: Path) -> Callable[[], Path]:
    """The only record that is there."""

    def record() -> Path:
        (path,) = folder.glob("data/runs/**/seed*.json")
        return path

    return record
