"""The networks that a searched cell is put into (Liu et al. 2018, section 4.2 and figures 2 and 6).

After every cell a separable convolution brings its output, however wide, to the width of the next cell. The paper's
text doubles the width after the last cell of every group; its figure and its parameter count do not double it after the
last cell of the network, and neither does this.
"""

from __future__ import annotations

from typing import Final, Literal

from netwright.cells import blocks
from netwright.cells.blocks import CellOp
from netwright.core.records import IO
from netwright.plans.plan import Plan, PlanWriter

Skeleton = Literal["cifar", "imagenet"]

# width of the first cell and cells per group by default: those of the search model and of the published ImageNet model
DEFAULTS: Final[dict[str, tuple[int, int]]] = {"cifar": (16, 1), "imagenet": (64, 2)}


def plan(skeleton: Skeleton, cell: CellOp, io: IO, channels: int | None = None, repeats: int | None = None) -> Plan:
    """The layers of a classifier around `cell`.

    Args:
        skeleton: "cifar": a 3x3 convolution, then three groups. "imagenet": two strided 3x3 convolutions (half the
            width, then the width), one cell, then three groups, each beginning at half the resolution.
        cell: Writes the cell, which keeps the resolution, into a plan.
        io: Shape of the images and number of classes.
        channels: Width of the first cell; None: the skeleton's default, 16 and 64.
        repeats: Cells per group; None: the skeleton's default, 1 and 2.
    """
    default_channels, default_repeats = DEFAULTS[skeleton]
    width, cells = channels or default_channels, repeats or default_repeats
    writer = PlanWriter(io)
    if skeleton == "cifar":
        with writer.scope("stem"):
            x = blocks.conv_norm_relu(writer, writer.image, width, 3)
        widths = [width * 2**group for group in range(3) for _ in range(cells)]
    else:
        with writer.scope("stem"):
            half = blocks.conv_norm_relu(writer, writer.image, max(1, width // 2), 3, stride=2)
            x = blocks.conv_norm_relu(writer, half, width, 3, stride=2)
        widths = [width] + [width * 2**group for group in (1, 2, 3) for _ in range(cells)]
    for index, width in enumerate(widths):
        following = widths[min(index + 1, len(widths) - 1)]
        with writer.scope(f"cell{index + 1}"):
            x = cell(writer, x, width)
        with writer.scope(f"after{index + 1}"):
            x = blocks.separable(writer, x, following, stride=2 if following > width else 1)
    writer.linear(writer.mean(x), io.outputs)
    return writer.plan()
