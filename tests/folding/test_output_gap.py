"""Loops are checked, and gaps measured, by running the model before and after."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import softshare as ss


def layers() -> nn.Sequential:
    return nn.Sequential(*[nn.Linear(5, 5) for _ in range(4)])


class Steps(nn.Module):
    """Goes through its blocks itself, in one of several ways."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way, self.blocks = way, layers()

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        if self.way == "number":
            return self.blocks[3](self.blocks[0](x))
        found = []
        for block in self.blocks:
            branches = {"residual": x + block(x), "small branch": x + 1e-3 * block(x)}
            x = branches.get(self.way, block(x))
            found.append(x)
        return found if self.way == "collects" else x


@pytest.mark.parametrize("way", ["number", "residual", "small branch", "collects"])
def test_a_model_that_steps_through_its_blocks_is_not_made_to_loop(way):
    torch.manual_seed(0)
    net, x = ss.share(Steps(way), 1), torch.randn(2, 5)
    with pytest.raises(ValueError, match=r"by number, or steps through them\. Pass loops=False"):
        ss.fold(net, inputs=x)
    assert ss.fold(net, inputs=x, loops=False).report.gap < 1e-6


def test_a_large_output_hides_no_change_of_a_small_one():
    class Two(Steps):
        def forward(self, x: Tensor) -> list[Tensor]:
            return [1e4 * x, super().forward(x)]

    with pytest.raises(ValueError, match="steps through them"):
        ss.fold(ss.share(Two("residual"), 1), inputs=torch.randn(2, 5))


def test_noise_hides_no_change_that_is_larger():
    class Noisy(Steps):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) + 0.01 * torch.rand(2, 5)

    torch.manual_seed(0)
    with pytest.raises(ValueError, match="steps through them"):
        ss.fold(ss.share(Noisy("residual"), 1), inputs=torch.randn(2, 5))
    assert ss.fold(ss.share(Noisy("plain"), 1), inputs=torch.randn(2, 5)).report.loops


def test_steps_that_loops_do_not_change_are_no_reason_to_refuse():
    net, x = ss.share(Steps("plain"), 1), torch.randn(2, 5)
    made = ss.fold(net, inputs=x)
    assert made.report.gap < 1e-6 and len(made.blocks) == 1


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("name", ["wrn", "path"])
def test_loops_that_run_what_ran_before_are_no_reason_to_refuse_at_any_precision(
    model, name, dtype
):
    net, x = model(name)
    made = ss.fold(net.to(dtype), 0.9, inputs=x.to(dtype))
    assert any(loop.path for loop in made.report.loops)


@pytest.mark.parametrize("hidden", [-torch.inf, torch.nan])
@pytest.mark.parametrize("way", ["residual", "plain"])
def test_outputs_that_are_not_finite_hide_nothing(way, hidden):
    class Masked(Steps):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).masked_fill(torch.arange(5) == 2, hidden)

    net, x = ss.share(Masked(way), 1), torch.randn(2, 5)
    if way == "residual":
        with pytest.raises(ValueError, match="steps through them"):
            ss.fold(net, inputs=x)
    report = ss.fold(net, inputs=x, loops=way == "plain").report
    shown = net(x)[:, torch.arange(5) != 2].abs().max().item()
    assert report.gap < 1e-6 and report.largest_output == pytest.approx(shown)


def test_a_number_that_loops_make_infinite_is_a_difference():
    class Uncounted(Steps):
        def forward(self, x: Tensor) -> Tensor:
            return self.blocks(x).masked_fill(torch.tensor(len(self.blocks) < 4), torch.inf)

    net, x = ss.share(Uncounted("plain"), 1), torch.randn(2, 5)
    with pytest.raises(ValueError, match="by number, or steps through them"):
        ss.fold(net, inputs=x)


@dataclass
class Answer:
    scores: Tensor


@pytest.mark.parametrize("answer", [Answer, lambda x: x > 0, lambda x: x + torch.nan])
def test_loops_that_inputs_cannot_check_are_refused(answer):
    class Answers(Steps):
        def forward(self, x: Tensor) -> Any:
            return answer(super().forward(x))

    net, x = ss.share(Answers("plain"), 1), torch.randn(2, 5)
    with pytest.raises(ValueError, match=r"nothing can be compared: the model returns no finite"):
        ss.fold(net, inputs=x)
    assert ss.fold(net, inputs=None).report.loops
    assert "no finite number" in str(ss.fold(net, inputs=x, loops=False).report)


def test_a_model_that_draws_numbers_folds(linears):
    class Noisy(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            return torch.randn_like(super().forward(x))

    net = nn.Sequential(linears(4), Noisy())
    assert ss.fold(ss.share(net, 1), inputs=torch.randn(2, 5)).report.loops


class Writes(nn.Module):
    """Normalises its input in place, and counts its calls in a buffer, by which it divides."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = layers()
        self.register_buffer("calls", torch.ones(()))
        self.register_buffer("unused", None)

    def forward(self, x: Tensor, more: dict[str, Tensor]) -> Tensor:
        self.calls += 1
        x.sub_(0.5).div_(0.25)
        return self.layers(x + more["y"].mul_(2)) / self.calls


@pytest.mark.parametrize("loops", [True, False])
def test_what_a_model_writes_is_written_into_copies(loops):
    torch.manual_seed(0)
    net, x, y = ss.share(Writes(), 1), torch.randn(2, 5), torch.randn(2, 5)
    given = x.clone(), {"y": y.clone()}
    made = ss.fold(net, inputs=given, loops=loops)
    assert made.report.gap < 1e-5
    assert torch.equal(given[0], x) and torch.equal(given[1]["y"], y)
    assert made.calls == net.calls == 1
    torch.testing.assert_close(made(x.clone(), {"y": y.clone()}), net(x, {"y": y}))


def test_outputs_whose_shapes_depend_on_the_weights_are_not_compared(linears):
    class Positive(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[x > 0]

    torch.manual_seed(0)
    net = nn.Sequential(linears(6), Positive())
    report = ss.fold(ss.share(net), 0, inputs=torch.randn(20, 5)).report
    assert report.gap is None
    assert "not measured, because the shapes that the model returns depend on" in str(report)


@pytest.mark.parametrize(
    ("shape", "why"),
    [
        (4, "input_shape is the shape of one example.*Sequential has 4"),
        ((0, 4), r"input_shape is the shape of one example.*Sequential has \(0, 4\)"),
        ((8, 8, 3), ".*mat1 and mat2 shapes cannot be multiplied"),
    ],
)
def test_noise_that_a_model_cannot_take_is_not_measured(linears, shape, why):
    net = ss.share(linears(3), 1)
    net.input_shape = shape
    made = ss.fold(net)
    text = f"not measured, because the model cannot be run on noise of its input_shape: {why}"
    assert re.search(text, str(made.report))
    assert type(made.report).from_json(made.report.to_json()) == made.report
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        ss.fold(net, inputs=torch.zeros(2, 8, 8, 3))
