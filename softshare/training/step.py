"""One step of the optimiser: forward, loss, penalty, backward, update."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from softshare.recipe import Recipe
from softshare.sharing import banks
from softshare.sharing.constraint import constrain, rescale
from softshare.sharing.mixing import fused_on
from softshare.sharing.similarity import penalty
from softshare.training.graph_replay import GraphReplay
from softshare.training.optimisation import param_groups
from softshare.training.precision import autocast, precision_for
from softshare.training.processes import ALONE, Processes

_WARM = 3  # steps before a graph is recorded: buffers exist, algorithms are chosen, code compiled


class Step:
    r"""One step of the optimiser on a batch, as a recipe wants it.

    .. math:: L_R = L - \lambda_R \sum_{i,j} S_{ij} \quad (\text{Section 3.2})

    A faster engine computes the same step. It is used for batches of the first batch's shape;
    others, such as the last of an epoch, are eager. Where compiling or recording fails, a warning
    says so and training goes on without.

    Args:
        net: the network; moved to the device, in channels-last layout.
        recipe: of it come optimiser, momentum, weight decay, first learning rate and lambda_R.
        loss: of outputs and targets, a scalar.
        device: where.
        precision: what the network computes in; the parameters stay float32. Default: bfloat16 on
            a GPU that has it, else float32.
        engine: one of ``softshare.training.engine.ENGINES``.
        processes: that train the network together.

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
        engine: str = "eager",
        processes: Processes = ALONE,
    ) -> None:
        self.device = torch.device(device)
        self.precision = precision_for(self.device) if precision is None else precision
        self.net = net.to(self.device).to(memory_format=torch.channels_last)
        self._unit = constrain(self.net, recipe.coefficients)
        self.engine, self.processes = engine, processes
        self._call = self.net if processes.size == 1 else DistributedDataParallel(self.net)
        self.optimizer = _optimizer(self.net, recipe, fused=self.device.type == "cuda")
        shared = banks(self.net).values()
        self._loss = loss
        self._recurrence = recipe.recurrence if shared else 0.0  # a folded network has no LSM
        self._coefficients = [bank.coefficients for bank in shared]
        for bank in shared:
            bank.fused = fused_on(self.device)
            if self.precision != torch.float32:  # convolutions, which would each round their own
                bank.rounding = self.precision
        self._compiled: Callable = self._forward
        if "compiled" in engine:
            self._compiled = torch.compile(self._forward, fullgraph=True, dynamic=False)
        self._shape: torch.Size | None = None
        self._taken = 0  # steps of that shape
        self._replay: GraphReplay | None = None

    def __call__(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Takes the step; returns the loss without the regulariser, still on the device.

        Of several processes each returns its part, and the mean over them is the loss. They are
        given all targets, and all inputs or those of their part.
        """
        if self.processes.size > 1:
            return self._take_part(inputs, targets)
        inputs = inputs.contiguous(memory_format=torch.channels_last)
        self._shape = self._shape or inputs.shape
        if inputs.shape != self._shape or self.engine == "eager":
            return self._take(self._forward, inputs, targets)
        try:
            loss = self._fast(inputs, targets)
        except Exception as error:
            self._give_up(error)
        else:
            self._taken += 1
            return loss
        return self(inputs, targets)  # once the error is gone, and with it what its frames held

    def set_rate(self, rate: float) -> None:
        """The learning rate of the steps to come."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def state(self) -> dict[str, Any]:
        """Network and optimiser, as a checkpoint keeps them."""
        return {"net": self.net.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Goes on from a checkpoint."""
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])
        self._replay, self._taken = None, 0

    def _forward(
        self, inputs: Tensor, targets: Tensor, share: float = 1.0
    ) -> tuple[Tensor, Tensor]:
        with autocast(self.device, self.precision):
            loss = self._loss(self._call(inputs), targets)
        loss = loss if share == 1 else loss * share
        noted = loss.detach()
        if self._recurrence:
            loss = loss - self._recurrence * penalty(self._coefficients)
        return loss, noted

    def _take(self, forward: Callable, inputs: Tensor, targets: Tensor) -> Tensor:
        self.optimizer.zero_grad(set_to_none=True)
        loss, noted = forward(inputs, targets)
        loss.backward()
        self.optimizer.step()
        rescale(self._unit)
        return noted

    def _take_part(self, inputs: Tensor, targets: Tensor) -> Tensor:
        forward = partial(self._forward, share=self.processes.share(targets))
        whole = len(inputs) == len(targets)
        inputs = self.processes.part(inputs) if whole else inputs
        targets = self.processes.part(targets)
        inputs = inputs.contiguous(memory_format=torch.channels_last)
        return self._take(forward, inputs, targets)

    def _fast(self, inputs: Tensor, targets: Tensor) -> Tensor:
        def work(inputs: Tensor, targets: Tensor) -> Tensor:
            return self._take(forward, inputs, targets)

        forward = self._compiled if "compiled" in self.engine else self._forward
        if self._taken == 0 and "compiled" in self.engine:
            with warnings.catch_warnings(), torch._dynamo.config.patch(recompile_limit=64):
                warnings.simplefilter("ignore")  # the compiler's own advice
                return work(inputs, targets)
        if "graphs" not in self.engine or self._taken < _WARM:
            return work(inputs, targets)
        if self._replay is None or self._replay.rate != self.optimizer.param_groups[0]["lr"]:
            self._replay = None  # frees its memory first
            self.optimizer.zero_grad(set_to_none=True)
            self._replay = GraphReplay(work, self.optimizer, inputs, targets)
        return self._replay(inputs, targets)

    def _give_up(self, error: Exception) -> None:
        """Falls back by what has just failed: recording, else compiling."""
        recording = "graphs" in self.engine and self._taken >= _WARM
        failed = "graphs" if recording else self.engine.partition(" ")[0]
        self.engine = " ".join(w for w in self.engine.split() if w != failed) or "eager"
        self._replay = None
        what = "Recording a CUDA graph" if failed == "graphs" else "Compiling the step"
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        warnings.warn(f"{what} failed ({reason}); training goes on without.", stacklevel=4)


def _optimizer(net: nn.Module, recipe: Recipe, fused: bool) -> torch.optim.Optimizer:
    groups = param_groups(net, recipe.weight_decay)
    if recipe.optimizer == "adam":
        return torch.optim.Adam(groups, lr=recipe.lr, fused=fused)
    nesterov = recipe.momentum > 0
    return torch.optim.SGD(
        groups, lr=recipe.lr, momentum=recipe.momentum, nesterov=nesterov, fused=fused
    )
