"""Folded networks leave PyTorch: weights stand once, loops as loops, and the outputs agree."""

import copy
import io
import re
import sys
from math import prod
from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision.models.resnet import Bottleneck

import softshare as ss
from softshare.folding.export import to_onnx
from softshare.folding.looping import Loop, unrolled
from softshare.models.path_network import PathNetwork
from softshare.models.wide_resnet import WideResNet
from softshare.sharing import banks

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


class Feedforward(nn.Module):
    """The part of a transformer's layer that works on each token."""

    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x):
        return x + self.down(nn.functional.gelu(self.up(self.norm(x))))


def wide_resnet(depth=22):
    return WideResNet(depth, 1), 1, (3, 32, 32)


def wide_resnet_of_two(depth=22):
    return WideResNet(depth, 1), 2, (3, 32, 32)


def paths(depth=6):
    return PathNetwork(depth, 8), 2, (2, 9, 9)


def bottlenecks(depth=3):
    return (
        nn.Sequential(nn.Conv2d(3, 16, 1), *[Bottleneck(16, 4) for _ in range(depth)]),
        1,
        (3, 5, 5),
    )


def feedforward(depth=4):
    return nn.Sequential(*[Feedforward(8) for _ in range(depth)]), 1, (5, 8)


slow = pytest.mark.slow
each_net = pytest.mark.parametrize(
    "make",
    [
        paths,
        pytest.param(wide_resnet, marks=slow),
        pytest.param(wide_resnet_of_two, marks=slow),
        pytest.param(bottlenecks, marks=slow),
        pytest.param(feedforward, marks=slow),
    ],
)
written_out = pytest.mark.parametrize("written_out", [False, pytest.param(True, marks=slow)])


def folded(make, schedule=None, loops=True, **sizes):
    """A model whose groups repeat a schedule, folded and trained a little, and an input."""
    torch.manual_seed(0)
    net, period, shape = make(**sizes)
    for bank in banks(ss.share(net, 2)).values():
        L = len(bank.layers)
        ties = torch.tensor(schedule or range(period)).repeat(L)[:L]
        scales = torch.tensor([1.0, -2.0]).repeat(L)[:L, None]
        with torch.no_grad():
            bank.coefficients.copy_(torch.stack([ties.cos(), ties.sin()], 1) * scales)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 2)
    net = ss.fold(net, inputs=None, loops=loops)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    net(torch.randn(4, *shape)).square().mean().backward()
    optimizer.step()
    return net.eval(), torch.randn(3, *shape)


def run(path, x):
    session = onnxruntime.InferenceSession(str(path))
    (name,) = [i.name for i in session.get_inputs()]
    (got,) = session.run(None, {name: x.numpy()})
    return torch.from_numpy(got)


def agree(got, wanted):
    torch.testing.assert_close(got, wanted, atol=1e-4 * float(wanted.abs().max()), rtol=1e-4)


def scans(graph):
    """The depths of all Scan nodes: 1 for one inside another."""
    for node in graph.node:
        inner = [d for a in node.attribute if a.HasField("g") for d in scans(a.g)]
        yield from ([0] if node.op_type == "Scan" else []) + [1 + d for d in inner]


def loops_of(net):
    return [module for module in net.modules() if isinstance(module, Loop)]


def check(path, net, x, wanted_scans):
    """The file is valid, holds each number once, loops where it should, and agrees."""
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert list(scans(model.graph)) == wanted_scans
    others = 120  # zeros where a convolution has no bias, and numbers that say how to reshape
    stored = sum(prod(t.dims) for t in model.graph.initializer)
    parameters, buffers = list(net.parameters()), list(net.buffers())
    least = sum(p.numel() for p in parameters)
    assert least <= stored <= least + sum(b.numel() for b in buffers) + others
    for value in (*model.graph.input, *model.graph.output):
        assert value.type.tensor_type.shape.dim[0].dim_param == "batch"
    assert [output.name for output in model.graph.output] == ["output"]
    with torch.no_grad():
        for batch in (1, 3):
            agree(run(path, x[:batch]), net(x[:batch]))


@slow
@each_net
@pytest.mark.parametrize("written_out", [False, True])
def test_onnx(make, written_out, tmp_path):
    net, x = folded(make)
    found = loops_of(net)
    assert found
    path = net.to_onnx(tmp_path / "net.onnx", x[:1], unrolled=written_out)
    check(path, net, x, [] if written_out else [0] * len(found))


@written_out
def test_a_loop_in_a_loop_is_a_scan_in_a_scan(written_out, tmp_path):
    net, x = folded(paths, (0, 1, 1, 0, 1, 1))
    assert str(net.report.groups[0].program) == "2×(1 2×2)"
    path = net.to_onnx(tmp_path / "net.onnx", x, unrolled=written_out)
    check(path, net, x, [] if written_out else [0, 1])


@slow
def test_more_ties_than_templates(tmp_path):
    net, x = folded(paths, (0, 1, 2, 0, 1, 2))
    assert net.report.groups[0].mixes
    check(net.to_onnx(tmp_path / "net.onnx", x), net, x, [0])


@slow
def test_tied_layers_outside_loops(tmp_path):
    net, x = folded(wide_resnet_of_two, loops=False)
    assert not loops_of(net)
    check(net.to_onnx(tmp_path / "net.onnx"), net, x, [])


@pytest.mark.parametrize(
    ("make", "depths"), [(paths, (4, 20)), pytest.param(feedforward, (2, 9), marks=slow)]
)
def test_a_file_grows_by_the_vectors_of_more_iterations_alone(make, depths, tmp_path):
    sizes, vectors = [], []  # in bytes
    for depth in depths:
        net, x = folded(make, depth=depth)
        (loop,) = loops_of(net)
        assert loop.count == (depth // 2 if make is paths else depth)
        path = net.to_onnx(tmp_path / "net.onnx", x)
        check(path, net, x, [0])
        sizes.append(path.stat().st_size)
        vectors.append(sum(t.nbytes for t in (*net.parameters(), *net.buffers()) if t.dim() < 3))
    assert abs((sizes[1] - sizes[0]) - (vectors[1] - vectors[0])) < 100


@slow
def test_a_file_is_little_more_than_the_numbers(tmp_path):
    net, _ = folded(wide_resnet_of_two)
    path = net.to_onnx(tmp_path / "net.onnx")
    net.save(tmp_path / "net.safetensors")
    assert path.stat().st_size < 1.05 * (tmp_path / "net.safetensors").stat().st_size
    assert b".py" not in path.read_bytes()  # no trace of the source, nor of where it lies


@each_net
def test_an_exported_program_loops(make):
    net, x = folded(make)
    with torch.no_grad():
        dynamic = ({0: torch.export.Dim("batch")},)
        program = torch.export.export(net, (x,), dynamic_shapes=dynamic)
        assert program.graph_module.code.count("higher_order.scan(") == len(loops_of(net))
        file = io.BytesIO()
        torch.export.save(program, file)
        file.seek(0)
        loaded = torch.export.load(file).module()
        for batch in (1, 3):
            agree(loaded(x[:batch]), net(x[:batch]))


@pytest.mark.parametrize("training", [True, pytest.param(False, marks=slow)])
def test_a_program_with_gradients_has_those_of_the_model(training):
    net, x = folded(paths)
    net.train(training)
    twin = torch.export.export(net, (x,)).module()
    for model in (net, twin):
        model.zero_grad()
        model(x).square().sum().backward()
    got = {name: p.grad for name, p in twin.named_parameters()}
    for name, parameter in net.named_parameters():
        torch.testing.assert_close(got[name], parameter.grad)
    statistics = dict(twin.named_buffers())
    for name, buffer in net.named_buffers():
        torch.testing.assert_close(statistics[name], buffer)


def test_the_model_stays_as_it_is(tmp_path):
    net, x = folded(paths)
    net.train()
    net.leave.weight.requires_grad_(False)
    before, names = copy.deepcopy(net.state_dict()), list(net.named_parameters())
    net.to_onnx(tmp_path / "net.onnx", x)
    assert all(module.training for module in net.modules())
    assert all(a is b for (_, a), (_, b) in zip(names, net.named_parameters(), strict=True))
    assert not net.leave.weight.requires_grad
    assert net.enter.weight.requires_grad
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, before[name])


@each_net
def test_unrolled_is_the_same_network_without_loops(make):
    net, x = folded(make)
    plain = unrolled(net)
    assert not loops_of(plain)
    assert loops_of(net)
    assert type(plain) is type(net)
    torch.testing.assert_close(plain(x), net(x))
    counts = [sum(p.numel() for p in model.parameters()) for model in (plain, net)]
    assert counts[0] == counts[1]
    assert not {id(p) for p in plain.parameters()} & {id(p) for p in net.parameters()}


def strides(count=2):
    convs = [nn.Conv2d(2, 2, 3, stride=2, padding=1) for _ in range(count)]
    for conv in convs[1:]:
        conv.weight = convs[0].weight
    return Loop(convs).eval()


def test_a_loop_that_changes_the_shape_is_written_out(tmp_path):
    loop, x = strides(), torch.randn(3, 2, 9, 9)
    with pytest.warns(UserWarning, match="1 of 1 loops stand unrolled.*another shape"):
        path = to_onnx(loop, tmp_path / "net.onnx", x)
    check(path, loop, x, [])


class InPlace(nn.Module):
    def __init__(self, linear):
        super().__init__()
        self.linear, self.relu = linear, nn.ReLU(inplace=True)

    def forward(self, x):
        return self.linear(self.relu(x))


@slow
def test_iterations_that_differ_in_nothing_and_work_in_place(tmp_path):
    linear = nn.Linear(4, 4)
    net = nn.Sequential(nn.Linear(4, 4), Loop([InPlace(linear) for _ in range(3)])).eval()
    x = torch.randn(3, 4)
    check(to_onnx(net, tmp_path / "net.onnx", x), net, x, [0])


class TwoInTwoOut(nn.Module):
    def __init__(self):
        super().__init__()
        self.loop = folded(feedforward)[0]

    def forward(self, a, b):
        return self.loop(a), self.loop(b) + a.sum()


@slow
def test_several_inputs_and_outputs(tmp_path):
    net, (a, b) = TwoInTwoOut().eval(), torch.randn(2, 3, 5, 8)
    session = onnxruntime.InferenceSession(str(to_onnx(net, tmp_path / "net.onnx", (a, b))))
    assert [i.name for i in session.get_inputs()] == ["a", "b"]
    assert [o.name for o in session.get_outputs()] == ["output0", "output1"]
    got = session.run(None, {"a": a.numpy(), "b": b.numpy()})
    with torch.no_grad():
        for one, wanted in zip(got, net(a, b), strict=True):
            agree(torch.from_numpy(one), wanted)


class Decides(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


@pytest.mark.parametrize(
    ("net", "example", "message"),
    [
        (nn.Linear(2, 2), None, "no input_shape.*pass example="),
        (nn.Linear(2, 2), [1.0], r"batch of one or more.*got \[1.0\]"),
        (nn.Linear(2, 2), torch.zeros(()), "batch of one or more"),
        (nn.Linear(2, 2), torch.zeros(0, 2), "batch of one or more"),
        (nn.Linear(2, 2), (), "batch of one or more"),
        (nn.Linear(2, 2), torch.zeros(1, 3), r"cannot follow Linear.*\(2, 3\)"),
        (Decides(), torch.zeros(2, 3), "cannot follow Decides"),
    ],
)
def test_what_cannot_be_exported_says_why(net, example, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        to_onnx(net, tmp_path / "net.onnx", example)
    assert not list(tmp_path.iterdir())


class Lines(nn.Sequential):
    input_shape = (2, 9)


def lines():
    return Lines(nn.Conv1d(2, 4, 3, padding=1), nn.ReLU(), nn.Conv1d(4, 2, 3)).eval()


def test_the_example_by_itself_is_of_the_models_type(tmp_path):
    net = lines().half()
    path, x = to_onnx(net, tmp_path / "net.onnx"), torch.randn(3, 2, 9).half()
    torch.testing.assert_close(run(path, x), net(x).detach(), atol=1e-2, rtol=1e-2)
    (given,) = onnx.load(path).graph.input
    assert given.type.tensor_type.elem_type == onnx.TensorProto.FLOAT16


@pytest.mark.parametrize("largest", [2**31, 0])
def test_a_file_that_onnx_refuses_is_not_kept(largest, tmp_path, monkeypatch):
    monkeypatch.setattr("softshare.folding.export._LARGEST", largest)
    with pytest.raises(ValueError, match=r"ONNX's own checker refuses.*net\.float\(\)"):
        to_onnx(lines().bfloat16(), tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())


def test_a_shape_that_is_none_is_refused(tmp_path):
    net = lines()
    net.input_shape = 9
    with pytest.raises(ValueError, match=r"input_shape is the shape of one example.*Lines has 9"):
        to_onnx(net, tmp_path / "net.onnx")


def test_numbers_that_fit_into_no_file_stand_beside_it(tmp_path, monkeypatch):
    monkeypatch.setattr("softshare.folding.export._LARGEST", 0)
    net, x = lines(), torch.randn(3, 2, 9)
    path = to_onnx(net, tmp_path / "new" / "net.onnx")
    assert sorted(p.name for p in path.parent.iterdir()) == ["net.onnx", "net.onnx.data"]
    check(path, net, x, [])


def test_without_the_packages(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ModuleNotFoundError, match="pip install onnx onnxscript"):
        to_onnx(nn.Linear(2, 2), tmp_path / "net.onnx", torch.zeros(2, 2))


def test_the_page_runs(tmp_path, monkeypatch, capsys):
    page = (Path(__file__).resolve().parents[2] / "book" / "folded_export.md").read_text()
    monkeypatch.chdir(tmp_path)
    exec("\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL)), names := {})
    assert "1 loop, 1 weight" in capsys.readouterr().out
    agree(names["y"], names["folded"](names["x"]).detach())
    sizes = [(tmp_path / name).stat().st_size for name in ("folded.onnx", "unrolled.onnx")]
    assert max(sizes) < 2 * min(sizes)
