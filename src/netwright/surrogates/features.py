"""Genotypes as numbers for a kernel: which genes agree, how far ordered ones are apart, and what occurs how often.

Three blocks of columns, all made of the genes alone, so that they exist for every space:

* **options**: one column per option of every choice, 1 where the genotype has it;
* **levels**: one per gene whose values are ordered (integers, reals, choices whose options are numbers), in [0, 1];
* **counts**: how many genes of a kind have an option, for kinds that several genes share: a cell is also the bag of
  its operations, wherever they stand.

Pairs of genes need no columns: the kernel's exponential of a sum is a product over genes, which holds all interactions.
Paths of the graph are not used: a user's own table has none.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from netwright.core.genes import Choice, Gene, Integer
from netwright.core.records import Genotype


@dataclass(frozen=True, eq=False)
class Features:
    """Encoded genotypes.

    Args:
        options: Whether a genotype has an option, shape (N, columns), 0 or 1.
        levels: Places of ordered values in their ranges, shape (N, columns), in [0, 1].
        counts: Shares of the genes of a kind that have an option, shape (N, columns), in [0, 1].
    """

    options: np.ndarray
    levels: np.ndarray
    counts: np.ndarray

    def __len__(self) -> int:
        """Number of genotypes."""
        return len(self.options)

    def __getitem__(self, rows: np.ndarray) -> Features:
        """The genotypes at some positions, shape (M,)."""
        return Features(self.options[rows], self.levels[rows], self.counts[rows])


@dataclass(frozen=True, eq=False)
class Encoder:
    """Encodes genotypes of `genes`; says which gene and which option of which kind a column belongs to."""

    genes: tuple[Gene, ...]

    @cached_property
    def choices(self) -> np.ndarray:
        """Positions of the choices among the genes."""
        return np.array([n for n, gene in enumerate(self.genes) if isinstance(gene, Choice)], dtype=int)

    @cached_property
    def ordered(self) -> np.ndarray:
        """Positions of the genes with a level."""
        found = [n for n, gene in enumerate(self.genes) if not isinstance(gene, Choice) or _is_ordered(gene)]
        return np.array(found, dtype=int)

    @cached_property
    def gene_of_option(self) -> np.ndarray:
        """For each column of options, the position of its gene."""
        return np.repeat(self.choices, [len(self._choice(n).options) for n in self.choices]).astype(int)

    @cached_property
    def kind_of_option(self) -> np.ndarray:
        """For each column of options, a number of its own for each option of each kind."""
        first = np.cumsum([0, *(len(options) for options in self._kinds.values())])
        start = dict(zip(self._kinds, first.tolist(), strict=False))
        found = [start[_kind(self._choice(n))] + i for n in self.choices for i in range(len(self._choice(n).options))]
        return np.array(found, dtype=int)

    def encode(self, genotypes: Sequence[Genotype]) -> Features:
        """The three blocks of columns of N genotypes."""
        values = np.array(genotypes, dtype=float).reshape(len(genotypes), len(self.genes))
        options = np.zeros((len(values), len(self.gene_of_option)))
        columns = values[:, self.choices].astype(int) + self._first_column
        options[np.arange(len(values))[:, None], columns] = 1.0
        levels = (values[:, self.ordered] - self._low) / self._span
        counts = options @ self._counting
        return Features(options, levels, counts)

    @cached_property
    def _kinds(self) -> dict[tuple[str, tuple[str, ...]], tuple[str, ...]]:
        return {_kind(self._choice(n)): self._choice(n).options for n in self.choices}

    @cached_property
    def _first_column(self) -> np.ndarray:
        sizes = [len(self._choice(n).options) for n in self.choices]
        return np.cumsum([0, *sizes])[: len(sizes)].astype(int)

    @cached_property
    def _low(self) -> np.ndarray:
        return np.array([_range(self.genes[n])[0] for n in self.ordered])

    @cached_property
    def _span(self) -> np.ndarray:
        return np.array([max(_range(self.genes[n])[1] - _range(self.genes[n])[0], 1e-12) for n in self.ordered])

    @cached_property
    def _counting(self) -> np.ndarray:
        """Shape (columns of options, columns of counts): 1 / genes of the kind where they belong together."""
        kinds = [_kind(self._choice(n)) for n in self.choices]
        members = np.array([kinds.count(_kind(self._choice(n))) for n in self.gene_of_option], dtype=int)
        shared = np.unique(self.kind_of_option[members > 1])
        return (self.kind_of_option[:, None] == shared[None, :]) / np.maximum(members, 1)[:, None]

    def _choice(self, position: int) -> Choice:
        gene = self.genes[position]
        assert isinstance(gene, Choice)
        return gene


def _kind(gene: Choice) -> tuple[str, tuple[str, ...]]:
    """What genes have in common that are counted together: kind and options."""
    return (gene.kind, gene.options)


def _is_ordered(gene: Choice) -> bool:
    """Whether the options are numbers in ascending order."""
    try:
        numbers = [float(option) for option in gene.options]
    except ValueError:
        return False
    return len(numbers) > 2 and all(a < b for a, b in itertools.pairwise(numbers))


def _range(gene: Gene) -> tuple[float, float]:
    if isinstance(gene, Choice):
        return 0.0, len(gene.options) - 1.0
    return (float(gene.low), float(gene.high)) if isinstance(gene, Integer) else (gene.low, gene.high)
