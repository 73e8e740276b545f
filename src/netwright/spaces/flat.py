"""Flat representation: one graph of 11 nodes over the six primitives (Liu et al. 2018, sections 2.1 and 4.2).

It is the hierarchical space with a single level above the primitives: 55 possible edges instead of 46, no motif, and so
no closing 1x1 convolution anywhere.
"""

from __future__ import annotations

from netwright.cells.skeletons import Skeleton
from netwright.spaces.hierarchical import HierarchicalSpace


def flat_space(
    nodes: int = 11,
    channels: int | None = None,
    repeats: int | None = None,
    skeleton: Skeleton = "cifar",
    diversification: int = 1000,
) -> HierarchicalSpace:
    """A space of cells that are one graph of primitives: the hierarchical space with one level.

    Args:
        nodes: Number of nodes of the graph, at least 2.
        channels: Width of the first cell; None: the skeleton's default.
        repeats: Number of cells per group; None: the skeleton's default.
        skeleton: The network that the cell is put into.
        diversification: Number of random mutations that turn the trivial genotype into a sample.
    """
    return HierarchicalSpace((1,), (nodes,), channels, repeats, skeleton, diversification)


plugin = flat_space
