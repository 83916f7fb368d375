"""Shortest paths as a task: phases by their windows, loss and F1 by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from softshare import shortest_paths
from softshare.recipe import for_profile
from softshare.training import path_task
from softshare.training.path_task import PathTask

CPU = torch.device("cpu")
PATHS = for_profile("scnn", profile="smoke", examples=40, batch_size=16, epochs=2)


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(path_task, "HELD_OUT", 30)


def test_the_loss_of_paths_is_cross_entropy_of_each_cell() -> None:
    logits = torch.randn(3, 1, 4, 4, dtype=torch.float64)
    targets = (torch.rand(3, 1, 4, 4) > 0.7).float()
    p = 1 / (1 + (-logits).exp())
    by_hand = -(targets * p.log() + (1 - targets) * (1 - p).log()).sum().item() / 48
    assert PathTask(PATHS, CPU).loss(logits, targets).item() == pytest.approx(by_hand, rel=1e-5)


def test_f1_counts_cells_of_all_held_out_examples_of_the_phase() -> None:
    """A guess that draws the row of one query and the column of the other, against sets."""
    task = PathTask(PATHS, CPU)

    def guess(inputs: Tensor) -> Tensor:
        queries = inputs[:, :1]
        return queries.amax(2, keepdim=True) + queries.amax(3, keepdim=True) - 0.5

    for phase in (0, 4):
        inputs, targets = task.examples(phase, held_out=True)
        cells = {tuple(c) for c in targets.nonzero().tolist()}
        guessed = {tuple(c) for c in (guess(inputs.float()) > 0).nonzero().tolist()}
        f1 = 2 * len(cells & guessed) / (len(cells) + len(guessed))
        score = task.scores(guess, phase * PATHS.epochs)["f1"]
        assert score == pytest.approx(f1)
        assert 0 < score < 1


def test_a_phase_draws_its_queries_in_its_window_and_holds_others_out() -> None:
    task = PathTask(PATHS, CPU)
    for phase, window in enumerate(shortest_paths.WINDOWS):
        train, held_out = (task.examples(phase, h)[0][:, 0] for h in (False, True))
        reach = [
            int((cells[0] - cells[1]).abs().max())
            for cells in (grid.nonzero() for grid in torch.cat((train, held_out)))
        ]
        assert max(reach) <= window // 2
        assert max(reach) > window // 2 - 2, "far pairs occur"
        rows = {tuple(grid.flatten().tolist()) for grid in train}
        assert len(rows & {tuple(grid.flatten().tolist()) for grid in held_out}) <= len(rows) // 4
        epochs = range(phase * PATHS.epochs, (phase + 1) * PATHS.epochs)
        for epoch in epochs:
            inputs = torch.cat([x for x, _ in task.batches(epoch)])[:, 0]
            assert {tuple(grid.flatten().tolist()) for grid in inputs.to(torch.uint8)} == rows


def test_facts_count_all_phases_and_tell_seeds_apart() -> None:
    facts = PathTask(PATHS, CPU).facts()
    assert (facts["train"], facts["test"]) == (5 * 40, 5 * 30)
    assert facts != PathTask(replace(PATHS, seed=1), CPU).facts()
