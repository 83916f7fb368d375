"""The book's Sphinx extensions, piece by piece."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("sphinx")
EXTENSIONS = Path(__file__).resolve().parents[1] / "book" / "extensions"


def extension(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXTENSIONS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("target", ["torch.Tensor", "nn.Module", "Tensor", "softshare.sharing"])
def test_a_name_that_exists_needs_no_link(target: str) -> None:
    node = {"refdomain": "py", "reftarget": target}
    assert extension("book_reference").name_without_link(None, None, node, "text") == "text"


@pytest.mark.parametrize("target", ["torch.Tenser", "softshare.banc", "Modle"])
def test_a_name_that_does_not_exist_stays_a_warning(target: str) -> None:
    node = {"refdomain": "py", "reftarget": target}
    assert extension("book_reference").name_without_link(None, None, node, "text") is None


def test_a_page_of_another_domain_is_not_touched() -> None:
    node = {"refdomain": "std", "reftarget": "torch.Tensor"}
    assert extension("book_reference").name_without_link(None, None, node, "text") is None


def test_a_propertys_first_line_may_hold_a_colon() -> None:
    napoleon = pytest.importorskip("sphinx.ext.napoleon")
    lines = ["Where it lies: below the folder."]
    about = {"what": "property", "name": "path"}
    assert ":type:" in str(napoleon.GoogleDocstring(lines, **about)), "the trap is still there"
    extension("book_reference").keep_sentence(None, "property", "path", None, None, lines)
    text = str(napoleon.GoogleDocstring(lines, **about))
    assert "Where it lies: below the folder." in text
    assert ":type:" not in text


def test_the_fingerprint_follows_names_and_bytes_of_records(tmp_path: Path) -> None:
    fingerprint = extension("book_execution").fingerprint
    record = tmp_path / "data" / "runs" / "cifar10" / "a.json"
    record.parent.mkdir(parents=True)
    seen = [fingerprint(tmp_path)]
    record.write_text("1")
    seen.append(fingerprint(tmp_path))
    record.write_text("2")
    seen.append(fingerprint(tmp_path))
    record.rename(record.with_name("b.json"))
    seen.append(fingerprint(tmp_path))
    assert len(set(seen)) == 4
    (tmp_path / "data" / "notes.txt").write_text("no record")
    assert fingerprint(tmp_path) == seen[-1]


def test_drawings_are_named_by_the_headings_above_them_where_they_have_no_name() -> None:
    from docutils import nodes

    named, plain, outside = nodes.image(alt="a cat"), nodes.image(), nodes.image()
    inner = nodes.section("", nodes.title(text="Curves"), nodes.container("", plain), named)
    page = nodes.section("", nodes.title(text="Figure 5"), inner)
    document = nodes.document(None, None, outside, page)
    extension("book_alt").describe(None, document)
    assert plain["alt"] == "Drawing: Figure 5 / Curves"
    assert named["alt"] == "a cat" and "alt" not in outside


def test_mathjax_is_there_to_be_copied() -> None:
    pytest.importorskip("jupyter_book")
    assert extension("book_offline").packaged_mathjax().stat().st_size > 10**6
