"""The plan has every run that the book needs, once and in order, and a wrong one is refused."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from softshare import paper
from softshare.data import image_cache, load
from softshare.data.image_set import Splits, image_sets
from softshare.paper import matching
from softshare.queue.campaign import campaign, chosen
from softshare.recipe import Recipe, for_profile
from softshare.reproduction.plan import TARGETS, Plan
from softshare.sharing.initialisation import INITS
from softshare.training.cost import cost, flops

JPEG = "cifar10-jpeg"
GOOD = '[[gpu]]\nadds = "x"\ntarget = "table1"\nprofile = "fast"\n'


def recipes(first: str = "gpu") -> list[Recipe]:
    return [job.recipe for job in campaign(first, JPEG)]


def test_every_run_stands_there_once_and_can_be_built() -> None:
    found = recipes()
    assert len(set(found)) == len(found)
    assert {recipe.path for recipe in found} == {recipe.path for recipe in recipes("cpu")}
    for recipe in found:
        assert cost(recipe).epoch > 0  # builds the model


def test_all_the_papers_runs_are_there_with_five_seeds() -> None:
    found = set(recipes())
    for table in ("table1", "table2", "table4"):
        columns = paper.load()["tables"][table]["columns"].values()
        for data in {about["data"] for about in columns if about["metric"]}:
            instead = JPEG if data == "cifar10" else data
            for row in paper.rows(table):
                for seed in range(5) if row["model"] else ():
                    options = row["options"] | {"seed": seed}
                    assert for_profile(row["model"], instead, **options) in found
    for target in TARGETS:
        for seed in range(5) if target.startswith("figure") else ():
            for row in Plan(target).rows():
                instead = None if target == "figure5" else JPEG
                assert for_profile(row["model"], instead, seed=seed, **row["options"]) in found


def test_the_targets_of_notebooks_are_served_on_a_laptop_and_on_a_gpu() -> None:
    jobs = campaign("cpu", JPEG)
    for target in set(TARGETS) - {"folding"}:  # which shows the best runs of the others
        served = {job.recipe for job in chosen(jobs, None, [target])}
        assert set(Plan(target, profile="smoke").recipes()) <= served
        assert {recipe.profile for recipe in served} >= {"smoke", "paper"}


def test_the_order_is_that_of_what_the_book_gains() -> None:
    """Each of these runs comes before the next."""
    fast = {"profile": "fast", "data": JPEG}
    order = [
        for_profile("cnn"),
        for_profile("scnn-r", seed=4),
        for_profile("wrn-28-10", **fast),
        for_profile("swrn-28-10-4", **fast),
        for_profile("swrn-28-6-2", cutout=16, **fast),
        for_profile("wrn-28-10", seed=2, **fast),
        for_profile("swrn-40-8-8", JPEG, epochs=50, milestones=()),
        for_profile("swrn-40-8-8", seed=4, **fast),
        for_profile("swrn-28-10-2", JPEG, cutout=16),
        for_profile("swrn-28-14", JPEG, cutout=16),
        for_profile("wrn-28-2", **fast),
        for_profile("swrn-28-4", init="sparse-normal", seed=2, **fast),
        for_profile("swrn-28-4", coefficients="fixed", seed=2, **fast),
        for_profile("swrn-28-10", "cifar100"),
        for_profile("cnn", profile="fast"),
        for_profile("wrn-28-1", **fast),
        for_profile("swrn-28-1-1", seed=2, **fast),
    ]
    places = [recipes().index(recipe) for recipe in order]
    assert places == sorted(places)
    assert recipes("cpu")[0] == order[-3]


def test_fifty_epochs_are_the_first_of_the_papers() -> None:
    begun, whole = for_profile("wrn-28-10", epochs=50, milestones=()), for_profile("wrn-28-10")
    assert [begun.lr_at(epoch) for epoch in range(50)] == [whole.lr_at(e) for e in range(50)]


def test_appendix_b_tries_every_initialisation() -> None:
    jobs = chosen(campaign(data=JPEG), "fast", ["appendix_b"])
    assert {job.recipe.init for job in jobs} == set(INITS)


def test_what_no_table_or_figure_has_are_questions_that_the_paper_leaves_open() -> None:
    def kept(recipe: Recipe) -> bool:
        return recipe.model == "swrn-28-1-4" and not recipe.milestones

    jobs, kinds = campaign(data=JPEG), (matching.regularised, matching.recoded, kept)
    asked = chosen(jobs, None, ["open_questions"])
    for kind in kinds:
        assert any(kind(job.recipe) for job in asked)
    assert asked == [job for job in jobs if any(kind(job.recipe) for kind in kinds)]


def test_profile_and_target_choose_together() -> None:
    jobs = campaign(data=JPEG)
    some = chosen(jobs, "fast", ["table1", "figure5"])
    wanted = {"table1", "figure5"}
    assert some
    assert some == [j for j in jobs if j.recipe.profile == "fast" and wanted & {*j.targets}]
    assert chosen(jobs, None, []) == jobs
    with pytest.raises(ValueError, match=r"The plan has runs for .*table1.*; got 'table9'"):
        chosen(jobs, None, ["table9"])


def test_making_the_plan_reads_no_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which set is at hand is told by files alone, for each of the plan's many entries."""
    monkeypatch.setenv("SOFTSHARE_DATA", str(tmp_path))
    monkeypatch.setattr("softshare.data.image_cache.read", lambda *_: pytest.fail("read"))
    monkeypatch.setattr("softshare.data.cifar._read", lambda *_: pytest.fail("read"))
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / f"{JPEG}-6895129eab1f.npz").touch()
    assert [job.recipe for job in campaign()] == recipes()


def test_a_set_of_ones_own_is_read_once_for_all_estimates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And again only when its file has changed."""
    monkeypatch.setenv("SOFTSHARE_DATA", str(tmp_path))
    draw, read = np.random.default_rng(0), []

    def keep(train: int) -> None:
        def split(n: int) -> tuple[np.ndarray, np.ndarray]:
            return draw.integers(0, 256, (n, 3, 8, 8), dtype=np.uint8), draw.integers(0, 2, n)

        sets = image_sets("own", Splits(("a", "b"), split(train), split(5)))
        image_cache.save(tmp_path / "cache" / "own-0123456789ab.npz", *sets)

    monkeypatch.setattr("softshare.data.load", lambda *a, **k: (read.append(a), load(*a, **k))[1])
    for train in (20, 30):
        keep(train)
        found = [cost(for_profile(model, "own")) for model in ("wrn-10-1", "wrn-16-1", "wrn-10-1")]
        assert [(each.examples, each.scored) for each in found] == [(train, 5)] * 3
    assert len(read) == 2


WRONG = {
    "x = 1": "lists gpu and cpu; .* has 'x'",
    "[[gpu": "is no TOML",
    GOOD + "rws = []": "Entry 1 of gpu .*it may have adds, .*got 'rws'",
    GOOD.replace('"fast"', '"quick"'): "profile is one of paper, fast, smoke; got 'quick'",
    GOOD.replace('"fast"', "3"): "it needs profile, a text; got 3",
    GOOD.replace('"table1"', '"table9"'): "target is one of table1,",
    GOOD.replace('"table1"', "[]"): "target is one of table1,",
    GOOD.replace("table1", "open_questions"): "open_questions shows no network of its own; name",
    GOOD.replace('"table1"', '"figure1"'): "figure1 shows no network of its own; name its models",
    GOOD + 'rows = ["WRN"]': "table1 has the rows WRN 28-10, .*; got 'WRN'",
    GOOD.replace("table1", "figure4") + 'rows = ["x"]': "rows are those of a table; figure4",
    GOOD + "seeds = 0": "seeds is a whole number from 1 up; got 0",
    GOOD + "seeds = true": "seeds is a whole number",
    GOOD + "settings = { epoch = 3 }": "no setting 'epoch'; did you mean 'epochs'",
    GOOD + "settings = { epochs = 0 }": "epochs must lie between 1",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_plan_is_refused_and_the_entry_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(text)
    with pytest.raises(ValueError, match=WRONG[text]):
        campaign(data=JPEG, path=tmp_path / "plan.toml")


def test_a_plan_that_is_not_there_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=re.escape("There is no plan x.toml.")):
        campaign(path="x.toml")


@pytest.mark.parametrize(
    ("model", "giga"),
    {
        "wrn-28-2": 1.29,
        "swrn-28-4-2": 5.07,
        "wrn-28-10": 31.5,
        "swrn-28-18": 101.7,
        "wrn-40-4": 7.8,
        "swrn-40-8-8": 31.0,
        "scnn-r": 1.13,
    }.items(),
)
def test_costs_are_those_of_the_field(model: str, giga: float) -> None:
    """GFLOP an image, forward and backward, worked out by hand for the paper's networks."""
    recipe = for_profile(model)
    found = cost(recipe)
    assert found.flops / 1e9 == pytest.approx(giga, rel=0.01)
    assert flops(recipe) == found.flops * found.examples * recipe.total_epochs
    assert found.examples == (5000 if model == "scnn-r" else 50_000)
    # 1000 grids are scored twice, the second time after 10 batches of 50
    assert found.scored == (2 * 1000 + 10 * 50 if model == "scnn-r" else 10_000)
