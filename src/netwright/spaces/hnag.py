"""Hierarchical random graphs: generators of networks by 8 numbers (Ru et al. 2020, NAGO).

A genotype holds the hyper-parameters of a generator: a Watts-Strogatz graph of cells, each an Erdos-Renyi graph of
groups, each a Watts-Strogatz graph of 3x3 convolutions. The seed, which is the trial's, draws the network. Channels
follow from a limit on parameters.

Source: Ru, Esperanca, Carlucci 2020, "Neural Architecture Generator Optimization", arXiv:2004.01395, and its released
code, which has the same layers and counts. Which four operations its 15-number space chose from, and from which ranges
its 14-number space drew shares and channel ratios, is not known; here they are choices.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final, Literal, TypeAlias

import numpy as np
from torch import nn

from netwright.cells import hnag_network, wired
from netwright.cells.hnag_network import MERGES, OPERATIONS, STAGES, Drawing, Generator
from netwright.cells.random_graphs import SMALLEST_RING, ring_degree
from netwright.cells.wired import Rule
from netwright.core import genes
from netwright.core.errors import BadReference, InvalidGenotype
from netwright.core.genes import Integer, Real
from netwright.core.records import IO, Counts, Genotype, LabeledGraph
from netwright.core.shapes import Image
from netwright.plans import network
from netwright.plans.plan import Plan

Searched = Literal["wiring", "operations", "stages"]
Number: TypeAlias = Integer | Real

MOST_NODES: Final = 100  # of one graph
MOST_OPERATIONS: Final = 10_000  # of a network
# what the graph models admit: a ring has at least 3 nodes, each joined to 2 or more
ADMITTED: Final[tuple[Number, ...]] = (
    Integer("n_top", SMALLEST_RING, MOST_NODES),
    Integer("k_top", 2, MOST_NODES),
    Real("p_top", 0.0, 1.0),
    Integer("n_mid", 1, MOST_NODES),
    Real("p_mid", 0.0, 1.0),
    Integer("n_bottom", SMALLEST_RING, MOST_NODES),
    Integer("k_bottom", 2, MOST_NODES),
    Real("p_bottom", 0.0, 1.0),
)
WEIGHTS: Final = tuple(Real(f"weight of {name}", 0.0, 1.0) for name in (*MERGES, *OPERATIONS))


@dataclass(frozen=True)
class HnagSpace:
    """Generators of networks with three levels of random graphs.

    Genes lie in the ranges; `check` admits whatever the graph models do, so that a published generator is accepted even
    if a search could not find it. An odd degree counts as one less, and a degree is less than the number of nodes.

    Args:
        n_top: Range of the number of cells, at least 3.
        k_top: Range of a cell's neighbors, at least 2.
        p_top: Range of the probability that an edge between cells is rewired.
        n_mid: Range of the number of groups in a cell, at least 1.
        p_mid: Range of the probability of an edge between groups, above 0.
        n_bottom: Range of the number of operations in a group, at least 3.
        k_bottom: Range of an operation's neighbors, at least 2.
        p_bottom: Range of the probability that an edge between operations is rewired.
        searched: "wiring": these 8. "operations": also the weights of 3 merges and 4 operations, 15 in all. "stages":
            also the shares of 3 stages and their channels, 14 in all.
        share: Range of a stage's share before shares are divided by their sum; for "stages".
        ratio: Range of a stage's channels in units of the base width; for "stages".
        shares: Share of the cells that each stage has; for the other two.
        ratios: Channels of each stage in units of the base width; for the other two.
        limit: Limit on the number of parameters; the base width is the largest within it.
        rule: "weights_only": the limit is for the weights of operations, as in the released code; networks have up to
            a fifth more. "strict": it is for all parameters.
        bias: Whether convolutions have a bias, though a normalization may follow, as in the released code.
        seed: Seed that draws the network; a trial has its own.
        fixed: Whether `seed` draws the network of each trial too: one network of a generator, not another each time.
    """

    accepts: ClassVar[tuple[type, ...]] = (Image,)

    n_top: tuple[int, int] = (3, 10)
    k_top: tuple[int, int] = (2, 5)
    p_top: tuple[float, float] = (0.1, 0.9)
    n_mid: tuple[int, int] = (1, 10)
    p_mid: tuple[float, float] = (0.1, 0.9)
    n_bottom: tuple[int, int] = (3, 10)
    k_bottom: tuple[int, int] = (2, 5)
    p_bottom: tuple[float, float] = (0.1, 0.9)
    searched: Searched = "wiring"
    share: tuple[float, float] = (0.1, 1.0)
    ratio: tuple[int, int] = (1, 4)
    shares: tuple[float, float, float] = (0.33, 0.33, 0.33)
    ratios: tuple[int, int, int] = (1, 2, 4)
    limit: int = 4_000_000
    rule: Rule = "weights_only"
    bias: bool = True
    seed: int = 0
    fixed: bool = False

    def __post_init__(self) -> None:
        for gene in ADMITTED:
            _check_range(gene, getattr(self, gene.name))
        if self.p_mid[0] == 0.0 and self.n_mid[1] > 2:
            raise BadReference("space.p_mid begins at 0, where no edge joins the groups of a cell; begin above 0")
        _check_range(Real("share", 1e-3, 1.0), self.share)
        _check_range(Integer("ratio", 1, 64), self.ratio)
        if min(self.ratios) < 1 or min(self.shares) < 0:
            raise BadReference(
                f"space.ratios is {list(self.ratios)} and space.shares {list(self.shares)}; give ratios from 1, shares "
                "from 0"
            )
        if not 0 <= self.seed < 2**63:
            raise BadReference(f"space.seed is {self.seed}; give a whole number from 0 to 2**63 - 1")
        smallest = hnag_network.base(hnag_network.draw(self._smallest(), 0))
        if self.limit < smallest:
            raise BadReference(
                f"space.limit is {self.limit:,}, too small for any width: the smallest generator of the ranges has "
                f"{smallest:,} weights with one channel; raise it"
            )

    @property
    def genes(self) -> tuple[Number, ...]:
        """The 8 genes of the wiring, then those that `searched` adds."""
        wiring: list[Number] = []
        for gene in ADMITTED:
            low, high = getattr(self, gene.name)
            made = Integer(gene.name, low, high) if isinstance(gene, Integer) else Real(gene.name, low, high)
            wiring.append(made)
        return (*wiring, *self._added())

    def sample(self, rng: np.random.Generator) -> Genotype:
        """A genotype with every gene drawn uniformly over its range."""
        return genes.sample(self.genes, rng)

    def mutate(self, genotype: Genotype, rng: np.random.Generator) -> Genotype:
        """A copy with one gene drawn again."""
        return genes.mutate(self.genes, genotype, rng)

    def check(self, genotype: Genotype) -> None:
        """Raise InvalidGenotype for what the graph models cannot draw, and where the limit leaves no channel.

        What the rule "strict" leaves depends on the images, so that only `count` can refuse it.
        """
        self._check_generator(genotype)
        if self._largest_base(genotype) > self.limit:
            self._width(self.draw(genotype))

    def _check_generator(self, genotype: Genotype) -> None:
        genes.check((*ADMITTED, *self._added()), genotype)
        n_top, _, _, n_mid, p_mid, n_bottom, *_ = genotype
        if n_mid > 2 and p_mid == 0:
            raise InvalidGenotype(f"gene 4 (p_mid) is 0, and no edge joins the {n_mid} groups; it must be above 0")
        if n_top * n_mid * n_bottom > MOST_OPERATIONS:
            raise InvalidGenotype(
                f"the generator has {n_top * n_mid * n_bottom:,} operations; a network has at most {MOST_OPERATIONS:,}"
            )

    def seeded(self, seed: int) -> HnagSpace:
        """The same space with another seed; itself where its own is fixed."""
        return self if self.fixed else replace(self, seed=seed)

    def build(self, genotype: Genotype, io: IO, rng: np.random.Generator) -> nn.Module:
        """The network that `seed` draws, its weights from `rng`: images (B, C, H, W) to logits (B, outputs)."""
        return network.build(self.plan(genotype, io), rng)

    def count(self, genotype: Genotype, io: IO) -> Counts:
        """Parameters and multiply-adds in closed form."""
        drawing = self.draw(genotype)
        return hnag_network.count(drawing, self._width(drawing, io), io, self.bias)

    def key(self, genotype: Genotype) -> str:
        """Digest of the generator, without probabilities that change nothing, with the degrees that rings really have.

        Raises:
            InvalidGenotype: The graph models cannot draw it.
        """
        self._check_generator(genotype)
        made = self._generator(genotype)
        rings = []
        for nodes, degree, rewiring in (made.top, made.bottom):
            real = ring_degree(nodes, degree)
            rings.append((nodes, real, float(rewiring) if real < nodes - 1 else None))
        groups, joined = made.middle
        middle = (groups, float(joined) if groups > 2 else None)
        stages = hnag_network.stages(made.top[0], made.shares)
        return genes.digest(f"hnag {rings} {middle} {stages} {made.ratios} {made.merges} {made.operations}")

    def graph(self, genotype: Genotype) -> LabeledGraph:
        """A drawing of the cells, below them their groups, below these the operations of each wiring."""
        return hnag_network.labeled(self.draw(genotype))

    def plan(self, genotype: Genotype, io: IO) -> Plan:
        """The layers of the network."""
        drawing = self.draw(genotype)
        return hnag_network.plan(drawing, self._width(drawing, io), io, self.bias)

    def draw(self, genotype: Genotype) -> Drawing:
        """The graphs of the network that `seed` draws."""
        return hnag_network.draw(self._generator(genotype), self.seed)

    def width(self, genotype: Genotype, io: IO) -> int:
        """The base width, the paper's m: the unit in which the channels of the stages are given.

        Raises:
            InvalidGenotype: The limit leaves no channel.
        """
        return self._width(self.draw(genotype), io)

    def _width(self, drawing: Drawing, io: IO | None = None) -> int:
        least = hnag_network.base(drawing)
        found = math.isqrt(self.limit // least)
        if self.rule == "strict" and io is not None:

            def size(width: int) -> int:
                return hnag_network.size(drawing, width, io, self.bias)

            least, found = size(1), wired.largest_width(size, self.limit, found)
        if not found:
            raise InvalidGenotype(
                f"the generator needs {least:,} parameters with one channel and space.limit is {self.limit:,}; raise it"
            )
        return found

    def _generator(self, genotype: Genotype) -> Generator:
        n_top, k_top, p_top, n_mid, p_mid, n_bottom, k_bottom, p_bottom, *rest = genotype
        made = Generator(
            (int(n_top), int(k_top), p_top),
            (int(n_mid), p_mid),
            (int(n_bottom), int(k_bottom), p_bottom),
            self.shares,
            self.ratios,
        )
        if self.searched == "operations":
            return replace(made, merges=_shares(rest[: len(MERGES)]), operations=_shares(rest[len(MERGES) :]))
        if self.searched == "stages":
            shares, ratios = rest[:STAGES], rest[STAGES:]
            return replace(made, shares=tuple(s / sum(shares) for s in shares), ratios=tuple(map(int, ratios)))
        return made

    def _smallest(self) -> Generator:
        """The generator of the ranges with the fewest weights."""
        made = self._generator(tuple(gene.low for gene in self.genes))
        if self.searched != "operations":
            return made
        return replace(made, merges=(1, 0, 0), operations=tuple(int(name == "conv 1x1") for name in OPERATIONS))

    def _added(self) -> tuple[Number, ...]:
        if self.searched == "operations":
            return WEIGHTS
        if self.searched == "stages":
            shares = [Real(f"share of stage {n + 1}", *self.share) for n in range(STAGES)]
            return (*shares, *(Integer(f"channels of stage {n + 1}", *self.ratio) for n in range(STAGES)))
        return ()

    def _largest_base(self, genotype: Genotype) -> int:
        """A bound on the number of weights at m = 1 that needs no drawing."""
        made = self._generator(genotype)
        operations = made.top[0] * made.middle[0] * made.bottom[0]
        kernel = 3 if self.searched != "operations" else 5
        fan_in = 1 if self.searched != "operations" else max(made.top[0], made.middle[0], made.bottom[0])
        return operations * kernel**2 * fan_in * max(made.ratios) ** 2


def _shares(weights: Sequence[float]) -> tuple[float, ...]:
    """Weights divided by their sum, so that equal generators have one spelling; equal shares if all are 0."""
    total = sum(weights)
    return tuple(round(weight / total if total else 1 / len(weights), 12) for weight in weights)


def _check_range(gene: Number, given: tuple[float, float]) -> None:
    """Raise BadReference for a range that is empty or that the graph models do not admit."""
    low, high = given
    if not gene.low <= low <= high <= gene.high:
        raise BadReference(
            f"space.{gene.name} is {low} to {high}; give a range, low end first, within {gene.low} to {gene.high}"
        )


plugin = HnagSpace
