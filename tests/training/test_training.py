"""Training is the plain loop, and decided by recipe and seed alone."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from softshare import models
from softshare.training import image_task, train
from softshare.training.image_task import ImageTask

pytestmark = pytest.mark.usefixtures("few_held_out", "data_below")


def test_training_is_the_plain_loop(cases: dict, tmp_path: Path) -> None:
    """The same steps written out by hand: identical losses, errors and coefficients."""
    settings = {**cases["recurrence"], "recurrence": 0.0, "milestones": (0.4,), "seed": 3}
    run = train(**settings, runs=tmp_path / "runs", device="cpu")
    task = ImageTask(run.recipe, torch.device("cpu"))
    torch.manual_seed(3)
    net = models.build("swrn-16-1-2", num_classes=10, in_channels=1)
    net = net.to(memory_format=torch.channels_last)
    alpha = [p for name, p in net.named_parameters() if name.endswith("coefficients")]
    others = [p for name, p in net.named_parameters() if not name.endswith("coefficients")]
    assert len(alpha) == 3
    optimizer = torch.optim.SGD(
        [{"params": others, "weight_decay": 5e-4}, {"params": alpha, "weight_decay": 0.0}],
        lr=0.1,
        momentum=0.9,
        nesterov=True,
    )
    losses, errors = [], []
    for epoch, rate in enumerate([0.1, 0.02, 0.02]):
        for group in optimizer.param_groups:
            group["lr"] = rate
        steps = []
        net.train()
        for images, labels in task.batches(epoch):
            loss = F.cross_entropy(
                net(images.contiguous(memory_format=torch.channels_last)), labels
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            steps.append(loss.detach())
        losses.append(torch.stack(steps).mean().item())
        net.eval()
        with torch.no_grad():
            pixels = (task.test.images / 255 - task.moments["mean"]) / task.moments["std"]
            guess = net(pixels).argmax(1)
        errors.append(100 * (guess != task.test.labels).sum().item() / len(guess))
    assert run.curves["loss"] == losses
    assert run.curves["test_error"] == pytest.approx(errors)
    assert run.curves["lr"] == [0.1, 0.02, 0.02]
    assert list(run.coefficients["3"].values()) == [a.tolist() for a in alpha]
    assert run.coefficients["0"] != run.coefficients["3"]


def test_the_result_is_the_last_epochs_and_not_the_best(
    cases: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = [30.0, 10.0, 20.0]
    told = [{"test_error": error} for error in errors]
    monkeypatch.setattr(ImageTask, "scores", lambda self, predict, epoch: told[epoch])
    run = train(**cases["dropout"], runs=tmp_path / "runs", device="cpu")
    assert run.curves["test_error"] == errors
    assert run.test_error == 20.0


def mean_similarity(rows: list[list[float]]) -> float:
    unit = np.array(rows) / np.linalg.norm(rows, axis=1, keepdims=True)
    return float(np.abs(unit @ unit.T).mean())


def test_the_recurrence_regulariser_raises_the_lsm(cases: dict, tmp_path: Path) -> None:
    """SCNN-R against SCNN from the same start (Section 4.4), few steps."""
    settings = {k: v for k, v in cases["curriculum"].items() if k != "model"}
    found = {}
    for model in ("scnn", "scnn-r"):
        run = train(model, **settings, runs=tmp_path / "runs", device="cpu")
        found[model] = [mean_similarity(run.coefficients[e]["body"]) for e in ("0", "1", "3")]
    assert found["scnn"][0] == found["scnn-r"][0] == pytest.approx(1 / 20, abs=1e-5)
    first, last = ([found[m][i] - found[m][0] for m in ("scnn", "scnn-r")] for i in (1, 2))
    assert 0 < first[0] < first[1]
    assert 0 < 2 * last[0] < last[1]


def test_the_loss_on_record_is_the_tasks_without_the_regulariser(
    cases: dict, tmp_path: Path
) -> None:
    settings = {**cases["recurrence"], "epochs": 1, "examples": 32}
    runs = [
        train(**settings | {"recurrence": weight}, runs=tmp_path / "runs", device="cpu")
        for weight in (0.0, 5.0)
    ]
    assert runs[0].curves["loss"] == runs[1].curves["loss"], "one step: both at the same start"
    assert runs[0].coefficients["1"] != runs[1].coefficients["1"]


def test_nothing_waits_for_the_device_inside_an_epoch(
    cases: dict, tmp_path: Path, operations: type
) -> None:
    """As many reads of a tensor's value for ten steps as for two."""
    waits = {"_local_scalar_dense", "nonzero", "equal", "masked_select", "_unique2", "bincount"}
    seen = []
    for case in ("dropout", "recurrence"):
        counts = []
        for steps in (2, 10):
            settings = {**cases[case], "epochs": 1, "batch_size": 8, "examples": 8 * steps}
            with operations() as ran:
                train(**settings, runs=tmp_path / "runs", device="cpu")
            counts.append({name: ran[name] for name in waits if ran[name]})
        seen.append(counts)
    assert all(few == many for few, many in seen)
    assert all(few["_local_scalar_dense"] > 0 for few, _ in seen), "else nothing was counted"


def test_the_generators_of_the_caller_are_left_alone(cases: dict, tmp_path: Path) -> None:
    torch.manual_seed(7)
    random.seed(7)
    np.random.seed(7)  # noqa: NPY002 - the caller's, whatever he uses
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    train(**cases["dropout"], runs=tmp_path / "runs", device="cpu")
    train(**cases["curriculum"], runs=tmp_path / "runs", device="cpu")
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.random.get_state()[1].tolist() == before[2]  # noqa: NPY002


def test_dropout_draws_from_another_stream_than_order_and_augmentation(
    cases: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyTorch's CPU generator reads 32 bits of a seed."""
    ambient, own = [], []
    loss, generator = ImageTask.loss, image_task.epoch_stream

    def noting_loss(task: ImageTask, outputs: Tensor, targets: Tensor) -> Tensor:
        ambient.append(torch.initial_seed() % 2**32)
        return loss(task, outputs, targets)

    def noting_generator(*arguments: Any) -> torch.Generator:
        made = generator(*arguments)
        own.append(made.initial_seed() % 2**32)
        return made

    monkeypatch.setattr(ImageTask, "loss", noting_loss)
    monkeypatch.setattr(image_task, "epoch_stream", noting_generator)
    for seed in (0, 1):
        train(**cases["dropout"], seed=seed, runs=tmp_path / "runs", device="cpu")
    assert len(set(ambient)) == len(set(own)) == 6
    assert not set(ambient) & set(own)


def test_the_seed_decides_all_and_the_callers_generator_nothing(
    cases: dict, essence: Callable, tmp_path: Path
) -> None:
    settings = {**cases["dropout"], "epochs": 1}
    torch.manual_seed(1)
    one = train(**settings, runs=tmp_path / "1", device="cpu")
    torch.manual_seed(2)
    two = train(**settings, runs=tmp_path / "2", device="cpu")
    other = train(**settings, seed=1, runs=tmp_path / "1", device="cpu")
    assert essence(one) == essence(two)
    assert one.curves["loss"] != other.curves["loss"]


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"model": "resnet"}, "Models are named wrn-L-w, .*; got 'resnet'"),
        ({"model": "wrn-28-1", "sedd": 1}, "no setting 'sedd'; did you mean 'seed'"),
        ({"model": "swrn-28-1-0"}, "takes 1 to 6 templates; got 0"),
        ({"model": "swrn-28-1-7"}, "takes 1 to 6 templates; got 7"),
        ({"model": "wrn-28-1", "data": "shortest-paths"}, "nothing else does"),
        ({"model": "scnn", "data": "digits"}, "nothing else does"),
        ({"model": "wrn-28-1", "recurrence": 0.1}, "needs shared layers; wrn-28-1 has none"),
        ({"model": "wrn-28-1", "coefficients": "unit"}, "='unit' needs shared layers, and this"),
        ({"model": "cnn", "coefficients": "fixed"}, "='fixed' needs shared layers, and this"),
        ({"model": "cnn", "recurrence": 0.1}, "needs shared layers; cnn has none"),
        ({"model": "scnn", "dropout": 0.1}, "have no dropout; got 0.1"),
        ({"model": "wrn-28-1", "device": "gpu"}, "A device is cpu, cuda or cuda:N; got 'gpu'"),
        ({"model": "wrn-28-1", "device": "cuda:99"}, "There is no cuda:99 here"),
        ({"model": "wrn-28-1", "device": "cpu", "precision": "half"}, "precision is auto, float32"),
        ({"model": "wrn-28-1", "device": "cpu", "engine": "turbo"}, "engine is auto, eager"),
        ({"model": "wrn-28-1", "device": "cpu", "engine": "graphs"}, "need a GPU and one process"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_any_file_is_made(
    asked: dict[str, Any], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("softshare.training.task_for", lambda *arguments: pytest.fail("too late"))
    with pytest.raises(ValueError, match=text):
        train(**asked, runs=tmp_path / "runs")
    assert not list(tmp_path.iterdir())


def test_training_is_silent_without_progress_and_warns_of_nothing(
    cases: dict, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(**cases["curriculum"], runs=tmp_path / "runs", device="cpu")
    assert capfd.readouterr() == ("", "")
    train(**cases["dropout"] | {"progress": True}, runs=tmp_path / "runs", device="cpu")
    out, err = capfd.readouterr()
    assert out == ""
    assert "wrn-10-1 seed 0: 100%" in err
    assert "9/9" in err
