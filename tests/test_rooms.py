"""The library's rooms: the list of them is whole, and imports point one way."""

import ast
from pathlib import Path

import pytest

import softshare

FOLDER = Path(softshare.__file__).parent
LISTED = [
    line.split()[0]
    for line in str(softshare.__doc__).partition("::")[2].splitlines()
    if line.startswith("    ")
]


def used(room: str) -> set[str]:
    """The rooms whose modules this one imports, anywhere in its code."""
    found = set()
    for path in (FOLDER / room).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = []
            if isinstance(node, ast.ImportFrom) and node.module == "softshare":
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and str(node.module).startswith("softshare."):
                modules = [str(node.module).split(".")[1]]
            found.update(module for module in modules if (FOLDER / module).is_dir())
    return found - {room}


def test_every_room_is_listed() -> None:
    assert sorted(LISTED) == sorted(path.parent.name for path in FOLDER.glob("*/__init__.py"))


@pytest.mark.parametrize("room", LISTED)
def test_a_room_uses_none_but_those_above_it(room: str) -> None:
    assert used(room) <= set(LISTED[: LISTED.index(room)])


def test_the_imports_of_a_room_are_seen() -> None:
    assert {"records", "sharing", "recipe"} <= used("training")
