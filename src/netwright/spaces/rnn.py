"""NAO's recurrent cells: 12 states, of which 11 are searched, in a language model of one layer (Luo et al. 2018).

State 0 is made of a word and of the output before. Each of nodes 1 to 11 reads one earlier state and has an activation;
gates move the state towards it. The output is the mean of all searched states. As tokens, genotypes are the published
sequences of 22 with a vocabulary of 16.

The two published programs number activations differently. Genes here have the order of the program without shared
weights: 0 tanh, 1 relu, 2 identity, 3 sigmoid. In that with shared weights 2 is sigmoid and 3 identity; `encode` takes
names, so that cells of either program are read alike. The latter also searches with a mean of all 12 states and trains
what it finds with a mean of 11, a mismatch that `average` can repeat. The paper has no mutation; the one here draws one
gene anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import ClassVar

import numpy as np
from torch import nn

from netwright.cells import recurrent
from netwright.cells.recurrent import ACTIVATIONS, Averaged, RecurrentCell
from netwright.core import genes
from netwright.core.bounds import check_sizes
from netwright.core.errors import InvalidGenotype
from netwright.core.genes import Choice
from netwright.core.records import IO, Counts, Genotype, LabeledGraph
from netwright.core.shapes import Tokens
from netwright.plans import counting, network
from netwright.plans.plan import Plan
from netwright.plans.sharing import Share


@dataclass(frozen=True)
class RnnSpace:
    """Recurrent cells of gated nodes, each of which reads one other.

    Args:
        width: Number of units of the recurrent layer, and of features of a word (paper: 850 on Penn Treebank, 700 on
            WikiText-2, 300 in the search with shared weights).
        nodes: Number of nodes that are searched (paper: 11; Liu et al. 2019: 8).
        average: The states whose mean is the output of a cell: "searched", as published cells are trained, or "all",
            state 0 among them, as the program with shared weights searches.
    """

    accepts: ClassVar[tuple[type, ...]] = (Tokens,)

    width: int = 200
    nodes: int = 11
    average: Averaged = "searched"

    def __post_init__(self) -> None:
        check_sizes(width=self.width, nodes=self.nodes)

    @cached_property
    def genes(self) -> tuple[Choice, ...]:
        """The genes by node: the state that it reads, and its activation."""
        states = tuple(str(state) for state in range(self.nodes))
        return tuple(
            gene
            for node in range(1, self.nodes + 1)
            for gene in (
                Choice(f"reads {node}", states[:node], kind="state"),
                Choice(f"activation {node}", ACTIVATIONS, kind="activation"),
            )
        )

    def sample(self, rng: np.random.Generator) -> Genotype:
        """A genotype with every state and activation drawn uniformly, as the published starting cells are."""
        return genes.sample(self.genes, rng)

    def mutate(self, genotype: Genotype, rng: np.random.Generator) -> Genotype:
        """A copy with the state or the activation of one node drawn anew, uniformly; it may be the old one."""
        return genes.mutate(self.genes, genotype, rng)

    def check(self, genotype: Genotype) -> None:
        """Raise InvalidGenotype for a wrong value."""
        genes.check(self.genes, genotype)

    def encode(self, nodes: Sequence[tuple[int, str]]) -> Genotype:
        """The genotype of a cell as papers list it: of each node, the state that it reads and its activation.

        Raises:
            InvalidGenotype: This space does not have such a node there.
        """
        for node, (_, name) in enumerate(nodes, 1):
            if name not in ACTIVATIONS:
                raise InvalidGenotype(f"node {node} has the activation {name!r}; there are {', '.join(ACTIVATIONS)}")
        genotype = tuple(gene for read, name in nodes for gene in (read, ACTIVATIONS.index(name)))
        self.check(genotype)
        return genotype

    def cell(self, genotype: Genotype) -> RecurrentCell:
        """The cell of a genotype."""
        values = [int(value) for value in genotype]
        nodes = tuple((read, ACTIVATIONS[name]) for read, name in zip(values[::2], values[1::2], strict=True))
        return RecurrentCell(nodes, self.average)

    def build(self, genotype: Genotype, io: IO, rng: np.random.Generator) -> nn.Module:
        """The network: tokens (B, T), of any T, to logits (B, T, vocabulary); it carries its state on.

        Weights are drawn uniformly within 0.04 of 0, as published.
        """
        return network.build(self.plan(genotype, io), rng)

    def count(self, genotype: Genotype, io: IO) -> Counts:
        """Parameters, and multiply-adds for all steps of one sequence, in closed form."""
        return counting.count(self.plan(genotype, io))

    def key(self, genotype: Genotype) -> str:
        """Digest of the cell without the order of its nodes."""
        return genes.digest(self.cell(genotype).text)

    def graph(self, genotype: Genotype) -> LabeledGraph:
        """A drawing of the model and of its cell."""
        return self.cell(genotype).graph(self.width)

    def plan(self, genotype: Genotype, io: IO) -> Plan:
        """The layers of the network."""
        return recurrent.plan(self.cell(genotype), self.width, io)

    def shared_plan(self, genotype: Genotype, io: IO) -> Plan:
        """The layers of a network among those that share weights, which are the same."""
        return self.plan(genotype, io)

    def shares(self, genotype: Genotype, plan: Plan) -> Mapping[str, Share]:
        """Each node has weights for each state that it may read and each activation; all else is common to all."""
        return recurrent.shares(self.cell(genotype), plan)

    def cover(self) -> Iterator[Genotype]:
        """Cells of one activation, whose nodes read the same state, or the nearest to it in turn."""
        for shift, activation in product(range(self.nodes), range(len(ACTIVATIONS))):
            yield tuple(gene for node in range(1, self.nodes + 1) for gene in (shift % node, activation))


plugin = RnnSpace
