"""The paper's models: the same function written out, the right groups, every name."""

import math

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

import softshare as ss
from softshare.models.path_network import PathNetwork
from softshare.models.wide_resnet import WideResNet

KINDS = ("C->B", "B->B", "B->C")


def settled(net, x):
    """After some passes: BN statistics and gains that are not 0 and 1."""
    generator = torch.Generator().manual_seed(0)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5, generator=generator)
            nn.init.normal_(module.bias, generator=generator)
    for _ in range(3):
        net.train()(x)
    return net


def norm(x, w, name):
    parts = ("running_mean", "running_var", "weight", "bias")
    return F.batch_norm(x, *(w[f"{name}.{part}"] for part in parts))


def wide_resnet(x, w, blocks):
    """Section 4.1 in plain calls; w is a state_dict."""
    x = F.conv2d(x, w["conv.weight"], padding=1)
    for stage in (1, 2, 3):
        for block in range(blocks):
            name = f"stage{stage}.{block}"
            stride = 2 if stage > 1 and block == 0 else 1
            y = F.relu(norm(x, w, f"{name}.bn1"))
            short = w.get(f"{name}.shortcut.weight")
            x = x if short is None else F.conv2d(y, short, stride=stride)
            y = F.conv2d(y, w[f"{name}.conv1.weight"], stride=stride, padding=1)
            y = F.conv2d(F.relu(norm(y, w, f"{name}.bn2")), w[f"{name}.conv2.weight"], padding=1)
            x = x + y
    x = F.avg_pool2d(F.relu(norm(x, w, "bn")), 8).flatten(1)
    return F.linear(x, w["fc.weight"], w["fc.bias"])


def path_network(x, w, depth):
    """Section 4.4 in plain calls."""
    x = F.conv2d(x, w["enter.weight"], w["enter.bias"])
    for i in range(depth):
        y = F.conv2d(x, w[f"body.{i}.conv.weight"], padding=1)
        x = x + F.relu(norm(y, w, f"body.{i}.bn"))
    return F.conv2d(x, w["leave.weight"], w["leave.bias"])


@pytest.mark.parametrize(
    ("name", "blocks"),
    [("wrn-10-1", 1), ("wrn-16-2", 2), ("wrn-28-1", 4), ("swrn-16-1-2", 2), ("swrn-28-1-1", 4)],
)
def test_wide_resnet_written_out(name, blocks):
    x = torch.randn(2, 3, 32, 32)
    net = settled(ss.build(name, num_classes=7), x).eval()
    plain = ss.unshare(net) if name[0] == "s" else net
    with torch.no_grad():
        expected = wide_resnet(x, plain.state_dict(), blocks)
        torch.testing.assert_close(net(x), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["cnn", "scnn"])
def test_path_network_written_out(name):
    x = torch.rand(2, 2, 12, 12)
    net = settled(ss.build(name), x).eval()
    plain = ss.unshare(net) if name == "scnn" else net
    with torch.no_grad():
        expected = path_network(x, plain.state_dict(), 20)
        torch.testing.assert_close(net(x), expected, atol=1e-3, rtol=1e-4)


def test_imagenet_model_is_torchvisions():
    net = ss.build("wrn-50-2").eval()
    with torch.device("meta"):
        reference = torchvision.models.wide_resnet50_2(weights=None).eval()
    reference.load_state_dict(net.state_dict(), assign=True)
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(net(x), reference(x))


@pytest.mark.parametrize("name", ["wrn-16-1", "cnn"])
def test_a_soft_model_starts_as_the_plain_one_of_its_seed(name):
    torch.manual_seed(3)
    plain = ss.build(name)
    torch.manual_seed(3)
    soft = ss.build("scnn" if name == "cnn" else f"s{name}")
    x = torch.rand(2, *plain.input_shape)
    torch.testing.assert_close(soft(x), plain(x), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(("name", "size"), [("28-10", 6), ("40-8", 10), ("16-1", 2)])
def test_groups_of_the_wide_resnets(name, size):
    with torch.device("meta"):
        plain, net = ss.build(f"wrn-{name}"), ss.build(f"swrn-{name}-2")
    assert ss.groups(plain) == ss.groups(net)
    for stage, layers in ss.groups(net).items():
        assert layers == [f"{stage}.{i}.conv{j}" for i in range(1, size // 2 + 1) for j in (1, 2)]
        assert len(layers) == size
    assert list(ss.groups(net)) == ["stage1", "stage2", "stage3"]
    own = [n for n, m in net.named_modules() if m._parameters.get("weight") is not None]
    assert {f"stage{s}.0.conv{j}" for s in (1, 2, 3) for j in (1, 2)} <= set(own)  # first blocks


def test_groups_of_the_imagenet_model():
    with torch.device("meta"):
        net = ss.build("swrn-50-2-2")
    groups = ss.groups(net)
    assert list(groups) == [f"stage{s} {kind}" for s in (1, 2, 3, 4) for kind in KINDS]
    assert [len(g) for g in groups.values()] == [2, 3, 3, 3, 4, 4, 5, 6, 6, 2, 3, 3]
    shared = [name for group in groups.values() for name in group]
    convs = [n for n, m in net.named_modules() if isinstance(m, nn.Conv2d)]
    left = {"conv1"} | {f"layer{s}.0.{c}" for s in (1, 2, 3, 4) for c in ("conv1", "downsample.0")}
    assert set(convs) - set(shared) == left


def test_groups_of_the_path_network():
    for name in ("scnn", "scnn-r"):
        net = ss.build(name)
        assert ss.groups(net) == {"body": [f"body.{i}.conv" for i in range(20)]}
        assert net.body[0].conv.weight_bank.coefficients.shape == (20, 20)


@pytest.mark.parametrize("k", [1, 2, 4, 6])
def test_templates_start_as_convolutions_do(k):
    net = ss.build(f"swrn-28-1-{k}")
    for stage in (1, 2, 3):
        bank = getattr(net, f"stage{stage}")[1].conv1.weight_bank
        outputs = 16 * 2 ** (stage - 1)
        expected = math.sqrt(2 / (9 * outputs))  # Kaiming normal, fan out
        error = expected / math.sqrt(2 * bank.templates.numel())
        assert abs(bank.templates.std().item() - expected) < 5 * error


def test_dropout_between_the_convolutions_in_training_only():
    dropped = []  # of the activations that were not zero, a share for each block

    def watch(layer, inputs, output):
        alive = inputs[0] != 0
        dropped.append((output[alive] == 0).float().mean().item())

    net = ss.build("swrn-16-1-2", dropout=0.3)
    for stage in (net.stage1, net.stage2, net.stage3):
        for block in stage:
            block.dropout.register_forward_hook(watch)
    x = torch.randn(8, 3, 32, 32)
    net(x)
    assert dropped == pytest.approx([0.3] * 6, abs=0.02)
    dropped.clear()
    same = ss.build("swrn-16-1-2")
    same.load_state_dict(net.state_dict())
    torch.testing.assert_close(net.eval()(x), same.eval()(x), rtol=0, atol=0)
    assert dropped == [0] * 6


LEGAL = {
    "wrn-10-1": WideResNet,
    "wrn-28-10": WideResNet,
    "wrn-40-4": WideResNet,
    "swrn-16-1": WideResNet,
    "swrn-28-10-6": WideResNet,
    "swrn-40-8-10": WideResNet,
    "swrn-28-18-2": WideResNet,
    "wrn-50-2": torchvision.models.ResNet,
    "swrn-50-2": torchvision.models.ResNet,
    "swrn-50-2-1": torchvision.models.ResNet,
    "swrn-50-2-2": torchvision.models.ResNet,
    "cnn": PathNetwork,
    "scnn": PathNetwork,
    "scnn-r": PathNetwork,
}


@pytest.mark.parametrize("name", LEGAL)
def test_every_name_builds_and_runs(name):
    with torch.device("meta"):
        net = ss.build(name)
        assert isinstance(net, LEGAL[name])
        outputs = net(torch.empty(2, *net.input_shape))
    classes = 1000 if "-50-" in name else 10
    assert outputs.shape == ((2, 1, 32, 32) if "cnn" in name else (2, classes))


@pytest.mark.parametrize("name", ["wrn-16-1", "swrn-50-2"])
@pytest.mark.parametrize("classes", [1, 100])
def test_number_of_classes(name, classes):
    with torch.device("meta"):
        net = ss.build(name, num_classes=classes)
        assert net(torch.empty(2, *net.input_shape)).shape == (2, classes)


@pytest.mark.parametrize("init", ["orthogonal", "normal", "sparse-uniform"])
def test_init_reaches_the_coefficients(init):
    torch.manual_seed(0)
    A = ss.build("swrn-28-1-4", init=init).stage3[1].conv1.weight_bank.coefficients
    assert (A == 0).sum() == (12 if init == "sparse-uniform" else 0)
    assert torch.allclose(A.T @ A, torch.eye(4), atol=1e-5) == (init == "orthogonal")


NAMES = r"Models are named wrn-L-w, swrn-L-w\[-k\], cnn, scnn or scnn-r; got "
REFUSED = [
    *[((name,), {}, NAMES) for name in ("resnet", "", "wrn-28", "WRN-28-10", "wrn-28-10 ")],
    *[((name,), {}, NAMES) for name in ("wrn-28-10-2", "swrn-28-10-2-1", "scnn-x", "wrn--28-10")],
    *[((name,), {}, NAMES) for name in (None, 28, "wrn-28-1.5", "swrn-28-10-", "xwrn-28-10")],
    (("wrn-30-1",), {}, r"depth 6n \+ 4 \(10, 16, 22, 28, 40, \.\.\.\); got 30"),
    (("wrn-4-1",), {}, "got 4"),
    (("wrn-28-0",), {}, "Width, classes and input channels are 1 or more; got 0, 10, 3"),
    (("wrn-28-1", 0), {}, "got 1, 0, 3"),
    (("wrn-28-1", -2), {}, "got 1, -2, 3"),
    (("wrn-28-1", 10, 0), {}, "got 1, 10, 0"),
    (("wrn-28-1",), {"dropout": 1.0}, r"dropout probability lies in \[0, 1\); got 1.0"),
    (("wrn-28-1",), {"dropout": -0.1}, "got -0.1"),
    (("wrn-28-1",), {"dropout": float("nan")}, "got nan"),
    (("swrn-28-1-7",), {}, "A group of 6 layers takes 1 to 6 templates; got 7"),
    (("swrn-28-1-0",), {}, "takes 1 to 6 templates; got 0"),
    (("swrn-28-1-2",), {"init": "identity"}, "as many templates as layers"),
    (("swrn-28-1-2",), {"init": "ones"}, "got 'ones'"),
    (("swrn-10-1",), {}, "two or more weights of equal shape"),
    (("wrn-50-4",), {}, "The ImageNet model of the paper is wrn-50-2 .* got width 4"),
    (("wrn-50-2",), {"in_channels": 1}, "got width 2, 1 channels"),
    (("wrn-50-2",), {"dropout": 0.3}, "dropout 0.3"),
    (("wrn-50-2", 0), {}, "A classifier has 1 output or more; got 0"),
    (("swrn-50-2-3",), {}, "A group of 2 layers takes 1 to 2 templates; got 3"),
    (("wrn-28-1",), {"init": "ones"}, "The coefficients start as one of orthogonal, .*got 'ones'"),
    (("scnn",), {"init": "ones"}, "got 'ones'"),
    (("cnn", 7), {}, "take 2 channels and return 1, .* got num_classes=7, in_channels=None"),
    (("scnn-r", None, 3), {}, "got num_classes=None, in_channels=3"),
    (("cnn",), {"dropout": 0.3}, "The networks of Section 4.4 have no dropout; got 0.3"),
]


@pytest.mark.parametrize(("arguments", "options", "sentence"), REFUSED)
def test_refused_with_a_sentence(arguments, options, sentence):
    with pytest.raises(ValueError, match=sentence), torch.device("meta"):
        ss.build(*arguments, **options)


@pytest.mark.parametrize("numbers", [(0, 8), (4, 0), (-1, 8)])
def test_path_network_of_nothing_is_refused(numbers):
    with pytest.raises(ValueError, match="Depth and channels are 1 or more; got"):
        PathNetwork(*numbers)
