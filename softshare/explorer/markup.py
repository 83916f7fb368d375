"""The explorer's templates: pieces of SVG and HTML, its style sheet and its script."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from softshare.explorer import diagram

if TYPE_CHECKING:
    from jinja2 import Environment, Template

_DARK = (
    "--accent: #9db4e0; --chance-mark: #e08be6; "
    "--quiet: #a3a9b5; --line: #7d8592; --box: #343a45; --on: #101318; --on0: #f0f2f5; "
    "--c1: #ff6b6b; --c2: #57c777; --c3: #7ba7ff; --c4: #ffab52; --c5: #c695f5; --c6: #4fd0d3; "
    "--c7: #ff85c2; --c8: #d3a277; --c9: #c3cd57; --c10: #a9bad8;"
)


@cache
def style() -> str:
    """The style sheet; its dark half holds wherever a host says so, or the reader prefers it."""
    colours = "\n".join(
        f".softshare-explorer .l{i} {{ stroke: var(--c{i}); }} .softshare-explorer .b{i} "
        f"{{ fill: var(--c{i}); }} .softshare-explorer svg .o{i} {{ fill: var(--on); }}"
        for i in range(1, diagram.COLOURS + 1)
    )
    text = source("explorer.css").replace("COLOURS", colours)
    return raw(text.replace("DARK", _DARK))


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("softshare.explorer"), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["grey"] = _grey
    environment.filters["short"] = lambda value: f"{value:.2f}".removeprefix("0")
    environment.globals["width"] = diagram.WIDTH
    return environment


def _grey(similarity: float) -> str:
    level = f"{round(255 * similarity):02x}"
    return f"#{level * 3}"


def template(name: str) -> Template:
    return _environment().get_template(name)


def source(name: str) -> Any:
    """A file of the package as it stands, not to be escaped."""
    return raw((Path(__file__).parent / "templates" / name).read_text(encoding="utf-8"))


def raw(text: str) -> Any:
    """What is HTML already, and not to be escaped again."""
    from markupsafe import Markup

    return Markup(text)
