import pytest
import torch
import torch.nn.functional as F

from netwright.cells.nao_ops import SETS, operations
from netwright.core import seeds
from netwright.core.records import IO
from netwright.plans import counting, network
from netwright.plans.plan import PlanWriter

FLAVORS = ("pytorch", "tensorflow", "tensorflow-ws")
EDGE = ["relu", "conv", "norm"]
REDUCED = ["odd_pixels", "conv", "conv", "concat", "norm"]
EVERY = [(kind, name) for kind in SETS for name in SETS[kind]]


def _written(kind, name, flavor="pytorch", channels=8, width=8, stride=1, size=(5, 7)):
    """Layers of an operation and the shape it gives."""
    writer = PlanWriter(IO(channels, *size, 10))
    end = operations(kind, flavor)[name](writer, writer.image, width, stride)
    return writer.plan(), (writer.channels(end), *writer.size(end))


def _ops(plan):
    return [layer.op.name for layer in plan[1:]]


def test_the_lists_are_the_published_numbers():
    """5 to 15, and 0 to 4; genotypes on disk hold positions in them."""
    assert SETS["large"] == (
        *("identity", "conv 1x1", "conv 3x3", "conv 1x3 3x1", "conv 1x7 7x1"),
        *("max pool 2x2", "max pool 3x3", "max pool 5x5", "avg pool 2x2", "avg pool 3x3", "avg pool 5x5"),
    )
    assert SETS["small"] == ("sep 3x3", "sep 5x5", "avg pool 3x3", "max pool 3x3", "identity")
    assert SETS["middle"] == (
        *("zero", "identity", "sep 3x3", "sep 5x5", "sep 7x7"),
        *("dil sep 3x3", "dil sep 5x5", "dil sep 7x7", "avg pool 3x3", "max pool 3x3"),
    )
    for kind, names in SETS.items():
        for flavor in FLAVORS:
            assert tuple(operations(kind, flavor)) == names


@pytest.mark.parametrize(
    ("kind", "name", "layers", "params"),
    [
        ("large", "identity", [], 0),
        ("large", "conv 1x1", EDGE, 64 + 16),
        ("large", "conv 3x3", EDGE, 9 * 64 + 16),
        ("large", "conv 1x3 3x1", EDGE * 2, 2 * (3 * 64 + 16)),
        ("large", "conv 1x7 7x1", EDGE * 2, 2 * (7 * 64 + 16)),
        ("large", "max pool 2x2", ["max_pool"], 0),
        ("large", "avg pool 5x5", ["avg_pool"], 0),
        ("small", "sep 5x5", ["relu", "conv", "conv", "norm"] * 2, 2 * (25 * 8 + 64 + 16)),
        ("middle", "dil sep 7x7", ["relu", "conv", "conv", "norm"], 49 * 8 + 64 + 16),
        ("middle", "zero", ["zero"], 0),
    ],
)
def test_operations_by_hand(kind, name, layers, params):
    plan, shape = _written(kind, name)
    assert _ops(plan) == layers
    assert counting.count(plan).params == params
    assert shape == (8, 5, 7)


@pytest.mark.parametrize("flavor", FLAVORS)
@pytest.mark.parametrize(("kind", "name"), EVERY)
@pytest.mark.parametrize(("channels", "stride"), [(8, 2), (6, 1), (24, 2)])
def test_every_operation_gives_the_width_and_halves_with_a_stride(kind, name, flavor, channels, stride):
    _, shape = _written(kind, name, flavor, channels=channels, stride=stride)
    assert shape == ((8, 3, 4) if stride == 2 else (8, 5, 7))


@pytest.mark.parametrize(("flavor", "layers"), [("pytorch", REDUCED), ("tensorflow", EDGE), ("tensorflow-ws", REDUCED)])
def test_a_strided_identity(flavor, layers):
    assert sorted(_ops(_written("large", "identity", flavor, stride=2)[0])) == sorted(layers)


def test_a_pooling_that_changes_the_width_has_a_relu_behind_it():
    assert _ops(_written("large", "max pool 3x3", "tensorflow", channels=24)[0]) == ["max_pool", *EDGE]


@pytest.mark.parametrize("kernel", [3, 7])
@pytest.mark.parametrize(("flavor", "strides"), [("pytorch", [(1, 2), (2, 1)]), ("tensorflow", [(2, 2), (1, 1)])])
def test_strides_of_a_pair_of_convolutions(kernel, flavor, strides):
    plan, _ = _written("large", f"conv 1x{kernel} {kernel}x1", flavor, stride=2)
    convs = [layer for layer in plan if layer.op.name == "conv"]
    assert [layer.op.kernel for layer in convs] == [(1, kernel), (kernel, 1)]
    assert [layer.op.stride for layer in convs] == strides


def _output(kind, name, flavor, images, stride):
    plan, _ = _written(kind, name, flavor, channels=images.shape[1], width=images.shape[1], stride=stride)
    return network.build(plan, seeds.rng_for(0, seeds.BUILD))(images)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("side", "borders"), [(2, (0, 1, 0, 1)), (3, (1,) * 4), (5, (2,) * 4)])
@pytest.mark.parametrize("flavor", FLAVORS)
def test_what_poolings_see_past_the_border(side, borders, flavor, stride):
    """Ones, and minus ones: zeros past the border make the averages smaller and the largest values larger."""
    ones = torch.ones(1, 2, 5, 7)
    zeros = F.avg_pool2d(F.pad(ones, borders), side, stride)
    average = _output("large", f"avg pool {side}x{side}", flavor, ones, stride)
    assert torch.equal(average, zeros if flavor == "pytorch" else torch.ones_like(zeros))
    largest = _output("large", f"max pool {side}x{side}", flavor, -ones, stride)
    seen = F.max_pool2d(F.pad(-ones, borders), side, stride)
    assert torch.equal(largest, seen if (flavor, side) == ("pytorch", 2) else -torch.ones_like(seen))


@pytest.mark.parametrize("flavor", FLAVORS)
def test_averages_of_the_small_set_see_nothing_past_the_border(flavor):
    ones = torch.ones(1, 2, 5, 7)
    assert torch.equal(_output("small", "avg pool 3x3", flavor, ones, 1), ones)
