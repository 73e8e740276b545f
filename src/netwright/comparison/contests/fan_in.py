"""How many edges enter the output of a network's graphs, as Real et al. 2019 (section 6) count them in evolved cells.

For a cell whose unread states are concatenated, as in their space, it is the number of these states. They found it
about three standard deviations higher in evolved populations than in random ones, and accuracy rising with it. Here it
is read from `space.graph`, so that any space has it: the number of edges into the last node of every graph and of every
part within it. Graphs in which it is always the same, such as a chain of cells, say nothing and are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from netwright.core.protocols import SearchSpace
from netwright.core.records import Genotype, LabeledGraph

SAMPLES = 1000  # random networks to compare with


def of_graph(graph: LabeledGraph) -> dict[str, int]:
    """Number of edges into the last node by name of graph, parts within parts included; the first of equal names."""
    last = len(graph.nodes) - 1
    found = {graph.name: sum(destination == last for _, destination, _ in graph.edges)}
    for part in graph.parts:
        found = {**of_graph(part), **found}
    return found


def of_networks(space: SearchSpace, genotypes: Sequence[Genotype]) -> dict[str, np.ndarray]:
    """Fan-ins by name of graph, shape (genotypes,), float64; NaN where a network has no such graph."""
    measured = [of_graph(space.graph(genotype)) for genotype in genotypes]
    names = dict.fromkeys(name for each in measured for name in each)
    return {name: np.array([each.get(name, np.nan) for each in measured], np.float64) for name in names}


def random(space: SearchSpace, rng: np.random.Generator, count: int = SAMPLES) -> dict[str, np.ndarray]:
    """Fan-ins of `count` networks that the space samples, for the graphs in which they vary."""
    found = of_networks(space, [space.sample(rng) for _ in range(count)])
    return {name: values for name, values in found.items() if not np.isnan(values).all() and np.nanstd(values) > 0}


def mean(found: Mapping[str, np.ndarray], names: Sequence[str], count: int) -> np.ndarray:
    """The mean over the named graphs of each network, shape (count,); NaN where a network has none of them."""
    listed = [found[name] for name in names if name in found]
    if not listed:
        return np.full(count, np.nan)
    values = np.array(listed)
    is_known = ~np.isnan(values)
    return np.where(
        is_known.any(axis=0), np.where(is_known, values, 0).sum(axis=0) / np.maximum(1, is_known.sum(axis=0)), np.nan
    )
