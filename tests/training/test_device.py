"""The device that a run is given; nothing here needs a GPU."""

from __future__ import annotations

import pytest
import torch

from softshare.training.device import device_for


def test_a_gpu_is_in_use_once_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else resetting its memory counters, the first thing a run does, would fail."""
    begun = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "init", lambda: begun.append("init"))
    assert device_for("cpu") == torch.device("cpu")
    assert not begun
    assert device_for("cuda:1") == torch.device("cuda:1")
    assert begun == ["init"]
    with pytest.raises(ValueError, match="There is no cuda:2 here, but 2 CUDA devices"):
        device_for("cuda:2")
