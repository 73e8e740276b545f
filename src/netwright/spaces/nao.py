"""NAO's cells: five nodes of two operations each, home of the NAONets (Luo et al. 2018).

A genotype is a normal cell, then a reduction cell. Each node has two branches, each with a state that it reads and an
operation; "skip" (state 0) is the output of the cell before the last, "direct" (state 1) that of the last. The states
that no branch reads are concatenated, so that every node counts.

As tokens, genotypes are the published sequences: 40 with a vocabulary of 12 for the small set, 60 with a vocabulary of
21 for operations given by family and size. The paper has no mutation; the one here draws one state or operation anew.

`cells.nao` says how cells are built and stacked, `cells.nao_ops` what the operations are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import ClassVar, Final, Literal

import numpy as np
from torch import nn

from netwright.cells import nao, nasnet, two_cells
from netwright.cells.nao import Outline
from netwright.cells.nao_ops import SETS, Flavor, Kind
from netwright.cells.nasnet import Branch, Cell, Combination, Skeleton
from netwright.cells.two_cells import CELLS, Row
from netwright.core import genes
from netwright.core.bounds import check_sizes
from netwright.core.errors import BadReference, InvalidGenotype
from netwright.core.genes import Choice
from netwright.core.records import IO, Counts, Genotype, LabeledGraph
from netwright.core.shapes import Image
from netwright.plans import network
from netwright.plans.plan import Plan
from netwright.plans.sharing import Share

INPUTS: Final = ("skip", "direct")

# An operation by family and size, in the order of the published tokens. The two lists hold more than the sets of
# operations do, as the published vocabulary does; combinations that no set has are refused.
FAMILIES: Final = ("identity", "sep", "conv", "dil sep", "avg pool", "max pool", "min pool")
SIZES: Final = ("1x1", "2x2", "3x3", "5x5", "7x7", "1x3 3x1", "1x7 7x1")

# width and normal cells per stack by default: those of the search on CIFAR-10 and of the published ImageNet model
DEFAULTS: Final[dict[str, tuple[int, int]]] = {"cifar": (32, 3), "imagenet": (42, 4)}


@dataclass(frozen=True)
class NaoSpace:
    """Normal and reduction cells of nodes that add two operations.

    Args:
        nodes: Number of nodes per cell (paper: 5).
        operations: Operations of a branch: "large" is the set of 11 dense convolutions and poolings of the search
            without shared weights, "small" the set of 5 of the search with them, "middle" the set of 10 of the authors'
            later program, with an operation that gives zeros; it has no families and sizes.
        genes_per_branch: 2: the state that it reads and the operation, with which every genotype is a network. 3: the
            state, the operation's family, and its size, as the search without shared weights was published; some
            pairs are no operation, and the size of an identity means nothing.
        channels: Width of the first stack (F); None: the skeleton's default, 32 and 42.
        repeats: Number of normal cells per stack (N); None: the skeleton's default, 3 and 4.
        skeleton: The network that the cells are put into.
        flavor: Which of the authors' programs to follow where they differ; see `cells.nao` and `cells.nao_ops`.
        auxiliary: Whether training has a second classifier, which is neither counted nor exported.
    """

    accepts: ClassVar[tuple[type, ...]] = (Image,)
    of_supernet: ClassVar[Mapping[str, Kind]] = MappingProxyType({"operations": "small"})  # options, as published

    nodes: int = 5
    operations: Kind = "large"
    genes_per_branch: Literal[2, 3] = 2
    channels: int | None = None
    repeats: int | None = None
    skeleton: Skeleton = "cifar"
    flavor: Flavor = "pytorch"
    auxiliary: bool = False

    def __post_init__(self) -> None:
        check_sizes(nodes=self.nodes, channels=self.channels, repeats=self.repeats)
        if self.operations == "middle" and self.genes_per_branch == 3:
            raise BadReference(
                "space.genes_per_branch is 3, but the middle set of operations has no families and sizes; give 2"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """The operations of the set, in the order of the published numbers."""
        return SETS[self.operations]

    @cached_property
    def genes(self) -> tuple[Choice, ...]:
        """The genes by cell, normal first, node and branch: the state it reads, the operation in one part or two."""
        states = (*INPUTS, *(str(state) for state in range(2, self.nodes + 1)))
        return tuple(
            gene
            for cell in CELLS
            for state in range(2, self.nodes + 2)
            for branch in ("a", "b")
            for gene in (
                Choice(f"{cell} {state}{branch} reads", states[:state], kind="state"),
                *self._operation_genes(f"{cell} {state}{branch}"),
            )
        )

    def sample(self, rng: np.random.Generator) -> Genotype:
        """A genotype with every state and operation drawn uniformly, as the published starting cells are."""
        return self._written((rng.random(len(self._ranges)) * self._ranges).astype(int).tolist())

    def mutate(self, genotype: Genotype, rng: np.random.Generator) -> Genotype:
        """A copy with a state or an operation of one branch drawn anew, uniformly; it may be the old one."""
        place, value = rng.random(2).tolist()
        values = self._read(genotype)
        position = int(place * len(values))
        values[position] = int(value * self._ranges[position])
        return self._written(values)

    def equivalents(self, genotype: Genotype, rng: np.random.Generator) -> Genotype:
        """A copy with the two branches of one node of each cell exchanged, as NAO's training data is augmented."""
        return two_cells.swap_branches(genotype, 2 * self.genes_per_branch, rng)

    def check(self, genotype: Genotype) -> None:
        """Raise InvalidGenotype for a wrong value, or for a family and size that are no operation of the set."""
        genes.check(self.genes, genotype)
        for position in range(0, len(genotype), 3) if self.genes_per_branch == 3 else ():
            name = _operation(*genotype[position + 1 : position + 3])
            if name not in self.names:
                raise InvalidGenotype(
                    f"genes {position + 1} and {position + 2} ({self.genes[position + 1].name}) are {name!r}, which "
                    f"the {self.operations} set does not have; it has {', '.join(self.names)}"
                )

    def encode(self, normal: Sequence[Row], reduction: Sequence[Row]) -> Genotype:
        """The genotype of cells as papers list them: per node, an operation and the state it reads, twice.

        Raises:
            InvalidGenotype: This space does not have an operation or state there.
        """
        genotype = self._written(two_cells.values(normal, reduction, self.names))
        self.check(genotype)
        return genotype

    def cells(self, genotype: Genotype) -> tuple[Cell, Cell]:
        """The normal and the reduction cell."""
        return _cells(self, genotype)

    def build(self, genotype: Genotype, io: IO, rng: np.random.Generator) -> nn.Module:
        """The network: images (B, C, H, W) of any size to logits (B, outputs)."""
        return network.build(self.plan(genotype, io), rng)

    def count(self, genotype: Genotype, io: IO) -> Counts:
        """Parameters and multiply-adds in closed form, without the auxiliary head."""
        return nao.count(self._outline, *self.cells(genotype), io)

    def key(self, genotype: Genotype) -> str:
        """Digest of both cells without the names of states and the order of branches."""
        return genes.digest(" / ".join(two_cells.cell_text(cell) for cell in self.cells(genotype)))

    def graph(self, genotype: Genotype) -> LabeledGraph:
        """A drawing of the stacks, below them the two cells."""
        parts = (
            two_cells.cell_graph(name, cell, INPUTS) for name, cell in zip(CELLS, self.cells(genotype), strict=True)
        )
        stem = "conv 3x3" if self.skeleton == "cifar" else "3 convs 3x3, stride 2"
        return two_cells.stacks_graph(stem, (), self._outline.channels, self._outline.repeats, *parts)

    def plan(self, genotype: Genotype, io: IO) -> Plan:
        """The layers of the network."""
        return nao.plan(self._outline, *self.cells(genotype), io)

    def shared_plan(self, genotype: Genotype, io: IO) -> Plan:
        """The layers of a network among those that share weights: each cell ends in a 1x1 convolution besides."""
        return nao.plan(replace(self._outline, closes=True), *self.cells(genotype), io)

    def shares(self, genotype: Genotype, plan: Plan) -> Mapping[str, Share]:
        """Each branch has weights for each state and operation, each closing convolution a block for each state."""
        return nao.shares(replace(self._outline, closes=True), *self.cells(genotype), plan)

    def cover(self) -> Iterator[Genotype]:
        """Cells of one operation, whose branches read the same state, or the nearest to it in turn."""
        for reads in two_cells.readings(self.nodes):
            for operation in range(len(self.names)):
                yield self._written([value for read in reads for value in (read, operation)])

    def _operation_genes(self, branch: str) -> tuple[Choice, ...]:
        if self.genes_per_branch == 2:
            return (Choice(f"{branch} is", self.names, kind="operation"),)
        return Choice(f"{branch} is", FAMILIES, kind="family"), Choice(f"{branch} has size", SIZES, kind="size")

    def _written(self, values: Sequence[int]) -> Genotype:
        """The genotype of states and positions in `names`, given alternately."""
        if self.genes_per_branch == 2:
            return tuple(values)
        return tuple(
            gene
            for state, operation in zip(values[::2], values[1::2], strict=True)
            for gene in (state, *_parts(self.names[operation]))
        )

    def _read(self, genotype: Genotype) -> list[int]:
        """Inverse of `_written`, except for the sizes of identities."""
        values = [int(value) for value in genotype]
        if self.genes_per_branch == 2:
            return values
        return [
            number
            for state, *parts in zip(values[::3], values[1::3], values[2::3], strict=True)
            for number in (state, self.names.index(_operation(*parts)))
        ]

    @cached_property
    def _outline(self) -> Outline:
        channels, repeats = DEFAULTS[self.skeleton]
        scale = self.channels or channels, self.repeats or repeats
        return Outline(self.skeleton, *scale, self.operations, self.flavor, self.auxiliary)

    @cached_property
    def _ranges(self) -> np.ndarray:
        """How many values each state and each position in `names` has, alternately."""
        states = [state for _ in CELLS for state in range(2, self.nodes + 2) for _ in ("a", "b")]
        return np.array([size for state in states for size in (state, len(self.names))])


@lru_cache(maxsize=4096)
def _cells(space: NaoSpace, genotype: Genotype) -> tuple[Cell, Cell]:
    """The cells of a genotype, cached because a proposal is named, counted and drawn."""
    values = space._read(genotype)
    branches: list[Branch] = [(space.names[o], state) for state, o in zip(values[::2], values[1::2], strict=True)]
    nodes: list[Combination] = list(zip(branches[::2], branches[1::2], strict=True))
    halves = tuple(nodes[: space.nodes]), tuple(nodes[space.nodes :])
    normal, reduction = (Cell(half, nasnet.unused(half)) for half in halves)
    return normal, reduction


def _operation(family: float, size: float) -> str:
    """The name of an operation given in two parts."""
    found = FAMILIES[int(family)]
    return found if found == "identity" else f"{found} {SIZES[int(size)]}"


@lru_cache
def _parts(name: str) -> tuple[int, int]:
    """Inverse of `_operation`; an identity has the first size."""
    family = next(each for each in FAMILIES if name.startswith(each))
    return FAMILIES.index(family), 0 if family == "identity" else SIZES.index(name.removeprefix(f"{family} "))


plugin = NaoSpace
