"""The fully convolutional network of the shortest-path task (Section 4.4)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class PathLayer(nn.Module):
    """3x3 convolution, BN, ReLU, plus the input: y = x + ReLU(BN(W * x)).

    The paper says "a 1-skip connection" and no more; adding after the ReLU keeps an unobstructed
    sum from the first layer to the last, so that cells marked once stay marked.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + F.relu(self.bn(self.conv(x)))


class PathNetwork(nn.Module):
    """CNN of Section 4.4: 1x1 conv 2 -> c, twenty `PathLayer`, 1x1 conv c -> 1.

    Maps ``(B, 2, H, W)``, queries and obstacles, to ``(B, 1, H, W)``, the logit of lying on a
    shortest path. Each 3x3 convolution widens what a cell sees by one step, so twenty of them
    just span the 21-cell windows of the last phase.

    Args:
        depth: number of 3x3 convolutions, 1 or more. Default the paper's 20.
        channels: c, 1 or more. Default the paper's 32.

    Raises:
        ValueError: a number below 1.

    Example:
        >>> import torch
        >>> PathNetwork(depth=2)(torch.zeros(1, 2, 32, 32)).shape
        torch.Size([1, 1, 32, 32])
    """

    input_shape = (2, 32, 32)

    def __init__(self, depth: int = 20, channels: int = 32) -> None:
        super().__init__()
        if min(depth, channels) < 1:
            raise ValueError(f"Depth and channels are 1 or more; got {depth} and {channels}.")
        self.enter = nn.Conv2d(2, channels, 1)
        layers = [PathLayer(channels) for _ in range(depth)]
        self.body = nn.Sequential(*layers)
        self.leave = nn.Conv2d(channels, 1, 1)
        for layer in layers:
            nn.init.kaiming_normal_(layer.conv.weight, nonlinearity="relu")

    def sharing_groups(self) -> dict[str, list[str]]:
        """All 3x3 convolutions share one set of templates."""
        return {"body": [f"body.{i}.conv" for i in range(len(self.body))]}

    def forward(self, x: Tensor) -> Tensor:
        return self.leave(self.body(self.enter(x)))
