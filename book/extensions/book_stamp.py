"""Prints under every page which commit, and which records and library, the book was built from."""

import subprocess
from pathlib import Path

from book_execution import fingerprint
from sphinx.application import Sphinx
from sphinx.config import Config


def commit(root: Path) -> str:
    """Short commit of the checkout, with a + when files differ from it; empty outside git."""
    command = ["git", "-C", str(root), "describe", "--always", "--exclude=*", "--dirty=+"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def stamp(app: Sphinx, config: Config) -> None:
    root = Path(app.srcdir).parent
    sources = f"records and library {fingerprint(root)}"
    if checkout := commit(root):
        sources = f"commit {checkout}, {sources}"
    config.html_theme_options["extra_footer"] = f"<p>Built from {sources}.</p>"


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("config-inited", stamp)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
