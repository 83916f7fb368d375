"""What a table's pairs say of the paper's claims, on runs made by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from statistics import stdev

import pytest

from softshare import paper
from softshare.paper.matching import kind
from softshare.recipe import Recipe, for_profile
from softshare.records import Run
from softshare.results.contrasts import contrasts
from softshare.results.power import seeds_needed
from softshare.results.table_claims import CLAIMS, RULE, table_sentences

Make = Callable[..., Run]


@pytest.fixture
def many(make_run: Make) -> Callable[[Recipe, float], Run]:
    """A run on so many test images that a point is told apart."""

    def many(recipe: Recipe, error: float) -> Run:
        run = make_run(recipe, error)
        return replace(run, data=run.data | {"test": 100_000})

    return many


def fast(model: str, **settings: object) -> Recipe:
    return for_profile(model, "cifar10", "fast", **settings)


@pytest.mark.parametrize("table", CLAIMS)
def test_every_claim_is_on_rows_that_the_table_has(table: str) -> None:
    models = [row["model"] for row in paper.rows(table) if row["model"]]
    for claim in CLAIMS[table]:
        shared = {
            kind(model)[1]
            for model in models
            if model.startswith("swrn")
            and (model.split("-")[3:] == [str(claim.templates)] * bool(claim.templates))
        }
        others = {
            kind(model)[1]
            for model in models
            if model.startswith(claim.family.lower()) and len(model.split("-")) == 3
        }
        assert shared & others


@pytest.mark.parametrize(
    ("errors", "verdict"),
    [
        ([(10, 9)], "it does"),
        ([(10, 9), (8, 8)], "it does"),
        ([(10, 10), (8, 8.1)], "it is undecided"),
        ([(10, 11)], "the opposite is seen"),
        ([(10, 9), (8, 9)], "the pairs disagree"),
    ],
)
def test_a_gain_is_concluded_from_the_pairs_that_are_told_apart(
    many: Callable[..., Run], errors: list[tuple[float, float]], verdict: str
) -> None:
    runs = [
        many(for_profile(model, data, "fast"), error)
        for data, pair in zip(("cifar10", "cifar100"), errors, strict=False)
        for model, error in zip(("wrn-28-1", "swrn-28-1"), pair, strict=True)
    ]
    (gain, loss, rule, total, quoted, *pairs) = table_sentences(runs, "table1")
    assert gain.startswith(
        f"The paper: SWRN L-w errs less than WRN L-w, at equal size. Here **{verdict}**: "
    )
    told = [pair.partition(". The paper has")[0] for pair in pairs]
    assert len(told) == len(errors) and gain.endswith(f"{'; '.join(told)}.")
    assert loss.endswith("Here no such pair has been trained alike yet.")
    assert rule == RULE and total.startswith(f"{len(errors)} comparison")
    assert "a number marked as quoted" in quoted


def test_the_pairs_nearest_the_papers_conclude(many: Callable[..., Run]) -> None:
    """Profile before length of training before width, whatever many others say."""

    def pair(width: int, shared: float, profile: str = "fast", **settings: object) -> list[Run]:
        return [
            many(for_profile(f"{family}-28-{width}", "cifar10", profile, **settings), error)
            for family, error in (("swrn", shared), ("wrn", 10.0))
        ]

    runs: list[Run] = []
    for added, verdict, words in (
        (pair(1, 20.0, epochs=5), "the opposite is seen", "cifar10, 5 epochs"),
        (pair(1, 10.0), "it is undecided", "SWRN 28-1 against WRN 28-1: +0.00"),
        (pair(2, 9.0), "it does", "SWRN 28-2 against WRN 28-2: -1.00"),
        (pair(10, 10.0), "it is undecided", "SWRN 28-10 against WRN 28-10: +0.00"),
        (pair(1, 11.0, "paper"), "the opposite is seen", "200 epochs, profile paper"),
        (pair(10, 9.0, "paper"), "it does", "SWRN 28-10 against WRN 28-10: -1.00"),
        (pair(1, 11.0, "paper", epochs=300), "it does", "SWRN 28-10 against WRN 28-10: -1.00"),
    ):
        runs += added
        gain, _, others = table_sentences(runs, "table1")[0].partition(" At other widths: ")
        assert f"Here **{verdict}**: " in gain and words in gain and gain.count("against") == 1
    shown = [pair.partition(":")[0] for pair in others.split("; ")[::2]]  # brackets have one too
    narrow = "SWRN 28-1 against WRN 28-1"
    assert shown == ["SWRN 28-2 against WRN 28-2", narrow, narrow]
    assert others.count("profile paper") == 2 and "200 epochs" in others and "300 epochs" in others


def test_more_seeds_are_told_of_where_those_named_have_fewer(make_run: Make) -> None:
    def seeds(count: int, **settings: object) -> list[Run]:
        return [
            make_run(for_profile(model, "cifar10", "fast", seed=s, **settings), error + s / 100)
            for model, error in (("wrn-28-1", 14.0), ("swrn-28-1", 14.5))
            for s in range(count)
        ]

    longest = seeds(2)
    for others, told in (
        ([*seeds(2, epochs=10), *seeds(1, epochs=5)], None),
        ([*seeds(3, epochs=10), *seeds(3, epochs=5)], "10 epochs, profile fast, n = 3 and 3"),
        ([*seeds(3, epochs=10), *seeds(5, epochs=5)], "5 epochs, profile fast, n = 5 and 5"),
    ):
        claim, found, surer = table_sentences([*longest, *others], "table1")[0].partition(
            " Trained otherwise, with more seeds: "
        )
        assert "30 epochs, profile fast, n = 2 and 2" in claim
        assert bool(found) is (told is not None)
        assert told is None or (told in surer and surer.count("against") == 1)


def test_pairs_of_the_papers_own_conclude_at_every_width(many: Callable[..., Run]) -> None:
    own = {"dropout": 0.3}
    runs = [
        many(for_profile(f"swrn-28-{width}{k}", profile="paper", **own), error)
        for width, error in ((10, 5.0), (14, 4.0), (1, 14.0))
        for k in ("", "-2")
    ]
    claim, _, others = table_sentences(runs, "table2")[0].partition(" At other widths: ")
    assert claim.count(" against SWRN 28-") == 2 and "28-10-2*" in claim and "28-14-2*" in claim
    assert others.startswith("SWRN 28-1-2* against SWRN 28-1*: +0.00 ")


def test_five_seeds_of_the_papers_own_numbers_bear_the_paper_out(make_run: Make) -> None:
    runs = [
        make_run(for_profile(model, profile="paper", seed=seed), mean + spread)
        for model, mean in (("wrn-28-10", 4.00), ("swrn-28-10", 3.74))
        for seed, spread in enumerate((0.05, -0.05, 0.02, -0.02, 0.0))
    ]
    assert "Here **it does**: " in table_sentences(runs, "table1")[0]


@pytest.mark.parametrize(
    ("shared", "verdict"),
    [(10.0, "no loss is seen or excluded"), (12.0, "a loss is seen"), (8.0, "a gain is seen")],
)
def test_a_loss_is_looked_for_where_the_paper_says_that_it_is_small(
    many: Callable[..., Run], shared: float, verdict: str
) -> None:
    for table, model, twin, own in (
        ("table1", "swrn-28-1-1", "wrn-28-1", {}),
        ("table2", "swrn-28-1-2", "swrn-28-1", {"dropout": 0.3}),
        ("table4", "swrn-28-1-2", "swrn-28-1", {"cutout": 16}),
    ):
        runs = [many(fast(model, **own), shared), many(fast(twin, **own), 10.0)]
        claim = table_sentences(runs, table)[len(CLAIMS[table]) - 1]
        assert f"Here **{verdict}**: " in claim and f": {shared - 10:+.2f} ± " in claim


def test_demonstrations_count_where_there_is_nothing_else_alone(make_run: Make) -> None:
    toys = [
        make_run(for_profile(model, "digits", "smoke"), error)
        for model, error in {"wrn-28-1": 50.0, "swrn-28-1": 5.0, "swrn-28-1-1": 5.0}.items()
    ]
    gain, loss, _, total, _, *pairs = table_sentences(toys, "table1")
    for line in (gain, loss):
        assert "Here, in demonstrations alone, **" in line and ": -45.00 ± " in line
    assert total.startswith("3 comparisons in all, listed below. ") and len(pairs) == 3
    real = [make_run(fast("wrn-28-1"), 9.0), make_run(fast("swrn-28-1"), 9.0)]
    gain, loss, _, total, _, *pairs = table_sentences(toys + real, "table1")
    assert "Here **it is undecided**: " in gain and "cifar10, 30 epochs" in gain
    assert loss.endswith("no such pair has been trained alike yet.")
    assert "; the table above has 3 more, demonstrations that do not count. " in total
    assert len(pairs) == 1 and "smoke" not in pairs[0]


def test_a_pair_has_its_sign_and_all_that_qualifies_it(make_run: Make) -> None:
    runs = [make_run(fast("wrn-28-1"), 5.0), make_run(fast("swrn-28-1"), 3.5)]
    runs += [make_run(fast("wrn-28-1", seed=1), 5.0), make_run(fast("swrn-28-1-2"), 19.0)]
    found = contrasts(runs, "table1").iloc[0]
    gain, more, against_full = table_sentences(runs, "table1")[5:]
    assert gain == (
        f"SWRN 28-1 against WRN 28-1: -1.50 ± {found['s.e.']:.2f} points, not told apart "
        f"(p = {found['p']:.2g}; cifar10, 30 epochs, profile fast, n = 1 and 2). The paper has "
        "-0.26 for SWRN 28-10 against WRN 28-10 (quoted) on cifar10."
    )
    assert more.startswith("SWRN 28-1-2 against WRN 28-1: +14.00 ± ")
    assert ", worse (" in more and "The paper" not in more
    assert against_full.startswith("SWRN 28-1-2 against SWRN 28-1: +15.50 ± ")
    (nothing,) = table_sentences(runs[1:2], "table1")
    assert nothing == "No soft-shared network and a twin of it have been trained alike yet."


def test_where_seeds_were_too_few_it_is_said_how_many_it_takes(make_run: Make) -> None:
    """The spread is that of the seeds: of one variance v and n runs each, s^2 = 2 v / n."""
    errors = {"wrn-28-1": (10.0, 10.2), "swrn-28-1": (10.1, 10.3)}
    runs = [
        make_run(fast(model, seed=seed), error)
        for model, found in errors.items()
        for seed, error in enumerate(found)
    ]
    pair = table_sentences(runs, "table1")[-1]
    spread = stdev((10.0, 10.2))
    assert pair.endswith(
        " on cifar10. To tell as much apart in 80 % of all repetitions, at a spread of "
        f"{spread:.2f} points over seeds, takes {seeds_needed(0.26, spread)} of each."
    )
    apart = runs[:2]
    apart += [make_run(fast("swrn-28-1", seed=seed), 20 + seed / 10) for seed in range(2)]
    assert "repetitions" not in table_sentences(apart, "table1")[-1]
