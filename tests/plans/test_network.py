import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from netwright.core import seeds
from netwright.core.records import IO
from netwright.plans import network
from netwright.plans.ops.modules import global_mean
from netwright.plans.plan import PlanWriter

IMAGES = IO(3, 9, 7, 4)


def _rng(n=0):
    return seeds.rng_for(5, seeds.BUILD, n)


def _images(batch=4, io=IMAGES, seed=0):
    return torch.randn(batch, io.channels, io.height, io.width, generator=torch.Generator().manual_seed(seed))


def _cell_by_hand(net, x, is_training):
    """The cell of `_cell`, written out, nothing in place and everything kept."""
    modules = dict(net.named_children())

    def conv(name, x):
        module = modules[name]
        return F.conv2d(x, module.weight, None, module.stride, module.padding, 1, module.groups)

    def norm(name, x):
        module = modules[name]
        if is_training:
            mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
        else:
            mean, variance = module.running_mean, module.running_var
        shape = (1, -1, 1, 1)
        normal = (x - mean.view(shape)) / (variance.view(shape) + module.eps).sqrt()
        return normal * module.weight.view(shape) + module.bias.view(shape)

    a = norm("norm1", conv("conv1", x))
    b = a.clamp(min=0)
    ones = F.avg_pool2d(F.pad(torch.ones_like(a), (1,) * 4), 3, 1)
    pooled = F.avg_pool2d(F.pad(a, (1,) * 4), 3, 1) / ones
    highest = F.max_pool2d(F.pad(b, (1,) * 4, value=-torch.inf), 3, 1)
    c = conv("conv2", b).clamp(min=0)
    joined = torch.cat((pooled, highest, a + b, c), 1)
    means = joined.sum((2, 3)) / (joined.shape[2] * joined.shape[3])
    return means @ modules["linear1"].weight.T + modules["linear1"].bias


def _cell():
    """`a` is read by a ReLU, a pooling and a sum, so that its ReLU must not overwrite it; `c`'s may."""
    writer = PlanWriter(IMAGES)
    a = writer.norm(writer.conv(0, 6, 3, stride=2))
    b = writer.relu(a)
    pooled, highest = writer.avg_pool(a, 3), writer.max_pool(b, 3)
    c = writer.relu(writer.conv(b, 4, 3, groups=2))
    writer.linear(writer.mean(writer.concat((pooled, highest, writer.add((a, b)), c))), 4)
    return writer.plan()


@pytest.mark.parametrize("is_training", [True, False])
def test_a_network_is_its_plan_read_step_by_step(is_training):
    net = network.build(_cell(), _rng())
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):  # anything but the neutral start
            generator = torch.Generator().manual_seed(1)
            for values in (module.weight.data, module.bias.data, module.running_mean):
                values.normal_(generator=generator)
            module.running_var.uniform_(0.5, 2.0, generator=generator)
    net.train(is_training)
    twin = copy.deepcopy(net)
    images = _images()
    expected = _cell_by_hand(twin, images.clone(), is_training)
    outputs = net(images)
    torch.testing.assert_close(outputs, expected, rtol=1e-4, atol=1e-5)
    outputs.square().sum().backward()
    expected.square().sum().backward()
    for (name, ours), (_, theirs) in zip(net.named_parameters(), twin.named_parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=1e-4, msg=name)


def test_the_image_is_never_overwritten():
    writer = PlanWriter(IMAGES)
    writer.linear(writer.mean(writer.relu(0)), 4)
    images = _images()
    before = images.clone()
    network.build(writer.plan(), _rng())(images)
    assert torch.equal(images, before)


def test_relu_works_in_place_only_where_nobody_else_reads():
    writer = PlanWriter(IMAGES)
    alone, shared = writer.conv(0, 2), writer.conv(0, 2)
    relus = [writer.relu(alone), writer.relu(shared), writer.relu(0)]
    writer.linear(writer.mean(writer.concat((*relus, shared))), 4)
    net = network.Network(writer.plan())
    assert [net._steps[position - 1].run is F.relu_ for position in relus] == [True, False, False]


def test_a_relu_of_a_relu_has_a_gradient():
    writer = PlanWriter(IMAGES)
    writer.linear(writer.mean(writer.relu(writer.relu(writer.conv(0, 2)))), 4)
    network.build(writer.plan(), _rng())(_images()).sum().backward()


def test_the_same_input_twice_counts_as_two_readers():
    writer = PlanWriter(IMAGES)
    x = writer.conv(0, 2)
    both = writer.concat((x, x, writer.relu(x)))
    writer.linear(writer.mean(both), 4)
    net = network.build(writer.plan(), _rng())
    conv = next(iter(net.children()))
    x = F.conv2d(_images(), conv.weight)
    linear = list(net.children())[1]
    torch.testing.assert_close(net(_images()), linear(torch.cat((x, x, F.relu(x)), 1).mean((2, 3))))


def test_values_are_dropped_after_their_last_reader():
    net = network.Network(_cell())
    dropped = [source for step in net._steps for source in step.done]
    assert sorted(dropped) == list(range(len(net._steps)))


def test_initial_weights_have_the_stated_variance():
    writer = PlanWriter(IO(16, 8, 8, 100))
    x = writer.conv(0, 128, 3)
    x = writer.conv(x, 128, 3, groups=128)  # fan-in 9
    x = writer.norm(x)
    writer.linear(writer.mean(writer.conv(x, 400)), 100)
    net = network.build(writer.plan(), _rng())
    dense, grouped, pointwise = (m for m in net.modules() if isinstance(m, nn.Conv2d))
    [linear] = (m for m in net.modules() if isinstance(m, nn.Linear))
    for weight, variance in (
        (dense.weight, 2 / 144),
        (grouped.weight, 2 / 9),
        (pointwise.weight, 2 / 128),
        (linear.weight, 1 / 400),
    ):
        assert weight.var().item() == pytest.approx(variance, rel=5 * (2 / weight.numel()) ** 0.5)
        assert abs(weight.mean().item()) < 5 * (variance / weight.numel()) ** 0.5
    assert not linear.bias.any()
    [norm] = (m for m in net.modules() if isinstance(m, nn.BatchNorm2d))
    assert (norm.weight == 1).all()
    assert not norm.bias.any()


def test_initialization_depends_on_its_generator_alone():
    state = torch.random.get_rng_state()
    one, same, other = (network.build(_cell(), _rng(n)) for n in (0, 0, 1))
    assert torch.equal(state, torch.random.get_rng_state())
    torch.rand(3)
    later = network.build(_cell(), _rng(0))
    torch.random.set_rng_state(state)
    for a, b, c in zip(one.parameters(), same.parameters(), later.parameters(), strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a, c)
    assert not torch.equal(next(one.parameters()), next(other.parameters()))


def test_a_batch_of_one_and_channels_last_work():
    net = network.build(_cell(), _rng()).eval()
    expected = net(_images(1))
    net = net.to(memory_format=torch.channels_last)
    ours = net(_images(1).contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)


def test_parameters_are_named_after_their_layers():
    names = [name for name, _ in network.Network(_cell()).named_children()]
    assert names == ["conv1", "norm1", "conv2", "linear1"]


def test_layers_of_a_scope_are_named_within_it():
    writer = PlanWriter(IMAGES)
    with writer.scope("cell1"), writer.scope("1to2"):
        x = writer.norm(writer.conv(0, 2))
    writer.linear(writer.mean(x), 4)
    names = [name for name, _ in network.Network(writer.plan()).named_parameters()]
    norm = ["cell1.at_1to2_norm1.weight", "cell1.at_1to2_norm1.bias"]
    assert names == ["cell1.at_1to2_conv1.weight", *norm, "linear1.weight", "linear1.bias"]


def test_the_global_mean_keeps_the_layout_in_its_gradient():
    generator = torch.Generator().manual_seed(0)
    for layout in (torch.channels_last, torch.contiguous_format):
        x = torch.randn(2, 3, 4, 5, generator=generator).contiguous(memory_format=layout).requires_grad_()
        found = global_mean(x)
        assert torch.equal(found, x.mean((2, 3)))
        [gradient] = torch.autograd.grad(found.square().sum(), x)
        assert gradient.is_contiguous(memory_format=layout)
        torch.testing.assert_close(gradient, (2 * found / 20)[..., None, None].expand_as(x))


def _alone(write, io=IMAGES):
    """The module of one layer, and what goes in."""
    writer = PlanWriter(io)
    write(writer)
    return network.build(writer.plan(), _rng()), _images(2, io)


def _windows(images, kernel, stride, reduce):
    """Windows of 2 x 2 and more that look right and down, cut off at the border."""
    height, width = images.shape[2:]
    rows = [
        torch.stack([reduce(images[:, :, i : i + kernel, j : j + kernel]) for j in range(0, width, stride)], -1)
        for i in range(0, height, stride)
    ]
    return torch.stack(rows, -2)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(9, 7), (8, 6)])
@pytest.mark.parametrize(
    ("name", "reduce"),
    [
        ("max_pool", lambda x: x.amax((2, 3))),
        ("min_pool", lambda x: x.amin((2, 3))),
        ("avg_pool", lambda x: x.mean((2, 3))),
    ],
)
def test_small_windows_by_hand(name, reduce, size, stride):
    net, images = _alone(lambda writer: getattr(writer, name)(0, 2, stride), IO(3, *size, 4))
    torch.testing.assert_close(net(images), _windows(images, 2, stride, reduce))


def test_the_least_of_a_window_by_hand():
    net, images = _alone(lambda writer: writer.min_pool(0, 3, 2))
    padded = F.pad(images, (1, 1, 1, 1), value=torch.inf)
    expected = _windows(padded, 3, 2, lambda x: x.amin((2, 3)))[:, :, :5, :4]
    torch.testing.assert_close(net(images), expected)


def test_odd_pixels_by_hand():
    net, images = _alone(lambda writer: writer.odd_pixels(0))
    expected = torch.zeros(2, 3, 5, 4)
    expected[:, :, :4, :3] = images[:, :, 1::2, 1::2]
    assert torch.equal(net(images), expected)


def test_a_relu_of_odd_pixels_leaves_their_source_alone():
    """Of even sides they are a view of it."""

    def write(writer):
        x = writer.conv(0, 3)
        writer.linear(writer.mean(writer.concat((writer.relu(writer.odd_pixels(x)), writer.halve(x)))), 2)

    net, images = _alone(write, IO(3, 4, 4, 2))
    conv, linear = net.get_submodule("conv1"), net.get_submodule("linear1")
    x = conv(images)
    both = torch.cat((x[:, :, 1::2, 1::2].relu(), F.avg_pool2d(x, 2)), 1)
    torch.testing.assert_close(net(images), linear(both.mean((2, 3))))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"kernel": (1, 5), "stride": (1, 2)}, {"stride": (1, 2), "padding": (0, 2)}),
        ({"kernel": (5, 1), "stride": (2, 1)}, {"stride": (2, 1), "padding": (2, 0)}),
        ({"kernel": 3, "dilation": 4}, {"dilation": 4, "padding": 4}),
        ({"kernel": 3, "stride": 2, "dilation": 2}, {"stride": 2, "dilation": 2, "padding": 2}),
        ({"kernel": (4, 3), "padded": False}, {}),
    ],
)
def test_convolutions_of_every_window(options, expected):
    writer = PlanWriter(IMAGES)
    writer.conv(0, 4, **options, bias=True)
    net = network.build(writer.plan(), _rng())
    conv = net.get_submodule("conv1")
    conv.bias.data.fill_(0.5)
    outputs = net(_images())
    torch.testing.assert_close(outputs, F.conv2d(_images(), conv.weight, conv.bias, **expected))
    assert outputs.shape[1:] == (4, *writer.size(1))


def test_pooling_without_padding():
    net, images = _alone(lambda writer: writer.avg_pool(0, 5, 3, padded=False))
    torch.testing.assert_close(net(images), F.avg_pool2d(images, 5, 3))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(9, 7), (8, 6)])
@pytest.mark.parametrize(("kernel", "borders"), [(2, (0, 1, 0, 1)), (3, (1,) * 4), (5, (2,) * 4)])
@pytest.mark.parametrize(("name", "pool"), [("max_pool", F.max_pool2d), ("avg_pool", F.avg_pool2d)])
def test_poolings_that_see_zeros_past_the_border(name, pool, kernel, borders, size, stride):
    io = IO(3, *size, 4)
    net, images = _alone(lambda writer: getattr(writer, name)(0, kernel, stride, zeros=True), io)
    images -= 5  # so that zeros are the largest
    expected = pool(F.pad(images, borders), kernel, stride)
    torch.testing.assert_close(net(images), expected)
    assert expected.shape[2:] == (-(-size[0] // stride), -(-size[1] // stride))


def test_a_linear_layer_without_bias():
    writer = PlanWriter(IMAGES)
    writer.linear(writer.mean(0), 4, bias=False)
    net = network.build(writer.plan(), _rng())
    assert [name for name, _ in net.named_parameters()] == ["linear1.weight"]
