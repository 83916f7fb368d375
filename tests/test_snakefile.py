"""The workflow plans one job a missing record and one a page, and nothing twice."""

import importlib.util
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from softshare import paper
from softshare.commands import parse
from softshare.recipe import Recipe, for_profile

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    "table1",
    "table2",
    "table4",
    *(f"figure{n}" for n in range(3, 9)),
    "folding",
    "appendix_b",
]

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("snakemake") is None, reason="snakemake is not installed"
)


def plan(folder: Path, *arguments: str) -> str:
    """What `snakemake -n` would do in a folder that has the pages but no records."""
    (folder / "notebooks").mkdir(exist_ok=True)
    for page in PAGES:
        (folder / "notebooks" / f"{page}.ipynb").touch()
    command = [sys.executable, "-m", "snakemake", "-n", "-p", "--cores", "1"]
    command += ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder), *arguments]
    environment = os.environ | {"SOFTSHARE_DATA": str(folder / "data")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def jobs(text: str, rule: str) -> int:
    found = re.search(rf"^{rule}\s+(\d+)$", text, re.MULTILINE)
    return int(found[1]) if found else 0


def test_a_table_trains_every_row_on_every_set_with_every_seed(tmp_path: Path) -> None:
    own = [row for row in paper.rows("table1") if row["model"]]
    text = plan(tmp_path, "table1")
    assert jobs(text, "train") == len(own) * 2 * 5
    assert jobs(text, "notebook") == 1
    trained = re.findall(r"-m softshare train (.+)", text)
    assert "wrn-28-10 --data cifar100 --profile paper --seed 4 --dropout 0.3" in trained
    assert len(set(trained)) == len(trained)


def test_figure_3_has_its_networks_on_both_of_its_sets(tmp_path: Path) -> None:
    trained = re.findall(r"-m softshare train (.+)", plan(tmp_path, "figure3"))
    for model in paper.models("figure3"):
        for data in ("cifar10", "cifar100"):
            assert f"{model} --data {data} --profile paper" in trained


def test_a_recorded_run_is_not_trained_and_settings_reach_every_job(tmp_path: Path) -> None:
    settings = ["--config", "profile=fast", "seeds=2", "cifar10=cifar10-jpeg", "--"]
    recipe = for_profile("swrn-40-8-8", "cifar10-jpeg", "fast", seed=1)
    record = tmp_path / "data" / "runs" / recipe.path
    record.parent.mkdir(parents=True)
    record.touch()
    text = plan(tmp_path, *settings, "figure7")
    assert re.findall(r"-m softshare train (.+)", text) == [
        "swrn-40-8-8 --data cifar10-jpeg --profile fast"
    ]


def test_table_3_is_made_by_its_name_and_by_all_where_imagenet_is(tmp_path: Path) -> None:
    text = plan(tmp_path, "--config", "seeds=2", "--", "table3")
    assert len(re.findall(r"train s?wrn-50-2 --data imagenet --profile paper", text)) == 2 * 2
    assert "runtime=1440" in text
    (tmp_path / "data" / "imagenet").mkdir(parents=True)
    assert "train wrn-50-2" in plan(tmp_path, "all")


def test_the_whole_paper_is_planned_and_each_command_makes_its_record(tmp_path: Path) -> None:
    text = plan(tmp_path, "all")
    assert "train wrn-50-2" not in text, "without ImageNet"
    assert jobs(text, "notebook") == len(PAGES)
    pairs = re.findall(r"output: data/runs/(\S+)[^$]*?-m softshare train (.+)", text)
    assert len(pairs) == jobs(text, "train") > 0
    for record, words in pairs:
        asked = vars(parse(["train", *words.split()]))
        settings = {f.name: asked[f.name] for f in fields(Recipe) if asked[f.name] is not None}
        assert for_profile(**settings).path == record
