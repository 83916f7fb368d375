"""Training: a bare loop that checkpoints, resumes and ends in a record."""

from __future__ import annotations

import contextlib
import platform
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import Tensor, nn

from softshare import storage
from softshare.archives import stem
from softshare.counting import count
from softshare.models import build
from softshare.optimisation import param_groups
from softshare.paths import PACKAGE, checkpoints_root, runs_root
from softshare.recipe import Recipe, for_profile
from softshare.records import Run
from softshare.sharing import banks
from softshare.similarity import recurrence_penalty
from softshare.tasks import Task, autocast, predictor, task_for

KEPT_EPOCHS = (0, 1, 5, 25, 50, 100, 150)
"""Epochs after which the coefficients are kept, besides the last (Figure 8 shows some)."""


def train(
    model: str,
    data: str | None = None,
    profile: str = "paper",
    *,
    source: str | Path | None = None,
    runs: Path | None = None,
    device: str | torch.device | None = None,
    progress: bool = True,
    checkpoint_seconds: float = 60.0,
    **settings: Any,
) -> Run:
    r"""Trains a model of the paper, or resumes it, or returns its record if there is one.

    The loss is the task's, minus :math:`\lambda_R \sum S_{ij}` where the recipe asks for it
    (Section 3.2). Stopped at any moment, even by ``kill -9``, the next call goes on from the last
    checkpoint and, on a CPU with as many threads, ends in the same record bit for bit but for
    ``cost`` and ``origin``. The result is the last epoch's: nothing is chosen on the test set.

    Args:
        model: name for `softshare.build`.
        data: name of a data set. Default: the profile's.
        profile: ``paper``, ``fast`` or ``smoke``.
        source: file or folder to read the image set from, instead of the data folder.
        runs: folder of records. Default ``data/runs`` of the checkout.
        device: default CUDA where there is one, else the CPU.
        progress: show a progress bar with the time left.
        checkpoint_seconds: at least this long between checkpoints, 0 for one every epoch.
        **settings: fields of `Recipe`, such as ``seed=1`` or ``epochs=30``.

    Returns:
        The record, which is also on disk.

    Raises:
        ValueError: unknown names or values out of range.
        FloatingPointError: the loss is no longer a number.
        RuntimeError: another process is training this very run.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> folder = Path(tempfile.mkdtemp())
        >>> settings = {"epochs": 1, "examples": 64, "runs": folder, "progress": False}
        >>> run = train("swrn-10-1", profile="smoke", **settings)  # doctest: +SKIP
    """
    if source is not None and data is None:
        data = stem(Path(source))
    recipe = for_profile(model, data, profile, **settings)
    root = runs if runs is not None else runs_root()
    if (known := _recorded(recipe, root)) is not None:
        return known
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    saved = (root.parent / "checkpoints" if runs is not None else checkpoints_root()) / (
        f"{recipe.model}-seed{recipe.seed}-{recipe.key}.pt"
    )
    saved.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(saved.with_suffix(".lock"))
    try:
        with lock.acquire(blocking=False):
            if (known := _recorded(recipe, root)) is not None:
                return known
            task = task_for(recipe, place, source)
            run = _Training(recipe, task, place, saved, checkpoint_seconds, progress).finish()
            run.save(root)
    except Timeout:
        raise RuntimeError(
            f"Another process is training {recipe.path}; wait for it, or choose another seed."
        ) from None
    saved.unlink(missing_ok=True)
    return run


class _Training:
    def __init__(
        self,
        recipe: Recipe,
        task: Task,
        device: torch.device,
        saved: Path,
        checkpoint_seconds: float,
        progress: bool,
    ) -> None:
        self.recipe, self.task, self.device = recipe, task, device
        self.saved, self.checkpoint_seconds, self.progress = saved, checkpoint_seconds, progress
        cuda = device.type == "cuda"
        bf16 = cuda and torch.cuda.is_bf16_supported()
        self.precision = torch.bfloat16 if bf16 else torch.float32
        with _seeded(recipe.seed, device):
            net = build(recipe.model, init=recipe.init, **task.model_settings)
        if recipe.recurrence and not banks(net):
            raise ValueError(
                f"The recurrence regulariser needs shared layers; {recipe.model} has none. "
                "Pass recurrence=0 or a soft-shared model."
            )
        self.facts = self._describe(net)
        self.net = net.to(device).to(memory_format=torch.channels_last)
        self.optimizer = _optimizer(self.net, recipe, cuda)
        self.curves: dict[str, list[Any]] = {
            name: [] for name in ("epoch", "phase", "lr", "loss", task.metric)
        }
        self.coefficients: dict[str, Any] = {}
        self.seconds = 0.0
        self._keep_coefficients(0)
        self._resume()

    def finish(self) -> Run:
        from tqdm.auto import tqdm

        done = len(self.curves["epoch"])
        total = self.recipe.total_epochs
        bar = tqdm(
            total=total * self.task.steps,
            initial=done * self.task.steps,
            desc=f"{self.recipe.model} seed {self.recipe.seed}",
            unit="step",
            mininterval=1.0,
            disable=not self.progress,
        )
        written = time.monotonic()
        with bar:
            for epoch in range(done, total):
                start = time.monotonic()
                loss, score = self._epoch(epoch, bar)
                self.seconds += time.monotonic() - start
                self._note(epoch, loss, score)
                bar.set_postfix({"loss": f"{loss:.3g}", self.task.metric: f"{score:.4g}"})
                if epoch + 1 < total and time.monotonic() - written >= self.checkpoint_seconds:
                    self._checkpoint()
                    written = time.monotonic()
        return self._record()

    def _epoch(self, epoch: int, bar: Any) -> tuple[float, float]:
        net, recipe = self.net, self.recipe
        net.train()
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.lr_at(epoch)
        losses = torch.zeros(self.task.steps, device=self.device)
        with _seeded(recipe.seed * 1_000_003 + epoch + 1, self.device):
            for step, (inputs, targets) in enumerate(self.task.batches(epoch)):
                inputs = inputs.contiguous(memory_format=torch.channels_last)
                with autocast(self.device, self.precision):
                    loss = self.task.loss(net(inputs), targets)
                losses[step] = loss.detach()  # stays on the device: no wait inside an epoch
                if recipe.recurrence:
                    loss = loss - recipe.recurrence * recurrence_penalty(net)
                self.optimizer.zero_grad(set_to_none=True)
                loss.backward()
                self.optimizer.step()
                bar.update()
        self._check(losses, epoch)
        return losses.mean().item(), self.task.score(predictor(net, self.precision), epoch)

    def _check(self, losses: Tensor, epoch: int) -> None:
        broken = (~losses.isfinite()).nonzero()
        if len(broken):
            raise FloatingPointError(
                f"The loss of {self.recipe.model} stopped being a number at step "
                f"{broken[0].item() + 1} of epoch {epoch + 1}, learning rate "
                f"{self.recipe.lr_at(epoch)}; lower lr. No record was written; the last "
                "checkpoint, from before, is kept."
            )

    def _note(self, epoch: int, loss: float, score: float) -> None:
        new = {
            "epoch": epoch + 1,
            "phase": epoch // self.recipe.epochs + 1,
            "lr": self.recipe.lr_at(epoch),
            "loss": loss,
            self.task.metric: score,
        }
        for name, value in new.items():
            self.curves[name].append(value)
        if epoch + 1 in (*KEPT_EPOCHS, self.recipe.total_epochs):
            self._keep_coefficients(epoch + 1)

    def _keep_coefficients(self, epoch: int) -> None:
        found = {g: b.coefficients.detach().tolist() for g, b in banks(self.net).items()}
        if found:
            self.coefficients[str(epoch)] = found

    def _checkpoint(self) -> None:
        state = {
            "key": self.recipe.key,
            "net": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "curves": self.curves,
            "coefficients": self.coefficients,
            "seconds": self.seconds,
        }
        storage.save_checkpoint(self.saved, state)

    def _resume(self) -> None:
        if not self.saved.is_file():
            return
        try:
            state = storage.load_checkpoint(self.saved)
        except storage.Damaged as error:
            storage.set_aside(self.saved, str(error))
            return
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.curves, self.coefficients = state["curves"], state["coefficients"]
        self.seconds = state["seconds"]

    def _describe(self, net: nn.Module) -> dict[str, Any]:
        size = count(net, self.task.input_shape)
        return {
            "name": self.recipe.model,
            "parameters": size.parameters,
            "macs": size.macs,
            "groups": {label: list(bank.layers) for label, bank in banks(net).items()},
        }

    def _record(self) -> Run:
        cuda = self.device.type == "cuda"
        seen = self.recipe.total_epochs * self.task.facts()["train"] / self.recipe.phases
        return Run(
            self.recipe,
            model=self.facts,
            data=self.task.facts(),
            curves=self.curves,
            result={self.task.metric: self.curves[self.task.metric][-1]},
            coefficients=self.coefficients,
            cost={
                "seconds": round(self.seconds, 2),
                "images_per_second": round(seen / max(self.seconds, 1e-9), 1),
                "peak_memory_bytes": torch.cuda.max_memory_allocated() if cuda else None,
            },
            origin=origin(self.device) | {"precision": str(self.precision).removeprefix("torch.")},
        )


def origin(device: torch.device) -> dict[str, Any]:
    """Where and with what a result was made."""
    import softshare

    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return {
        "device": name,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "softshare": softshare.__version__,
        "commit": _commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _optimizer(net: nn.Module, recipe: Recipe, fused: bool) -> torch.optim.Optimizer:
    groups = param_groups(net, recipe.weight_decay)
    if recipe.optimizer == "adam":
        return torch.optim.Adam(groups, lr=recipe.lr, fused=fused)
    nesterov = recipe.momentum > 0
    return torch.optim.SGD(
        groups, lr=recipe.lr, momentum=recipe.momentum, nesterov=nesterov, fused=fused
    )


@contextlib.contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seeds PyTorch's global generators inside, and leaves them as they were outside."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed % 2**63)
        yield


def _recorded(recipe: Recipe, root: Path) -> Run | None:
    path = root / recipe.path
    if not path.is_file():
        return None
    try:
        return Run.load(path)
    except storage.Damaged as error:
        storage.set_aside(path, str(error))
        return None


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]} CPU" if names else f"{platform.machine()} CPU"


def _commit() -> str:
    def git(*words: str) -> str:
        command = ["git", "-C", str(PACKAGE.parent), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", "softshare")
        return git("rev-parse", "--short=12", "HEAD") + ("-changed" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
