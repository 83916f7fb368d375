"""The networks that a page shows are the best there are to fold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from softshare.recipe import for_profile
from softshare.records import Run
from softshare.reproduction.showcase import showcase


def test_the_showcase_is_the_best_of_each_task(
    soft_run: Callable[..., Run], make_run: Callable[..., Run]
) -> None:
    run = soft_run("swrn-28-1-4", {f"stage{i}": (6, 4, 2) for i in (1, 2, 3)})
    body = {"body": (20, 20, 2)}
    scnn = soft_run("scnn", body, (0, 2), measured=False)
    looped = soft_run("scnn-r", body, (0, 2), measured=False)
    regular = replace(looped, recipe=replace(looped.recipe, recurrence=0.01))
    one = soft_run("swrn-28-1-1", {f"stage{i}": (6, 1, 1) for i in (1, 2, 3)})
    plain = make_run(for_profile("wrn-28-1", epochs=1))
    quick = replace(run, recipe=replace(run.recipe, profile="smoke"))
    bare = replace(run, folded=[])
    full = soft_run("swrn-28-1", {f"stage{i}": (6, 6, 2) for i in (1, 2, 3)})
    wide = soft_run("swrn-28-2-2", {f"stage{i}": (6, 2, 2) for i in (1, 2, 3)})
    tuned = replace(run, coefficients={}, folded=[])  # folded already
    assert showcase([plain, one, quick, bare, run, scnn, regular]) == [run, regular]
    assert showcase([run, full]) == [full]
    assert showcase([run, full, wide]) == [wide]
    assert showcase([plain, one]) == [one]
    assert showcase([plain, tuned]) == []
