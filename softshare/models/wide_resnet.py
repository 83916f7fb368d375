"""Wide residual networks for 32 x 32 images (Section 4.1)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class Block(nn.Module):
    """Pre-activation residual block: BN-ReLU-conv3x3, twice, plus the input.

    Where the number of channels changes, a 1x1 convolution of the activated input takes the
    place of the input.

    Args:
        inputs: channels in.
        outputs: channels out.
        stride: of the first convolution and of the 1x1 convolution.
        dropout: probability with which activations between the convolutions are zeroed.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        plain = inputs == outputs and stride == 1
        self.shortcut = None if plain else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        active = F.relu(self.bn1(x))
        if self.shortcut is not None:
            x = self.shortcut(active)
        return x + self.conv2(self.dropout(F.relu(self.bn2(self.conv1(active)))))


class WideResNet(nn.Module):
    """WRN L-w: a convolution, three stages of blocks of width 16w, 32w, 64w, and a classifier.

    Convolutions start as Kaiming normal (fan out), the classifier's bias as zero.

    Args:
        depth: L = 6n + 4 for n blocks a stage; 10 or more.
        width: w, the widening factor, 1 or more.
        num_classes: outputs.
        in_channels: channels of the images.
        dropout: as in `Block`; the paper's starred rows use 0.3.

    Raises:
        ValueError: a depth that is not 6n + 4, or a number out of range.

    Example:
        >>> import torch
        >>> net = WideResNet(10, 1)
        >>> net(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """

    stage1: nn.Sequential
    stage2: nn.Sequential
    stage3: nn.Sequential

    def __init__(
        self,
        depth: int,
        width: int,
        num_classes: int = 10,
        in_channels: int = 3,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if depth < 10 or (depth - 4) % 6:
            raise ValueError(
                f"A wide ResNet has depth 6n + 4 (10, 16, 22, 28, 40, ...); got {depth}."
            )
        if min(width, num_classes, in_channels) < 1:
            raise ValueError(
                "Width, classes and input channels are 1 or more; got "
                f"{width}, {num_classes}, {in_channels}."
            )
        if not 0 <= dropout < 1:
            raise ValueError(f"A dropout probability lies in [0, 1); got {dropout}.")
        self.input_shape = (in_channels, 32, 32)
        self.conv = nn.Conv2d(in_channels, 16, 3, padding=1, bias=False)
        blocks = (depth - 4) // 6
        channels = [16, 16 * width, 32 * width, 64 * width]
        for stage in (1, 2, 3):
            inputs, outputs = channels[stage - 1 : stage + 1]
            body = [Block(inputs, outputs, 1 if stage == 1 else 2, dropout)]
            body += [Block(outputs, outputs, 1, dropout) for _ in range(blocks - 1)]
            self.add_module(f"stage{stage}", nn.Sequential(*body))
        self.bn = nn.BatchNorm2d(channels[3])
        self.fc = nn.Linear(channels[3], num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(self.fc.bias)

    def sharing_groups(self) -> dict[str, list[str]]:
        """The paper's groups: of each stage, every 3x3 convolution but those of the first block."""
        return {
            name: [
                f"{name}.{i}.conv{j}" for i in range(1, len(getattr(self, name))) for j in (1, 2)
            ]
            for name in ("stage1", "stage2", "stage3")
            if len(getattr(self, name)) > 1
        }

    def forward(self, x: Tensor) -> Tensor:
        x = self.stage3(self.stage2(self.stage1(self.conv(x))))
        x = F.relu(self.bn(x)).mean(dim=(2, 3))
        return self.fc(x)
