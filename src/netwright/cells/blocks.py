"""Compound operations that several spaces and skeletons write into a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from netwright.plans.plan import PlanWriter

# (plan, input, channels of the cell) -> output
CellOp = Callable[[PlanWriter, int, int], int]


def conv_norm_relu(plan: PlanWriter, x: int, channels: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> int:
    """Convolution, batch normalization, ReLU, in this order."""
    return plan.relu(plan.norm(plan.conv(x, channels, kernel, stride, groups)))


def separable(plan: PlanWriter, x: int, channels: int, stride: int = 1) -> int:
    """A 3x3 depthwise, then a pointwise convolution, with one normalization and ReLU at the end.

    Source: Liu et al. 2018, section 4.1; that nothing stands between the two convolutions is a choice.
    """
    depthwise = plan.conv(x, plan.channels(x), 3, stride, groups=plan.channels(x))
    return conv_norm_relu(plan, depthwise, channels)


def depthwise(plan: PlanWriter, x: int, channels: int) -> int:  # noqa: ARG001 - keeps its input's channels
    """3x3 depthwise convolution, normalization, ReLU; as many channels as the input."""
    return conv_norm_relu(plan, x, plan.channels(x), 3, groups=plan.channels(x))


# Liu et al. 2018, section 4.1, in the paper's order: values 1 to 6 of a level-2 gene
HIERARCHICAL: Mapping[str, CellOp] = MappingProxyType(
    {
        "conv 1x1": conv_norm_relu,
        "depthwise 3x3": depthwise,
        "separable 3x3": separable,
        "max pool 3x3": lambda plan, x, _: plan.max_pool(x, 3),
        "avg pool 3x3": lambda plan, x, _: plan.avg_pool(x, 3),
        "identity": lambda _plan, x, _: x,
    }
)
