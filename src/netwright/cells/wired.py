"""What randomly wired networks share: stems, merges, operations, heads, and the width that a limit allows.

Widths are multiples of a base width m, the largest that a limit on parameters allows (NAGO's released code).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal

from netwright.core.records import IO
from netwright.plans.plan import PlanWriter

Merge = Literal["sum", "concat", "attention"]
Rule = Literal["weights_only", "strict"]

SMALL: Final = 40  # pixels; smaller images keep their resolution up to the first graph
FEATURES: Final = 1280  # channels before the linear layer


def is_small(io: IO) -> bool:
    """Whether images are too small for a stem that reduces them to a quarter."""
    return min(io.height, io.width) < SMALL


def small_stem(plan: PlanWriter, width: int, bias: bool) -> int:
    """Two 3x3 convolutions with a ReLU between: resolution kept, `width` channels."""
    x = plan.relu(plan.norm(plan.conv(plan.image, width, 3, bias=bias)))
    return plan.norm(plan.conv(x, width, 3, bias=bias))


def separable(plan: PlanWriter, x: int, width: int, stride: int = 1, *, bias: bool) -> int:
    """A 3x3 depthwise and a pointwise convolution, then normalization."""
    depthwise = plan.conv(x, plan.channels(x), 3, stride, groups=plan.channels(x), bias=bias)
    return plan.norm(plan.conv(depthwise, width, bias=bias))


def head(plan: PlanWriter, x: int, outputs: int, bias: bool) -> int:
    """ReLU, 1x1 convolution to 1,280 channels, normalization, ReLU, global mean, dropout, linear layer.

    Both papers drop 0.2 of the features; here the share is an option of the training, by default 0.
    """
    with plan.scope("head"):
        x = plan.relu(plan.norm(plan.conv(plan.relu(x), FEATURES, bias=bias)))
    return plan.linear(plan.dropout(plan.mean(x)), outputs)


def merge(plan: PlanWriter, inputs: Mapping[str, int], kind: Merge, bias: bool) -> int:
    """Merge several inputs of equal resolution into one; a single input stays as it is, without a weight.

    "sum": each input is multiplied by the logistic of a learned number and added; an input of another width than the
    last has a 1x1 convolution instead of a number. "concat": inputs are joined along channels. "attention": the sum of
    all but the first is gated by the first.

    The learned numbers are named after the node alone, not after what it reads, of which there may be 99: nodes of one
    place that add equally many inputs share them, the first with the first and so on.

    Args:
        plan: The plan to write into.
        inputs: Layers by the names of the nodes that they come from.
        kind: How the inputs are merged.
        bias: Whether convolutions have a bias.
    """
    nodes = list(inputs.values())
    if len(nodes) == 1:
        return nodes[0]
    if kind == "concat":
        return plan.concat(nodes)
    width = plan.channels(nodes[-1])
    if kind == "attention":
        first, *others = inputs
        mask = fit(plan, first, inputs[first], width, bias)
        return plan.gate(merge(plan, {name: inputs[name] for name in others}, "sum", bias), mask)
    alike = plan.weighted_sum([x for x in nodes if plan.channels(x) == width])
    unlike = {name: x for name, x in inputs.items() if plan.channels(x) != width}
    return plan.add([alike, *(fit(plan, name, x, width, bias) for name, x in unlike.items())])


def fit(plan: PlanWriter, name: str, x: int, width: int, bias: bool) -> int:
    """The output of a node, through a 1x1 convolution unless it has this width."""
    with plan.scope(f"from_{name}"):
        return x if plan.channels(x) == width else plan.conv(x, width, bias=bias)


def shrink(plan: PlanWriter, x: int, times: int) -> int:
    """Halve the resolution `times` times, by means of 2 x 2 pixels."""
    for _ in range(times):
        x = plan.halve(x)
    return x


def largest_width(size: Callable[[int], int], limit: int, most: int) -> int:
    """The largest base width m from 1 to `most` with size(m) <= limit; 0 when there is none. `size` grows with m."""
    low, high = 0, most + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if size(middle) <= limit else (low, middle)
    return low
