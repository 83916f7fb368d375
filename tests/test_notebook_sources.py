"""Notebooks are sources: short, without outputs or logic, parameters first."""

import ast
import io
import json
import tokenize
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("*.ipynb"))

pytestmark = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(path: Path) -> list[dict[str, Any]]:
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def test_it_holds_no_outputs(path: Path) -> None:
    assert all(not c["outputs"] and c["execution_count"] is None for c in code_cells(path))


def test_it_is_short_and_runs_on_the_kernel_that_everyone_has(path: Path) -> None:
    assert 1 <= len(code_cells(path)) <= 15
    assert json.loads(path.read_text())["metadata"]["kernelspec"]["name"] == "python3"


def test_parameters_come_first_as_annotated_literals_with_comments(path: Path) -> None:
    cells = code_cells(path)
    tagged = [i for i, c in enumerate(cells) if "parameters" in c["metadata"].get("tags", [])]
    assert tagged == [0]
    text = source(cells[0])
    commented = {
        token.start[0]
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT
    }
    for statement in ast.parse(text).body:
        assert isinstance(statement, ast.AnnAssign), ast.unparse(statement)
        assert statement.value is not None
        ast.literal_eval(statement.value)
        assert statement.lineno == statement.end_lineno, "papermill shows one line a parameter"
        assert statement.lineno in commented, f"{ast.unparse(statement)} lacks its comment"


def test_it_has_no_logic_of_its_own(path: Path) -> None:
    logic = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Try, ast.While)
    for cell in code_cells(path):
        found = [node for node in ast.walk(ast.parse(source(cell))) if isinstance(node, logic)]
        assert not found, ast.unparse(found[0])
