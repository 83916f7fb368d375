"""The record of one run: what was asked, what came of it, and where that came from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from softshare.paths import runs_root
from softshare.recipe import Recipe
from softshare.records import record_file
from softshare.sharing.similarity import similarity


@dataclass(frozen=True, repr=False)
class Run:
    """One model trained once, and what came of it; plain values, kept as JSON.

    Attributes:
        recipe: what was asked for.
        model: ``name``, ``parameters``, ``macs`` of one example's forward pass, ``groups``; of a
            folded network ``schedules`` instead, the number of each layer's tie.
        data: ``name``, ``checksum`` of the content, numbers of ``train`` and ``test`` examples.
        curves: one list per quantity, one entry per epoch: ``epoch``, ``phase``, ``lr``, ``loss``
            and ``test_error`` in per cent, for photographs also ``top5_error``, or ``f1`` and
            ``f1_recalibrated`` in [0, 1].
        result: the last entry of each metric's curve, never the best.
        coefficients: alpha by epoch (``"0"`` before training) and group, ``(L, k)``.
        folded: error of the network folded at each distinct threshold, where it was measured, by
            `softshare.training.folded_score.measure`.
        folded_alone: of a network with several groups, the same with each of them folded by
            itself, by group.
        weights: of the file beside the record that `softshare.records.weights.keep` wrote for a
            small network: ``sha256``, ``bytes``, and the metric of the network as rounded there.
        cost: ``seconds`` of training, of them ``processor_seconds`` in which a core worked on it,
            summed over cores, ``images_per_second``, ``peak_memory_bytes``.
        origin: device, versions, precision, threads, ``processes`` that trained it together,
            commit and date; ``runs_at_once`` on the device, where it was shared.

    Example:
        >>> run = Run(Recipe("wrn-28-1"), result={"test_error": 9.5})
        >>> run.test_error, run.seed, run.metric
        (9.5, 0, 'test_error')
        >>> run.path
        'cifar10/paper/wrn-28-1/seed0-1f4459d4e1.json'
    """

    recipe: Recipe
    model: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    curves: dict[str, list[Any]] = field(default_factory=dict)
    result: dict[str, float] = field(default_factory=dict)
    coefficients: dict[str, dict[str, list[list[float]]]] = field(default_factory=dict)
    folded: list[dict[str, float]] = field(default_factory=list)
    folded_alone: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    weights: dict[str, Any] = field(default_factory=dict)
    cost: dict[str, Any] = field(default_factory=dict)
    origin: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Run({self.path!r})"

    @property
    def key(self) -> str:
        """The recipe's key."""
        return self.recipe.key

    @property
    def path(self) -> str:
        """Place of the record below the folder of runs; its parts name the table's cell."""
        return self.recipe.path

    @property
    def profile(self) -> str:
        """The recipe's profile."""
        return self.recipe.profile

    @property
    def seed(self) -> int:
        """The recipe's seed."""
        return self.recipe.seed

    @property
    def metric(self) -> str:
        """``test_error`` or ``f1``."""
        return next(iter(self.result))

    @property
    def test_error(self) -> float:
        """Error on the test set after the last epoch, in per cent."""
        return self.result["test_error"]

    @property
    def f1(self) -> float:
        """F1 on the held-out examples of the last phase after the last epoch, in [0, 1]."""
        return self.result["f1"]

    def lsm(self, epoch: int | None = None) -> dict[str, Tensor]:
        """The layer similarity matrices after an epoch that was kept. Default: the last.

        Raises:
            ValueError: the model shares nothing, or no coefficients were kept at that epoch.
        """
        kept = list(self.coefficients)
        chosen = str(epoch) if epoch is not None else (kept[-1] if kept else "")
        if chosen not in kept:
            raise ValueError(
                f"{self.recipe.model} has coefficients of epochs {', '.join(kept) or 'none'}; "
                f"got {epoch}."
            )
        alpha = self.coefficients[chosen]
        return {group: similarity(torch.tensor(rows)) for group, rows in alpha.items()}

    def network(self, root: Path | str | None = None) -> nn.Module:
        """The trained network, from the weights beside the record.

        `softshare.records.weights.network` reads and checks them.

        Raises:
            ValueError: the run kept no weights, as those of large networks do not.
            FileNotFoundError: they are not below `root`.
            Damaged: they are not those that were written.
        """
        from softshare.records.weights import network

        return network(self, root)

    def save(self, root: Path | str | None = None) -> Path:
        """Writes the record whole or not at all, with its checksum, below `root`.

        Raises:
            OSError: the place is full or not writable.
        """
        path = Path(root or runs_root()) / self.path
        record_file.write(path, asdict(self))
        return path

    @staticmethod
    def load(path: Path | str) -> Run:
        """Reads a record and checks it.

        Raises:
            FileNotFoundError: there is no such file.
            Damaged: it is not JSON, not whole, or does not match its checksum.
            ValueError: it comes from a newer version.
        """
        content = record_file.read(Path(path))
        try:
            recipe = Recipe(**content.pop("recipe"))
            return Run(recipe, **content)
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"The record {path} has fields that this version does not know ({error}). "
                "Update softshare."
            ) from error
