"""What all tests share: cheap tests run first, on one thread each, with draws of their own."""

import inspect
import multiprocessing
import textwrap
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
import torch
from hypothesis import settings
from torch.utils._python_dispatch import TorchDispatchMode

from softshare.recipe import PATHS, Recipe
from softshare.records import Run

torch.set_num_threads(1)
settings.register_profile("the same draws each time", derandomize=True)
settings.load_profile("the same draws each time")


def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> None:
    """What a fixture draws does not hang on the tests that ran before it."""
    torch.manual_seed(crc32(f"{request.node.nodeid} {fixturedef.argname}".encode()))


def pytest_runtest_call(item: pytest.Item) -> None:
    """A test draws the same numbers each time: red speaks of a change, not of the dice."""
    torch.manual_seed(crc32(item.nodeid.encode()))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A broken sign shows within seconds: the slow tests come last."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)


@pytest.fixture
def on_paper() -> Iterator[None]:
    """Figures drawn without a screen, and closed."""
    plt = pytest.importorskip("matplotlib.pyplot")
    backend = plt.get_backend()
    plt.switch_backend("svg")
    yield
    plt.close("all")
    plt.switch_backend(backend)


@pytest.fixture
def tiny_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """An image set ``tiny`` of 50 + 600 images of 3 x 16 x 16 in five classes."""
    import numpy as np

    from softshare import data
    from softshare.data.image_set import Splits, image_sets

    draw = np.random.default_rng(0)

    def split(n: int) -> tuple[np.ndarray, np.ndarray]:
        images = draw.integers(0, 256, (n, 3, 16, 16), dtype=np.uint8)
        return images, draw.integers(0, 5, n)

    sets = image_sets("tiny", Splits(tuple("abcde"), split(50), split(600)))
    monkeypatch.setattr(data, "load", lambda name, root=None: sets)


@pytest.fixture
def photo_folder(tmp_path: Path) -> Callable[..., Path]:
    """Makes ``photos/train/<class>`` and ``photos/val/<class>`` of photographs of any size."""
    import numpy as np
    from PIL import Image

    def make(train: int = 6, held_out: int = 3) -> Path:
        draw = np.random.default_rng(0)
        for split, count in (("train", train), ("val", held_out)):
            for i in range(count):
                folder = tmp_path / "photos" / split / "abc"[i % 3]
                folder.mkdir(parents=True, exist_ok=True)
                height, width = draw.integers(40, 90, 2)
                coarse = draw.integers(0, 256, (height // 9, width // 9, 3), dtype=np.uint8)
                image = Image.fromarray(coarse).resize((int(width), int(height)))
                image.save(folder / f"{i}.jpg")
        return tmp_path / "photos"

    return make


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch) -> Callable[[], AbstractContextManager[None]]:
    """Ctrl-C as the second epoch of an image task begins: ``with interrupt(): train(...)``."""

    @contextmanager
    def interrupt() -> Iterator[None]:
        from softshare.training.image_task import ImageTask

        batches = ImageTask.batches

        def stop(task: ImageTask, epoch: int) -> Iterator[Any]:
            if epoch == 1:
                raise KeyboardInterrupt
            return batches(task, epoch)

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(ImageTask, "batches", stop)
            yield

    return interrupt


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


@pytest.fixture
def no_waiting() -> Callable[[], AbstractContextManager[None]]:
    """An error wherever something waits for the GPU: ``with no_waiting(): step(...)``."""

    @contextmanager
    def no_waiting() -> Iterator[None]:
        try:
            with warnings.catch_warnings(action="ignore"):  # the mode is set, and then warned of
                torch.cuda.set_sync_debug_mode("error")
            yield
        finally:
            torch.cuda.set_sync_debug_mode("default")

    return no_waiting


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
def essence() -> Callable[[Run], Run]:
    """What a resumed run shares with an uninterrupted one: all but ``cost`` and ``origin``."""
    return lambda run: replace(run, cost={}, origin={})


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
                "precision": "float32",
                "commit": "0123456789ab",
                "date": "2020-02-03T04:05:06+00:00",
            },
        )

    return make


@pytest.fixture(scope="session")
def soft_run(make_run: Callable[..., Run]) -> Callable[..., Run]:
    """A run whose layers nearly repeat: ``soft_run("swrn-28-1-4", {"stage1": (6, 4, 2)}, (0, 1))``.

    Each group has (layers, templates, period); the noise grows from group to group. The last
    epoch's foldings are measured, at the numbers that this returns beside the run.
    """
    from softshare.folding import foldings
    from softshare.models import build
    from softshare.training.folded_score import folded_size

    def make(
        model: str,
        groups: dict[str, tuple[int, int, int]],
        epochs: tuple[int, ...] = (0, 1, 4),
        measured: bool = True,
        names: str = "{group}.{number}",
    ) -> Run:
        generator = torch.Generator().manual_seed(len(groups))
        alpha: dict[str, Any] = {}
        for epoch in epochs:
            alpha[str(epoch)] = {}
            for i, (group, (L, k, period)) in enumerate(groups.items()):
                A = torch.randn(L, k, generator=generator)
                if epoch:
                    A = A[[layer % period for layer in range(L)]] + A * (0.1 + 0.2 * i) / epoch
                alpha[str(epoch)][group] = A.tolist()
        data = PATHS if model.startswith("scnn") else "cifar10"
        run = make_run(Recipe(model, data, epochs=max(epochs)), 14.25)
        layers = {
            group: [names.format(group=group, number=i) for i in range(L)]
            for group, (L, _, _) in groups.items()
        }
        with torch.device("meta"):
            net = build(model)
        about = {"parameters": sum(p.numel() for p in net.parameters()), "groups": layers}
        run = replace(run, model=run.model | about, coefficients=alpha)
        if not measured:
            return run
        found = {g: foldings(torch.tensor(A), group=g) for g, A in alpha[str(epochs[-1])].items()}
        lines = []
        for i, t in enumerate(sorted({f.threshold for fs in found.values() for f in fs})[::-1]):
            now = {g: next(f for f in fs[::-1] if f.threshold >= t) for g, fs in found.items()}
            size = folded_size(net, now)
            scores = {run.metric: 14.25 + 3 * i, f"{run.metric}_recalibrated": 14.25 + i}
            lines.append({"threshold": t, "parameters": size, **scores})
        return replace(run, folded=lines)

    return make
