import pytest

from netwright.cells import auxiliary
from netwright.core.records import IO
from netwright.core.shapes import Vector
from netwright.plans.plan import PlanWriter


@pytest.mark.parametrize(("side", "stride", "left"), [(8, 3, 2), (7, 2, 2), (16, 3, 4), (5, 3, 1)])
def test_the_second_convolution_sees_all_that_pooling_leaves(side, stride, left):
    writer = PlanWriter(IO(12, side, side, 10))
    auxiliary.write(writer, writer.image, 10, stride=stride)
    plan = writer.plan()
    assert [layer.op.name for layer in plan[1:]] == [
        *("relu", "avg_pool", "conv", "norm", "relu"),
        *("conv", "norm", "relu", "mean", "linear"),
    ]
    assert (plan[2].op.kernel, plan[2].op.stride, plan[2].op.padded, plan[2].shape.height) == (5, stride, False, left)
    assert [(layer.shape.channels, layer.op.kernel) for layer in plan if layer.op.name == "conv"] == [
        (128, (1, 1)),
        (768, (left, left)),
    ]
    assert plan[-1].op.bias


def test_widths_scale_and_a_classifier_may_have_no_bias():
    writer = PlanWriter(IO(12, 8, 8, 10))
    auxiliary.write(writer, writer.image, 7, scale=0.001, bias=False)
    plan = writer.plan()
    assert [layer.shape.channels for layer in plan if layer.op.name == "conv"] == [1, 1]
    assert (plan[-1].shape, plan[-1].op.bias) == (Vector(7), False)
