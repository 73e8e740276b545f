import pytest

from netwright.cells import wired
from netwright.core.records import IO
from netwright.plans import counting
from netwright.plans.plan import PlanWriter


@pytest.fixture
def writer():
    return PlanWriter(IO(3, 8, 8, 10))


def ops(writer):
    return [layer.op.name for layer in writer.plan()[1:]]


@pytest.mark.parametrize("kind", ["sum", "concat", "attention"])
def test_of_one_input_nothing_is_made(writer, kind):
    assert wired.merge(writer, {"stem": writer.image}, kind, bias=True) == writer.image
    assert ops(writer) == []


def test_inputs_of_another_width_than_the_last_have_a_convolution_instead_of_a_number(writer):
    narrow, wide, last = (writer.conv(0, width) for width in (2, 4, 4))
    merged = wired.merge(writer, {"node1": narrow, "node2": wide, "node3": last}, "sum", bias=True)
    layers = {layer.op.name: layer for layer in writer.plan()[4:]}
    assert ops(writer)[3:] == ["weighted_sum", "conv", "add"]
    assert layers["weighted_sum"].inputs == (wide, last)
    assert layers["conv"].name == "from_node1.conv1"
    assert layers["conv"].inputs == (narrow,) and layers["conv"].op.bias
    assert writer.channels(merged) == 4
    assert counting.count(writer.plan()).params == 3 * (2 + 4 + 4) + 2 + (2 * 4 + 4)


def test_attention_gates_the_others_by_the_first(writer):
    first, second, third = (writer.conv(0, width) for width in (2, 4, 4))
    wired.merge(writer, {"node1": first, "node2": second, "node3": third}, "attention", bias=False)
    assert ops(writer)[3:] == ["conv", "weighted_sum", "gate"]
    assert writer.plan()[-1].inputs == (5, 4)


def test_concatenation_is_as_wide_as_all(writer):
    merged = wired.merge(writer, {"node1": writer.conv(0, 2), "node2": writer.conv(0, 5)}, "concat", bias=False)
    assert writer.channels(merged) == 7


@pytest.mark.parametrize("limit", [0, 1, 8, 9, 99, 100, 101])
def test_the_width_is_the_largest_that_fits(limit):
    width = wired.largest_width(lambda m: m * m, limit, most=50)
    assert width**2 <= limit < (width + 1) ** 2


def test_the_head_has_a_place_for_dropout_before_its_linear_layer(writer):
    wired.head(writer, writer.image, 10, bias=False)
    assert ops(writer) == ["relu", "conv", "norm", "relu", "mean", "dropout", "linear"]


def test_no_width_beyond_the_most():
    assert wired.largest_width(lambda m: m, 1000, most=7) == 7


def test_numbers_of_a_sum_are_named_after_its_place_and_not_after_what_it_reads():
    def named(first, second):
        writer = PlanWriter(IO(3, 8, 8, 10))
        nodes = {f"node{n}": writer.conv(0, 4) for n in range(1, 4)}
        with writer.scope("node4"):
            wired.merge(writer, {name: nodes[name] for name in (first, second)}, "sum", bias=False)
        return writer.plan()[-1].name

    assert named("node1", "node3") == named("node2", "node3") == "node4.weighted_sum1"
