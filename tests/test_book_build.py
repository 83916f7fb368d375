"""The book's machinery, on a small book with the real configuration, extensions and reference."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("book"),
    pytest.mark.skipif(
        importlib.util.find_spec("jupyter_book") is None,
        reason="jupyter-book is not installed",
    ),
]

TOC = """\
format: jb-book
root: front
chapters:
  - file: api
  - file: references
  - file: notebooks/page
"""
FRONT = r"""# A book

Equation 1 of {cite:t}`savarese2019implicitly` is

$$W_i = \sum_{j=1}^{k} \alpha_{ij} T_j .$$
"""
CELLS = [
    "import os, time\nfrom pathlib import Path\nprint('as a book:', os.environ['SOFTSHARE_BOOK'])",
    "print('record:', Path('../data/runs/a.json').read_text())\nprint('run at:', time.time_ns())",
]


def notebook(cells: list[str]) -> str:
    code = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": []}
    title = {"cell_type": "markdown", "id": "t", "metadata": {}, "source": "# A page\n\n$x^2$"}
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    numbered = [{**code, "id": f"c{i}", "source": cell} for i, cell in enumerate(cells)]
    metadata = {"kernelspec": kernel}
    page = {"cells": [title, *numbered], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(page)


def build(book: Path, clean: bool = False) -> subprocess.CompletedProcess[str]:
    if clean:
        shutil.rmtree(book / "_build" / "html", ignore_errors=True)
        shutil.rmtree(book / "_build" / ".doctrees", ignore_errors=True)
    call = "from jupyter_book.cli.main import main; main()"
    command = [sys.executable, "-c", call, "build", str(book)]
    environment = {k: v for k, v in os.environ.items() if k != "SOFTSHARE_BOOK"}
    options = ["-W", "-n", "--keep-going"]
    return subprocess.run([*command, *options], capture_output=True, text=True, env=environment)


def printed(book: Path, label: str) -> str:
    page = (book / "_build" / "html" / "notebooks" / "page.html").read_text()
    found = re.search(rf"{label}: (.+)", page)
    assert found, f"the page does not show {label!r}"
    return found[1].strip()


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("checkout")
    (root / "data" / "runs").mkdir(parents=True)
    (root / "data" / "runs" / "a.json").write_text("first")
    (root / "softshare").mkdir()
    (root / "softshare" / "bank.py").write_text("k = 1\n")
    (root / "notebooks").mkdir()
    (root / "notebooks" / "page.ipynb").write_text(notebook(CELLS))
    shutil.copy(ROOT / "_config.yml", root)
    ignore = shutil.ignore_patterns("_build", "notebooks", "_toc.yml")
    shutil.copytree(ROOT / "book", root / "book", symlinks=True, ignore=ignore)
    (root / "book" / "notebooks").symlink_to("../notebooks")
    (root / "book" / "_toc.yml").write_text(TOC)
    (root / "book" / "front.md").write_text(FRONT)
    done = build(root / "book")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return root / "book"


def test_kernels_know_that_a_book_is_built(book: Path) -> None:
    assert printed(book, "as a book") == "1"


def test_an_unchanged_page_is_not_run_again(book: Path) -> None:
    before = printed(book, "run at")
    assert build(book, clean=True).returncode == 0
    assert printed(book, "run at") == before


def test_a_changed_record_changes_its_page(book: Path) -> None:
    (book.parent / "data" / "runs" / "a.json").write_text("second")
    assert build(book).returncode == 0
    assert printed(book, "record") == "second"


def test_changed_code_runs_the_pages_again_and_old_outputs_go(book: Path) -> None:
    before = printed(book, "run at")
    (book.parent / "softshare" / "bank.py").write_text("k = 2\n")
    assert build(book).returncode == 0
    assert printed(book, "run at") != before
    assert len(list((book / "_build" / ".jupyter_cache").iterdir())) == 1


def test_a_failing_page_fails_the_build(book: Path) -> None:
    page = book.parent / "notebooks" / "page.ipynb"
    page.write_text(notebook([*CELLS, "1 / 0"]))
    try:
        assert build(book, clean=True).returncode != 0
    finally:
        page.write_text(notebook(CELLS))


def test_the_reference_lists_every_public_name(book: Path) -> None:
    import softshare

    page = (book / "_build" / "html" / "api.html").read_text()
    assert {name for name in softshare.__all__ if f'id="softshare.{name}"' not in page} == set()


def test_pages_fetch_nothing(book: Path) -> None:
    fetched = r"""<(?:script|link|img|iframe)[^>]+(?:src|href)=["'](?:https?:)?//[^"']+"""
    pages = list((book / "_build" / "html").rglob("*.html"))
    assert len(pages) > 4
    for page in pages:
        assert not re.findall(fetched, page.read_text()), page.name
        assert "unpkg.com" not in page.read_text(), page.name


def test_formulas_show_in_a_browser_without_a_network(book: Path) -> None:
    webdriver = pytest.importorskip("selenium.webdriver")
    if not shutil.which("chromedriver"):
        pytest.skip("chromedriver is not installed")
    options = webdriver.ChromeOptions()
    for switch in ("headless=new", "no-sandbox", "host-resolver-rules=MAP * ~NOTFOUND"):
        options.add_argument(f"--{switch}")
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    with webdriver.Chrome(options=options, service=service) as browser:
        browser.get((book / "_build" / "html" / "front.html").as_uri())
        wait = importlib.import_module("selenium.webdriver.support.wait").WebDriverWait
        drawn = "return document.querySelectorAll('mjx-container svg path').length"
        assert wait(browser, 30).until(lambda b: b.execute_script(drawn)) > 5
