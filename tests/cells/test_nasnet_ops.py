import pytest
import torch

from netwright.cells.nasnet_ops import NASNET, OPERATIONS, SP1, SP2, factorized_reduction
from netwright.core import seeds
from netwright.core.records import IO
from netwright.plans import counting, network
from netwright.plans.plan import PlanWriter

EDGE = ["relu", "conv", "norm"]


def _written(name, channels=8, width=8, stride=1, size=(5, 7)):
    """Operations, counts and shape of an operation's layers."""
    writer = PlanWriter(IO(channels, *size, 10))
    end = OPERATIONS[name](writer, writer.image, width, stride)
    plan = writer.plan()
    return [layer.op.name for layer in plan[1:]], counting.count(plan), (plan[end].shape.channels, *writer.size(end))


def test_the_lists_are_forever():
    """Genotypes on disk hold positions in them."""
    assert SP1 == (
        "identity",
        "sep 3x3",
        "sep 5x5",
        "sep 7x7",
        "avg pool 3x3",
        "max pool 3x3",
        "dil sep 3x3",
        "conv 1x7 7x1",
    )
    assert SP2[:8] == SP1
    assert (len(SP2), SP2[8:11], SP2[-1]) == (19, ("conv 1x1", "conv 3x3", "conv 1x3 3x1"), "max pool 5x5")
    assert len(NASNET) == 13
    assert set(NASNET) | set(SP2) == set(OPERATIONS)


@pytest.mark.parametrize(
    ("name", "layers", "params"),
    [
        ("identity", [], 0),
        ("sep 3x3", ["relu", "conv", "conv", "norm"] * 2, 2 * (9 * 8 + 64 + 16)),
        ("sep 7x7", ["relu", "conv", "conv", "norm"] * 2, 2 * (49 * 8 + 64 + 16)),
        ("dil sep 5x5", ["relu", "conv", "conv", "norm"] * 2, 2 * (25 * 8 + 64 + 16)),
        ("avg pool 3x3", ["avg_pool"], 0),
        ("max pool 7x7", ["max_pool"], 0),
        ("min pool 2x2", ["min_pool"], 0),
        ("conv 1x1", EDGE, 64 + 16),
        ("conv 3x3", EDGE * 3, (16 + 4) + (9 * 4 + 4) + (16 + 16)),
        ("conv 1x7 7x1", EDGE * 4, (16 + 4) + 2 * (7 * 4 + 4) + (16 + 16)),
        ("conv 1x3 3x1", EDGE * 4, (24 + 6) + 2 * (3 * 9 + 6) + (24 + 16)),  # 3/8 of the width
        ("dil 4 conv 3x3", EDGE * 3, (16 + 4) + (9 * 4 + 4) + (16 + 16)),
    ],
)
def test_operations_by_hand(name, layers, params):
    written, counts, shape = _written(name)
    assert written == layers
    assert counts.params == params
    assert shape == (8, 5, 7)


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize(("width", "stride"), [(8, 2), (6, 1), (6, 2), (1, 2)])
def test_every_operation_gives_the_width_and_halves_with_a_stride(name, width, stride):
    layers, _, shape = _written(name, width=width, stride=stride)
    assert shape == (width, 3, 4) if stride == 2 else (width, 5, 7)
    if name == "identity" or ("pool" in name and width != 8):
        assert layers[-2:] == ["conv", "norm"], "a 1x1 convolution brings the width"


def test_a_pooling_that_changes_the_width_has_no_relu():
    assert _written("max pool 3x3", width=6)[0] == ["max_pool", "conv", "norm"]


def test_the_stride_of_doubled_separable_convolutions_is_in_the_first():
    writer = PlanWriter(IO(8, 8, 8, 10))
    OPERATIONS["sep 5x5"](writer, 0, 4, 2)
    convs = [layer for layer in writer.plan() if layer.op.name == "conv"]
    assert [(layer.op.stride, layer.op.groups, layer.shape.channels) for layer in convs] == [
        ((2, 2), 8, 8),
        ((1, 1), 1, 4),
        ((1, 1), 4, 4),
        ((1, 1), 1, 4),
    ]


@pytest.mark.parametrize(("name", "side"), [("conv 1x7 7x1", 7), ("conv 1x3 3x1", 3)])
def test_each_of_a_pair_strides_along_its_own_side(name, side):
    writer = PlanWriter(IO(8, 8, 6, 10))
    OPERATIONS[name](writer, 0, 8, 2)
    inner = [layer for layer in writer.plan() if layer.op.name == "conv"][1:3]
    assert [(layer.op.kernel, layer.op.stride, layer.shape[1:]) for layer in inner] == [
        ((1, side), (1, 2), (8, 3)),
        ((side, 1), (2, 1), (4, 3)),
    ]


@pytest.mark.parametrize(("name", "dilation"), [("dil sep 3x3", 2), ("dil 2 conv 3x3", 2), ("dil 6 conv 3x3", 6)])
def test_dilated_convolutions_are_dilated(name, dilation):
    writer = PlanWriter(IO(8, 8, 8, 10))
    OPERATIONS[name](writer, 0, 8, 1)
    found = {layer.op.dilation for layer in writer.plan() if layer.op.name == "conv" and layer.op.kernel > (1, 1)}
    assert found == {dilation}


def test_without_a_quarter_there_is_no_bottleneck():
    counts = _written("conv 3x3", channels=3, width=3)[1]
    assert (counts.params, counts.multiply_adds) == (81 + 6, 81 * 35)


@pytest.mark.parametrize(("width", "halves"), [(8, [4, 4]), (7, [3, 4]), (1, [1])])
def test_of_an_odd_width_the_second_half_is_the_larger(width, halves):
    writer = PlanWriter(IO(5, 5, 5, 10))
    factorized_reduction(writer, 0, width, 2)
    plan = writer.plan()
    assert sorted(layer.shape.channels for layer in plan if layer.op.name == "conv") == halves
    odd = next(n for n, layer in enumerate(plan) if layer.op.name == "odd_pixels")
    assert next(layer for layer in plan if layer.op.name == "conv" and odd in layer.inputs).shape.channels == halves[-1]
    counts = counting.count(plan)
    assert (counts.params, counts.multiply_adds) == (5 * width + 2 * width, 5 * width * 9)


def test_a_factorized_reduction_sees_even_and_odd_pixels():
    writer = PlanWriter(IO(1, 4, 4, 1))
    factorized_reduction(writer, 0, 2, 2)
    net = network.build(writer.plan(), seeds.rng_for(0, seeds.BUILD)).eval()
    for module in net.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.weight.data.fill_(1.0)
    images = torch.arange(16.0).reshape(1, 1, 4, 4)
    norm = next(module for module in net.modules() if isinstance(module, torch.nn.BatchNorm2d))
    norm.eps = 0.0
    assert net(images).tolist() == [[[[0.0, 2.0], [8.0, 10.0]], [[5.0, 7.0], [13.0, 15.0]]]]
