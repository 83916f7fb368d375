"""Executes pages against the committed records, and again when a record or the library changes.

Jupyter Book's cache compares the sources of the cells alone, so an edited record would leave a
stale page. Here each state of the inputs has a cache of its own; a new state also makes Sphinx
read every page again, because the place of the cache is part of its configuration.
"""

import hashlib
import os
import shutil
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config

INPUTS = (
    "softshare/**/*.py",
    "softshare/explorer/templates/*",
    "data/paper.json",
    "data/runs/**/*.json",
    "data/benchmarks/**/*.json",
)


def fingerprint(root: Path) -> str:
    """Sixteen hexadecimal digits that change with any name or byte of the inputs under root."""
    digest = hashlib.sha256()
    for path in sorted({path for pattern in INPUTS for path in root.glob(pattern)}):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(root).as_posix()} {content}\n".encode())
    return digest.hexdigest()[:16]


def choose_cache(app: Sphinx, config: Config) -> None:
    """Points myst-nb at the cache of the present inputs and drops the caches of earlier ones."""
    caches = Path(app.outdir).parent / ".jupyter_cache"
    present = caches / fingerprint(Path(app.srcdir).parent)
    for earlier in caches.glob("*"):
        if earlier != present:
            shutil.rmtree(earlier) if earlier.is_dir() else earlier.unlink()
    config.nb_execution_cache_path = str(present)


def setup(app: Sphinx) -> dict[str, bool]:
    # Kernels inherit it: softshare then reads records and never trains.
    os.environ["SOFTSHARE_BOOK"] = "1"
    app.connect("config-inited", choose_cache)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
