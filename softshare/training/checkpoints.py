"""The checkpoint of one run: what it must agree with to be gone on from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from softshare import storage
from softshare.recipe import Recipe
from softshare.training.precision import PRECISIONS, name_of


class Checkpoint:
    """A run's state between epochs, in a file that nobody else writes.

    Args:
        path: of the file.
        recipe: what is trained.
        net: the network; the names and shapes of its tensors must agree.
        data: checksum of the data.
        device: where it is trained.
        precision: what the network is to compute in. One that a checkpoint of this device was
            made in takes its place, unless it was asked for.
        asked: whether it was.
        processes: that train the network together.

    Attributes:
        precision: what to go on in, once `load` was called.
    """

    def __init__(
        self,
        path: Path,
        recipe: Recipe,
        net: nn.Module,
        data: str,
        device: torch.device,
        precision: torch.dtype,
        asked: bool = False,
        processes: int = 1,
    ) -> None:
        self.path, self.device, self.precision, self.asked = path, device, precision, asked
        self.processes = processes
        shapes = {name: list(tensor.shape) for name, tensor in net.state_dict().items()}
        self._fits = {"key": recipe.key, "data": data, "shapes": shapes}

    def save(self, state: dict[str, Any]) -> None:
        """Replaces the file.

        Raises:
            OSError: the disk is full or not writable; what was there stays.
        """
        storage.save_checkpoint(self.path, {"fits": self._fits, "place": self._place()} | state)

    def load(self) -> dict[str, Any] | None:
        """What was saved last; None without a file or, with a warning, if it cannot be trusted.

        Raises:
            ValueError: the checkpoint comes from another kind of device or number of processes,
                or is in another precision than the one asked for.
        """
        if not self.path.is_file():
            return None
        try:
            state = storage.load_checkpoint(self.path)
            if state.get("fits") != self._fits:
                raise storage.Damaged(
                    f"The checkpoint {self.path} is of other data or another version."
                )
        except storage.Damaged as error:
            storage.set_aside(self.path, str(error))
            return None
        kind, _, name = state["place"].partition(",")[0].partition(" in ")
        if kind == self.device.type and not self.asked and name in PRECISIONS:
            self.precision = PRECISIONS[name]
        if state["place"] != self._place():
            raise ValueError(
                f"The checkpoint {self.path} was made on {state['place']}, and this is "
                f"{self._place()}; go on there, or delete it to start anew."
            )
        return state

    def _place(self) -> str:
        together = f", {self.processes} processes" if self.processes > 1 else ""
        return f"{self.device.type} in {name_of(self.precision)}{together}"
