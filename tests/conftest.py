"""What all tests share: cheap tests run first, on one thread each."""

import pytest
import torch

torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A broken sign shows within seconds: the slow tests come last."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)
