"""Files of models: how large one will be."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from softshare.model_file import serialised, serialised_size


@pytest.mark.parametrize("metadata", [None, {"note": 'a "quoted" line\n and an é'}])
@pytest.mark.parametrize("length", [1, 9, 11, 1000])  # offsets of more and more digits
def test_the_size_of_a_file_is_known_before_it_is_written(length, metadata):
    kinds = (torch.int64, torch.float16, torch.bool, torch.float32, torch.bfloat16, torch.float64)
    net = nn.Module()
    for number, kind in enumerate(kinds):
        net.register_buffer(f"wägung_{number}", torch.zeros(length, 3, dtype=kind))
        net.register_buffer(f"again_{number}", net.get_buffer(f"wägung_{number}"))
        net.register_buffer(f"one_{number}", torch.zeros((), dtype=kind))
    assert serialised_size(net, metadata) == len(serialised(net, metadata))
    net.register_buffer("other", torch.zeros(3, dtype=torch.float8_e4m3fn))
    assert serialised_size(net, metadata) == len(serialised(net, metadata))
