"""Flat random graphs: a chain of Watts-Strogatz graphs, by 9 numbers (RandWire; the baseline of NAGO).

Each stage is one graph, and a genotype holds the nodes, degree and rewiring probability of three. The seed, which is
the trial's, draws the network. A node adds what it reads, each input times the logistic of a learned number, and
passes the sum through ReLU, a separable 3x3 convolution and normalization; the nodes that read the stage's input
change width and resolution.

Sources: Xie, Kirillov, Girshick, He 2019, "Exploring Randomly Wired Neural Networks for Image Recognition",
arXiv:1904.01569, table 2; as the baseline RNAG: Ru, Esperanca, Carlucci 2020, arXiv:2004.01395. Neither treats small
images; two 3x3 convolutions as stem and the first graph at full resolution are choices.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Final, Literal

import numpy as np
from torch import nn

from netwright.cells import wired
from netwright.cells.random_graphs import (
    SMALLEST_RING,
    Graph,
    generator,
    inputs_of,
    outputs_of,
    ring_degree,
    watts_strogatz,
)
from netwright.cells.wired import Rule
from netwright.core import genes
from netwright.core.errors import BadReference, InvalidGenotype
from netwright.core.genes import Integer, Real
from netwright.core.records import IO, Counts, Genotype, LabeledGraph
from netwright.core.shapes import Image
from netwright.plans import counting, network
from netwright.plans.plan import Plan, PlanWriter

STAGES: Final = 3
MOST_NODES: Final = 100  # of one graph
MOST_CHANNELS: Final = 4096  # in the first graph


@dataclass(frozen=True)
class RnagSpace:
    """Generators of networks with one random graph per stage.

    Genes lie in the ranges; `check` admits whatever the graph model does. An odd degree counts as one less, and a
    degree is less than the number of nodes.

    Args:
        n: Range of the number of a graph's nodes, at least 3.
        k: Range of the number of a node's neighbors, at least 2.
        p: Range of the probability that an edge is rewired.
        regime: "small": three graphs, the last four times as wide as the first. "regular": before them a graph of half
            the nodes of the first, half as wide.
        channels: Number of channels in the first graph; None: as many as the limit allows.
        limit: Limit on the number of parameters; the channels are the most within it.
        rule: "weights_only": the limit is for the weights of the nodes' convolutions, as in HNAG. "strict": it is for
            all parameters.
        seed: Seed that draws the network; a trial has its own.
        fixed: Whether `seed` draws the network of each trial too: one network of a generator, not another each time.
    """

    accepts: ClassVar[tuple[type, ...]] = (Image,)

    n: tuple[int, int] = (10, 40)
    k: tuple[int, int] = (2, 9)
    p: tuple[float, float] = (0.1, 0.9)
    regime: Literal["small", "regular"] = "small"
    channels: int | None = None
    limit: int = 4_000_000
    rule: Rule = "weights_only"
    seed: int = 0
    fixed: bool = False

    def __post_init__(self) -> None:
        for gene in ADMITTED[:STAGES]:
            name = gene.name[0]
            low, high = getattr(self, name)
            if not gene.low <= low <= high <= gene.high:
                raise BadReference(
                    f"space.{name} is {low} to {high}; give a range, low end first, within {gene.low} to {gene.high}"
                )
        if self.channels is not None and not 1 <= self.channels <= MOST_CHANNELS:
            raise BadReference(f"space.channels is {self.channels}; give a whole number from 1 to {MOST_CHANNELS:,}")
        if not 0 <= self.seed < 2**63:
            raise BadReference(f"space.seed is {self.seed}; give a whole number from 0 to 2**63 - 1")
        lowest = tuple(gene.low for gene in self.genes)
        smallest = 1 if self.channels is not None else self._weights(self._draw(lowest, 0), 1)
        if self.limit < smallest:
            raise BadReference(
                f"space.limit is {self.limit:,}, too small for any width: the smallest generator of the ranges has "
                f"{smallest:,} weights with one channel; raise it"
            )

    @property
    def genes(self) -> tuple[Integer | Real, ...]:
        """Nodes, degree and rewiring probability of each stage."""
        return _genes(self.n, self.k, self.p)

    def sample(self, rng: np.random.Generator) -> Genotype:
        """A genotype with every gene drawn uniformly over its range."""
        return genes.sample(self.genes, rng)

    def mutate(self, genotype: Genotype, rng: np.random.Generator) -> Genotype:
        """A copy with one gene drawn again."""
        return genes.mutate(self.genes, genotype, rng)

    def check(self, genotype: Genotype) -> None:
        """Raise InvalidGenotype for what the graph model cannot draw, and where the limit leaves no channel.

        What the rule "strict" leaves depends on the images, so that only `count` can refuse it.
        """
        genes.check(ADMITTED, genotype)
        if self.channels is None:
            self._width(self.draw(genotype), None)

    def seeded(self, seed: int) -> RnagSpace:
        """The same space with another seed; itself where its own is fixed."""
        return self if self.fixed else replace(self, seed=seed)

    def build(self, genotype: Genotype, io: IO, rng: np.random.Generator) -> nn.Module:
        """The network that `seed` draws, its weights from `rng`: images (B, C, H, W) to logits (B, outputs)."""
        return network.build(self.plan(genotype, io), rng)

    def count(self, genotype: Genotype, io: IO) -> Counts:
        """Parameters and multiply-adds in closed form."""
        return counting.count(self.plan(genotype, io))

    def key(self, genotype: Genotype) -> str:
        """Digest of the generator, without probabilities that change nothing, with the degrees that rings really have.

        Raises:
            InvalidGenotype: The graph model cannot draw it.
        """
        genes.check(ADMITTED, genotype)
        rings = []
        for nodes, degree, rewiring in self._rings(genotype):
            real = ring_degree(nodes, degree)
            rings.append((nodes, real, float(rewiring) if real < nodes - 1 else None))
        return genes.digest(f"rnag {rings}")

    def graph(self, genotype: Genotype) -> LabeledGraph:
        """A drawing of the chain of stages, below it their graphs."""
        graphs = self.draw(genotype)
        names = tuple(f"stage {n}" for n in range(1, len(graphs) + 1))
        parts = tuple(_graph(name, graph) for name, graph in zip(names, graphs, strict=True))
        edges = tuple((n, n + 1, "") for n in range(len(graphs) + 1))
        return LabeledGraph("network", ("stem", *names, "head"), edges, parts)

    def plan(self, genotype: Genotype, io: IO) -> Plan:
        """The layers of the network."""
        graphs = self.draw(genotype)
        return self._write(graphs, self._width(graphs, io), io)

    def draw(self, genotype: Genotype) -> tuple[Graph, ...]:
        """The graphs of the network that `seed` draws, in order from the image."""
        return self._draw(genotype, self.seed)

    def width(self, genotype: Genotype, io: IO) -> int:
        """Channels of the first graph.

        Raises:
            InvalidGenotype: The limit leaves no channel.
        """
        return self._width(self.draw(genotype), io)

    @property
    def _halves(self) -> bool:
        return self.regime == "regular"

    def _draw(self, genotype: Genotype, seed: int) -> tuple[Graph, ...]:
        rings = enumerate(self._rings(genotype), 1)
        return tuple(watts_strogatz(*ring, generator(seed, f"stage {n}")) for n, ring in rings)

    def _weights(self, graphs: tuple[Graph, ...], width: int) -> int:
        """Number of weights of the nodes' convolutions."""
        return sum(_weights(graph, entering, leaving) for graph, entering, leaving in self._widths(graphs, width))

    def _width(self, graphs: tuple[Graph, ...], io: IO | None) -> int:
        if self.channels is not None:
            return self.channels

        def weights(width: int) -> int:
            return self._weights(graphs, width)

        def params(width: int) -> int:
            assert io is not None
            return counting.count(self._write(graphs, width, io)).params

        found = wired.largest_width(weights, self.limit, MOST_CHANNELS)
        size = weights
        if self.rule == "strict" and io is not None:
            size = params
            found = wired.largest_width(params, self.limit, found)
        if not found:
            raise InvalidGenotype(
                f"the generator needs {size(1):,} parameters with one channel and space.limit is {self.limit:,}; "
                "raise it"
            )
        return found

    def _write(self, graphs: tuple[Graph, ...], width: int, io: IO) -> Plan:
        """The layers of the network at this width.

        Small images keep their resolution up to the first graph, and later graphs halve it. Larger ones reach the first
        graph at a quarter of their resolution, in the regular regime at a half, and every graph halves it.
        """
        writer, is_small = PlanWriter(io), wired.is_small(io)
        with writer.scope("stem"):
            x = self._stem(writer, width, is_small)
        for index, (graph, _, leaving) in enumerate(self._widths(graphs, width), 1):
            with writer.scope(f"stage{index}"):
                x = _write_stage(writer, graph, x, leaving, 1 if is_small and index == 1 else 2)
        wired.head(writer, x, io.outputs, bias=False)
        return writer.plan()

    def _rings(self, genotype: Genotype) -> list[tuple[int, int, float]]:
        """Nodes, degree and rewiring probability of each graph, in order from the image."""
        rings = [(int(genotype[i]), int(genotype[i + 1]), genotype[i + 2]) for i in range(0, 3 * STAGES, 3)]
        if not self._halves:
            return rings
        nodes, degree, rewiring = rings[0]
        return [(max(SMALLEST_RING, nodes // 2), degree, rewiring), *rings]

    def _widths(self, graphs: tuple[Graph, ...], width: int) -> list[tuple[Graph, int, int]]:
        """Each graph with the channels that enter and leave it, which double from graph to graph."""
        leaving = [width * 2**index for index in range(len(graphs))]
        return list(zip(graphs, [self._stem_width(width), *leaving], leaving, strict=False))

    def _stem_width(self, width: int) -> int:
        """Channels that enter the first graph: in the regular regime half of those that leave it."""
        return max(1, width // 2) if self._halves else width

    def _stem(self, writer: PlanWriter, width: int, is_small: bool) -> int:
        if is_small:
            return wired.small_stem(writer, self._stem_width(width), bias=False)
        half = writer.norm(writer.conv(writer.image, max(1, width // 2), 3, 2))
        if self._halves:
            return half
        return writer.norm(writer.conv(writer.relu(half), width, 3, 2))


def _genes(n: tuple[int, int], k: tuple[int, int], p: tuple[float, float]) -> tuple[Integer | Real, ...]:
    return tuple(
        gene
        for stage in range(1, STAGES + 1)
        for gene in (Integer(f"n_{stage}", *n), Integer(f"k_{stage}", *k), Real(f"p_{stage}", *p))
    )


# what the graph model admits
ADMITTED: Final = _genes((SMALLEST_RING, MOST_NODES), (2, MOST_NODES), (0.0, 1.0))


def _weights(graph: Graph, entering: int, leaving: int) -> int:
    """Number of weights of the nodes' separable convolutions."""
    first = len(inputs_of(graph))
    return first * entering * (9 + leaving) + (len(graph) - first) * leaving * (9 + leaving)


def _write_stage(writer: PlanWriter, graph: Graph, x: int, width: int, stride: int) -> int:
    nodes: list[int] = []
    for index, reads in enumerate(graph):
        with writer.scope(f"node{index + 1}"):
            sources = {f"node{source + 1}": nodes[source] for source in reads}
            entering = wired.merge(writer, sources, "sum", bias=False) if reads else x
            step = 1 if reads else stride
            nodes.append(wired.separable(writer, writer.relu(entering), width, step, bias=False))
    return writer.average([nodes[node] for node in outputs_of(graph)])


def _graph(name: str, graph: Graph) -> LabeledGraph:
    nodes = tuple(str(node) for node in range(1, len(graph) + 1))
    edges = [(0, node + 1, "") for node in inputs_of(graph)]
    edges += [(source + 1, node + 1, "") for node, reads in enumerate(graph) for source in reads]
    edges += [(node + 1, len(graph) + 1, "") for node in outputs_of(graph)]
    return LabeledGraph(name, ("input", *nodes, "output"), tuple(sorted(edges)))


plugin = RnagSpace
