"""Kernel densities over genotypes, and genotypes drawn where the good ones are denser than the others.

The model of Falkner et al. 2018, "BOHB: Robust and Efficient Hyperparameter Optimization at Scale", arXiv:1807.01774,
section 3.2: one joint density with a product of kernels, one per gene. Integers and reals have a normal kernel on the
unit interval, cut off and normalized at its ends; choices that of Aitchison and Aitken 1976, under which an option is
itself with the probability 1 - width and any other one else.

Departure: widths. The reference's rule, 1.06 sd N^(-1/(4 + genes)), takes options for numbers and hardly shrinks with
N where there are many genes, up to widths at which a choice says nothing. Here the rates are those of mixed data (Li
and Racine 2003): with q numeric genes, N^(-1/(4 + q)) for these and N^(-2/(4 + q)) for choices, whose spread is
sqrt(1 - sum p^2) over the shares p of their options. An integer's kernel is also at least INTEGER_WIDTH of a step
wide, whatever the least width: a narrower one would draw the numbers that were seen and no others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp, ndtr, ndtri

from netwright.core import genes as encodings
from netwright.core.genes import Choice, Gene, Integer
from netwright.core.records import Genotype

REFERENCE = 1.06  # factor of the normal reference rule (Silverman 1986, equation 3.28)
INTEGER_WIDTH = 0.25  # least width of an integer's kernel, in steps: times the factor of draws, it reaches the next


@dataclass(frozen=True, eq=False)
class Density:
    """The mean of one kernel per observed genotype.

    Args:
        genes: Genes of the space.
        points: Observed genotypes in vector form (`genes.to_vector`), shape (N, genes).
        widths: Width of each gene's kernel, shape (genes,).
    """

    genes: tuple[Gene, ...]
    points: np.ndarray
    widths: np.ndarray

    def log(self, x: np.ndarray) -> np.ndarray:
        """Logarithm of the density at M genotypes in vector form, shape (M,)."""
        total = np.zeros((len(x), len(self.points)))
        for n, (gene, width) in enumerate(zip(self.genes, self.widths, strict=True)):
            at, around = x[:, n, None], self.points[None, :, n]
            if not isinstance(gene, Choice):
                inside = ndtr((1 - around) / width) - ndtr(-around / width)
                total += -0.5 * ((at - around) / width) ** 2 - np.log(width * np.sqrt(2 * np.pi) * inside)
            elif len(gene.options) > 1:
                total += np.where(at == around, np.log1p(-width), np.log(width / (len(gene.options) - 1)))
        found: np.ndarray = logsumexp(total, axis=1) - np.log(len(self.points))
        return found

    def draw(self, count: int, factor: float, rng: np.random.Generator) -> list[Genotype]:
        """Genotypes from the kernels with `factor` times their widths, each around a random observation."""
        vectors = self.points[rng.integers(len(self.points), size=count)]
        for n, (gene, width) in enumerate(zip(self.genes, self.widths * factor, strict=True)):
            around, uniform = vectors[:, n], rng.random(count)
            if isinstance(gene, Choice):
                options = len(gene.options)
                other = (rng.integers(options, size=count) + 0.5) / options
                vectors[:, n] = np.where(uniform < min(width, 1.0), other, around)
            else:
                low, high = ndtr(-around / width), ndtr((1 - around) / width)
                vectors[:, n] = around + width * ndtri(low + uniform * (high - low))
        return [encodings.from_vector(self.genes, vector) for vector in vectors]


def fit(genes: Sequence[Gene], points: np.ndarray, least: float) -> Density:
    """The density of N >= 1 genotypes in vector form, shape (N, genes), with widths of at least `least`."""
    count, numeric = len(points), sum(not isinstance(gene, Choice) for gene in genes)
    rate = count ** (-1 / (4 + numeric))
    widths = np.empty(len(genes))
    for n, gene in enumerate(genes):
        if isinstance(gene, Choice):
            shares = np.unique(points[:, n], return_counts=True)[1] / count
            spread = np.sqrt(max(0.0, 1.0 - float((shares**2).sum())))
            uniform = 1 - 1 / len(gene.options)  # a width at which all options are equally likely
            widths[n] = min(max(REFERENCE * spread * rate**2, least), max(uniform, least))
            continue
        floor = max(least, INTEGER_WIDTH / encodings.size(gene)) if isinstance(gene, Integer) else least
        widths[n] = max(REFERENCE * float(points[:, n].std()) * rate, floor)
    return Density(tuple(genes), points, widths)


def candidates(good: Density, others: Density, count: int, factor: float, rng: np.random.Generator) -> list[Genotype]:
    """Genotypes of `count` draws from `good`, each once, by falling ratio of the density `good` to `others`."""
    drawn = list(dict.fromkeys(good.draw(count, factor, rng)))
    x = np.array([encodings.to_vector(good.genes, genotype) for genotype in drawn])
    order = np.argsort(others.log(x) - good.log(x), kind="stable")
    return [drawn[position] for position in order.tolist()]
