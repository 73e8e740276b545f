import pytest

from netwright.cells import blocks
from netwright.core.records import IO
from netwright.plans import counting
from netwright.plans.ops.images import Conv
from netwright.plans.plan import PlanWriter


def _written(name, channels=4, width=6):
    """Layers, counts and channels of an operation on 5x7 images; the first three layers make its input."""
    writer = PlanWriter(IO(channels, 5, 7, 10))
    end = blocks.HIERARCHICAL[name](writer, writer.image, width)
    plan = writer.plan()
    return [layer.op.name for layer in plan[1:]], counting.count(plan), plan[end]


def test_the_order_is_the_papers():
    """Genotypes on disk hold positions in this table: it is forever."""
    assert list(blocks.HIERARCHICAL) == [
        "conv 1x1",
        "depthwise 3x3",
        "separable 3x3",
        "max pool 3x3",
        "avg pool 3x3",
        "identity",
    ]


@pytest.mark.parametrize(
    ("name", "layers", "params", "multiply_adds", "channels"),
    [
        ("conv 1x1", ["conv", "norm", "relu"], 4 * 6 + 2 * 6, 4 * 6 * 35, 6),
        ("depthwise 3x3", ["conv", "norm", "relu"], 9 * 4 + 2 * 4, 9 * 4 * 35, 4),
        ("separable 3x3", ["conv", "conv", "norm", "relu"], 9 * 4 + 4 * 6 + 2 * 6, (9 * 4 + 4 * 6) * 35, 6),
        ("max pool 3x3", ["max_pool"], 0, 0, 4),
        ("avg pool 3x3", ["avg_pool"], 0, 0, 4),
        ("identity", [], 0, 0, 4),
    ],
)
def test_operations_by_hand(name, layers, params, multiply_adds, channels):
    written, counts, end = _written(name)
    assert written == layers
    assert (counts.params, counts.multiply_adds) == (params, multiply_adds)
    assert end.shape == (channels, 5, 7)


def test_a_separable_convolution_strides_at_its_depthwise_part():
    writer = PlanWriter(IO(4, 9, 9, 10))
    blocks.separable(writer, 0, 8, stride=2)
    depthwise, pointwise = writer.plan()[1:3]
    assert (depthwise.op, depthwise.shape.height) == (Conv(4, (3, 3), (2, 2), groups=4), 5)
    assert pointwise.op == Conv(8)
