"""What the optimizer is given: no weight decay on the coefficients (Section 4.1)."""

from __future__ import annotations

from typing import Any

from torch import nn

from softshare.folding.folded_weights import coefficients
from softshare.sharing import banks


def param_groups(net: nn.Module, weight_decay: float = 5e-4) -> list[dict[str, Any]]:
    """Parameter groups with weight decay on everything but the coefficients (Section 4.1).

    Args:
        net: any model, shared or not, or folded, whose scales count as coefficients; also inside
            DistributedDataParallel or torch.compile.
        weight_decay: 0 or more, for all that is not a coefficient. Default the paper's 5e-4.

    Returns:
        Two groups, decayed and not; every trainable parameter stands in just one of them.

    Raises:
        ValueError: a negative weight decay, or a shared model that has lost its templates.

    Example:
        >>> import softshare as ss, torch
        >>> net = ss.share(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)), templates=2)
        >>> optimizer = torch.optim.SGD(param_groups(net), lr=0.1)
        >>> [(g["weight_decay"], len(g["params"])) for g in optimizer.param_groups]
        [(0.0005, 3), (0.0, 1)]
    """
    if not weight_decay >= 0:  # also refuses nan
        raise ValueError(f"Weight decay is 0 or more; got {weight_decay}.")
    free = {id(bank.coefficients) for bank in banks(net).values()}
    free |= {id(p) for p in coefficients(net)}
    trained = [p for p in net.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if id(p) not in free], "weight_decay": weight_decay},
        {"params": [p for p in trained if id(p) in free], "weight_decay": 0.0},
    ]
