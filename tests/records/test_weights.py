"""Weights beside a record are those of its network, or refused with a sentence."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import softshare as ss
from softshare import sharing, storage
from softshare.paths import runs_root
from softshare.recipe import for_profile
from softshare.records import Run, weights
from softshare.training import train
from softshare.training.tasks import predictor, task_for

CPU = torch.device("cpu")
SMALL: dict[str, Any] = {"profile": "smoke", "examples": 256, "epochs": 2, "progress": False}
NAMES = ("wrn-10-1", "swrn-16-1", "swrn-16-1-1", "swrn-28-1-3", "cnn", "scnn")


def stepped(name: str, **settings: Any) -> nn.Module:
    """A network after two optimiser steps on noise, so that nothing in it is as it was drawn."""
    torch.manual_seed(len(name))
    net = ss.build(name, **settings)
    shape = (settings.get("in_channels", 3), 16, 16) if "wrn" in name else (2, 16, 16)
    optimizer = torch.optim.SGD(ss.param_groups(net, 5e-4), lr=0.05, momentum=0.9)
    for _ in range(2):
        optimizer.zero_grad()
        net(torch.randn(8, *shape)).sigmoid().mean().backward()
        optimizer.step()
    return net


def run_of(name: str, **settings: Any) -> Run:
    return Run(for_profile(name, profile="smoke", **settings), result={"test_error": 50.0})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    folder = tmp_path_factory.mktemp("trained") / "runs"
    return train("swrn-16-1-2", **SMALL, runs=folder, device="cpu"), folder


def place(run: Run, folder: Path) -> Path:
    (path,) = weights.companions(folder / run.path)
    return path


# ------------------------------------------------------------------------------------- round trips


@pytest.mark.parametrize("name", NAMES)
def test_a_network_comes_back_within_the_rounding_of_half_precision(
    name: str, tmp_path: Path
) -> None:
    net = stepped(name)
    run = weights.keep(run_of(name), net, tmp_path)
    back = Run.load(run.save(tmp_path)).network(tmp_path)
    assert type(back) is type(net)
    assert not any(module.training for module in back.modules())
    assert ss.groups(back) == ss.groups(net)
    kept, own = back.state_dict(), net.state_dict()
    assert list(kept) == list(own)
    for key, tensor in own.items():
        assert kept[key].dtype == tensor.dtype
        if tensor.dim() < 4:
            assert torch.equal(kept[key], tensor), f"{key} is kept as it is"
        else:
            assert torch.equal(kept[key], tensor.half().float()), key
    x = torch.randn(4, *(net.input_shape if hasattr(net, "input_shape") else (3, 32, 32)))
    with torch.no_grad():
        expected = net.eval()(x)
        assert (back(x) - expected).norm() <= 0.01 * expected.norm()


def test_other_classes_and_channels_are_seen_from_the_tensors(tmp_path: Path) -> None:
    net = stepped("swrn-16-1-2", num_classes=7, in_channels=1)
    back = weights.keep(run_of("swrn-16-1-2"), net, tmp_path).network(tmp_path)
    assert back.state_dict()["fc.weight"].shape == (7, 64)
    assert back.state_dict()["conv.weight"].shape == (16, 1, 3, 3)


def test_a_state_dict_does_as_well_as_its_network(tmp_path: Path) -> None:
    net, run = stepped("scnn"), run_of("scnn")
    one = weights.keep(run, net, tmp_path / "1")
    two = weights.keep(run, net.state_dict(), tmp_path / "2")
    assert one == two
    assert place(run, tmp_path / "1").read_bytes() == place(run, tmp_path / "2").read_bytes()


def test_the_layout_of_training_changes_nothing(tmp_path: Path) -> None:
    net = stepped("swrn-16-1-2")
    one = weights.keep(run_of("swrn-16-1-2"), net, tmp_path)
    two = weights.keep(one, net.to(memory_format=torch.channels_last), tmp_path)
    assert one == two


def test_what_half_precision_cannot_hold_stays_as_it_is(tmp_path: Path) -> None:
    net = stepped("wrn-10-1")
    with torch.no_grad():
        net.conv.weight.mul_(1e9)
        net.stage1[0].conv1.weight.mul_(1e-9)
    state = weights.keep(run_of("wrn-10-1"), net, tmp_path).network(tmp_path).state_dict()
    for name in ("conv.weight", "stage1.0.conv1.weight"):
        assert torch.equal(state[name], net.state_dict()[name])


def test_nothing_is_drawn_from_the_callers_generator(tmp_path: Path) -> None:
    net = stepped("swrn-16-1-2")
    before = torch.get_rng_state()
    run = weights.keep(run_of("swrn-16-1-2"), net, tmp_path, score=lambda kept: 1.0)
    run.network(tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


# ---------------------------------------------------------------------------------- after training


def test_training_keeps_the_network_that_it_ends_with(trained: tuple[Run, Path]) -> None:
    run, folder = trained
    path = place(run, folder)
    assert run.weights["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert run.weights["bytes"] == path.stat().st_size
    net = run.network(folder)
    banks = sharing.banks(net)
    alpha = {label: bank.coefficients.tolist() for label, bank in banks.items()}
    assert alpha == run.coefficients[str(run.recipe.total_epochs)]
    task = task_for(run.recipe, CPU)
    last = run.recipe.total_epochs - 1
    error = task.scores(predictor(net, torch.float32), last)["test_error"]
    assert error == run.weights["test_error"]
    assert abs(error - run.test_error) <= 100 * 4 / run.data["test"], "a few images at most"


def test_half_precision_takes_half_the_space(trained: tuple[Run, Path]) -> None:
    run, _ = trained
    assert 2 * run.model["parameters"] < run.weights["bytes"] < 2.2 * run.model["parameters"]


def test_large_networks_keep_none_and_say_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = stepped("wrn-10-1")
    size = ss.count(net).parameters
    run = replace(run_of("wrn-10-1"), model={"parameters": size})
    monkeypatch.setattr(weights, "LIMIT", size)
    assert weights.keep(run, net, tmp_path) == run
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match=f"fewer than {size} parameters keep them, and this has"):
        run.network(tmp_path)
    monkeypatch.setattr(weights, "LIMIT", size + 1)
    assert weights.keep(run, net, tmp_path).weights


def test_an_older_record_has_no_weights_and_says_so(tmp_path: Path) -> None:
    run = Run.load(run_of("wrn-10-1").save(tmp_path))
    with pytest.raises(ValueError, match="has a record but no weights: it is older than this"):
        run.network(tmp_path)


def test_of_the_committed_records_demonstrations_alone_lost_the_weights_they_name() -> None:
    """As `data/README.md` says."""
    lost = [
        run
        for run in ss.load_runs()
        if run.weights and not weights.companions(runs_root() / run.path)
    ]
    assert {run.profile for run in lost} <= {"smoke"}
    for run in lost[:1]:
        with pytest.raises(FileNotFoundError, match=r"no weights .* beside the record"):
            run.network()


def test_without_safetensors_training_goes_on_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: tuple[Run, Path]
) -> None:
    for name in ("safetensors", "safetensors.torch"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.warns(UserWarning, match="are not kept, as safetensors is not installed; pip"):
        run = train("wrn-10-1", **SMALL, runs=tmp_path / "runs", device="cpu")
    assert run.weights == {}
    with pytest.raises(ModuleNotFoundError, match="not installed; pip install safetensors"):
        trained[0].network(trained[1])


# -------------------------------------------------------------------------------- damage, faults


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def other(path: Path) -> None:
    root = path.parent / "other"
    run = weights.keep(run_of("swrn-16-1-2"), stepped("swrn-16-1-2"), root)
    path.write_bytes(place(run, root).read_bytes())


@pytest.mark.parametrize("damage", [cut, flip, empty, other])
def test_a_damaged_file_is_named_and_refused(
    damage: Callable[[Path], None], tmp_path: Path, trained: tuple[Run, Path]
) -> None:
    run, folder = trained
    path = tmp_path / place(run, folder).relative_to(folder)
    path.parent.mkdir(parents=True)
    path.write_bytes(place(run, folder).read_bytes())
    run.network(tmp_path)
    damage(path)
    text = f"^The weights {re.escape(str(path))} are damaged, or of another run: .* train again"
    with pytest.raises(storage.Damaged, match=text):
        run.network(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path, trained: tuple[Run, Path]) -> None:
    run, _ = trained
    assert weights.companions(tmp_path / run.path) == ()
    with pytest.raises(FileNotFoundError, match=r"There are no weights .*\.safetensors beside the"):
        run.network(tmp_path)


@pytest.mark.parametrize("change", ["missing", "extra", "shape"])
def test_tensors_of_another_network_are_refused(change: str, tmp_path: Path) -> None:
    state: dict[str, Tensor] = dict(stepped("swrn-16-1-2").state_dict())
    if change == "missing":
        del state["bn.bias"]
    elif change == "extra":
        state["more"] = torch.zeros(1)
    else:
        state["bn.bias"] = torch.zeros(3)
    text = "^The tensors of the given state_dict are not those of swrn-16-1-2: "
    with pytest.raises(ValueError, match=text):
        weights.keep(run_of("swrn-16-1-2"), state, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_a_sentence_and_no_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"Could not write .*\.safetensors .No space left"):
        train("wrn-10-1", **SMALL, runs=tmp_path / "runs", device="cpu", checkpoint_seconds=1e9)
    assert not [path for path in tmp_path.glob("runs/**/*") if path.is_file()]
