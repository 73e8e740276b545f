import pytest

from netwright.core.records import IO
from netwright.layers.plan import Layer, PlanWriter


@pytest.fixture
def writer():
    return PlanWriter(IO(3, 25, 31, 10))


def test_the_image_is_layer_0(writer):
    assert writer.image == 0
    assert writer.plan() == (Layer("input", "input", (), 3, 25, 31),)


def test_layers_know_their_shape(writer):
    x = writer.conv(writer.image, 8, 3, stride=2)
    pooled = writer.max_pool(writer.relu(writer.norm(x)), 3, stride=2)
    both = writer.concat((pooled, writer.avg_pool(pooled, 3)))
    end = writer.linear(writer.mean(both), 10)
    shapes = [(layer.op, layer.channels, layer.height, layer.width) for layer in writer.plan()[1:]]
    assert shapes == [
        ("conv", 8, 13, 16),
        ("norm", 8, 13, 16),
        ("relu", 8, 13, 16),
        ("max_pool", 8, 7, 8),
        ("avg_pool", 8, 7, 8),
        ("concat", 16, 7, 8),
        ("mean", 16, 1, 1),
        ("linear", 10, 1, 1),
    ]
    assert (end, writer.channels(both)) == (8, 16)
    assert writer.plan()[1] == Layer("conv", "conv_1", (0,), 8, 13, 16, kernel=3, stride=2)


@pytest.mark.parametrize(("size", "halved"), [(1, 1), (2, 1), (3, 2), (25, 13), (32, 16), (299, 150)])
def test_strides_keep_the_ceiling(size, halved):
    writer = PlanWriter(IO(3, size, size, 10))
    for x in (writer.conv(0, 4, 3, 2), writer.max_pool(0, 3, 2), writer.avg_pool(0, 3, 2), writer.conv(0, 4, 1, 2)):
        assert (writer.plan()[x].height, writer.plan()[x].width) == (halved, halved)


def test_the_same_function_of_the_same_input_is_one_layer(writer):
    x = writer.conv(0, 4)
    for op in (writer.relu, writer.mean, lambda x: writer.max_pool(x, 3), lambda x: writer.avg_pool(x, 3, 2)):
        assert op(x) == op(x)
    other = writer.conv(0, 4)
    assert writer.concat((x, other)) == writer.concat([x, other])
    assert writer.add((x, other)) == writer.add((x, other))


def test_layers_with_weights_and_other_functions_are_layers_of_their_own(writer):
    x = writer.conv(0, 4)
    written = [writer.conv(0, 4), writer.norm(x), writer.norm(x), writer.linear(x, 2), writer.linear(x, 2)]
    written += [writer.max_pool(x, 3), writer.max_pool(x, 3, 2), writer.max_pool(x, 5), writer.avg_pool(x, 3)]
    written += [writer.concat((x, x)), writer.concat((x, x, x)), writer.add((x, x))]
    assert len({x, *written}) == len(written) + 1


def test_of_one_input_concatenation_and_sum_are_that_input(writer):
    x = writer.conv(0, 4)
    assert writer.concat([x]) == writer.add([x]) == x


def test_merges_of_learned_numbers_are_layers_of_their_own_and_means_are_not(writer):
    x, other = writer.conv(0, 4, bias=True), writer.conv(0, 4)
    assert [layer.bias for layer in writer.plan()[1:]] == [True, False]
    assert writer.average([x]) == x
    assert writer.average([x, other]) == writer.average((x, other))
    assert writer.weighted_sum([x]) != x  # one input has a number too
    assert writer.weighted_sum([x, other]) != writer.weighted_sum([x, other])
    assert writer.gate(x, other) != writer.gate(x, other)


def test_names_are_unique_and_say_where_a_layer_stands(writer):
    with writer.scope("cell1"):
        with writer.scope("1to2"):
            x = writer.conv(0, 4)
        writer.norm(x)
    writer.conv(0, 4)
    assert [layer.name for layer in writer.plan()] == ["input", "cell1.1to2.conv_1", "cell1.norm_2", "conv_1"]
    found = [(layer.scope, layer.inner_scopes, layer.short_name) for layer in writer.plan()[1:]]
    assert found == [("cell1", ("1to2",), "conv_1"), ("cell1", (), "norm_2"), ("", (), "conv_1")]


def test_a_scope_ends_with_an_error(writer):
    with pytest.raises(KeyError), writer.scope("cell"):
        raise KeyError
    writer.conv(0, 1)
    assert writer.plan()[-1].name == "conv_1"


def test_a_plan_does_not_change_when_more_is_written(writer):
    before = writer.plan()
    writer.conv(0, 1)
    assert len(before) == 1
