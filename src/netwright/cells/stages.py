"""Networks of a stem and of stages of equal blocks: the frame of residual, VGG, MobileNet and ConvNeXt networks.

After the stem maps have at most `LARGEST` pixels to a side, whatever the images have, and each later stage halves them.
Where they have fewer than `ROOMY` there are only two stages, as for images of 8 x 8 pixels, which no stem halves.

A stage may begin with a transition: a convolution, a max pooling, normalization and activation (the networks of the
DAWNBench contest, "ResNet-9"). Then the first stage halves maps too, so that all blocks work at half the resolution or
less, and stages halve as long as maps have more than two pixels to a side.

Blocks: "residual" (He et al. 2016, section 4.2), "pre-activation" (Zagoruyko and Komodakis 2016, without dropout),
"plain" (Simonyan and Zisserman 2015, two convolutions, normalized), "convolution" (one of them), "additive" (two, each
normalized and activated, added to the input, and nothing after the sum), "inverted" (Sandler et al. 2018), "depthwise"
(as in Liu et al. 2022, normalized and activated like everything else here, without layer scale) and "cell": two
operations that are added. Squeeze-and-excitation (Hu et al. 2018) ends each block's branch; that of an inverted block
stands behind its depthwise convolution (Howard et al. 2019). A shortcut that changes shape is a 1x1 convolution, no
more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import gcd
from types import MappingProxyType
from typing import Final

from netwright.core.records import IO
from netwright.plans.ops.images import GroupNorm
from netwright.plans.ops.merges import ScaleChannels
from netwright.plans.ops.pointwise import Gelu, Silu
from netwright.plans.plan import Plan, PlanWriter

LARGEST: Final = 32  # pixels to a side of maps after the stem
ROOMY: Final = 16  # pixels to a side from which a stem may halve images, and from which there may be a third stage
SQUEEZED: Final = 4  # channels for each number in the middle of squeeze-and-excitation, and the least of these numbers
FEWEST: Final = 2  # pixels to a side of maps that no transition halves
TRANSITION: Final = "conv, max"  # the pooling of networks whose stages begin with a transition
GROUP: Final = 4  # least number of channels that group normalization normalizes together
GROUPS: Final = 8  # most groups of it


@dataclass(frozen=True)
class Stage:
    """Blocks of one kind and width.

    Args:
        block: Name of the kind, out of `BLOCKS`.
        depth: Number of blocks; a stage of none is a convolution, normalized and activated, or the transition alone.
        width: Number of channels.
    """

    block: str
    depth: int
    width: int


@dataclass(frozen=True)
class Cell:
    """Two operations, whose outputs are added unless the second reads the first.

    Args:
        first: Operation on the input, out of `CELL_OPS`.
        second: Operation out of `CELL_OPS`, or "identity".
        is_chain: Whether the second operation reads the first one; if not, it reads the input.
    """

    first: str
    second: str
    is_chain: bool


@dataclass(frozen=True)
class Staged:
    """What a network is, but for the images that go in.

    Args:
        stages: The stages, from the image on.
        width: Number of channels of the stem.
        stem: "3x3", "3x3 / 2", or "patch": windows of 2 x 2 pixels side by side; larger where images are.
        kernel: Side of the windows of blocks.
        expansion: Channels within an inverted or depthwise block, as a multiple of its width.
        norm: "batch" or "group".
        is_squeezed: Whether blocks have squeeze-and-excitation.
        pooling: What halves maps where a stage begins: "stride", "max" in front of its first block, or `TRANSITION`.
        activation: "relu", "silu" or "gelu".
        cell: The cell of blocks of this kind.
    """

    stages: tuple[Stage, ...]
    width: int
    stem: str
    kernel: int
    expansion: int
    norm: str
    is_squeezed: bool
    pooling: str
    activation: str
    cell: Cell


def reduction(stem: str, io: IO) -> int:
    """By how much a stem divides the sides of images, a power of two."""
    side, needed = max(io.height, io.width), 1
    while needed * LARGEST < side:
        needed *= 2
    return needed if stem == "3x3" or side < ROOMY else 2 * needed


def fitting(count: int, stem: str, io: IO) -> int:
    """How many of `count` stages there are for images of this size."""
    return count if min(io.height, io.width) // reduction(stem, io) >= ROOMY else min(count, 2)


def plan(staged: Staged, io: IO) -> Plan:
    """The layers of a classifier: images (C, H, W) of any size to logits."""
    writer = PlanWriter(io)
    network = _Writer(writer, staged)
    stages = staged.stages[: fitting(len(staged.stages), staged.stem, io)]
    with writer.scope("stem"):
        x = network.stem(reduction(staged.stem, io))
    for number, stage in enumerate(stages, start=1):
        stride = 2 if number > 1 else 1
        if begins_apart(staged, stage):
            with writer.scope(f"stage{number}_transition", "transition"):
                x, stride = network.transition(x, stage.width, stride), 1
        for block in range(1, stage.depth + 1):
            with writer.scope(f"stage{number}_block{block}", stage.block.replace("-", "_")):
                x = network.block(stage.block, x, stage.width, stride if block == 1 else 1)
    if is_pre_activated(stages[-1]):
        with writer.scope("last"):
            x = network.activated(network.normed(x))
    writer.linear(writer.mean(x), io.outputs)
    return writer.plan()


def begins_apart(staged: Staged, stage: Stage) -> bool:
    """Whether a convolution stands in front of the blocks of a stage."""
    return staged.pooling == TRANSITION or not stage.depth


def is_patched(staged: Staged, reduction: int, side: int) -> bool:
    """Whether the stem takes images of so many pixels to their shorter side apart into windows side by side."""
    return staged.stem == "patch" and 1 < reduction <= side


def is_pooled(side: int) -> bool:
    """Whether a transition halves maps of so many pixels to their shorter side."""
    return side > FEWEST


def is_pre_activated(stage: Stage) -> bool:
    """Whether a stage has blocks that begin with an activation, and end without one."""
    return stage.depth > 0 and stage.block == "pre-activation"


class _Writer:
    """Writes blocks with the normalization, the activation and the sizes of one network."""

    def __init__(self, writer: PlanWriter, staged: Staged) -> None:
        self.plan, self.staged = writer, staged
        self.kernel = staged.kernel

    def stem(self, reduction: int) -> int:
        """A convolution, or as many as it takes to divide the sides; widths double on the way to the stem's."""
        plan, staged = self.plan, self.staged
        if is_patched(staged, reduction, min(plan.size(plan.image))):
            x = plan.conv(plan.image, staged.width, reduction, reduction, padded=False)
            steps = 0
        else:
            steps = max(1, reduction.bit_length() - 1)
            x = plan.image
        for step in range(steps):
            width = rounded(staged.width / 2 ** (steps - 1 - step))
            x = plan.conv(self.activated(self.normed(x)) if step else x, width, 3, 2 if reduction > 1 else 1)
        is_raw = is_pre_activated(staged.stages[0]) and staged.pooling != TRANSITION
        return x if is_raw else self.activated(self.normed(x))

    def transition(self, x: int, width: int, stride: int) -> int:
        """A convolution in front of a stage, or in place of it."""
        if self.staged.pooling == TRANSITION:
            x = self.plan.conv(x, width, 3)
            if is_pooled(min(self.plan.size(x))):
                x = self.plan.max_pool(x, 2, 2)
            return self.activated(self.normed(x))
        x, stride = self.pooled(x, stride)
        return self.unit(x, width, 3, stride)

    def block(self, kind: str, x: int, width: int, stride: int) -> int:
        """A block; one that halves its input does so by a pooling in front of it where the network pools."""
        x, stride = self.pooled(x, stride)
        return BLOCKS[kind](self, x, width, stride)

    def pooled(self, x: int, stride: int) -> tuple[int, int]:
        """The input, halved where the network pools, and the stride that is left."""
        return (self.plan.max_pool(x, 2, 2), 1) if stride > 1 and self.staged.pooling == "max" else (x, stride)

    def normed(self, x: int) -> int:
        """The network's normalization."""
        if self.staged.norm == "batch":
            return self.plan.norm(x)
        return self.plan.write(GroupNorm(gcd(self.plan.channels(x) // GROUP, GROUPS)), x)

    def activated(self, x: int) -> int:
        """The network's activation."""
        if self.staged.activation == "relu":
            return self.plan.relu(x)
        return self.plan.write(Silu() if self.staged.activation == "silu" else Gelu(), x)

    def squeezed(self, x: int) -> int:
        """Squeeze-and-excitation, in a network that has it."""
        if not self.staged.is_squeezed:
            return x
        width = self.plan.channels(x)
        with self.plan.scope("excitation"):
            inner = self.plan.relu(self.plan.linear(self.plan.mean(x), max(SQUEEZED, width // SQUEEZED)))
            return self.plan.write(ScaleChannels(), x, self.plan.linear(inner, width))

    def shortcut(self, x: int, width: int, stride: int) -> int:
        """The input, brought to the width and the resolution of a block's output."""
        if stride == 1 and self.plan.channels(x) == width:
            return x
        with self.plan.scope("shortcut"):
            return self.plan.conv(x, width, 1, stride)

    def unit(self, x: int, width: int, kernel: int, stride: int = 1, *, is_depthwise: bool = False) -> int:
        """Convolution, normalization, activation."""
        groups = width if is_depthwise else 1
        return self.activated(self.normed(self.plan.conv(x, width, kernel, stride, groups)))


def rounded(width: float) -> int:
    """The nearest multiple of 4 channels, at least 4: what group normalization divides, and processors compute fast."""
    return max(GROUP, GROUP * int(width / GROUP + 0.5))


def _residual(net: _Writer, x: int, width: int, stride: int) -> int:
    inner = net.unit(x, width, net.kernel, stride)
    branch = net.squeezed(net.normed(net.plan.conv(inner, width, net.kernel)))
    return net.activated(net.plan.add((branch, net.shortcut(x, width, stride))))


def _pre_activation(net: _Writer, x: int, width: int, stride: int) -> int:
    """Where the shape changes, the shortcut too begins behind the first activation."""
    ready = net.activated(net.normed(x))
    past = net.shortcut(ready, width, stride)
    inner = net.unit(ready, width, net.kernel, stride)
    branch = net.squeezed(net.plan.conv(inner, width, net.kernel))
    return net.plan.add((branch, x if past == ready else past))


def _plain(net: _Writer, x: int, width: int, stride: int) -> int:
    inner = net.unit(x, width, net.kernel, stride)
    return net.activated(net.squeezed(net.normed(net.plan.conv(inner, width, net.kernel))))


def _convolution(net: _Writer, x: int, width: int, stride: int) -> int:
    return net.activated(net.squeezed(net.normed(net.plan.conv(x, width, net.kernel, stride))))


def _additive(net: _Writer, x: int, width: int, stride: int) -> int:
    branch = net.squeezed(net.unit(net.unit(x, width, net.kernel, stride), width, net.kernel))
    return net.plan.add((branch, net.shortcut(x, width, stride)))


def _inverted(net: _Writer, x: int, width: int, stride: int) -> int:
    inner = net.plan.channels(x) * net.staged.expansion
    expanded = net.unit(x, inner, 1)
    convolved = net.squeezed(net.unit(expanded, inner, net.kernel, stride, is_depthwise=True))
    branch = net.normed(net.plan.conv(convolved, width))
    return net.plan.add((branch, x)) if net.plan.shape(branch) == net.plan.shape(x) else branch


def _depthwise(net: _Writer, x: int, width: int, stride: int) -> int:
    entering = net.shortcut(x, width, stride)
    mixed = net.normed(net.plan.conv(entering, width, net.kernel, groups=width))
    inner = net.activated(net.plan.conv(mixed, width * net.staged.expansion))
    return net.plan.add((net.squeezed(net.normed(net.plan.conv(inner, width))), entering))


def _cell(net: _Writer, x: int, width: int, stride: int) -> int:
    entering, cell = net.shortcut(x, width, stride), net.staged.cell
    with net.plan.scope("first", cell.first.replace(" ", "_")):
        first = CELL_OPS[cell.first](net, entering)
    second = first if cell.is_chain else entering
    if cell.second != "identity":
        with net.plan.scope("second", cell.second.replace(" ", "_")):
            second = CELL_OPS[cell.second](net, second)
    branch = second if cell.is_chain else net.plan.add((first, second))
    return net.activated(net.plan.add((net.squeezed(net.normed(branch)), entering)))


def _separable(net: _Writer, x: int) -> int:
    width = net.plan.channels(x)
    return net.unit(net.plan.conv(x, width, net.kernel, groups=width), width, 1)


Block = Callable[[_Writer, int, int, int], int]  # input, width, stride -> output

BLOCKS: Final[Mapping[str, Block]] = MappingProxyType(
    {
        "residual": _residual,
        "pre-activation": _pre_activation,
        "plain": _plain,
        "inverted": _inverted,
        "depthwise": _depthwise,
        "cell": _cell,
        "additive": _additive,
        "convolution": _convolution,
    }
)
EXPANDED: Final = frozenset({"inverted", "depthwise"})  # blocks that have an expansion

# operations of a cell, which keep the width: those of small cells (Liu et al. 2018, section 4.1), and a convolution
CELL_OPS: Final[Mapping[str, Callable[[_Writer, int], int]]] = MappingProxyType(
    {
        "conv": lambda net, x: net.unit(x, net.plan.channels(x), net.kernel),
        "separable": _separable,
        "depthwise": lambda net, x: net.unit(x, net.plan.channels(x), net.kernel, is_depthwise=True),
        "conv 1x1": lambda net, x: net.unit(x, net.plan.channels(x), 1),
        "max pool": lambda net, x: net.plan.max_pool(x, 3),
        "avg pool": lambda net, x: net.plan.avg_pool(x, 3),
    }
)
WITHOUT_KERNEL: Final = frozenset({"conv 1x1", "max pool", "avg pool", "identity"})  # their windows are what they are
