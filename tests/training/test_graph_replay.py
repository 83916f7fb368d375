"""What a recorded step is given; nothing here needs a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from softshare.training.graph_replay import GraphReplay, _stream


class Recorder:
    """Stands for PyTorch's CUDA: notes on which device and stream the work is recorded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.current: Any = "another"
        self.recorded: list[Any] = []
        self.streams: list[Any] = []
        monkeypatch.setattr(torch.cuda, "device", self.device)
        monkeypatch.setattr(torch.cuda, "stream", nullcontext)
        monkeypatch.setattr(torch.cuda, "current_stream", lambda device=None: None)
        monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: self)
        monkeypatch.setattr(torch.cuda, "graph", self.graph)
        monkeypatch.setattr(torch.cuda, "Stream", lambda device: (device, object()))
        _stream.cache_clear()

    @contextmanager
    def device(self, device: Any) -> Iterator[None]:
        before, self.current = self.current, device
        yield
        self.current = before

    @contextmanager
    def graph(self, graph: Any, stream: Any, capture_error_mode: str) -> Iterator[None]:
        self.recorded.append(self.current)
        self.streams.append(stream)
        yield

    def replay(self) -> None: ...


def test_a_step_is_recorded_on_the_device_of_its_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the stream of another device nothing would be recorded, and no replay train anything."""
    cuda, net = Recorder(monkeypatch), nn.Linear(2, 1)
    optimizer = torch.optim.Adam(net.parameters())
    told = []

    def work(inputs: Tensor, targets: Tensor) -> Tensor:
        told.append(optimizer.param_groups[0]["capturable"])
        return (net(inputs) - targets).square().mean().detach()

    x, y = torch.ones(3, 2), torch.ones(3, 1)
    replay = GraphReplay(work, optimizer, x, y)
    assert cuda.recorded == [x.device]
    assert cuda.current == "another"
    assert told == [True]
    assert optimizer.param_groups[0]["capturable"] is False
    assert replay(2 * x, 3 * y).shape == ()
    assert torch.equal(replay.inputs, 2 * x)
    assert torch.equal(replay.targets, 3 * y)
    assert torch.equal(x, torch.ones(3, 2)), "the batch itself is left alone"


def test_every_device_records_on_a_stream_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch's default is one stream for all, that of the device which records first."""
    cuda = Recorder(monkeypatch)
    optimizer = torch.optim.SGD(nn.Linear(2, 1).parameters())
    batches = [torch.ones(3, 2, device=device) for device in ("cpu", "meta", "cpu")]
    for x in batches:
        GraphReplay(lambda inputs, targets: inputs.sum(), optimizer, x, x)
    assert [device for device, _ in cuda.streams] == [x.device for x in batches]
    assert cuda.streams[0] is cuda.streams[2], "and records on it again"
    _stream.cache_clear()
