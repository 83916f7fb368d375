"""Writes the reference of softshare's public names into the page that asks for it.

The names come from ``softshare.__all__``, the grouping from the modules that define them, the
text from their docstrings.
"""

import ast
import importlib
import inspect
import pydoc
from functools import cache
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

PLACEHOLDER = "% public names of softshare"


def reference(package: str = "softshare") -> str:
    """MyST source: a section per module, an autodoc entry per public name."""
    face = importlib.import_module(package)
    homes: dict[str, list[str]] = {}
    for name in face.__all__:
        homes.setdefault(getattr(face, name).__module__, []).append(name)
    return "\n".join(section(package, home, homes[home]) for home in sorted(homes))


def section(package: str, home: str, names: list[str]) -> str:
    """One module: its name, the first sentence about it, and its public names."""
    module = importlib.import_module(home)
    summary = (inspect.getdoc(module) or "").partition("\n\n")[0]
    entries = "\n".join(entry(f"{package}.{name}", getattr(module, name)) for name in names)
    return f"## {home}\n\n{summary}\n\n```{{eval-rst}}\n{entries}\n```\n"


def entry(path: str, thing: object) -> str:
    if inspect.isclass(thing):
        return f".. autoclass:: {path}\n   :members:\n"
    return f".. autofunction:: {path}\n" if callable(thing) else f".. autodata:: {path}\n"


def fill(app: Sphinx, docname: str, source: list[str]) -> None:
    if PLACEHOLDER in source[0]:
        source[0] = source[0].replace(PLACEHOLDER, reference())


@cache
def full_names(package: str = "softshare") -> dict[str, str]:
    """What modules of the package import or define: autodoc leaves some annotations as written."""
    full = {}
    folder = Path(str(importlib.import_module(package).__file__)).parent
    for path in folder.rglob("*.py"):
        words = path.relative_to(folder.parent).with_suffix("").parts
        module = ".".join(words).removesuffix(".__init__")
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                full[node.name] = f"{module}.{node.name}"
            elif isinstance(node, ast.ImportFrom):
                full |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
            elif isinstance(node, ast.Import):
                full |= {a.asname: a.name for a in node.names if a.asname}
    return full


def name_without_link(app: Sphinx, env: Any, node: Any, text: Any) -> Any:
    """What exists but has no page here is named in plain text; what does not exist is a warning."""
    if node.get("refdomain") != "py":
        return None
    head, dot, rest = node["reftarget"].partition(".")
    return text if pydoc.locate(full_names().get(head, head) + dot + rest) is not None else None


def keep_sentence(
    app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    """Napoleon takes what stands before a colon in a property's first line for its type."""
    if what in ("property", "attribute"):
        lines[:0] = ["..", ""]  # an empty comment


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", fill)
    app.connect("missing-reference", name_without_link)
    app.connect("autodoc-process-docstring", keep_sentence, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
