"""One step of the optimiser: forward, loss, penalty, backward, update."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from softshare.optimisation import param_groups
from softshare.precision import autocast, precision_for
from softshare.recipe import Recipe
from softshare.similarity import recurrence_penalty


class Step:
    r"""One step of the optimiser on a batch, as a recipe wants it.

    .. math:: L_R = L - \lambda_R \sum_{i,j} S_{ij} \quad (\text{Section 3.2})

    Args:
        net: the network; moved to the device, in channels-last layout.
        recipe: of it come optimiser, momentum, weight decay, first learning rate and lambda_R.
        loss: of outputs and targets, a scalar.
        device: where.
        precision: what the network computes in; the parameters stay float32. Default: bfloat16 on
            a GPU that has it, else float32.

    Example:
        >>> import torch.nn.functional as F
        >>> from softshare.models import build
        >>> step = Step(build("swrn-16-1-1"), Recipe("swrn-16-1-1"), F.cross_entropy)
        >>> loss = step(torch.randn(4, 3, 32, 32), torch.tensor([0, 1, 2, 3]))
        >>> loss.shape, loss.requires_grad
        (torch.Size([]), False)
    """

    def __init__(
        self,
        net: nn.Module,
        recipe: Recipe,
        loss: Callable[[Tensor, Tensor], Tensor],
        device: torch.device | str = "cpu",
        precision: torch.dtype | None = None,
    ) -> None:
        self.device = torch.device(device)
        self.precision = precision_for(self.device) if precision is None else precision
        self.net = net.to(self.device).to(memory_format=torch.channels_last)
        self.loss, self.recurrence = loss, recipe.recurrence
        self.optimizer = _optimizer(self.net, recipe, fused=self.device.type == "cuda")

    def __call__(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Takes the step; returns the loss without the regulariser, still on the device."""
        inputs = inputs.contiguous(memory_format=torch.channels_last)
        with autocast(self.device, self.precision):
            loss = self.loss(self.net(inputs), targets)
        noted = loss.detach()
        if self.recurrence:
            loss = loss - self.recurrence * recurrence_penalty(self.net)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return noted

    def set_rate(self, rate: float) -> None:
        """The learning rate of the steps to come."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate


def _optimizer(net: nn.Module, recipe: Recipe, fused: bool) -> torch.optim.Optimizer:
    groups = param_groups(net, recipe.weight_decay)
    if recipe.optimizer == "adam":
        return torch.optim.Adam(groups, lr=recipe.lr, fused=fused)
    nesterov = recipe.momentum > 0
    return torch.optim.SGD(
        groups, lr=recipe.lr, momentum=recipe.momentum, nesterov=nesterov, fused=fused
    )
