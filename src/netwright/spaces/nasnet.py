"""Cells of pairwise combinations: the NASNet space, home of the AmoebaNets (Zoph et al. 2018; Real et al. 2019).

A genotype is a normal cell, then a reduction cell. Each combination has two branches, each with a state that it reads
and an operation; "direct" (state 0) is the output of the cell before, "skip" (state 1) that of the one before that. The
states that no branch reads are concatenated; published cells have a list of their own, the option `concatenated`.

`cells.nasnet` says how cells are built and stacked, `cells.nasnet_ops` what the operations are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import ClassVar, Final

import numpy as np
from torch import nn

from netwright.cells import nasnet, two_cells
from netwright.cells.nasnet import Cell, Combination, Outline, Skeleton
from netwright.cells.nasnet_ops import NASNET, OPERATIONS, SP1, SP2
from netwright.cells.two_cells import CELLS, Row
from netwright.core import genes
from netwright.core.bounds import check_sizes
from netwright.core.errors import BadReference
from netwright.core.genes import Choice
from netwright.core.records import IO, Counts, Genotype, LabeledGraph
from netwright.core.shapes import Image
from netwright.plans import network
from netwright.plans.ops.images import EPSILON, MOMENTUM, Norm
from netwright.plans.plan import Plan
from netwright.plans.sharing import Share

SETS: Final = {"sp1": SP1, "sp2": SP2, "nasnet": NASNET}
INPUTS: Final = ("direct", "skip")
GENES: Final = 4  # number of genes of a combination

# Real et al. 2019, section "Evolutionary algorithm": the share of copies; the two other mutations share the rest
IDENTITY: Final = 0.05

# width and normal cells per stack by default: those of the paper's searches and of its mobile model
DEFAULTS: Final[dict[str, tuple[int, int]]] = {"cifar": (24, 3), "imagenet": (50, 4)}


@dataclass(frozen=True)
class NasnetSpace:
    """Normal and reduction cells of pairwise combinations.

    Args:
        combinations: Number of combinations per cell (papers: 5; 15 in Real et al.'s SP-III).
        operations: Operations of a branch: "sp1" is Real et al.'s main list of 8, "sp2" a guess at its superset, whose
            list is not known here, "nasnet" Zoph et al.'s list of 13; or names from all of these.
        concatenated: States that make the output of the normal and of the reduction cell; None: those that no branch
            reads.
        channels: Width of the first stack (F); None: the skeleton's default, 24 and 50. Where an odd number is halved,
            the second half is the larger one; a quarter is rounded down.
        repeats: Number of normal cells per stack (N); None: the skeleton's default, 3 and 4.
        skeleton: The network that the cells are put into.
        stem: Channels of the first convolution; None: three times the width, or 32 for "imagenet".
        auxiliary: Whether training has a second classifier, which is neither counted nor exported.
        auxiliary_scale: Factor of that classifier's widths, 128 and 768 (1 in the papers, 0.4 in a published program).
        norm_epsilon: Number that batch normalization adds to the variance (1e-3 in that program on ImageNet).
        norm_momentum: Share of each batch in its running means and variances (3e-4 there; 1 less it is called decay).
    """

    accepts: ClassVar[tuple[type, ...]] = (Image,)

    combinations: int = 5
    operations: str | tuple[str, ...] = "sp1"
    concatenated: tuple[tuple[int, ...], tuple[int, ...]] | None = None
    channels: int | None = None
    repeats: int | None = None
    skeleton: Skeleton = "cifar"
    stem: int | None = None
    auxiliary: bool = False
    auxiliary_scale: float = 1.0
    norm_epsilon: float = EPSILON
    norm_momentum: float = MOMENTUM

    def __post_init__(self) -> None:
        check_sizes(combinations=self.combinations, channels=self.channels, repeats=self.repeats, stem=self.stem)
        if not 0 < self.auxiliary_scale <= 100:
            raise BadReference(f"space.auxiliary_scale is {self.auxiliary_scale}; it must be over 0 and at most 100")
        if not 0 < self.norm_epsilon <= 1:
            raise BadReference(f"space.norm_epsilon is {self.norm_epsilon}; it must be over 0 and at most 1")
        if not 0 < self.norm_momentum <= 1:
            raise BadReference(f"space.norm_momentum is {self.norm_momentum}; it must be over 0 and at most 1")
        if isinstance(self.operations, str) and self.operations not in SETS:
            raise BadReference(
                f"space.operations is {self.operations!r}; it is {', '.join(SETS)}, or a list of operations"
            )
        if unknown := [name for name in self.names if name not in OPERATIONS]:
            raise BadReference(f"space.operations has {unknown[0]!r}; there are {', '.join(OPERATIONS)}")
        if not self.names or len(set(self.names)) < len(self.names):
            raise BadReference(f"space.operations is {list(self.names)}; it needs at least one, and each once")
        for states in self.concatenated or ():
            if not states or sorted(set(states) & set(range(self.combinations + 2))) != list(states):
                raise BadReference(
                    f"space.concatenated has {list(states)}; it takes states from 0 to {self.combinations + 1} in "
                    "order, as in [[1, 3, 6], [5, 6]]"
                )

    @property
    def names(self) -> tuple[str, ...]:
        """The operations, by the values of their genes."""
        return SETS[self.operations] if isinstance(self.operations, str) else self.operations

    @cached_property
    def genes(self) -> tuple[Choice, ...]:
        """The genes by cell, normal first, combination and branch: the state it reads, the operation."""
        states = (*INPUTS, *(str(state) for state in range(2, self.combinations + 1)))
        return tuple(
            gene
            for cell in CELLS
            for state in range(2, self.combinations + 2)
            for branch in ("a", "b")
            for gene in (
                Choice(f"{cell} {state}{branch} reads", states[:state], kind="state"),
                Choice(f"{cell} {state}{branch} is", self.names, kind="operation"),
            )
        )

    def sample(self, rng: np.random.Generator) -> Genotype:
        """A genotype with every state and operation drawn uniformly, as the paper's initial population is."""
        return tuple((rng.random(len(self._sizes)) * self._sizes).astype(int).tolist())

    def mutate(self, genotype: Genotype, rng: np.random.Generator) -> Genotype:
        """The paper's mutation: no change (5 %), else, equally often, a new state or a new operation of one branch.

        Cell, combination and branch are uniform. A new state differs from the old one if it can; a new operation is
        drawn from all, the old one included.
        """
        kind, place, value = rng.random(3).tolist()
        if kind < IDENTITY:
            return genotype
        branch = int(place * (len(genotype) // 2))
        is_state = kind < IDENTITY + (1 - IDENTITY) / 2
        gene = 2 * branch if is_state else 2 * branch + 1
        options = self._sizes_listed[gene]
        drawn = int(value * (options - is_state))
        drawn += is_state and drawn >= genotype[gene]
        return (*genotype[:gene], drawn, *genotype[gene + 1 :])

    def equivalents(self, genotype: Genotype, rng: np.random.Generator) -> Genotype:
        """A copy with the two branches of one combination of each cell exchanged."""
        return two_cells.swap_branches(genotype, GENES, rng)

    def check(self, genotype: Genotype) -> None:
        """Raise InvalidGenotype for a wrong value. Every cell is valid."""
        genes.check(self.genes, genotype)

    def encode(self, normal: Sequence[Row], reduction: Sequence[Row]) -> Genotype:
        """The genotype of cells as papers list them: per combination, an operation and the state it reads, twice.

        Raises:
            InvalidGenotype: This space does not have an operation or state there.
        """
        genotype = tuple(two_cells.values(normal, reduction, self.names))
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
        return nasnet.count(self._outline, *self.cells(genotype), io)

    def key(self, genotype: Genotype) -> str:
        """Digest of both cells without dead states, the names of states and the order of branches."""
        return genes.digest(" / ".join(two_cells.cell_text(cell) for cell in self.cells(genotype)))

    def graph(self, genotype: Genotype) -> LabeledGraph:
        """A drawing of the stacks, below them the two cells."""
        parts = (
            two_cells.cell_graph(name, cell, INPUTS) for name, cell in zip(CELLS, self.cells(genotype), strict=True)
        )
        is_deep, channels = self.skeleton == "imagenet", self._outline.channels
        stem, first = ("conv 3x3, stride 2", (channels // 4, channels // 2)) if is_deep else ("conv 3x3", ())
        return two_cells.stacks_graph(stem, first, channels, self._outline.repeats, *parts)

    def plan(self, genotype: Genotype, io: IO) -> Plan:
        """The layers of the network."""
        return nasnet.plan(self._outline, *self.cells(genotype), io)

    def shared_plan(self, genotype: Genotype, io: IO) -> Plan:
        """The layers of a network among those that share weights, which are the same."""
        return self.plan(genotype, io)

    def shares(self, genotype: Genotype, plan: Plan) -> Mapping[str, Share]:
        """Each branch has weights for each state and operation; what reads a cell has a block for each state."""
        return nasnet.shares(self._outline, *self.cells(genotype), plan)

    def cover(self) -> Iterator[Genotype]:
        """Cells of one operation, whose branches read the same states in turn; all states count in one of them."""
        readings = two_cells.readings(self.combinations)
        for reads in readings if self.concatenated is None else two_cells.readings_of_each(self.combinations):
            for operation in range(len(self.names)):
                yield tuple(value for read in reads for value in (read, operation))

    @cached_property
    def _outline(self) -> Outline:
        channels, repeats = DEFAULTS[self.skeleton]
        scale = self.channels or channels, self.repeats or repeats
        norm = Norm(self.norm_epsilon, self.norm_momentum)
        return Outline(self.skeleton, *scale, self.stem, self.auxiliary, self.auxiliary_scale, norm)

    @cached_property
    def _sizes_listed(self) -> list[int]:
        return [len(gene.options) for gene in self.genes]

    @cached_property
    def _sizes(self) -> np.ndarray:
        return np.array(self._sizes_listed)


@lru_cache(maxsize=4096)
def _cells(space: NasnetSpace, genotype: Genotype) -> tuple[Cell, Cell]:
    """The cells of a genotype, cached because a proposal is named, counted and drawn."""
    names, values = space.names, [int(value) for value in genotype]
    branches = [(names[operation], state) for state, operation in zip(values[::2], values[1::2], strict=True)]
    pairs: list[Combination] = list(zip(branches[::2], branches[1::2], strict=True))
    found = []
    for number in range(len(CELLS)):
        combinations = tuple(pairs[number * space.combinations : (number + 1) * space.combinations])
        outputs = space.concatenated[number] if space.concatenated else nasnet.unused(combinations)
        found.append(Cell(combinations, outputs))
    return found[0], found[1]


plugin = NasnetSpace
