"""What all tests share: cheap tests run first, on one thread each."""

import inspect
import multiprocessing
import textwrap
from collections import Counter
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from softshare.recipe import PATHS, Recipe
from softshare.records import Run

torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A broken sign shows within seconds: the slow tests come last."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)


class Operations(TorchDispatchMode):
    """Counts what PyTorch really runs, by name: ``Operations() as ran`` and ``ran["mm"]``."""

    def __enter__(self) -> Counter:
        super().__enter__()
        self.ran: Counter = Counter()
        return self.ran

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.ran[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))


@pytest.fixture
def operations() -> type[Operations]:
    return Operations


@pytest.fixture(scope="session")
def start() -> Callable[..., BaseProcess]:
    """Starts a function in a process of its own: ``start(work, *args)``.

    The function travels as its source, so it imports what it needs. Its process is forked from a
    server that has imported PyTorch already, and has one thread.
    """
    context: ForkServerContext = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["softshare.training", "sklearn.datasets", "torch._dynamo"])

    def start(work: Callable, *args: Any) -> BaseProcess:
        source = "from __future__ import annotations\nimport torch\ntorch.set_num_threads(1)\n"
        source += f"{textwrap.dedent(inspect.getsource(work))}{work.__name__}(*args)\n"
        process = context.Process(target=exec, args=(source, {"args": args}), daemon=True)
        process.start()
        return process

    return start


@pytest.fixture(scope="session")
def make_run() -> Callable[..., Run]:
    """A run that nobody trained: ``make_run(recipe, result)``, with a curve or coefficients."""

    def make(
        recipe: Recipe,
        result: float = 0.5,
        curve: list[float] | None = None,
        alpha: dict[str, list[list[float]]] | None = None,
        checksum: str = "sha256:00",
    ) -> Run:
        epochs = recipe.total_epochs
        metric = "f1" if recipe.data == PATHS else "test_error"
        values = curve or [result] * epochs
        return Run(
            recipe,
            model={"name": recipe.model},
            data={"name": recipe.data, "checksum": checksum, "train": 1000, "test": 400},
            curves={
                "epoch": list(range(1, epochs + 1)),
                "phase": [epoch // recipe.epochs + 1 for epoch in range(epochs)],
                "loss": [1.0] * epochs,
                metric: values,
            },
            result={metric: values[-1]},
            coefficients={str(epochs): alpha} if alpha else {},
            cost={"seconds": 90.0},
            origin={
                "device": "a device",
                "threads": 2,
                "commit": "0123456789ab",
                "date": "2020-02-03T04:05:06+00:00",
            },
        )

    return make
