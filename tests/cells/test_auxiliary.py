import pytest

from netwright.cells import auxiliary
from netwright.core.records import IO
from netwright.plans.plan import PlanWriter


@pytest.mark.parametrize(("side", "stride", "left"), [(8, 3, 2), (7, 2, 2), (16, 3, 4), (5, 3, 1)])
def test_the_second_convolution_sees_all_that_pooling_leaves(side, stride, left):
    writer = PlanWriter(IO(12, side, side, 10))
    auxiliary.write(writer, writer.image, 10, stride=stride)
    plan = writer.plan()
    assert [layer.op for layer in plan[1:]] == [
        *("relu", "avg_pool", "conv", "norm", "relu"),
        *("conv", "norm", "relu", "mean", "linear"),
    ]
    assert (plan[2].kernel, plan[2].stride, plan[2].padded, plan[2].height) == (5, stride, False, left)
    assert [(layer.channels, layer.window) for layer in plan if layer.op == "conv"] == [
        (128, (1, 1)),
        (768, (left, left)),
    ]
    assert not plan[-1].without_bias


def test_widths_scale_and_a_classifier_may_have_no_bias():
    writer = PlanWriter(IO(12, 8, 8, 10))
    auxiliary.write(writer, writer.image, 7, scale=0.001, bias=False)
    plan = writer.plan()
    assert [layer.channels for layer in plan if layer.op == "conv"] == [1, 1]
    assert (plan[-1].channels, plan[-1].without_bias) == (7, True)
