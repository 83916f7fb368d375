"""What a fresh machine relies on: the set-up files agree, and nothing points at one machine."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]

requirements = pytest.importorskip("packaging.requirements")
yaml = pytest.importorskip("yaml")


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    split = [line.split("==") for line in lines if not line.startswith("#")]
    assert all(len(parts) == 2 for parts in split), "constraints.txt holds name==version alone"
    return {normal(name): version for name, version in split}


@pytest.mark.parametrize(
    "requirement", sorted({*PROJECT["dependencies"], *(r for e in EXTRAS.values() for r in e)})
)
def test_each_requirement_is_pinned_to_a_version_it_allows(requirement: str) -> None:
    parsed = requirements.Requirement(requirement)
    assert parsed.specifier.contains(pins()[normal(parsed.name)])


def test_no_pin_is_repeated() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert len(pins()) == len([line for line in lines if not line.startswith("#")])


def test_conda_installs_what_make_installs() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    (python,) = [d for d in environment if isinstance(d, str) and d.startswith("python=")]
    (pip,) = [d["pip"] for d in environment if isinstance(d, dict)]
    allowed = requirements.SpecifierSet(PROJECT["requires-python"])
    assert allowed.contains(python.removeprefix("python="))
    install = f"-e .[{','.join(EXTRAS)}]"
    assert pip == ["-c constraints.txt", install]
    assert install.replace("-e ", "-e '") + "'" in (ROOT / "Makefile").read_text()


def test_the_package_and_its_metadata_have_one_version() -> None:
    import softshare

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert softshare.__version__ == PROJECT["version"] == str(citation["version"])


def test_the_books_settings_are_settings() -> None:
    """Jupyter Book ignores what it does not know; Sphinx's own part is checked by its build."""
    book = pytest.importorskip("jupyter_book.config")
    default = yaml.safe_load(book.PATH_YAML_DEFAULT.read_text())
    schema = json.loads(book.PATH_JSON_SCHEMA.read_text())["properties"]
    ours = yaml.safe_load((ROOT / "_config.yml").read_text())
    for key, value in ours.items():
        assert key in {*default, *schema, "bibtex_bibfiles"}, key
        for inner in value if isinstance(value, dict) else ():
            known = {*default.get(key, {}), *schema.get(key, {}).get("properties", {})}
            assert inner in known, f"{key}: {inner}"


def test_the_books_folders_are_links() -> None:
    assert (ROOT / "book" / "_config.yml").resolve() == ROOT / "_config.yml"
    assert (ROOT / "book" / "notebooks").resolve() == ROOT / "notebooks"
    assert not (ROOT / "book" / "_static").exists(), "its scripts would load on every page"


def tracked() -> list[Path]:
    try:
        listing = subprocess.run(
            ["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this is no git checkout")
    return [path for name in listing.split("\0") if name and (path := ROOT / name).is_file()]


def test_no_file_depends_on_one_machine() -> None:
    homes = r"(?<![\w.:/-])/(?:home|root|work|Users|opt|mnt)/\w"
    hosts = "|".join(
        ["pypi" + r"\.org", "pythonhosted" + r"\.org", "index" + "-url", "file:" + "///"]
    )
    machine = re.compile(f"{homes}|{hosts}")
    found = {
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in tracked()
        if path.suffix not in (".png", ".gz", ".zip", ".safetensors") and path != Path(__file__)
        for match in machine.finditer(path.read_text(errors="ignore"))
    }
    assert not found


def test_no_tracked_file_is_large() -> None:
    """Weights stand beside the records of networks of up to 4 M parameters, two bytes each."""
    limit = {".safetensors": 8.5 * 2**20}
    large = [p for p in tracked() if p.stat().st_size > limit.get(p.suffix, 2 * 2**20)]
    assert not large
