"""Errors of folded networks are those of the networks, and measuring them touches nothing."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import softshare as ss
from softshare.folding.ties import ties
from softshare.recipe import for_profile
from softshare.records import Run
from softshare.sharing import banks
from softshare.sharing.similarity import similarity
from softshare.training import folded_error, folded_score, path_task, train
from softshare.training.folded_error import score
from softshare.training.folded_score import all_thresholds, fold_in_place, folded_size, measure
from softshare.training.recalibration import recalibrate, recalibrated_scores
from softshare.training.tasks import Task, task_for

CPU = torch.device("cpu")
NAMES = ("swrn-16-1", "swrn-16-1-1", "swrn-28-1-3", "scnn")


@pytest.fixture(autouse=True)
def few_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(path_task, "HELD_OUT", 16)


def learnt(name: str) -> tuple[nn.Module, Task, int]:
    """A network that has seen an epoch of its task, the task, and the last epoch."""
    few = {"examples": 96, "batch_size": 24} if name != "scnn" else {"examples": 4, "batch_size": 2}
    recipe = for_profile(name, profile="smoke", **few)
    task = task_for(recipe, CPU)
    torch.manual_seed(0)
    net = ss.build(name, **task.model_settings)
    optimizer = torch.optim.SGD(ss.param_groups(net, 5e-4), lr=0.05, momentum=0.9)
    for inputs, targets in task.batches(0):
        optimizer.zero_grad()
        task.loss(net(inputs), targets).backward()
        optimizer.step()
    return net, task, recipe.total_epochs - 1


def outputs(net: nn.Module, inputs: Tensor) -> Tensor:
    with torch.no_grad():
        return net.eval()(inputs)


def by_hand(net: nn.Module, threshold: float) -> nn.Module:
    """A plain network whose weights were replaced one by one by those of their ties."""
    plain = ss.unshare(net)
    modules = dict(plain.named_modules())
    for bank in banks(net).values():
        layers = [modules[name] for name in bank.layers]
        W = torch.stack([layer.weight.detach().flatten() for layer in layers]).double()  # (L, n)
        for tie in ties(similarity(bank.coefficients), threshold):
            unit = F.normalize(W[list(tie)])
            R = torch.linalg.svd(unit, full_matrices=False).Vh[0]  # (n,), leading direction
            for i in tie:
                folded = (W[i] @ R) * R if len(tie) > 1 else W[i]
                layers[i].weight.data.copy_(folded.view_as(layers[i].weight))
    return plain


@pytest.mark.parametrize("name", NAMES)
def test_coefficients_in_place_are_the_folded_weights(name: str) -> None:
    net, task, _ = learnt(name)
    inputs, _ = next(task.batches(0))
    for threshold in all_thresholds(net)[::2]:
        twin = copy.deepcopy(net)
        fold_in_place(twin, threshold)
        expected = outputs(by_hand(net, threshold), inputs)
        assert torch.allclose(outputs(twin, inputs), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["swrn-16-1", "scnn"])
def test_each_line_is_the_score_of_that_network(name: str) -> None:
    net, task, last = learnt(name)
    lines = measure(net, task, last)
    (metric,) = task.metrics
    assert [line["threshold"] for line in lines] == list(all_thresholds(net))
    assert lines[0]["threshold"] == 1.0
    assert lines[0][metric] == score(net, task, last, torch.float32, CPU)
    for line in lines[:: max(1, len(lines) // 4)]:
        plain = by_hand(net, line["threshold"])
        expected = score(plain, task, last, torch.float32, CPU)
        assert line[metric] == pytest.approx(expected, abs=0.3)
        for module in plain.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.reset_running_stats()
                module.momentum = None  # PyTorch's own plain average
                module.train()
        with torch.no_grad():
            for inputs, _ in task.batches(last):
                plain(inputs)
        expected = score(plain, task, last, torch.float32, CPU)
        assert line[f"{metric}_recalibrated"] == pytest.approx(expected, abs=0.3)


@pytest.mark.parametrize("name", NAMES)
def test_parameters_shrink_to_one_weight_a_group(name: str) -> None:
    net = ss.build(name)
    sizes = [
        folded_size(net, fold_in_place(copy.deepcopy(net), threshold))
        for threshold in all_thresholds(net)
    ]
    whole = every = sum(p.numel() for p in net.parameters())
    for bank in banks(net).values():
        every -= sum(p.numel() for p in bank.parameters())
        every += bank.templates.numel() // bank.coefficients.shape[1] + len(bank.layers)
    scales = sum(len(bank.layers) for bank in banks(net).values())
    assert sizes[-1] == every, "one weight a group, and a scale for each layer"
    assert max(sizes) <= whole + scales, "while ties still mix, only scales are added"


def test_layers_that_are_one_already_fold_without_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folded_score, "all_thresholds", lambda *_: (1.0,))  # the others take time
    net, task, last = learnt("swrn-28-1-3")
    bank = banks(net)["stage2"]
    with torch.no_grad():
        bank.coefficients[3] = -2 * bank.coefficients[1]
        bank.coefficients[5] = 0.5 * bank.coefficients[1]
    (line,) = measure(net, task, last)
    assert line["parameters"] == sum(p.numel() for p in net.parameters()) + 4 * 3 + 3 - 6 * 3
    assert line["test_error"] == score(net, task, last, torch.float32, CPU)


def test_measuring_touches_neither_network_nor_random_streams() -> None:
    net, task, last = learnt("swrn-16-1")
    net.train()
    net.stage2.eval()
    state = copy.deepcopy(net.state_dict())
    modes = [module.training for module in net.modules()]
    momenta = [m.momentum for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    drawn = torch.get_rng_state()
    once, twice = measure(net, task, last), measure(net, task, last)
    assert once == twice
    assert torch.equal(torch.get_rng_state(), drawn)
    assert all(torch.equal(tensor, state[name]) for name, tensor in net.state_dict().items())
    assert [module.training for module in net.modules()] == modes
    assert [m.momentum for m in net.modules() if isinstance(m, nn.BatchNorm2d)] == momenta


def test_recalibration_sees_training_batches_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    net, task, last = learnt("swrn-16-1")
    one, two = copy.deepcopy(net), copy.deepcopy(net)
    recalibrate(one, task, last, torch.float32)
    monkeypatch.setattr(task, "test", None)
    recalibrate(two, task, last, torch.float32)
    for a, b in zip(one.buffers(), two.buffers(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(one.bn.running_mean, net.bn.running_mean)
    assert not any(module.training for module in one.modules())
    assert one.bn.momentum == net.bn.momentum


def test_recalibration_takes_so_many_batches_and_no_more() -> None:
    net, task, last = learnt("swrn-16-1")
    seen: list[Tensor] = []
    handle = net.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    recalibrate(net, task, last, torch.float32, most=2)
    handle.remove()
    first = [inputs for inputs, _ in task.batches(last)][:2]
    assert len(seen) == 2
    assert all(torch.equal(a, b) for a, b in zip(seen, first, strict=True))


# ----------------------------------------------------------------------------------------- records


SETTINGS: dict[str, Any] = {"profile": "smoke", "examples": 384, "epochs": 4, "progress": False}


def test_a_run_records_its_foldings_and_nothing_else_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train("swrn-16-1-2", **SETTINGS, runs=tmp_path / "1" / "runs", device="cpu")
    assert run.folded[0]["test_error"] == run.test_error
    assert list(run.folded[0]) == [
        *("threshold", "parameters", "test_error", "test_error_recalibrated")
    ]
    assert run.cost["folding_seconds"] > 0
    assert run.folded_alone == {}, "left out first where it would take longer than the training"
    assert Run.load(tmp_path / "1" / "runs" / run.path) == run
    monkeypatch.setattr(folded_error, "measure", lambda *arguments: [])
    other = train("swrn-16-1-2", **SETTINGS, runs=tmp_path / "2" / "runs", device="cpu")
    for name in ("curves", "result", "coefficients", "model", "data", "weights"):
        assert getattr(run, name) == getattr(other, name)


def test_a_group_folded_alone_leaves_the_others_as_they_are() -> None:
    net, task, last = learnt("swrn-28-1-3")
    lines = measure(net, task, last, alone="stage2")
    assert [line["threshold"] for line in lines] == list(all_thresholds(net, "stage2"))
    twin = copy.deepcopy(net)
    parts = fold_in_place(twin, lines[-1]["threshold"], "stage2")
    assert list(parts) == ["stage2"]
    for label, bank in banks(net).items():
        same = torch.equal(bank.coefficients, banks(twin)[label].coefficients)
        assert same == (label != "stage2")
    assert lines[-1]["test_error"] == score(twin, task, last, torch.float32, CPU)
    bank = banks(net)["stage2"]
    weight = bank.templates.numel() // bank.coefficients.shape[1]
    whole = sum(p.numel() for p in net.parameters())
    assert lines[-1]["parameters"] == whole - 2 * weight - 6 * 3 + 6, "one weight and six scales"


def test_a_record_holds_what_each_group_costs_alone(tmp_path: Path) -> None:
    settings = SETTINGS | {"epochs": 7}
    run = train("swrn-16-1-2", **settings, runs=tmp_path / "runs", device="cpu")
    assert list(run.folded_alone) == ["stage1", "stage2", "stage3"]
    every = {line["threshold"] for lines in run.folded_alone.values() for line in lines}
    assert every | {1.0} == {line["threshold"] for line in run.folded}
    assert Run.load(tmp_path / "runs" / run.path).folded_alone == run.folded_alone


def test_a_trial_run_is_not_measured_and_says_so(tmp_path: Path) -> None:
    """At 96 examples, scoring each folding would take longer than training did."""
    settings = SETTINGS | {"examples": 96, "epochs": 1}
    run = train("swrn-16-1-2", **settings, runs=tmp_path / "runs", device="cpu")
    assert run.folded == []
    assert run.origin["folded"].startswith("not measured, as it would take longer")
    assert "folding_seconds" not in run.cost
    again = folded_error.remeasured(run, tmp_path / "runs")
    assert again.folded[0]["threshold"] == 1.0
    assert again.folded[0]["test_error"] == again.weights["test_error"]
    assert again.origin["folded"] == "on cpu in float32, from the kept weights"
    assert again.cost["folding_seconds"] > 0
    for name in ("result", "curves", "coefficients", "recipe", "model", "data"):
        assert getattr(again, name) == getattr(run, name)


def test_a_plain_network_has_no_foldings(tmp_path: Path) -> None:
    run = train("wrn-10-1", **SETTINGS, runs=tmp_path / "runs", device="cpu")
    assert run.folded == []
    assert "folding_seconds" not in run.cost


def test_without_scipy_training_goes_on_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("scipy.cluster", "scipy.cluster.hierarchy"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.warns(UserWarning, match=r"^Folding digits/smoke/swrn-16-1-2.* not measured: .*sc"):
        run = train("swrn-16-1-2", **SETTINGS, runs=tmp_path / "runs", device="cpu")
    assert run.folded == []
    assert run.weights
    assert Run.load(tmp_path / "runs" / run.path) == run
    assert "scipy" in run.origin["folded"]
    monkeypatch.undo()
    again = folded_error.remeasured(run, tmp_path / "runs")
    assert again.folded
    assert again.origin["folded"].endswith("from the kept weights")


# --- The second score of the curriculum --------------------------------------------------------


@pytest.mark.parametrize("name", ["swrn-16-1", "scnn"])
def test_a_recalibrated_score_is_that_of_cumulative_averages(name: str) -> None:
    net, task, epoch = learnt(name)
    before = copy.deepcopy(net.state_dict())
    found = recalibrated_scores(net, task, epoch, torch.float32, batches=2)
    assert all(torch.equal(before[n], value) for n, value in net.state_dict().items())
    twin = copy.deepcopy(net).eval()
    for norm in (m for m in twin.modules() if isinstance(m, nn.BatchNorm2d)):
        norm.reset_running_stats()
        norm.momentum = None  # PyTorch's own cumulative average
        norm.train()
    batches = [inputs for inputs, _ in task.batches(epoch)][:2]
    with torch.no_grad():
        for inputs in batches:
            twin(inputs)
    (metric,) = task.metrics
    expected = score(twin, task, epoch, torch.float32, CPU)
    assert found == {f"{metric}_recalibrated": pytest.approx(expected)}


def test_the_curriculum_tells_its_score_twice_and_images_once(tmp_path: Path) -> None:
    paths = train(
        "scnn",
        "shortest-paths",
        "smoke",
        epochs=2,
        phases=1,
        examples=4,
        batch_size=2,
        progress=False,
        runs=tmp_path,
        device="cpu",
    )
    images = train(
        "wrn-10-1",
        "digits",
        "smoke",
        epochs=1,
        examples=64,
        progress=False,
        runs=tmp_path,
        device="cpu",
    )
    assert len(paths.curves["f1_recalibrated"]) == len(paths.curves["f1"]) == 2
    assert all(0 <= f1 <= 1 for f1 in paths.curves["f1_recalibrated"])
    assert list(images.curves) == ["epoch", "phase", "lr", "loss", "test_error"]
    net, root = (
        paths.network(tmp_path),
        for_profile("scnn", epochs=2, phases=1, examples=4, batch_size=2),
    )
    again = recalibrated_scores(net, task_for(root, CPU), 1, torch.float32)
    noted = paths.curves["f1_recalibrated"][-1]
    assert again == {"f1_recalibrated": pytest.approx(noted, abs=0.02)}  # half precision


@pytest.mark.parametrize("name", ["swrn-28-1-3", "swrn-16-1"])
def test_the_lines_are_those_of_the_folded_models(name: str) -> None:
    """Weights in place against the network that really loops."""
    net, task, last = learnt(name)
    for line in measure(net, task, last)[:: 4 if name == "swrn-28-1-3" else 2]:
        folded = ss.fold(net, line["threshold"], inputs=None)
        assert line["parameters"] == folded.report.parameters_after
        error = score(folded, task, last, torch.float32, CPU)
        assert line["test_error"] == pytest.approx(error, abs=0.3), "an image or none"
        recalibrate(folded, task, last, torch.float32)
        error = score(folded, task, last, torch.float32, CPU)
        assert line["test_error_recalibrated"] == pytest.approx(error, abs=0.3)
