"""Hierarchical representation: motifs made of motifs made of primitives (Liu et al. 2018, sections 2 and 3.1).

A motif is a directed acyclic graph whose edges carry operations of the level below and whose nodes concatenate what
arrives. Level 1 holds six primitives; the one motif of the highest level is the cell, which a skeleton repeats.

Choices where the paper is silent: a node without incoming edges is left out with all its edges, and so, by default, is
one from which the output cannot be reached (option `unread`); a motif whose output cannot be reached acts as no edge; a
cell whose output cannot be reached is drawn again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate, pairwise
from typing import ClassVar, Literal

import numpy as np
from torch import nn

from netwright.cells import blocks, motif_graphs, skeletons
from netwright.cells.motif_graphs import Motif, write_motif
from netwright.cells.skeletons import Skeleton
from netwright.core import genes
from netwright.core.bounds import check_sizes
from netwright.core.errors import BadReference, InvalidGenotype
from netwright.core.genes import Choice
from netwright.core.records import IO, Counts, Genotype, LabeledGraph
from netwright.core.shapes import Image
from netwright.plans import counting, network
from netwright.plans.plan import Plan
from netwright.plans.sharing import Share

NONE = 0  # gene value: no edge
CHAIN = 1  # operation of a trivial chain at level 3 and above: motif 1, because all motifs are equal then


@dataclass(frozen=True)
class HierarchicalSpace:
    """Cells of motifs of motifs.

    Args:
        motifs: Number of motifs at each level from 2 up; at the last it is 1, the cell.
        nodes: Number of nodes of each graph, at each level from 2 up, at least 2.
        channels: Width of the first cell; None: the skeleton's default.
        repeats: Number of cells per group; None: the skeleton's default.
        skeleton: The network that the cell is put into.
        diversification: Number of random mutations that turn the trivial genotype into a sample (paper: 1000).
        unread: What happens to nodes whose output never reaches the graph's output: "skip" leaves them out, like nodes
            without input, "build" builds them to no effect, as a literal reading of the paper has it.
    """

    accepts: ClassVar[tuple[type, ...]] = (Image,)

    motifs: tuple[int, ...] = (6, 1)
    nodes: tuple[int, ...] = (4, 5)
    channels: int | None = None
    repeats: int | None = None
    skeleton: Skeleton = "cifar"
    diversification: int = 1000
    unread: Literal["skip", "build"] = "skip"

    def __post_init__(self) -> None:
        if len(self.motifs) != len(self.nodes) or not self.motifs:
            raise BadReference(
                f"space.motifs {list(self.motifs)} and space.nodes {list(self.nodes)} must have one entry per level"
            )
        if self.motifs[-1] != 1 or min(self.motifs) < 1:
            raise BadReference(
                f"space.motifs is {list(self.motifs)}; every level needs a motif, and the last exactly one"
            )
        if min(self.nodes) < 2:
            raise BadReference(f"space.nodes is {list(self.nodes)}; a graph has at least 2 nodes, input and output")
        check_sizes(channels=self.channels, repeats=self.repeats, diversification=self.diversification)
        check_sizes(motifs=sum(self.motifs), nodes=max(self.nodes))

    @cached_property
    def genes(self) -> tuple[Choice, ...]:
        """One gene per possible edge: from the lowest level up, motif by motif, by destination, then source."""
        options: tuple[str, ...] = ("none", *blocks.HIERARCHICAL)
        listed: list[Choice] = []
        for level, (motifs, nodes) in enumerate(zip(self.motifs, self.nodes, strict=True), start=2):
            for motif in range(1, motifs + 1):
                title = "cell" if level == self._levels else _title(level, motif)
                names = (f"{title} {source + 1}->{target + 1}" for source, target in _edges(nodes))
                listed.extend(Choice(name, options, kind=f"level {level}") for name in names)
            options = ("none", *(_title(level, motif) for motif in range(1, motifs + 1)))
        return tuple(listed)

    def trivial(self) -> Genotype:
        """The genotype whose lowest motifs are chains of identities, all others chains of the first motif below."""
        identity = 1 + list(blocks.HIERARCHICAL).index("identity")
        return tuple(
            (identity if level == 0 else CHAIN) if target == source + 1 else NONE
            for level, (motifs, nodes) in enumerate(zip(self.motifs, self.nodes, strict=True))
            for _ in range(motifs)
            for source, target in _edges(nodes)
        )

    def sample(self, rng: np.random.Generator) -> Genotype:
        """The trivial genotype after `diversification` mutations, drawn again until the cell has a path.

        All mutations are drawn at once; if several hit one gene the last counts, as if made one after another.
        """
        sizes = np.array([len(gene.options) for gene in self.genes])
        while True:
            targets = np.searchsorted(self._target_sums, rng.random(self.diversification), side="right")
            values = (rng.random(self.diversification) * sizes[targets]).astype(int)
            drawn = np.array(self.trivial())
            drawn[targets] = values
            genotype = tuple(drawn.tolist())
            if self.cell(genotype) is not None:
                return genotype

    def mutate(self, genotype: Genotype, rng: np.random.Generator) -> Genotype:
        """A copy in which one edge has an operation drawn uniformly, the old one and none included (section 3.1).

        Level, motif, destination and source are each uniform, so edges into early nodes change more often. A mutation
        that would cut off the cell's output is drawn again.
        """
        while True:
            position = bisect_right(self._target_sums, rng.random())
            value = int(rng.random() * len(self.genes[position].options))
            mutant = (*genotype[:position], value, *genotype[position + 1 :])
            if self.cell(mutant) is not None:
                return mutant

    def check(self, genotype: Genotype) -> None:
        """Raise InvalidGenotype for a wrong value or a cell without a path from input to output."""
        genes.check(self.genes, genotype)
        if self.cell(genotype) is None:
            raise InvalidGenotype("the cell has no path from its input to its output: too many of its edges are none")

    def build(self, genotype: Genotype, io: IO, rng: np.random.Generator) -> nn.Module:
        """The network: images (B, C, H, W) of any size to logits (B, outputs)."""
        return network.build(self.plan(genotype, io), rng)

    def count(self, genotype: Genotype, io: IO) -> Counts:
        """Parameters and multiply-adds in closed form."""
        return counting.count(self.plan(genotype, io))

    def key(self, genotype: Genotype) -> str:
        """Digest of the cell without dead nodes, unused motifs and the numbering of motifs."""
        cell = self.cell(genotype)
        return genes.digest(cell.text if cell else "")

    def graph(self, genotype: Genotype) -> LabeledGraph:
        """A drawing of the cell, and below it the motifs that it uses, level by level."""
        levels = self.resolve(genotype)
        titles = {
            id(motif): _title(level, number)
            for level, row in enumerate(levels, start=2)
            for number, motif in reversed(list(enumerate(row, start=1)))
            if motif is not None
        }
        cell = levels[-1][0]
        if cell is None:
            raise InvalidGenotype("the cell has no path from its input to its output: too many of its edges are none")
        titles[id(cell)] = "cell"
        return _labeled(cell, titles)

    def plan(self, genotype: Genotype, io: IO) -> Plan:
        """The layers of the network."""
        cell = self.cell(genotype)
        if cell is None:
            raise InvalidGenotype("the cell has no path from its input to its output: too many of its edges are none")
        return skeletons.plan(
            self.skeleton,
            lambda plan, x, width: write_motif(plan, cell, x, width),
            io,
            self.channels,
            self.repeats,
        )

    def shared_plan(self, genotype: Genotype, io: IO) -> Plan:
        """The layers of a network among those that share weights, which are the same."""
        return self.plan(genotype, io)

    def shares(self, genotype: Genotype, plan: Plan) -> Mapping[str, Share]:
        """Each edge of each motif in its place has weights for each operation and for whatever may arrive there.

        Raises:
            BadReference: A graph of primitives has so many nodes that far too much may arrive.
        """
        cell = self.cell(genotype)
        if cell is None:
            raise InvalidGenotype("the cell has no path from its input to its output: too many of its edges are none")
        return motif_graphs.shares(plan, cell)

    def cover(self) -> Iterator[Genotype]:
        """Cells with all edges, of one operation with weights."""
        primitives = list(blocks.HIERARCHICAL)
        for operation in motif_graphs.WITH_WEIGHTS:
            yield tuple(
                1 + primitives.index(operation) if level == 0 else 1
                for level, (count, nodes) in enumerate(zip(self.motifs, self.nodes, strict=True))
                for _ in range(count * len(_edges(nodes)))
            )

    def cell(self, genotype: Genotype) -> Motif | None:
        """The cell with its dead parts left out; None: its output cannot be reached."""
        return _cell(self, genotype)

    def resolve(self, genotype: Genotype) -> list[list[Motif | None]]:
        """The motifs of each level from 2 up, by number; None where a motif's output cannot be reached."""
        below: tuple[str | Motif | None, ...] = tuple(blocks.HIERARCHICAL)
        is_unread_kept, levels = self.unread == "build", []
        for spans, nodes in zip(self._spans, self.nodes, strict=True):
            prune = _prune if len(spans) == 1 else _prune_known  # cells hardly ever recur, motifs often do
            row = [prune(genotype[start:end], below, nodes, is_unread_kept) for start, end in spans]
            levels.append(row)
            below = tuple(row)
        return levels

    @property
    def _levels(self) -> int:
        return len(self.motifs) + 1

    @cached_property
    def _spans(self) -> list[list[tuple[int, int]]]:
        """First and last-plus-one gene of each motif, level by level."""
        spans, start = [], 0
        for motifs, nodes in zip(self.motifs, self.nodes, strict=True):
            edges = nodes * (nodes - 1) // 2
            bounds = range(start, start + (motifs + 1) * edges, edges)
            spans.append(list(pairwise(bounds)))
            start += motifs * edges
        return spans

    @cached_property
    def _target_sums(self) -> list[float]:
        """Running sums of the probability that a mutation targets each gene."""
        chances = [
            1 / len(self.motifs) / motifs / (nodes - 1) / target
            for motifs, nodes in zip(self.motifs, self.nodes, strict=True)
            for _ in range(motifs)
            for _, target in _edges(nodes)
        ]
        return [*list(accumulate(chances))[:-1], 1.0]


@lru_cache(maxsize=1024)
def _cell(space: HierarchicalSpace, genotype: Genotype) -> Motif | None:
    """The cell of a genotype, cached because a proposal is resolved when it is mutated, checked and named."""
    return space.resolve(genotype)[-1][0]


def _prune(values: Genotype, below: tuple[str | Motif | None, ...], nodes: int, is_unread_kept: bool) -> Motif | None:
    """The graph of these edge values without dead parts; None: its output cannot be reached.

    Args:
        values: Values of the graph's genes: 0 for no edge, else 1 + the position of its operation in `below`.
        below: The operations of the level below; None acts as no edge.
        nodes: Number of nodes of the graph.
        is_unread_kept: Whether to keep nodes whose output never reaches the graph's output.
    """
    edges = [
        (source, target, operation)
        for (source, target), value in zip(_edges(nodes), values, strict=True)
        if value and (operation := below[int(value) - 1]) is not None
    ]
    reached = {0}
    for source, target, _ in edges:  # ordered by target, so that each source is settled before its turn
        if source in reached:
            reached.add(target)
    if nodes - 1 not in reached:
        return None
    needed = set(range(nodes)) if is_unread_kept else {nodes - 1}
    for source, target, _ in reversed(edges):
        if target in needed:
            needed.add(source)
    alive = reached & needed
    kept = tuple(sorted(alive))
    if len(kept) < nodes:
        numbers = {node: number for number, node in enumerate(kept)}
        edges = [(numbers[s], numbers[t], op) for s, t, op in edges if s in alive and t in alive]
    text = ",".join([f"{s}-{t}:{op if type(op) is str else op.text}" for s, t, op in edges])  # type: ignore[union-attr]
    return Motif(kept, tuple(edges), f"({text})")


# a child shares all but one motif with its parent
_prune_known = lru_cache(maxsize=65536)(_prune)


@lru_cache(maxsize=64)
def _edges(nodes: int) -> tuple[tuple[int, int], ...]:
    """All (source, destination) pairs of a graph, nodes counted from 0, by destination, then source."""
    return tuple((source, target) for target in range(1, nodes) for source in range(target))


def _title(level: int, motif: int) -> str:
    return f"motif {motif}" if level == 2 else f"level {level} motif {motif}"


def _labeled(motif: Motif, titles: dict[int, str]) -> LabeledGraph:
    nodes = ("input", *(str(number + 1) for number in motif.numbers[1:-1]), "output")
    edges: list[tuple[int, int, str]] = []
    parts: dict[str, Motif] = {}
    for source, target, operation in motif.edges:
        if isinstance(operation, str):
            edges.append((source, target, operation))
            continue
        edges.append((source, target, titles[id(operation)]))
        parts.setdefault(titles[id(operation)], operation)
    below = tuple(_labeled(parts[title], titles) for title in sorted(parts, key=lambda t: (len(t), t)))
    return LabeledGraph(titles[id(motif)], nodes, tuple(edges), below)


plugin = HierarchicalSpace
