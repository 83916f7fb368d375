"""The wide residual network for ImageNet (Section 4.2)."""

from __future__ import annotations

from torchvision.models.resnet import Bottleneck, ResNet

_KINDS = {"conv1": "C->B", "conv2": "B->B", "conv3": "B->C"}


class WideResNet50(ResNet):
    """WRN 50-2: torchvision's ResNet-50 with twice the bottleneck width, and the paper's groups.

    Args:
        num_classes: outputs, 1 or more. Default 1000.

    Raises:
        ValueError: fewer than one output.

    Example:
        >>> [len(group) for group in WideResNet50().sharing_groups().values()]
        [2, 3, 3, 3, 4, 4, 5, 6, 6, 2, 3, 3]
    """

    input_shape = (3, 224, 224)

    def __init__(self, num_classes: int = 1000) -> None:
        if num_classes < 1:
            raise ValueError(f"A classifier has 1 output or more; got {num_classes}.")
        super().__init__(Bottleneck, [3, 4, 6, 3], num_classes=num_classes, width_per_group=128)

    def sharing_groups(self) -> dict[str, list[str]]:
        """The 12 groups of Section 4.2: per stage, one for each kind of bottleneck convolution.

        The first unit's C->B convolution has fewer inputs than the others and cannot join; its
        B->B and B->C convolutions can, and do. The paper does not say.
        """
        return {
            f"stage{stage} {kind}": [
                f"layer{stage}.{unit}.{conv}"
                for unit in range(len(getattr(self, f"layer{stage}")))
                if unit or conv != "conv1"
            ]
            for stage in (1, 2, 3, 4)
            for conv, kind in _KINDS.items()
        }
