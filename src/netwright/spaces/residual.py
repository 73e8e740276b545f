"""Plain residual networks for small images (He et al. 2016, section 4.2): what a searched network has to beat.

A 3x3 stem, three groups of blocks of two 3x3 convolutions, global mean, linear. From group to group the width doubles
and the resolution halves. Normalization and ReLU follow each convolution, but the last ReLU of a block follows the sum.

Departure: where the width changes, the shortcut is a strided 1x1 convolution and a normalization (the paper's option
B); the paper pads with zeros on CIFAR-10 (option A). This adds 2,752 parameters to its 20-layer network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from torch import nn

from netwright.cells.blocks import conv_norm_relu
from netwright.core import genes
from netwright.core.genes import Integer
from netwright.core.records import IO, Counts, Genotype, LabeledGraph
from netwright.core.shapes import Image
from netwright.plans import counting, network
from netwright.plans.plan import Plan, PlanWriter

GROUPS = 3
WIDTH, BLOCKS = Integer("width", 4, 128), Integer("blocks", 1, 9)
SHALLOW = 3  # blocks per group of the paper's smallest network; deeper ones train slowly
TOLERANCE = 0.05  # sizes that differ by a smaller share are alike


@dataclass(frozen=True)
class ResidualSpace:
    """Residual networks by width of the first group and blocks per group; 6 * blocks + 2 layers deep."""

    accepts: ClassVar[tuple[type, ...]] = (Image,)

    @property
    def genes(self) -> tuple[Integer, Integer]:
        """Width of the first group, blocks per group."""
        return WIDTH, BLOCKS

    def sample(self, rng: np.random.Generator) -> Genotype:
        """A genotype with width and blocks drawn uniformly."""
        return genes.sample(self.genes, rng)

    def mutate(self, genotype: Genotype, rng: np.random.Generator) -> Genotype:
        """A copy with width or blocks drawn again."""
        return genes.mutate(self.genes, genotype, rng)

    def check(self, genotype: Genotype) -> None:
        """Raise InvalidGenotype for a wrong value."""
        genes.check(self.genes, genotype)

    def build(self, genotype: Genotype, io: IO, rng: np.random.Generator) -> nn.Module:
        """The network: images (B, C, H, W) of any size to logits (B, outputs)."""
        return network.build(self.plan(genotype, io), rng)

    def count(self, genotype: Genotype, io: IO) -> Counts:
        """Parameters and multiply-adds in closed form."""
        return counting.count(self.plan(genotype, io))

    def key(self, genotype: Genotype) -> str:
        """Digest of width and blocks."""
        return genes.digest(f"residual {genotype}")

    def graph(self, genotype: Genotype) -> LabeledGraph:
        """A drawing of the chain of groups, below it the groups, below them their blocks."""
        width, blocks = map(int, genotype)
        widths = [width * 2**group for group in range(GROUPS)]
        parts = tuple(_group_graph(group, blocks) for group in range(1, GROUPS + 1))
        labels = ("conv 3x3", *(part.name for part in parts), "mean, linear")
        nodes = ("image", f"{width} channels", *(f"{each} channels" for each in widths), "logits")
        return _chain("network", nodes, labels, parts)

    def plan(self, genotype: Genotype, io: IO) -> Plan:
        """The layers of the network."""
        width, blocks = map(int, genotype)
        writer = PlanWriter(io)
        with writer.scope("stem"):
            x = conv_norm_relu(writer, writer.image, width, 3)
        for group in range(GROUPS):
            for block in range(blocks):
                with writer.scope(f"group{group + 1}_block{block + 1}"):
                    x = write_block(writer, x, width * 2**group, stride=2 if group and not block else 1)
        writer.linear(writer.mean(x), io.outputs)
        return writer.plan()


def write_block(plan: PlanWriter, x: int, width: int, stride: int = 1) -> int:
    """Write a block into a plan: two 3x3 convolutions beside a shortcut, then the sum of both and ReLU.

    Args:
        plan: The plan to write into.
        x: The block's input.
        width: Number of channels of its output.
        stride: Stride of its first convolution.

    Returns:
        The output of the block.
    """
    inner = conv_norm_relu(plan, x, width, 3, stride)
    branch = plan.norm(plan.conv(inner, width, 3))
    with plan.scope("shortcut"):
        shortcut = x if plan.channels(x) == width else plan.norm(plan.conv(x, width, 1, stride))
    return plan.relu(plan.add((branch, shortcut)))


def parameters(width: int, blocks: int, io: IO) -> int:
    """Parameters of a network, as `ResidualSpace.count` has them, without writing its plan."""
    total = 9 * io.channels * width + 2 * width + 2 ** (GROUPS - 1) * width * io.outputs + io.outputs
    for group in range(GROUPS):
        wide = width * 2**group
        total += blocks * 2 * (9 * wide**2 + 2 * wide)
        if group:
            total += wide**2 // 2 + 2 * wide - 9 * wide**2 // 2  # shortcut; the first convolution reads half the width
    return total


def nearest(space: ResidualSpace, io: IO, params: int) -> Genotype:
    """The residual network with which to compare one of `params` parameters.

    Among those with up to 3 blocks per group whose size differs by at most 5 %, or by the least possible, it is the
    deepest, and then the nearest. Only for sizes beyond their reach, 17 M, it has more blocks, as few as suffice.
    """
    width, blocks = space.genes
    widths = range(width.low, width.high + 1)
    is_huge = params > parameters(width.high, SHALLOW, io)
    depths = range(blocks.low, (blocks.high if is_huge else SHALLOW) + 1)
    off = {(w, b): abs(parameters(w, b, io) - params) for b in depths for w in widths}
    bound = max(TOLERANCE * params, min(off.values()))
    alike = [each for each, distance in off.items() if distance <= bound]
    return min(alike, key=lambda each: (abs(each[1] - SHALLOW), off[each]))


def within(space: ResidualSpace, io: IO, params: int) -> list[Genotype]:
    """Networks of up to 3 blocks per group and no more than `params` parameters, the largest first."""
    width, blocks = space.genes
    widths, depths = range(width.low, width.high + 1), range(blocks.low, SHALLOW + 1)
    sizes = sorted((parameters(w, b, io), w, b) for b in depths for w in widths)
    return [(w, b) for size, w, b in reversed(sizes) if size <= params]


def _group_graph(group: int, blocks: int) -> LabeledGraph:
    first = _block_graph(is_wider=group > 1)
    rest = _block_graph(is_wider=False)
    labels = [first.name, *[rest.name] * (blocks - 1)]
    nodes = ("input", *(str(block) for block in range(1, blocks)), "output")
    return _chain(f"group {group}", nodes, labels, tuple(dict.fromkeys((first, rest)[: min(blocks, 2)])))


def _block_graph(is_wider: bool) -> LabeledGraph:
    name, into, past = (
        ("wider block", "conv 3x3 / 2", "conv 1x1 / 2") if is_wider else ("block", "conv 3x3", "identity")
    )
    return LabeledGraph(name, ("input", "inner", "sum"), ((0, 1, into), (1, 2, "conv 3x3"), (0, 2, past)))


def _chain(name: str, nodes: tuple[str, ...], labels: Sequence[str], parts: tuple[LabeledGraph, ...]) -> LabeledGraph:
    return LabeledGraph(name, nodes, tuple((n, n + 1, label) for n, label in enumerate(labels)), parts)


plugin = ResidualSpace
