"""Several supernets, each for the networks of one part of a space (Zhao et al., ICML 2021).

The fewer networks share a weight, the less it has to suit all of them. Networks are told apart by one gene, such as the
operation of an edge: those whose values of it are neighbors share a supernet. All supernets begin as copies of one,
which was trained with all networks before.
"""

from __future__ import annotations

from dataclasses import dataclass

from netwright.core import genes
from netwright.core.errors import BadReference
from netwright.core.protocols import SearchSpace
from netwright.core.records import Genotype


@dataclass(frozen=True)
class FewShot:
    """Which supernet a network belongs to.

    Args:
        count: Number of supernets.
        position: Position of the gene that tells, in the genotype.
        low: Its lowest value.
        size: Number of its values.
    """

    count: int
    position: int
    low: int
    size: int

    def number(self, genotype: Genotype) -> int:
        """Number of a network's supernet, from 0. A network with several genotypes belongs where its genotype does."""
        return (int(genotype[self.position]) - self.low) * self.count // self.size


def of(space: SearchSpace, count: int, position: int | None = None) -> FewShot:
    """How a space is cut into parts that differ by at most one value of a gene.

    Args:
        space: The space.
        count: Number of parts, at least 2.
        position: Position of the gene; None: the first that has so many values.

    Raises:
        BadReference: There is no such gene, or it has fewer values.
    """
    sizes = [0 if isinstance(gene, genes.Real) else genes.size(gene) for gene in space.genes]
    if position is None:
        position = next((place for place, size in enumerate(sizes) if size >= count), None)
        if position is None:
            raise BadReference(
                f"evaluator.supernets is {count}, but no gene of the space has more than {max(sizes)} values to tell "
                "networks apart; give at most as many"
            )
    if not 0 <= position < len(sizes):
        raise BadReference(
            f"evaluator.split_gene is {position}, but the genes of the space are counted from 0 to {len(sizes) - 1}"
        )
    gene = space.genes[position]
    if sizes[position] < count:
        raise BadReference(
            f"evaluator.split_gene is {position}, the gene {gene.name!r}, whose {sizes[position]} values cannot tell "
            f"the networks of {count} supernets apart; give another gene, or fewer evaluator.supernets"
        )
    return FewShot(count, position, gene.low if isinstance(gene, genes.Integer) else 0, sizes[position])
