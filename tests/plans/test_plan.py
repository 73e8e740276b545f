import pytest

from netwright.core.records import IO
from netwright.core.shapes import Image
from netwright.plans import counting
from netwright.plans.ops.images import Conv, GroupNorm
from netwright.plans.ops.inputs import Input
from netwright.plans.ops.merges import ScaleChannels
from netwright.plans.ops.pointwise import Gelu, Silu
from netwright.plans.plan import AUXILIARY, Layer, PlanWriter, deployed


@pytest.fixture
def writer():
    return PlanWriter(IO(3, 25, 31, 10))


def test_the_image_is_layer_0(writer):
    assert writer.image == 0
    assert writer.plan() == (Layer("input", Input(Image(3, 25, 31)), (), Image(3, 25, 31)),)


def test_layers_know_their_shape(writer):
    x = writer.conv(writer.image, 8, 3, stride=2)
    pooled = writer.max_pool(writer.relu(writer.norm(x)), 3, stride=2)
    both = writer.concat((pooled, writer.avg_pool(pooled, 3)))
    end = writer.linear(writer.mean(both), 10)
    shapes = [(layer.op.name, *layer.shape) for layer in writer.plan()[1:]]
    assert shapes == [
        ("conv", 8, 13, 16),
        ("norm", 8, 13, 16),
        ("relu", 8, 13, 16),
        ("max_pool", 8, 7, 8),
        ("avg_pool", 8, 7, 8),
        ("concat", 16, 7, 8),
        ("mean", 16),
        ("linear", 10),
    ]
    assert (end, writer.channels(both)) == (8, 16)
    assert writer.plan()[1] == Layer("conv1", Conv(8, (3, 3), (2, 2)), (0,), Image(8, 13, 16))


@pytest.mark.parametrize(("size", "halved"), [(1, 1), (2, 1), (3, 2), (25, 13), (32, 16), (299, 150)])
def test_strides_keep_the_ceiling(size, halved):
    writer = PlanWriter(IO(3, size, size, 10))
    for x in (writer.conv(0, 4, 3, 2), writer.max_pool(0, 3, 2), writer.avg_pool(0, 3, 2), writer.conv(0, 4, 1, 2)):
        assert writer.plan()[x].shape[1:] == (halved, halved)


def test_the_same_function_of_the_same_input_is_one_layer(writer):
    x = writer.conv(0, 4)
    for op in (writer.relu, writer.mean, lambda x: writer.max_pool(x, 3), lambda x: writer.avg_pool(x, 3, 2)):
        assert op(x) == op(x)
    other = writer.conv(0, 4)
    assert writer.concat((x, other)) == writer.concat([x, other])
    assert writer.add((x, other)) == writer.add((x, other))


def test_layers_with_weights_and_other_functions_are_layers_of_their_own(writer):
    x = writer.conv(0, 4)
    mean = writer.mean(x)
    written = [writer.conv(0, 4), writer.norm(x), writer.norm(x), writer.linear(mean, 2), writer.linear(mean, 2)]
    written += [writer.max_pool(x, 3), writer.max_pool(x, 3, 2), writer.max_pool(x, 5), writer.avg_pool(x, 3)]
    written += [writer.avg_pool(x, 3, padded=False), writer.avg_pool(x, 5, 3), writer.avg_pool(x, 5, 3, padded=False)]
    written += [writer.concat((x, x)), writer.concat((x, x, x)), writer.add((x, x))]
    assert len({x, mean, *written}) == len(written) + 2


def test_of_one_input_concatenation_and_sum_are_that_input(writer):
    x = writer.conv(0, 4)
    assert writer.concat([x]) == writer.add([x]) == x


def test_merges_of_learned_numbers_are_layers_of_their_own_and_means_are_not(writer):
    x, other = writer.conv(0, 4, bias=True), writer.conv(0, 4)
    assert [layer.op.bias for layer in writer.plan()[1:]] == [True, False]
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
    assert [layer.name for layer in writer.plan()] == ["input", "cell1.1to2.conv1", "cell1.norm1", "conv1"]
    found = [(layer.scope, layer.inner_scopes, layer.short_name) for layer in writer.plan()[1:]]
    assert found == [("cell1", ("1to2",), "conv1"), ("cell1", (), "norm1"), ("", (), "conv1")]


def test_a_scope_ends_with_an_error(writer):
    with pytest.raises(KeyError), writer.scope("cell"):
        raise KeyError
    writer.conv(0, 1)
    assert writer.plan()[-1].name == "conv1"


def test_a_plan_does_not_change_when_more_is_written(writer):
    before = writer.plan()
    writer.conv(0, 1)
    assert len(before) == 1


def test_windows_that_are_no_squares(writer):
    x = writer.conv(0, 4, (1, 7), (1, 2), dilation=2, bias=True)
    layer = writer.plan()[x]
    assert (layer.op.kernel, layer.op.stride, layer.shape.height, layer.shape.width) == ((1, 7), (1, 2), 25, 16)
    x = writer.conv(0, 4, (3, 3), (2, 2))
    square = writer.plan()[x]
    other = writer.conv(0, 4, 3, 2)
    assert square.op == writer.plan()[other].op == Conv(4, (3, 3), (2, 2)), "however it was asked for"


def test_without_padding_windows_stay_inside(writer):
    sizes = [
        writer.size(writer.conv(0, 4, 3, 2, padded=False)),
        writer.size(writer.conv(0, 4, 3, dilation=4, padded=False)),
        writer.size(writer.avg_pool(0, 5, 3, padded=False)),
        writer.size(writer.conv(0, 4, writer.size(0), padded=False)),
    ]
    assert sizes == [(12, 15), (17, 23), (7, 9), (1, 1)]
    with pytest.raises(ValueError, match=r"conv of 26 x 1 without padding does not fit in 25 x 31"):
        writer.conv(0, 4, (26, 1), padded=False)
    with pytest.raises(ValueError, match=r"a padded convolution has odd sides; got 3 x 2"):
        writer.conv(0, 4, (3, 2))


def test_poolings_that_see_zeros_are_others(writer):
    x = writer.conv(0, 4)
    assert writer.max_pool(x, 2, 2, zeros=True) != writer.max_pool(x, 2, 2)
    assert writer.avg_pool(x, 5, zeros=True) != writer.avg_pool(x, 5)
    assert writer.avg_pool(x, 5, zeros=True) == writer.avg_pool(x, 5, zeros=True)
    assert writer.size(writer.max_pool(x, 2, 2, zeros=True)) == (13, 16)


def test_what_is_drawn_is_drawn_for_each_branch(writer):
    x = writer.conv(0, 4)
    branches = [writer.drop_path(x, 0.5), writer.drop_path(x, 0.5), writer.dropout(x), writer.dropout(x)]
    assert len(set(branches)) == 4
    assert writer.plan()[branches[0]].op.depth == 0.5


def test_nobody_outside_reads_the_auxiliary_head(writer):
    x = writer.conv(0, 4)
    with writer.scope(AUXILIARY):
        own = writer.relu(x)
        assert writer.relu(x) != own, "not even it, which costs nothing where it counts"
    assert writer.relu(x) != own
    with writer.scope(AUXILIARY):
        assert writer.relu(x) not in (own, x), "but it may read what stands outside"


def test_a_deployed_plan_has_nothing_that_only_trains(writer):
    x = writer.norm(writer.conv(0, 4))
    both = writer.add((x, writer.drop_path(writer.max_pool(x, 3), 1.0)))
    with writer.scope(AUXILIARY):
        writer.linear(writer.mean(both), 10)
    writer.linear(writer.dropout(writer.mean(both)), 10)
    plan = deployed(writer.plan())
    assert [layer.op.name for layer in plan] == ["input", "conv", "norm", "max_pool", "add", "mean", "linear"]
    assert [layer.inputs for layer in plan] == [(), (0,), (1,), (2,), (2, 3), (4,), (5,)]
    assert plan[-1].name == writer.plan()[-1].name, "weights keep their names"
    assert deployed(plan) is plan


def test_odd_pixels_are_half_as_many(writer):
    assert writer.size(writer.odd_pixels(0)) == (13, 16)


def test_the_output_of_a_deployed_plan_is_what_the_last_layer_read_where_that_drops(writer):
    logits = writer.linear(writer.mean(0), 10)
    unread = writer.linear(writer.mean(0), 7)
    after = writer.linear(logits, 5)
    writer.dropout(logits)
    plan = deployed(writer.plan())
    names = [writer.plan()[position].name for position in (logits, unread, after)]
    assert plan[-1].name == names[0] and plan[-1].shape == (10,)
    assert names[1] in [layer.name for layer in plan], "it has weights"
    assert names[2] not in [layer.name for layer in plan], "it cannot stand before what it reads"
    assert [layer.inputs for layer in plan] == [(), (0,), (1,), (1,)]
    assert deployed(plan) is plan


def test_operations_of_channels_say_what_they_take(writer):
    image = writer.conv(0, 6)
    with pytest.raises(ValueError, match=r"group_norm of 6 channels cannot have 4 groups"):
        writer.write(GroupNorm(4), image)
    with pytest.raises(ValueError, match=r"group_norm of 6 channels cannot have 0 groups"):
        writer.write(GroupNorm(0), image)
    vector = writer.linear(writer.mean(image), 5)
    with pytest.raises(ValueError, match=r"takes a vector of 6 numbers, one for each channel, not"):
        writer.write(ScaleChannels(), image, vector)
    scaled = writer.write(ScaleChannels(), writer.write(GroupNorm(3), image), writer.linear(vector, 6))
    assert (
        writer.shape(writer.write(Silu(), scaled)) == writer.shape(writer.write(Gelu(), scaled)) == writer.shape(image)
    )
    assert counting.count(writer.plan()).params == 6 * writer.channels(0) + (6 + 1) * 5 + 2 * 6 + (5 + 1) * 6
