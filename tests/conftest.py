"""What all tests share: cheap tests run first, on one thread each."""

from collections import Counter

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

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
