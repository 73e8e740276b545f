"""Operations of NAO's cells: the large set of 11 and the small set of 5 (Luo et al. 2018), and 10 of a later program.

An operation turns a state into one of the cell's width, with a stride of 1 or 2. ReLU stands before each convolution,
normalization after it; convolutions that are not separable are dense, on the whole width.

The authors published several programs that differ; a `Flavor` names one. "pytorch" is the one with most of the
published numbers: a strided identity is a factorized reduction, a pair of convolutions shares its stride, and poolings
of 2 x 2 and averages of the large set count zeros past the border. In "tensorflow" a strided identity is a 1x1
convolution, the first of a pair takes the stride, and no window sees anything past the border; "tensorflow-ws", the one
with shared weights, differs from "pytorch" here in the borders only.

Departures: where they stride, windows look as far to the left as to the right, while TensorFlow's look further to the
right of an even side; and max poolings of 3 x 3 or 5 x 5 count no zeros past the border in any flavor.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial
from types import MappingProxyType
from typing import Final, Literal

from netwright.cells import nasnet_ops
from netwright.cells.nasnet_ops import CellOperation, factorized_reduction, relu_conv_norm, separable
from netwright.plans.plan import PlanWriter

Flavor = Literal["pytorch", "tensorflow", "tensorflow-ws"]
Kind = Literal["large", "small", "middle"]

# In the order of the published numbers. The lists are forever: genotypes on disk hold positions in them.
SETS: Final[Mapping[Kind, tuple[str, ...]]] = MappingProxyType(
    {
        "large": (
            "identity",
            "conv 1x1",
            "conv 3x3",
            "conv 1x3 3x1",
            "conv 1x7 7x1",
            "max pool 2x2",
            "max pool 3x3",
            "max pool 5x5",
            "avg pool 2x2",
            "avg pool 3x3",
            "avg pool 5x5",
        ),
        "small": ("sep 3x3", "sep 5x5", "avg pool 3x3", "max pool 3x3", "identity"),
        "middle": (
            "zero",
            "identity",
            "sep 3x3",
            "sep 5x5",
            "sep 7x7",
            "dil sep 3x3",
            "dil sep 5x5",
            "dil sep 7x7",
            "avg pool 3x3",
            "max pool 3x3",
        ),
    }
)


@lru_cache
def operations(kind: Kind, flavor: Flavor) -> Mapping[str, CellOperation]:
    """The operations of a set, by name, as one of the programs builds them."""
    sees_zeros = kind == "large" and flavor == "pytorch"
    pair = partial(_pair, is_stride_shared=flavor != "tensorflow")
    average = partial(_pooling, op="avg_pool", zeros=sees_zeros)
    largest = partial(_pooling, op="max_pool")
    known: dict[str, CellOperation] = {
        "identity": nasnet_ops.identity if flavor == "tensorflow" else _identity,
        "conv 1x1": partial(_conv, kernel=1),
        "conv 3x3": partial(_conv, kernel=3),
        "conv 1x3 3x1": partial(pair, kernel=3),
        "conv 1x7 7x1": partial(pair, kernel=7),
        "max pool 2x2": partial(largest, kernel=2, zeros=sees_zeros),
        "max pool 3x3": partial(largest, kernel=3),
        "max pool 5x5": partial(largest, kernel=5),
        "avg pool 2x2": partial(average, kernel=2),
        "avg pool 3x3": partial(average, kernel=3),
        "avg pool 5x5": partial(average, kernel=5),
        "sep 3x3": partial(separable, kernel=3),
        "sep 5x5": partial(separable, kernel=5),
        "sep 7x7": partial(separable, kernel=7),
        "dil sep 3x3": partial(separable, kernel=3, dilation=2, times=1),
        "dil sep 5x5": partial(separable, kernel=5, dilation=2, times=1),
        "dil sep 7x7": partial(separable, kernel=7, dilation=2, times=1),
        "zero": _zero,
    }
    return MappingProxyType({name: known[name] for name in SETS[kind]})


def _identity(plan: PlanWriter, x: int, width: int, stride: int) -> int:
    """The input itself; with a stride, a factorized reduction."""
    if stride == 1 and plan.channels(x) == width:
        return x
    return factorized_reduction(plan, x, width, stride)


def _zero(plan: PlanWriter, x: int, width: int, stride: int) -> int:
    """Zeros of the shape that the other operations give."""
    is_of_shape = stride == 1 and plan.channels(x) == width
    return plan.zero(x if is_of_shape else _pooling(plan, x, width, stride, op="max_pool", kernel=1))


def _conv(plan: PlanWriter, x: int, width: int, stride: int, *, kernel: int) -> int:
    return relu_conv_norm(plan, x, width, kernel, stride)


def _pair(plan: PlanWriter, x: int, width: int, stride: int, *, kernel: int, is_stride_shared: bool) -> int:
    """A row, then a column of weights; each strides along its own direction, or the first along both."""
    first, second = ((1, stride), (stride, 1)) if is_stride_shared else ((stride, stride), (1, 1))
    return relu_conv_norm(plan, relu_conv_norm(plan, x, width, (1, kernel), first), width, (kernel, 1), second)


def _pooling(
    plan: PlanWriter,
    x: int,
    width: int,
    stride: int,
    *,
    op: Literal["avg_pool", "max_pool"],
    kernel: int,
    zeros: bool = False,
) -> int:
    """A pooling, followed by ReLU, a 1x1 convolution and normalization where the width changes."""
    pool = plan.avg_pool if op == "avg_pool" else plan.max_pool
    pooled = pool(x, kernel, stride, zeros=zeros)
    return pooled if plan.channels(x) == width else relu_conv_norm(plan, pooled, width)
