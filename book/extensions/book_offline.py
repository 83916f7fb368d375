"""Makes pages whole without a network: MathJax comes along, scripts from elsewhere stay out.

The one file that holds the whole of TeX with glyphs as SVG is taken from the Python package
sphinx-mathjax-offline, whose own extension would copy 24 MB.
"""

from importlib.metadata import files
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.util.fileutil import copy_asset_file

MATHJAX = "tex-svg-full.js"


def packaged_mathjax() -> Path:
    """Where pip put the script."""
    found = [file for file in files("sphinx-mathjax-offline") or [] if file.name == MATHJAX]
    if not found:
        raise FileNotFoundError(
            f"The book takes {MATHJAX} from the package sphinx-mathjax-offline, which lacks it; "
            "install softshare[book] with constraints.txt."
        )
    return Path(str(found[0].locate()))


def copy_mathjax(app: Sphinx, exception: Exception | None) -> None:
    if exception is None and app.builder.format == "html":
        target = Path(app.outdir) / "_static" / "mathjax"
        target.mkdir(parents=True, exist_ok=True)
        copy_asset_file(packaged_mathjax(), target)


def drop_thebe(app: Sphinx, page: str, template: str, context: dict[str, Any], tree: Any) -> None:
    """Jupyter Book always adds thebe, which needs a server; twice, which is an error in a page."""
    context["script_files"] = [
        script
        for script in context["script_files"]
        if "thebe" not in f"{script.filename} {script.attributes.get('body')}".lower()
    ]


def setup(app: Sphinx) -> dict[str, bool]:
    app.config.mathjax_path = f"mathjax/{MATHJAX}"
    app.connect("html-page-context", drop_thebe, priority=900)
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
