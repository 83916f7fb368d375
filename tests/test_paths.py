from pathlib import Path

import pytest

from softshare import paths


@pytest.fixture(autouse=True)
def _no_override(monkeypatch):
    monkeypatch.delenv("SOFTSHARE_DATA", raising=False)


def test_checkout_holds_the_data():
    assert paths.data_root() == Path(__file__).resolve().parents[1] / "data"
    assert paths.paper_json() == paths.data_root() / "paper.json"


def test_environment_moves_every_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("SOFTSHARE_DATA", str(tmp_path))
    assert paths.data_root() == tmp_path
    assert paths.runs_root() == tmp_path / "runs"
    assert paths.checkpoints_root() == tmp_path / "checkpoints"


def test_environment_expands_home_and_ignores_empty(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SOFTSHARE_DATA", "~/sets")
    assert paths.data_root() == tmp_path / "sets"
    monkeypatch.setenv("SOFTSHARE_DATA", "")
    assert paths.data_root() == Path(__file__).resolve().parents[1] / "data"


def test_without_a_checkout_the_working_directory(monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "PACKAGE", tmp_path / "site-packages" / "softshare")
    assert paths.data_root() == Path("data")
    assert paths.paper_json() == Path("data/paper.json")


def test_paper_numbers_are_found_beside_a_moved_data_root(monkeypatch, tmp_path):
    checkout = paths.paper_json()
    monkeypatch.setenv("SOFTSHARE_DATA", str(tmp_path))
    assert paths.paper_json() == checkout
    (tmp_path / "paper.json").write_text("{}")
    assert paths.paper_json() == tmp_path / "paper.json"


def test_an_installed_package_brings_its_own_copy(monkeypatch, tmp_path):
    package = tmp_path / "site-packages" / "softshare"
    package.mkdir(parents=True)
    (package / "paper.json").write_text("{}")
    monkeypatch.setattr(paths, "PACKAGE", package)
    monkeypatch.chdir(tmp_path)
    assert paths.paper_json() == package / "paper.json"
