"""The whole of Figure 5: seconds for CNN, SCNN and SCNN-R, through all phases and epochs.

Projected from measured training steps, evaluations and drawing of examples; with --full, really
trained. Ours scores each epoch a second time, with batch normalisation estimated anew. The plain
loop does not; it mixes layer by layer, in float32 and NCHW, from a DataLoader, and reads the loss
after every step. It is always projected, and is given softshare's examples for nothing.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from benchmark import Benchmark, arguments
from epochs import Epochs
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from work import step_work

from softshare import shortest_paths
from softshare.models.path_network import PathNetwork
from softshare.recipe import PATH_MODELS, PROFILES, Recipe, for_profile
from softshare.training.loop import Training
from softshare.training.path_task import HELD_OUT
from softshare.training.recalibration import EACH_EPOCH, recalibrated_scores
from softshare.training.tasks import task_for

DRAWN = 1280  # examples drawn at once to time the drawing


class PlainPaths(nn.Module):
    """SCNN as the equations say it: each layer sums its own weighted templates (Eq. 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.net = PathNetwork()
        weights = [layer.conv.weight.detach() for layer in self.net.body]
        self.templates = nn.Parameter(torch.stack(weights))  # (k, o, i, h, w)
        self.alpha = nn.Parameter(torch.eye(len(weights)))  # (L, k)
        for layer in self.net.body:
            del layer.conv

    def forward(self, x: Tensor) -> Tensor:
        x = self.net.enter(x)
        for layer, alpha in zip(self.net.body, self.alpha, strict=True):
            weight = (self.templates * alpha.view(-1, 1, 1, 1, 1)).sum(0)
            x = x + F.relu(layer.bn(F.conv2d(x, weight, padding=1)))
        return self.net.leave(x)

    def penalty(self) -> Tensor:
        unit = F.normalize(self.alpha, dim=1)
        return (unit @ unit.T).abs().sum()


class PlainEpoch:
    """A plain epoch of training a call, and its scoring."""

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        self.recipe, self.device = recipe, device
        self.net = (PathNetwork() if recipe.model == "cnn" else PlainPaths()).to(device)
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=recipe.lr)
        examples = TensorDataset(*shortest_paths.phase(1, recipe.examples))
        self.loader = DataLoader(examples, recipe.batch_size, shuffle=True)

    def __call__(self) -> float:
        self.net.train()
        total = 0.0
        for inputs, targets in self.loader:
            inputs, targets = (part.to(self.device).float() for part in (inputs, targets))
            self.optimizer.zero_grad()
            loss = F.binary_cross_entropy_with_logits(self.net(inputs), targets)
            if self.recipe.recurrence:
                loss = loss - self.recipe.recurrence * self.net.penalty()
            loss.backward()
            self.optimizer.step()
            total += loss.item()
        return total

    def evaluate(self, inputs: Tensor) -> Tensor:
        self.net.eval()
        with torch.no_grad():
            return self.net(inputs)


def measure(bench: Benchmark, recipe: Recipe) -> tuple[list[float], list[float], dict[str, Any]]:
    """Projected seconds of one model in each round, plain and ours, and what ours cannot avoid."""
    steps = 1 if bench.quick else 50 if bench.device.type == "cuda" else 2
    scored = 2 if bench.quick else 500 if bench.device.type == "cuda" else 100
    short = replace(recipe, examples=steps * recipe.batch_size, epochs=1, phases=1)
    ours, plain = Epochs(short, bench.device), PlainEpoch(short, bench.device)
    enough = min(recipe.examples, EACH_EPOCH * recipe.batch_size)
    scored_on = task_for(replace(short, examples=enough), bench.device)
    inputs = torch.zeros(scored, 2, 32, 32, device=bench.device)
    window = shortest_paths.WINDOWS[len(shortest_paths.WINDOWS) // 2]
    found = bench.time(
        {
            "plain": plain,
            "plain evaluation": lambda: plain.evaluate(inputs),
            "ours": ours,
            "evaluation": lambda: ours.evaluate(inputs),
            "again": lambda: recalibrated_scores(ours.net, scored_on, 0, ours.precision),
            "drawing": lambda: shortest_paths.examples(DRAWN, window),
        },
        ours.precision,
    )
    epochs, trained = recipe.total_epochs, recipe.total_epochs * recipe.examples
    drawn = recipe.phases * (recipe.examples + HELD_OUT)

    def project(step: str, evaluation: str) -> list[float]:
        each = zip(found[step], found[evaluation], found["drawing"], strict=True)
        return [
            trained * s / short.examples + epochs * HELD_OUT * e / scored + drawn * d / DRAWN
            for s, e, d in each
        ]

    again = [epochs * seconds for seconds in found["again"]]
    trained_and_scored = [a + b for a, b in zip(project("ours", "evaluation"), again, strict=True)]

    work = step_work(ours, recipe.batch_size)
    for kind in ("flops", "moved"):  # forward alone is a third of a training example
        work[kind] *= trained + epochs * HELD_OUT / 3
    return project("plain", "plain evaluation"), trained_and_scored, work


def really(recipe: Recipe, device: torch.device) -> float:
    """Seconds of training one model through, checkpoints included."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        task, saved = task_for(recipe, device), Path(folder) / "checkpoint.pt"
        Training(recipe, task, device, saved, checkpoint_seconds=60, progress=False).finish()
        return time.perf_counter() - start


def main() -> None:
    parser = arguments(__doc__, repeats=3)
    parser.add_argument("--profile", default="paper", choices=PROFILES, help="default paper")
    parser.add_argument("--full", action="store_true", help="really train all three models")
    bench = Benchmark(__file__, parser)
    profile = bench.options.profile
    rounds: dict[str, list[list[float]]] = {"plain": [], "ours": []}
    works = []
    for model in PATH_MODELS:
        recipe = for_profile(model, profile=profile)
        if bench.quick:
            recipe = replace(recipe, epochs=1, phases=1, examples=2, batch_size=2)
        plain, ours, work = measure(bench, recipe)
        if bench.options.full:
            ours = [really(recipe, bench.device)] * len(ours)
        rounds["plain"].append(plain)
        rounds["ours"].append(ours)
        works.append(work)
    plain, ours = ([sum(each) for each in zip(*of, strict=False)] for of in rounds.values())
    total = {kind: sum(work[kind] for work in works) for kind in ("flops", "moved")}
    how = "run in full" if bench.options.full else "projected"
    bench.record(
        f"{profile}{'-full' if bench.options.full else ''}",
        plain,
        ours,
        ways=("plain loop, mixing layer by layer", "softshare's training"),
        settings={"profile": f"profile {profile}", "ours": how},
        **total,
        dtype=works[0]["dtype"],
        per="figure",
    )


if __name__ == "__main__":
    main()
