"""Training is the plain loop, loses nothing when killed, and never records what is not so."""

from __future__ import annotations

import os
import random
import re
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from softshare import counting, models, storage, training
from softshare.queue.place import Place
from softshare.recipe import for_profile
from softshare.records import Run
from softshare.training import image_task, path_task, train
from softshare.training.image_task import ImageTask

TINY = {"profile": "smoke", "examples": 96, "batch_size": 32, "epochs": 3, "progress": False}
QUICK = {"device": "cpu", "checkpoint_seconds": 0.0}
CASES: dict[str, dict[str, Any]] = {  # each three epochs of three steps
    "dropout": {"model": "wrn-10-1", "dropout": 0.3, **TINY},
    "recurrence": {"model": "swrn-16-1-2", "recurrence": 0.05, **TINY},
    "unit": {"model": "swrn-16-1-2", "init": "uniform", "coefficients": "unit", **TINY},
    "curriculum": {
        "model": "scnn",
        **TINY,
        "examples": 12,
        "batch_size": 4,
        "epochs": 1,
        "phases": 3,
    },
}


@pytest.fixture(autouse=True)
def few_held_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(path_task, "HELD_OUT", 8)
    monkeypatch.setenv("SOFTSHARE_DATA", str(tmp_path / "data"))


def essence(run: Run) -> Run:
    """What a resumed run must share with an uninterrupted one."""
    return replace(run, cost={}, origin={})


def checkpoint(folder: Path) -> Path:
    (path,) = folder.glob("checkpoints/*.pt")
    return path


# ---------------------------------------------------------------------------- killed and resumed


def die(runs: str, settings: dict, kind: str, number: int) -> None:
    """Trains until the process kills itself, as kill -9 would, at the number-th such moment."""
    import os
    import signal

    from softshare.records import Run
    from softshare.training import loop, path_task, train
    from softshare.training.step import Step

    passed = 0
    path_task.HELD_OUT = 8

    def perhaps(call: Any) -> Any:
        def instead(*arguments: Any) -> Any:
            nonlocal passed
            if passed == number:
                os.kill(os.getpid(), signal.SIGKILL)
            passed += 1
            return call(*arguments)

        return instead

    if kind == "step":
        Step.__call__ = perhaps(Step.__call__)
    elif kind == "score":
        loop.Training._scores = perhaps(loop.Training._scores)
    elif kind == "write":  # a checkpoint or the record: all there, but not in its place yet
        os.fsync = perhaps(os.fsync)
    elif kind == "removal":  # the record is there, and the checkpoint too
        save = Run.save

        def saved(self: Run, root: Any) -> Any:
            save(self, root)
            os.kill(os.getpid(), signal.SIGKILL)

        Run.save = saved
    train(**settings, runs=runs, device="cpu", checkpoint_seconds=0)


@pytest.mark.parametrize("case", CASES)
def test_a_run_killed_again_and_again_ends_in_the_same_record(
    case: str, tmp_path: Path, start: Callable
) -> None:
    settings = CASES[case]
    straight = train(**settings, runs=tmp_path / "straight" / "runs", device="cpu")
    folder = tmp_path / "killed"
    deaths: list[tuple[str, int, list[int]]] = [  # the moment, and the epochs that are safe then
        ("step", 1, []),
        ("write", 0, []),
        ("step", 4, [1]),
        ("score", 0, [1]),
        ("write", 0, [1]),
        ("write", 1, [1, 2]),
    ]
    for kind, number, safe in deaths:
        process = start(die, str(folder / "runs"), settings, kind, number)
        process.join()
        assert process.exitcode == -signal.SIGKILL
        saved = list(folder.glob("checkpoints/*.pt"))
        done = [storage.load_checkpoint(path)["curves"]["epoch"] for path in saved]
        assert (done or [[]]) == [safe]
        assert not list(folder.glob("runs/**/seed*.json"))
    assert list(folder.glob("**/.*seed*")), "killed writers leave unfinished files"
    resumed = train(**settings, runs=folder / "runs", **QUICK)
    assert essence(resumed) == essence(straight)
    assert essence(Run.load(folder / "runs" / resumed.path)) == essence(straight)
    assert not list(folder.glob("checkpoints/*.pt"))
    assert not list(folder.glob("**/.*seed*")), "unfinished files are swept away"


def test_killed_with_the_record_written_it_is_found_and_the_checkpoint_removed(
    tmp_path: Path, start: Callable
) -> None:
    process = start(die, str(tmp_path / "runs"), CASES["dropout"], "removal", 0)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert checkpoint(tmp_path).is_file()
    (path,) = tmp_path.glob("runs/**/seed*.json")
    assert train(**CASES["dropout"], runs=tmp_path / "runs") == Run.load(path)
    assert not list(tmp_path.glob("checkpoints/*.pt"))


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_in_the_same_record(
    tmp_path: Path, start: Callable
) -> None:
    settings = {**CASES["recurrence"], "epochs": 8}
    straight = train(**settings, runs=tmp_path / "straight" / "runs", device="cpu")
    runs, draw = tmp_path / "killed" / "runs", random.Random(0)
    for _ in range(15):
        process = start(die, str(runs), settings, "never", -1)
        time.sleep(draw.uniform(0.0, 2.0))
        process.kill()
        process.join()
    assert essence(train(**settings, runs=runs, **QUICK)) == essence(straight)


def test_a_finished_run_is_not_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train(**CASES["dropout"], runs=tmp_path / "runs", **QUICK)

    def refuse(*arguments: Any) -> None:
        raise AssertionError("no data are needed to find a record")

    monkeypatch.setattr("softshare.training.task_for", refuse)
    assert train(**CASES["dropout"], runs=tmp_path / "runs") == run


def test_two_processes_on_one_run_are_one_training_and_one_refusal(
    tmp_path: Path, start: Callable
) -> None:
    def hold(runs: str, settings: dict, here: str, go: str) -> None:
        import time
        from pathlib import Path

        from softshare.training import train
        from softshare.training.image_task import ImageTask

        batches = ImageTask.batches

        def waiting(self: Any, epoch: int) -> Any:
            Path(here).touch()
            while not Path(go).exists():
                time.sleep(0.01)
            yield from batches(self, epoch)

        ImageTask.batches = waiting
        train(**settings, runs=runs, device="cpu")

    settings, here, go = CASES["dropout"], tmp_path / "here", tmp_path / "go"
    process = start(hold, str(tmp_path / "runs"), settings, str(here), str(go))
    while not here.exists():
        assert process.is_alive()
        time.sleep(0.01)
    path = for_profile(**{k: v for k, v in settings.items() if k != "progress"}).path
    text = f"Another process is training {path}; wait for it, or choose another seed."
    with pytest.raises(RuntimeError, match=f"^{re.escape(text)}$"):
        train(**settings, runs=tmp_path / "runs")
    other = train(**settings, seed=1, runs=tmp_path / "runs")
    assert other.seed == 1, "another run is not kept waiting"
    go.touch()
    process.join()
    assert process.exitcode == 0
    assert train(**settings, runs=tmp_path / "runs").path == path


# ------------------------------------------------------------------------------- damage and faults


def interrupted(folder: Path, interrupt: Callable, settings: dict[str, Any]) -> tuple[Path, Run]:
    """A checkpoint after the first epoch, and the record of the same run uninterrupted."""
    straight = train(**settings, runs=folder / "straight" / "runs", device="cpu")
    with interrupt():
        train(**settings, runs=folder / "runs", **QUICK)
    return checkpoint(folder), straight


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def other_data(path: Path) -> None:
    state = storage.load_checkpoint(path)
    state["fits"]["data"] = "sha256:0"
    storage.save_checkpoint(path, state)


def other_version(path: Path) -> None:
    state = storage.load_checkpoint(path)
    state["fits"]["shapes"].popitem()
    storage.save_checkpoint(path, state)


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (cut, "is damaged: its checksum does not match"),
        (flip, "is damaged: its checksum does not match"),
        (other_data, "is of other data or another version"),
        (other_version, "is of other data or another version"),
    ],
)
def test_a_checkpoint_that_cannot_be_trusted_is_named_set_aside_and_retrained(
    damage: Callable, text: str, tmp_path: Path, interrupt: Callable
) -> None:
    path, straight = interrupted(tmp_path, interrupt, CASES["dropout"])
    damage(path)
    named = f"^The checkpoint {re.escape(str(path))} {text}. "
    named += f"The file was set aside as {path.name}.damaged"
    with pytest.warns(UserWarning, match=named):
        run = train(**CASES["dropout"], runs=tmp_path / "runs", device="cpu")
    assert essence(run) == essence(straight)
    assert path.with_name(f"{path.name}.damaged").is_file()


@pytest.mark.parametrize("place", ["cuda in bfloat16", "cpu in float32, 2 processes"])
def test_a_checkpoint_of_another_device_or_of_several_processes_is_refused_and_kept(
    place: str, tmp_path: Path, interrupt: Callable
) -> None:
    path, _ = interrupted(tmp_path, interrupt, CASES["dropout"])
    storage.save_checkpoint(path, storage.load_checkpoint(path) | {"place": place})
    with pytest.raises(ValueError, match=f"was made on {place}, and this is cpu in float32; go on"):
        train(**CASES["dropout"], runs=tmp_path / "runs", device="cpu")
    assert path.is_file()
    recipe = for_profile(**{k: v for k, v in CASES["dropout"].items() if k != "progress"})
    assert Place("cpu", 1, 1, tmp_path / "runs").begun(recipe) == -1


@pytest.mark.parametrize("told", [True, False])
def test_processor_seconds_add_up_or_are_left_out(
    told: bool, tmp_path: Path, interrupt: Callable
) -> None:
    """A checkpoint of an earlier version did not keep them, and half of them would mislead."""
    path, straight = interrupted(tmp_path, interrupt, CASES["dropout"])
    state = storage.load_checkpoint(path)
    state["processor_seconds"] = 1000.0
    if not told:
        del state["processor_seconds"]
    storage.save_checkpoint(path, state)
    run = train(**CASES["dropout"], runs=tmp_path / "runs", device="cpu")
    assert essence(run) == essence(straight)
    found = run.cost["processor_seconds"]
    assert found is None if not told else 1000 < found < 1100


def test_a_damaged_record_that_another_process_sets_aside_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between our looking for it and our reading it."""
    recipe = for_profile("wrn-10-1", profile="smoke")
    Run(recipe).save(tmp_path)
    load = Run.load
    monkeypatch.setattr(Run, "load", lambda path: (path.unlink(), load(path))[1])
    assert training._recorded(recipe, tmp_path) is None


def test_a_damaged_record_is_named_set_aside_and_retrained(tmp_path: Path) -> None:
    settings = CASES["dropout"]
    run = train(**settings, runs=tmp_path / "runs", **QUICK)
    path = tmp_path / "runs" / run.path
    path.write_text(path.read_text().replace("digits", "digit5"))
    with pytest.warns(UserWarning, match=f"^The record {re.escape(str(path))} is damaged: its"):
        again = train(**settings, runs=tmp_path / "runs", **QUICK)
    assert essence(again) == essence(run) == essence(Run.load(path))
    assert "digit5" in path.with_name(f"{path.name}.damaged").read_text()


def test_a_record_in_anothers_place_is_refused(tmp_path: Path) -> None:
    run = train(**CASES["dropout"], runs=tmp_path / "runs", **QUICK)
    wrong = tmp_path / "runs" / replace(run, recipe=replace(run.recipe, seed=1)).path
    (tmp_path / "runs" / run.path).rename(wrong)
    with pytest.raises(
        ValueError, match=f"holds another run than its name says: {re.escape(run.path)}"
    ):
        train(**CASES["dropout"], seed=1, runs=tmp_path / "runs")


def test_a_loss_that_is_no_number_stops_the_run_and_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second of three steps of the second epoch has one poisoned pixel."""
    batches = ImageTask.batches

    def poisoned(task: ImageTask, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        for step, (images, labels) in enumerate(batches(task, epoch)):
            if (epoch, step) == (1, 1):
                images[3, 0, 2, 2] = float("nan")
            yield images, labels

    settings = CASES["dropout"]
    with monkeypatch.context() as patch:
        patch.setattr(ImageTask, "batches", poisoned)
        with pytest.raises(
            FloatingPointError,
            match=r"^The loss of wrn-10-1 stopped being a number at step 2 of epoch 2, learning "
            r"rate 0\.02; lower lr\. No record was written; the last checkpoint, from before, is "
            r"kept\.$",
        ):
            train(**settings, runs=tmp_path / "runs", **QUICK)
    assert not list(tmp_path.glob("runs/**/*.json"))
    assert storage.load_checkpoint(checkpoint(tmp_path))["curves"]["epoch"] == [1]
    sound = train(**settings, runs=tmp_path / "runs", device="cpu")
    assert essence(sound) == essence(train(**settings, runs=tmp_path / "again", device="cpu"))


def test_a_network_broken_by_its_very_last_step_is_not_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A finite loss with an infinite slope: nothing shows before the outputs."""
    loss = ImageTask.loss

    def steep(task: ImageTask, outputs: Tensor, targets: Tensor) -> Tensor:
        return loss(task, outputs, targets) + (outputs.sum() * 0).abs().sqrt()

    monkeypatch.setattr(ImageTask, "loss", steep)
    settings = {**CASES["dropout"], "epochs": 1, "examples": 32}
    with pytest.raises(
        FloatingPointError,
        match=r"^The output of wrn-10-1 stopped being a number in the last step of epoch 1, "
        r"learning rate 0\.1; lower lr\. No record was written\.$",
    ):
        train(**settings, runs=tmp_path / "runs", **QUICK)
    assert not list(tmp_path.glob("runs/**/*.json"))


def test_a_full_disk_stops_the_run_with_a_sentence_and_keeps_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interrupt: Callable
) -> None:
    path, straight = interrupted(tmp_path, interrupt, CASES["dropout"])
    before = path.read_bytes()

    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match=f"Could not write {re.escape(str(path))} .No space left"):
            train(**CASES["dropout"], runs=tmp_path / "runs", **QUICK)
    assert path.read_bytes() == before
    run = train(**CASES["dropout"], runs=tmp_path / "runs", **QUICK)
    assert essence(run) == essence(straight)


# --------------------------------------------------------------------------------- what is learned


def test_training_is_the_plain_loop(tmp_path: Path) -> None:
    """The same steps written out by hand: identical losses, errors and coefficients."""
    settings = {**CASES["recurrence"], "recurrence": 0.0, "milestones": (0.4,), "seed": 3}
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
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = [30.0, 10.0, 20.0]
    told = [{"test_error": error} for error in errors]
    monkeypatch.setattr(ImageTask, "scores", lambda self, predict, epoch: told[epoch])
    run = train(**CASES["dropout"], runs=tmp_path / "runs", device="cpu")
    assert run.curves["test_error"] == errors
    assert run.test_error == 20.0


def mean_similarity(rows: list[list[float]]) -> float:
    unit = np.array(rows) / np.linalg.norm(rows, axis=1, keepdims=True)
    return float(np.abs(unit @ unit.T).mean())


def test_the_recurrence_regulariser_raises_the_lsm(tmp_path: Path) -> None:
    """SCNN-R against SCNN from the same start (Section 4.4), few steps."""
    settings = {k: v for k, v in CASES["curriculum"].items() if k != "model"}
    found = {}
    for model in ("scnn", "scnn-r"):
        run = train(model, **settings, runs=tmp_path / "runs", device="cpu")
        found[model] = [mean_similarity(run.coefficients[e]["body"]) for e in ("0", "1", "3")]
    assert found["scnn"][0] == found["scnn-r"][0] == pytest.approx(1 / 20, abs=1e-5)
    first, last = ([found[m][i] - found[m][0] for m in ("scnn", "scnn-r")] for i in (1, 2))
    assert 0 < first[0] < first[1]
    assert 0 < 2 * last[0] < last[1]


def test_the_loss_on_record_is_the_tasks_without_the_regulariser(tmp_path: Path) -> None:
    settings = {**CASES["recurrence"], "epochs": 1, "examples": 32}
    runs = [
        train(**settings | {"recurrence": weight}, runs=tmp_path / "runs", device="cpu")
        for weight in (0.0, 5.0)
    ]
    assert runs[0].curves["loss"] == runs[1].curves["loss"], "one step: both at the same start"
    assert runs[0].coefficients["1"] != runs[1].coefficients["1"]


def test_nothing_waits_for_the_device_inside_an_epoch(tmp_path: Path, operations: type) -> None:
    """As many reads of a tensor's value for ten steps as for two."""
    waits = {"_local_scalar_dense", "nonzero", "equal", "masked_select", "_unique2", "bincount"}
    seen = []
    for case in ("dropout", "recurrence"):
        counts = []
        for steps in (2, 10):
            settings = {**CASES[case], "epochs": 1, "batch_size": 8, "examples": 8 * steps}
            with operations() as ran:
                train(**settings, runs=tmp_path / "runs", device="cpu")
            counts.append({name: ran[name] for name in waits if ran[name]})
        seen.append(counts)
    assert all(few == many for few, many in seen)
    assert all(few["_local_scalar_dense"] > 0 for few, _ in seen), "else nothing was counted"


def test_the_generators_of_the_caller_are_left_alone(tmp_path: Path) -> None:
    torch.manual_seed(7)
    random.seed(7)
    np.random.seed(7)  # noqa: NPY002 - the caller's, whatever he uses
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    train(**CASES["dropout"], runs=tmp_path / "runs", device="cpu")
    train(**CASES["curriculum"], runs=tmp_path / "runs", device="cpu")
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.random.get_state()[1].tolist() == before[2]  # noqa: NPY002


def test_dropout_draws_from_another_stream_than_order_and_augmentation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
        train(**CASES["dropout"], seed=seed, runs=tmp_path / "runs", device="cpu")
    assert len(set(ambient)) == len(set(own)) == 6
    assert not set(ambient) & set(own)


def test_the_seed_decides_all_and_the_callers_generator_nothing(tmp_path: Path) -> None:
    settings = {**CASES["dropout"], "epochs": 1}
    torch.manual_seed(1)
    one = train(**settings, runs=tmp_path / "1", device="cpu")
    torch.manual_seed(2)
    two = train(**settings, runs=tmp_path / "2", device="cpu")
    other = train(**settings, seed=1, runs=tmp_path / "1", device="cpu")
    assert essence(one) == essence(two)
    assert one.curves["loss"] != other.curves["loss"]


# ----------------------------------------------------------------------------- what is written down


def test_a_record_tells_what_was_trained_on_what_and_where(tmp_path: Path) -> None:
    run = train(**{**CASES["recurrence"], "epochs": 6}, runs=tmp_path / "runs", device="cpu")
    net = models.build("swrn-16-1-2", num_classes=10, in_channels=1)
    size = counting.count(net, (1, 8, 8))
    assert run.model == {
        "name": "swrn-16-1-2",
        "parameters": size.parameters,
        "macs": size.macs,
        "groups": {f"stage{s}": [f"stage{s}.1.conv1", f"stage{s}.1.conv2"] for s in (1, 2, 3)},
    }
    assert (run.data["name"], run.data["train"], run.data["test"]) == ("digits", 96, 359)
    assert {name: len(curve) for name, curve in run.curves.items()} == dict.fromkeys(
        ("epoch", "phase", "lr", "loss", "test_error"), 6
    )
    assert run.curves["epoch"] == [1, 2, 3, 4, 5, 6]
    assert list(run.coefficients) == ["0", "1", "5", "6"]
    assert run.origin["threads"] == torch.get_num_threads()
    assert run.origin["processes"] == 1
    assert run.origin["torch"] == torch.__version__
    assert run.origin["precision"] == "float32"
    assert run.cost["seconds"] > 0
    assert 0 < run.cost["processor_seconds"] < 2 * run.cost["seconds"]
    assert run.cost["images_per_second"] == pytest.approx(6 * 96 / run.cost["seconds"], rel=0.2)


def test_a_record_tells_how_the_coefficients_were_held(tmp_path: Path) -> None:
    unit = train(**CASES["unit"], runs=tmp_path / "runs", device="cpu")
    fixed = train(**CASES["unit"] | {"coefficients": "fixed"}, runs=tmp_path / "runs", device="cpu")
    assert "swrn-16-1-2+" in unit.path
    assert "+coefficients=unit" in unit.path
    for kept in unit.coefficients.values():  # how they start too
        for rows in kept.values():
            torch.testing.assert_close(torch.tensor(rows).norm(dim=1), torch.ones(len(rows)))
    assert unit.coefficients["0"] != unit.coefficients["3"]
    assert fixed.coefficients["0"] == fixed.coefficients["3"]
    for run in (unit, fixed):
        again = Run.load(tmp_path / "runs" / run.path)
        assert again.recipe == run.recipe
        assert again.key == again.recipe.key


def test_a_curriculum_is_recorded_phase_by_phase(tmp_path: Path) -> None:
    settings = {**CASES["curriculum"], "epochs": 2, "phases": 2}
    run = train(**settings, runs=tmp_path / "runs", device="cpu")
    assert run.curves["phase"] == [1, 1, 2, 2]
    assert run.metric == "f1"
    assert run.f1 == run.curves["f1"][-1]
    assert run.data["train"] == 24


def image_folder(path: Path, shade: int) -> Path:
    image = pytest.importorskip("PIL.Image")
    for split, n in (("train", 6), ("test", 2)):
        for label in ("dark", "light"):
            (path / split / label).mkdir(parents=True)
            for i in range(n):
                colour = (shade + 9 * i, 100 * (label == "light"), 5 * i)
                image.new("RGB", (16, 16), colour).save(path / split / label / f"{i}.png")
    return path


def test_images_from_a_path_are_called_by_its_stem_and_never_mixed(tmp_path: Path) -> None:
    one, two = (image_folder(tmp_path / n / "shades", 10 * i) for i, n in enumerate("ab"))
    settings: dict[str, Any] = {"epochs": 1, "batch_size": 6, "progress": False, **QUICK}
    run = train("wrn-10-1", str(one), **settings)
    assert run.path.startswith("shades/paper/wrn-10-1+")
    assert (tmp_path / "data" / "runs" / run.path).is_file(), "the default place of records"
    assert train("wrn-10-1", source=one, **settings) == run
    assert train("wrn-10-1", "shades", **settings) == run
    with pytest.raises(ValueError, match="was made with other images of the name 'shades'"):
        train("wrn-10-1", str(two), **settings)
    with pytest.raises(ValueError, match=r"for 'tints', and .*shades holds 'shades'"):
        train("wrn-10-1", "tints", source=one, **settings)


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
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(**CASES["curriculum"], runs=tmp_path / "runs", device="cpu")
    assert capfd.readouterr() == ("", "")
    train(**CASES["dropout"] | {"progress": True}, runs=tmp_path / "runs", device="cpu")
    out, err = capfd.readouterr()
    assert out == ""
    assert "wrn-10-1 seed 0: 100%" in err
    assert "9/9" in err


def test_a_checkpoint_is_gone_on_from_in_its_own_precision(
    tmp_path: Path, interrupt: Callable
) -> None:
    """Made in bfloat16 by request; without a request that is kept, and another is refused."""
    settings = CASES["dropout"] | {"precision": "bfloat16"}
    path, straight = interrupted(tmp_path, interrupt, settings)
    assert straight.origin["precision"] == "bfloat16"
    with pytest.raises(ValueError, match="was made on cpu in bfloat16, and this is cpu in float32"):
        train(**settings | {"precision": "float32"}, runs=tmp_path / "runs", device="cpu")
    assert path.is_file()
    run = train(**CASES["dropout"], runs=tmp_path / "runs", device="cpu")
    assert run.origin["precision"] == "bfloat16"
    assert run.origin["engine"] == "eager"
    assert essence(run) == essence(straight)
    plain = train(**CASES["dropout"], runs=tmp_path / "plain" / "runs", device="cpu")
    assert plain.origin["precision"] == "float32"
    assert plain.curves["loss"] != run.curves["loss"]
