"""Where runs are made: the device, how many at once, and what is done there already."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch

from softshare.cores import cores
from softshare.paths import runs_root
from softshare.recipe import Recipe
from softshare.records import Run
from softshare.records.holding import begun, unmeasured

_GROUP = 4  # cores of a run where there are many
_FEW = 8
_TURNS = 2  # runs on a GPU that their processes use in turn: one computes while the other prepares
_MPS = Path("/tmp/nvidia-mps")  # where NVIDIA's multi-process service listens unless told otherwise
_MEMORY = 2 * 2**30  # bytes that a run on a CPU is given


@dataclass
class Place:
    """Where runs are made.

    Attributes:
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        workers: runs at once, at most.
        threads: of each.
        runs: folder of records, None for the usual one.
    """

    device: str
    workers: int
    threads: int
    runs: Path | None = None

    @staticmethod
    def here(device: torch.device, workers: int | None = None, runs: Path | None = None) -> Place:
        """Cores are dealt out to runs in groups; on a GPU, a run needs one to feed it.

        A GPU runs the kernels of one process at a time, unless NVIDIA's multi-process service
        (MPS) lets them overlap: only there are more than two runs at once worth their memory.

        The threads of a run on a CPU do not depend on how many runs there are at once: begun in
        one queue and ended in another, it is the same to the last bit.

        Args:
            device: of all runs.
            workers: runs at once, at most. Default: as many as cores and memory are for.
            runs: folder of records. Default: the usual one.
        """
        here = cores()
        if device.type == "cpu":
            group = int(os.environ.get("OMP_NUM_THREADS") or (1 if here < _FEW else _GROUP))
            memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // _MEMORY
            most = workers or max(1, min(here // group, memory))
            return Place(str(device), most, group, runs)
        overlap = Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY") or _MPS).is_dir()
        most = workers or max(1, min(here, _FEW if overlap else _TURNS))
        return Place(str(device), most, max(1, here // most), runs)

    @property
    def shared(self) -> bool:
        """Whether a single run may fill the device, as on a GPU: on a CPU each has its cores."""
        return self.device != "cpu"

    @property
    def root(self) -> Path:
        """The folder of records."""
        return self.runs or runs_root()

    def recorded(self, recipe: Recipe) -> bool:
        """Whether a run has a whole record, whose foldings do not wait to be measured here.

        One that cannot be read counts as none; what is the matter with it is said by its run.

        Example:
            >>> Place("cpu", 1, 1, Path("no/such/folder")).recorded(Recipe("wrn-28-1"))
            False
        """
        try:
            run = Run.load(self.root / recipe.path)
            return run.recipe == recipe and not unmeasured(run, self.device, self.runs)
        except (FileNotFoundError, ValueError):
            return False

    def begun(self, recipe: Recipe) -> int:
        """Epochs in a checkpoint for this kind of device; 0 without one, -1 for another's.

        Also -1 where that is so of the network that is to be folded and tuned, and has no record.
        """
        if recipe.tune and not self.recorded(recipe.base) and self.begun(recipe.base) < 0:
            return -1
        return begun(recipe, self.device, self.runs)
