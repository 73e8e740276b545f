"""The second classifier of NASNet-like networks, which reads a cell in the middle and acts in training only.

The idea is that of Szegedy et al. 2015; the layers are those of the code with which AmoebaNets and NAONets were
published.
"""

from __future__ import annotations

from typing import Final

from netwright.plans.plan import PlanWriter

WIDTHS: Final = (128, 768)
POOL: Final = 5  # side of the window


def write(plan: PlanWriter, x: int, outputs: int, *, stride: int = 3, scale: float = 1.0, bias: bool = True) -> int:
    """Write pooling, a 1x1 convolution, a convolution over all pixels left, and a classifier; returns the classifier.

    Args:
        plan: The plan to write into, within the scope `plans.plan.AUXILIARY`.
        x: The layer to read, an image of at least POOL x POOL pixels.
        outputs: Number of classes.
        stride: Stride of the pooling, in pixels.
        scale: Factor of the widths, which are 128 and 768 times this.
        bias: Whether the classifier has a bias.
    """
    narrow, wide = (max(1, int(width * scale)) for width in WIDTHS)
    pooled = plan.avg_pool(plan.relu(x), POOL, stride, padded=False)
    x = plan.relu(plan.norm(plan.conv(pooled, narrow)))
    x = plan.relu(plan.norm(plan.conv(x, wide, plan.size(x), padded=False)))
    return plan.linear(plan.mean(x), outputs, bias=bias)
