"""Sizes and costs, pinned as integers and worked out by hand."""

import copy

import pytest
import torch
import torchvision
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import softshare as ss

PARAMETERS = {  # CIFAR-10, CIFAR-100
    "wrn-28-10": (36_479_194, 36_536_884),
    "swrn-28-10": (36_479_302, 36_536_992),
    "swrn-28-10-6": (36_479_302, 36_536_992),
    "swrn-28-10-1": (12_287_212, 12_344_902),
    "swrn-28-10-2": (17_125_630, 17_183_320),
    "swrn-28-10-4": (26_802_466, 26_860_156),
    "swrn-28-4-2": (2_752_510, 2_775_640),
    "swrn-28-6-2": (6_177_534, 6_212_184),
    "swrn-28-14": (71_470_918, 71_551_648),
    "swrn-28-14-2": (33_537_790, 33_618_520),
    "swrn-28-18": (118_119_750, 118_223_520),
    "swrn-28-18-2": (55_414_014, 55_517_784),
    "swrn-40-8": (35_748_614, 35_794_784),
    "swrn-40-8-8": (29_555_402, 29_601_572),
    "wrn-28-2": (1_467_610, 1_479_220),
    "wrn-28-4": (5_849_050, 5_872_180),
    "wrn-28-6": (13_144_794, 13_179_444),
    "wrn-40-4": (8_949_210, 8_972_340),
}
TRAINING_GFLOP = {
    "wrn-28-2": 1.29,
    "wrn-28-4": 5.07,
    "wrn-28-6": 11.4,
    "wrn-28-10": 31.5,
    "wrn-28-14": 61.6,
    "wrn-28-18": 101.7,
    "wrn-40-4": 7.8,
    "wrn-40-8": 31.0,
    "scnn": 1.13,
    "wrn-50-2": 68.4,
}


def built(name, **options):
    """On the meta device: shapes alone are counted."""
    with torch.device("meta"):
        return ss.build(name, **options)


def wide_resnet_macs(depth, width, classes):
    """Layer by layer from the paper's description (Section 4.1)."""
    macs, inputs, pixels = 3 * 16 * 9 * 32 * 32, 16, 32 * 32
    for stage, outputs in enumerate((16 * width, 32 * width, 64 * width)):
        pixels = (32 // 2**stage) ** 2
        for block in range((depth - 4) // 6):
            before = outputs if block else inputs
            macs += 9 * before * outputs * pixels + 9 * outputs * outputs * pixels
            macs += before * outputs * pixels if before != outputs else 0
        inputs = outputs
    return macs + inputs * classes


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_of_the_papers_models(name):
    counts = [ss.count(built(name, num_classes=n), ()).parameters for n in (10, 100)]
    assert tuple(counts) == PARAMETERS[name]


def test_parameters_of_the_imagenet_model():
    with torch.device("meta"):
        reference = torchvision.models.wide_resnet50_2(weights=None)
    assert sum(p.numel() for p in reference.parameters()) == 68_883_240
    assert ss.count(built("wrn-50-2"), ()).parameters == 68_883_240
    coefficients = sum(L * L for L in (2, 3, 3, 3, 4, 4, 5, 6, 6, 2, 3, 3))
    assert ss.count(built("swrn-50-2"), ()).parameters == 68_883_240 + coefficients


@pytest.mark.parametrize("name", ["wrn-10-1", "wrn-16-2", "wrn-28-10", "wrn-40-8"])
@pytest.mark.parametrize("classes", [10, 100])
def test_macs_layer_by_layer(name, classes):
    _, depth, width = name.split("-")
    expected = wide_resnet_macs(int(depth), int(width), classes)
    net = built(name, num_classes=classes)
    assert ss.count(net).macs == expected
    with FlopCounterMode(display=False) as counter:
        net.eval()(torch.empty(1, 3, 32, 32, device="meta"))
    assert counter.get_total_flops() == 2 * expected


def test_macs_of_the_path_network():
    pixels = 32 * 32
    expected = pixels * (2 * 32 + 20 * 9 * 32 * 32 + 32)
    assert ss.count(built("cnn")).macs == ss.count(built("scnn")).macs == expected


@pytest.mark.parametrize("name", TRAINING_GFLOP)
def test_cost_of_training_one_image(name):
    gigaflop = ss.count(built(name)).macs * 2 * 3 / 1e9
    digits = len(str(TRAINING_GFLOP[name]).split(".")[1])
    assert round(gigaflop, digits) == TRAINING_GFLOP[name]


@pytest.mark.parametrize("k", [1, 2, 6])
def test_sharing_adds_the_mixing_alone(k):
    plain, shared = (ss.count(built(n)) for n in ("wrn-28-10", f"swrn-28-10-{k}"))
    assert shared.macs == plain.macs
    assert plain.mixing_macs == 0
    weights = sum(9 * (16 * 10 * 2**stage) ** 2 for stage in range(3))
    assert shared.mixing_macs == 6 * k * weights


def test_mixing_is_no_part_of_the_macs_however_layers_are_called():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.part = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))

        def forward(self, x):
            return self.part[1](self.part[0](self.part[0](x)))  # not through the shared root

    net = Twice()
    assert ss.count(net, (4,)).macs == 3 * 16
    ss.share(net.part)
    assert (ss.count(net, (4,)).macs, ss.count(net, (4,)).mixing_macs) == (3 * 16, 2 * 2 * 16)


@pytest.mark.parametrize(
    ("layer", "shape", "macs"),
    [
        (nn.Linear(5, 7), (5,), 35),
        (nn.Linear(5, 7), (3, 5), 105),
        (nn.Conv1d(4, 6, 3), (4, 10), 8 * 6 * 4 * 3),
        (nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=4), (4, 6, 6), 9 * 8 * 9),
        (nn.Conv3d(2, 3, 2), (2, 3, 4, 5), 2 * 3 * 4 * 3 * 2 * 8),
        (nn.ReLU(), (3,), 0),
    ],
)
def test_macs_of_single_layers(layer, shape, macs):
    assert ss.count(layer, shape).macs == macs


def test_attention_is_counted():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    T, d, hidden = 5, 8, 16
    expected = T * 4 * d * d + 2 * T * T * d + 2 * T * d * hidden
    assert ss.count(layer, (T, d)).macs == expected


def test_tied_once_and_frozen_too():
    net = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False), nn.Linear(4, 4))
    net[1].weight = net[0].weight
    net[2].requires_grad_(False)
    assert ss.count(net).parameters == 16 + 20


def test_without_a_shape_no_macs():
    count = ss.count(nn.Linear(2, 2))
    assert (count.parameters, count.macs, count.mixing_macs) == (6, None, 0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_counting_leaves_the_model_alone(dtype):
    net = ss.build("swrn-16-1-2", in_channels=1).to(dtype).train()
    before = copy.deepcopy(net.state_dict())
    ids = [id(p) for p in net.parameters()]
    assert ss.count(net).macs == wide_resnet_macs(16, 1, 10) - 2 * 16 * 9 * 32 * 32
    assert net.training
    assert [id(p) for p in net.parameters()] == ids
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize("shape", [(3, 0, 32), (-1,), 16, "16", (3.0,)])
def test_shapes_without_numbers_are_refused(shape):
    with pytest.raises(ValueError, match="input_shape holds numbers from 1 up; got"):
        ss.count(nn.Linear(3, 3), shape)


def test_an_example_stands_for_what_a_shape_cannot_say():
    net = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 3))
    assert ss.count(net, example=torch.zeros(7, 5, dtype=torch.long)).macs == 5 * 4 * 3
    bilinear = nn.Bilinear(2, 3, 4)
    assert ss.count(bilinear, example=(torch.zeros(2, 2), torch.zeros(2, 3))).parameters == 28
    assert ss.count(nn.Linear(5, 7), example=torch.zeros(4, 5)) == ss.count(nn.Linear(5, 7), (5,))


@pytest.mark.parametrize("example", [[torch.zeros(1, 3)], (torch.zeros(1, 3), 2), torch.ones(())])
def test_examples_that_are_no_batches_are_refused(example):
    with pytest.raises(ValueError, match=r"example is a tensor or a tuple of tensors, .*; got "):
        ss.count(nn.Linear(3, 3), example=example)


@pytest.mark.parametrize("shape", [(5,), (8, 8, 3)])
def test_what_a_model_cannot_take_is_said(shape):
    net = nn.Sequential(nn.Linear(7, 4), nn.Linear(4, 3))
    with pytest.raises(ValueError, match=r"Sequential cannot be run.*float32 of shape \(1, .*pass"):
        ss.count(net, shape)
    net.input_shape = 5
    with pytest.raises(ValueError, match=r"input_shape is the shape of one example.*has 5"):
        ss.count(net)
    assert ss.count(net, ()).macs is None
