"""The paper's models by name."""

from __future__ import annotations

import re
from typing import Any

from torch import nn

from softshare.models.path_network import PathNetwork
from softshare.models.wide_resnet import WideResNet
from softshare.sharing import share
from softshare.sharing.initialisation import check_init

_WRN = re.compile(r"(?P<soft>s?)wrn-(?P<depth>\d+)-(?P<width>\d+)(?:-(?P<k>\d+))?")


def build(
    name: str,
    num_classes: int | None = None,
    in_channels: int | None = None,
    dropout: float = 0.0,
    init: str = "orthogonal",
) -> nn.Module:
    """Builds a model of the paper by the name that the paper gives it.

    ``wrn-L-w`` is a wide ResNet for CIFAR; ``swrn-L-w-k`` the same with k templates for the
    shared layers of each stage, ``swrn-L-w`` with one per layer (Section 4.1). ``wrn-50-2`` and
    ``swrn-50-2[-k]`` are the ImageNet bottleneck networks (Section 4.2). ``cnn``, ``scnn`` and
    ``scnn-r`` are those of the shortest-path task (Section 4.4); ``scnn-r`` is built as ``scnn``
    and differs in its loss alone.

    Args:
        name: one of the forms above, such as ``"swrn-28-10-2"``.
        num_classes: outputs of a classifier, 1 or more. Default 10, and 1000 for depth 50.
        in_channels: channels of the images, 1 or more. Default 3; those of the shortest-path
            task have 2.
        dropout: in [0, 1), between the convolutions of a block; the paper's starred rows use 0.3.
        init: start of the coefficients, as in `share`; a plain model has none.

    Returns:
        The model, its weights freshly drawn from PyTorch's global generator.

    Raises:
        ValueError: an unknown name or init, a number out of range, or one that the model has no
            use for.

    Example:
        >>> net = build("swrn-28-1-2", num_classes=100)
        >>> net.stage1[1].conv1.weight.shape
        torch.Size([16, 16, 3, 3])
        >>> build("resnet")
        Traceback (most recent call last):
        ...
        ValueError: Models are named wrn-L-w, swrn-L-w[-k], cnn, scnn or scnn-r; got 'resnet'.
    """
    check_init(init)
    if name in ("cnn", "scnn", "scnn-r"):
        if num_classes is not None or in_channels not in (None, 2):
            raise ValueError(
                "The networks of Section 4.4 take 2 channels and return 1, no classes; got "
                f"num_classes={num_classes}, in_channels={in_channels}."
            )
        if dropout:
            raise ValueError(f"The networks of Section 4.4 have no dropout; got {dropout}.")
        net: Any = PathNetwork()
        return net if name == "cnn" else share(net, init=init)
    match = _WRN.fullmatch(name) if isinstance(name, str) else None
    if match is None or (match["k"] and not match["soft"]):
        raise ValueError(
            f"Models are named wrn-L-w, swrn-L-w[-k], cnn, scnn or scnn-r; got {name!r}."
        )
    in_channels = 3 if in_channels is None else in_channels
    depth, width = int(match["depth"]), int(match["width"])
    if depth == 50:
        net = _imagenet(width, 1000 if num_classes is None else num_classes, in_channels, dropout)
    else:
        classes = 10 if num_classes is None else num_classes
        net = WideResNet(depth, width, classes, in_channels, dropout)
    if match["soft"]:
        share(net, int(match["k"]) if match["k"] else None, net.sharing_groups(), init)
    return net


def _imagenet(width: int, num_classes: int, in_channels: int, dropout: float) -> nn.Module:
    if (width, in_channels, dropout) != (2, 3, 0.0):
        raise ValueError(
            "The ImageNet model of the paper is wrn-50-2 with 3 channels and no dropout; got "
            f"width {width}, {in_channels} channels, dropout {dropout}."
        )
    from softshare.models.bottleneck_resnet import WideResNet50

    return WideResNet50(num_classes)
