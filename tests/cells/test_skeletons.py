import numpy as np
import pytest
import torch

from netwright.cells import skeletons
from netwright.cells.blocks import HIERARCHICAL
from netwright.core.records import IO
from netwright.plans import counting, network


def _plan(skeleton, io, channels=None, repeats=None, cell="identity"):
    return skeletons.plan(skeleton, HIERARCHICAL[cell], io, channels, repeats)


def _ends(plan):
    """Channels and height of the stem's and of every cell's separable convolution's output."""
    relus = [layer for layer in plan if layer.op.name == "relu"]
    return [(layer.shape.channels, layer.shape.height) for layer in relus]


def test_cifar_by_hand():
    """Identity cells: stem, then pointwise to the next width; the last cell keeps width and size."""
    plan = _plan("cifar", IO(3, 32, 32, 10), channels=4)
    assert _ends(plan) == [(4, 32), (8, 16), (16, 8), (16, 8)]
    stem, after = 27 * 4 + 8, [(4, 8), (8, 16), (16, 16)]
    separable = sum(9 * i + i * o + 2 * o for i, o in after)
    assert counting.count(plan).params == stem + separable + 16 * 10 + 10


def test_cifar_repeats_widen_only_between_groups():
    plan = _plan("cifar", IO(3, 32, 32, 10), channels=4, repeats=2)
    assert _ends(plan) == [(4, 32), (4, 32), (8, 16), (8, 16), (16, 8), (16, 8), (16, 8)]


def test_imagenet_by_hand():
    """299 halves to 150, 75, 38, 19, 10: borders are kept, as ceil(size / 2)."""
    plan = _plan("imagenet", IO(3, 299, 299, 1000), channels=4)
    sizes = [(2, 150), (4, 75), (8, 38), (8, 38), (16, 19), (16, 19), (32, 10), (32, 10), (32, 10)]
    assert _ends(plan) == sizes


@pytest.mark.parametrize(("skeleton", "channels", "cells"), [("cifar", 16, 3), ("imagenet", 64, 7)])
def test_defaults(skeleton, channels, cells):
    plan = _plan(skeleton, IO(3, 64, 64, 10))
    default, repeats = skeletons.DEFAULTS[skeleton]
    assert plan == _plan(skeleton, IO(3, 64, 64, 10), default, repeats)
    assert _ends(plan)[0 if skeleton == "cifar" else 1][0] == channels
    assert len({layer.scope for layer in plan if layer.scope.startswith("after")}) == cells


@pytest.mark.parametrize("skeleton", ["cifar", "imagenet"])
@pytest.mark.parametrize("size", [(25, 31), (1, 1), (7, 64)])
def test_odd_and_tiny_images_have_the_planned_shapes(skeleton, size):
    io = IO(2, *size, 5)
    plan = _plan(skeleton, io, channels=4, cell="avg pool 3x3")
    built = network.build(plan, np.random.default_rng(0)).eval()
    shapes = []
    for module in built.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(lambda _m, _i, out: shapes.append(tuple(out.shape[1:])))
    assert built(torch.zeros(3, 2, *size)).shape == (3, 5)
    assert shapes == [layer.shape for layer in plan if layer.op.name == "conv"]


def test_a_wider_cell_is_brought_back_to_width():
    def doubling(plan, x, width):
        return plan.concat((x, plan.max_pool(x, 3)))

    plan = skeletons.plan("cifar", doubling, IO(3, 8, 8, 10), 4, 1)
    assert _ends(plan) == [(4, 8), (8, 4), (16, 2), (16, 2)]


def test_the_narrowest_imagenet_network_can_be_built():
    plan = _plan("imagenet", IO(3, 32, 32, 10), channels=1)
    assert min(layer.shape[0] for layer in plan) >= 1
    network.build(plan, np.random.default_rng(0))
