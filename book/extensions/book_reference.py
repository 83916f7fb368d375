"""Writes the reference of softshare's public names into the page that asks for it.

The names come from ``softshare.__all__``, the grouping from the modules that
define them, the text from their docstrings.
"""

import importlib
import inspect

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


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
