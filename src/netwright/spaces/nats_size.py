"""Widths of the 5 layers of one fixed network, 8 each: the size space of NATS-Bench (Dong et al. 2021).

The layers are cell, reduction, cell, reduction, cell; the cell is the best of the topology space on CIFAR-100. Its
edges from the input change the width to the cell's own; where the two differ, the skip connection is a 1x1 convolution
and a normalization.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np

from netwright.core import genes
from netwright.core.errors import InvalidGenotype
from netwright.core.genes import Choice
from netwright.core.records import IO, Counts, Genotype, LabeledGraph
from netwright.core.shapes import Image
from netwright.plans import counting
from netwright.plans.plan import Plan, PlanWriter
from netwright.spaces import nats

if TYPE_CHECKING:
    from torch import nn

WIDTHS: Final = tuple(range(8, 65, 8))
LAYERS: Final = ("cell 1", "reduction 1", "cell 2", "reduction 2", "cell 3")
GENES: Final = tuple(Choice(f"width of {layer}", tuple(map(str, WIDTHS)), kind="width") for layer in LAYERS)


@dataclass(frozen=True)
class NatsSize:
    """The size space; it has no settings."""

    accepts: ClassVar[tuple[type, ...]] = (Image,)

    @property
    def genes(self) -> tuple[Choice, ...]:
        """The width of each layer, in order from the image."""
        return GENES

    def sample(self, rng: np.random.Generator) -> Genotype:
        """A genotype with every width drawn uniformly."""
        return genes.sample(GENES, rng)

    def mutate(self, genotype: Genotype, rng: np.random.Generator) -> Genotype:
        """A copy with one width drawn again, possibly the same, as in the benchmark's own evolution."""
        return genes.mutate(GENES, genotype, rng)

    def check(self, genotype: Genotype) -> None:
        """Raise InvalidGenotype for a wrong value."""
        genes.check(GENES, genotype)

    def text(self, genotype: Genotype) -> str:
        """The benchmark's own string, as in `8:24:64:64:32`."""
        return ":".join(str(WIDTHS[int(value)]) for value in genotype)

    def parse(self, text: str) -> Genotype:
        """Inverse of `text`. Raises InvalidGenotype, saying what is wrong with it."""
        words = text.strip().split(":")
        known = GENES[0].options
        if len(words) != len(LAYERS) or any(word not in known for word in words):
            raise InvalidGenotype(
                f"{text[:200]!r} is no network of this space; it is written as {len(LAYERS)} widths of "
                f"{', '.join(known)}, as in 8:24:64:64:32"
            )
        return tuple([known.index(word) for word in words])

    def build(self, genotype: Genotype, io: IO, rng: np.random.Generator) -> nn.Module:
        """The network: images (B, C, H, W) of any size to logits (B, outputs)."""
        network = importlib.import_module("netwright.plans.network")  # with torch, which look-ups do without
        return network.build(self.plan(genotype, io), rng)

    def count(self, genotype: Genotype, io: IO) -> Counts:
        """Parameters and multiply-adds in closed form."""
        return counting.count(self.plan(genotype, io))

    def key(self, genotype: Genotype) -> str:
        """Digest of the widths."""
        return genes.digest(f"nats size {self.text(genotype)}")

    def graph(self, genotype: Genotype) -> LabeledGraph:
        """A drawing of the chain of layers with their widths."""
        widths = self.text(genotype).split(":")
        nodes = ("image", f"stem, {widths[0]} channels", *(f"{width} channels" for width in widths), "logits")
        labels = ("conv 3x3", *LAYERS, "mean, linear")
        return LabeledGraph("network", nodes, tuple((n, n + 1, label) for n, label in enumerate(labels)))

    def plan(self, genotype: Genotype, io: IO) -> Plan:
        """The layers of the network."""
        writer = PlanWriter(io)
        widths = [WIDTHS[int(value)] for value in genotype]
        with writer.scope("stem"):
            x = writer.norm(writer.conv(writer.image, widths[0], 3))
        for layer, width in zip(LAYERS, widths, strict=True):
            with writer.scope(layer.replace(" ", "")):
                x = _write_cell(writer, x, width) if "cell" in layer else nats.write_reduction(writer, x, width)
        nats.write_head(writer, x, io.outputs)
        return writer.plan()


def _write_cell(plan: PlanWriter, x: int, width: int) -> int:
    """Write |nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|."""

    def convolved(edge: str, source: int) -> int:
        with plan.scope(edge):
            return nats.relu_conv_norm(plan, source, width, 3)

    one = convolved("0to1", x)
    two = plan.add((convolved("0to2", x), convolved("1to2", one)))
    with plan.scope("0to3"):
        skipped = x if plan.channels(x) == width else plan.norm(plan.conv(x, width))
    return plan.add((skipped, convolved("1to3", one), convolved("2to3", two)))


plugin = NatsSize
