"""Operations of NASNet cells, as the code that was published with the AmoebaNets builds them (Real et al. 2019).

An operation turns a state of any width into one of the cell's width, with a stride of 1 or 2. ReLU stands before each
convolution, normalization after it. Convolutions of more than one pixel that are not separable work on a quarter of the
width, between two 1x1 convolutions.

Departures: where they stride, windows look as far to the left as to the right, while the papers' framework looks
further to the right of an even side; and dilated separable convolutions are dilated, which the published code forgot.
Neither changes the number of parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final, Literal, Protocol

from netwright.plans.ops.images import Pair
from netwright.plans.plan import PlanWriter, Window


class CellOperation(Protocol):
    """Writes an operation: (plan, input, channels of the output, stride) -> output."""

    def __call__(self, plan: PlanWriter, x: int, width: int, stride: int, /) -> int:
        """Write the operation; returns its output."""


def relu_conv_norm(
    plan: PlanWriter,
    x: int,
    width: int,
    kernel: Window = 1,
    stride: Window = 1,
    dilation: int = 1,
) -> int:
    """Write ReLU, convolution, normalization, in this order; returns the output."""
    return plan.norm(plan.conv(plan.relu(x), width, kernel, stride, dilation=dilation))


def identity(plan: PlanWriter, x: int, width: int, stride: int) -> int:
    """The input itself; where width or resolution changes, a 1x1 convolution."""
    if stride == 1 and plan.channels(x) == width:
        return x
    return relu_conv_norm(plan, x, width, 1, stride)


def factorized_reduction(plan: PlanWriter, x: int, width: int, stride: int) -> int:
    """Half the resolution by two 1x1 convolutions, of the even and of the odd pixels; then normalization. No ReLU.

    Each gives half the channels. For an odd width, the second gives one more, as the counts of the published ImageNet
    models require. With a stride of 1 it is a single 1x1 convolution.
    """
    if stride == 1:
        return plan.norm(plan.conv(x, width))
    with plan.scope("odd"):
        odd = plan.conv(plan.odd_pixels(x), width - width // 2)
    if width == 1:
        return plan.norm(odd)
    with plan.scope("even"):
        even = plan.conv(x, width // 2, 1, stride)
    return plan.norm(plan.concat((even, odd)))


def separable(
    plan: PlanWriter, x: int, width: int, stride: int, *, kernel: int, dilation: int = 1, times: Literal[1, 2] = 2
) -> int:
    """Write ReLU, depthwise, pointwise, normalization, with the stride the first time; returns the output."""
    for each in (stride, 1)[:times]:
        entering = plan.relu(x)
        channels = plan.channels(x)
        depthwise = plan.conv(entering, channels, kernel, each, groups=channels, dilation=dilation)
        x = plan.norm(plan.conv(depthwise, width))
    return x


def _bottleneck(
    plan: PlanWriter,
    x: int,
    width: int,
    stride: int,
    *,
    kernels: tuple[Pair, ...],
    eighths: int = 2,
    dilation: int = 1,
) -> int:
    """Convolutions on some eighths of the width between 1x1 convolutions, which are left out where that is 0.

    Each strides along the sides of its window that are longer than a pixel: 1x7 halves the width and 7x1 the height,
    which is what the published code says and what gives the mobile AmoebaNet-A its printed 555 M multiply-adds.
    """
    inner = width * eighths // 8
    x = relu_conv_norm(plan, x, inner) if inner else x
    for down, across in kernels:
        steps = (stride if down > 1 else 1, stride if across > 1 else 1)
        x = relu_conv_norm(plan, x, inner or width, (down, across), steps, dilation)
    return relu_conv_norm(plan, x, width) if inner else x


def _pooling(plan: PlanWriter, x: int, width: int, stride: int, *, kind: str, kernel: int) -> int:
    """A pooling, followed by a 1x1 convolution and normalization where the width changes."""
    pools: Mapping[str, Callable[[int, int, int], int]] = {
        "avg": plan.avg_pool,
        "max": plan.max_pool,
        "min": plan.min_pool,
    }
    pooled = pools[kind](x, kernel, stride)
    return pooled if plan.channels(x) == width else plan.norm(plan.conv(pooled, width))


OPERATIONS: Final[Mapping[str, CellOperation]] = MappingProxyType(
    {
        "identity": identity,
        "sep 3x3": partial(separable, kernel=3),
        "sep 5x5": partial(separable, kernel=5),
        "sep 7x7": partial(separable, kernel=7),
        "avg pool 3x3": partial(_pooling, kind="avg", kernel=3),
        "max pool 3x3": partial(_pooling, kind="max", kernel=3),
        "dil sep 3x3": partial(separable, kernel=3, dilation=2),
        "conv 1x7 7x1": partial(_bottleneck, kernels=((1, 7), (7, 1))),
        "conv 1x1": lambda plan, x, width, stride: relu_conv_norm(plan, x, width, 1, stride),
        "conv 3x3": partial(_bottleneck, kernels=((3, 3),)),
        "conv 1x3 3x1": partial(_bottleneck, kernels=((1, 3), (3, 1)), eighths=3),
        "dil 2 conv 3x3": partial(_bottleneck, kernels=((3, 3),), dilation=2),
        "dil 4 conv 3x3": partial(_bottleneck, kernels=((3, 3),), dilation=4),
        "dil 6 conv 3x3": partial(_bottleneck, kernels=((3, 3),), dilation=6),
        "dil sep 5x5": partial(separable, kernel=5, dilation=2),
        "avg pool 2x2": partial(_pooling, kind="avg", kernel=2),
        "max pool 2x2": partial(_pooling, kind="max", kernel=2),
        "min pool 2x2": partial(_pooling, kind="min", kernel=2),
        "max pool 5x5": partial(_pooling, kind="max", kernel=5),
        "max pool 7x7": partial(_pooling, kind="max", kernel=7),
    }
)

# Real et al. 2019, section "Search space": SP-I. The lists are forever: genotypes on disk hold positions in them.
SP1: Final = tuple(OPERATIONS)[:8]
# A guess at Real et al.'s SP-II, of which they say "more possible operations": 19 is a count of uncertain source, and
# these are what the published code can build
SP2: Final = tuple(OPERATIONS)[:19]
# Zoph et al. 2018, section 3
NASNET: Final = (
    "identity",
    "conv 1x3 3x1",
    "conv 1x7 7x1",
    "dil sep 3x3",
    "avg pool 3x3",
    "max pool 3x3",
    "max pool 5x5",
    "max pool 7x7",
    "conv 1x1",
    "conv 3x3",
    "sep 3x3",
    "sep 5x5",
    "sep 7x7",
)
