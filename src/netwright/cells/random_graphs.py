"""Random graphs as wirings: acyclic, connected, reproducible from their generator.

A graph is a tuple with the predecessors of each node, in order; every edge leads from a lower to a higher node, so
that the order of the nodes is one in which they can be computed. Nodes without predecessors read what enters the
graph, a virtual source; nodes that no other reads make what leaves it, a virtual sink. As the undirected graph is
connected, every node lies on a way from the source to the sink.

Source: Xie et al. 2019, "Exploring Randomly Wired Neural Networks for Image Recognition", section 3.3; networkx draws
the Watts-Strogatz graphs.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import combinations
from typing import Final

import networkx
import numpy as np
from scipy.special import logsumexp

Graph = tuple[tuple[int, ...], ...]

SMALLEST_RING: Final = 3  # a ring of two nodes has no edges in networkx
TRIES: Final = (
    10_000  # draws of a ring: the least likely one, of 100 nodes and rewired throughout, is connected once in 8 draws
)

# pairs of nodes that are drawn before a graph is drawn by a walk instead: 444 draws of 10 nodes, of which at least one
# in nine is connected
TRIED_PAIRS: Final = 20_000


def generator(seed: int, *place: str) -> random.Random:
    """The generator of one place, which depends only on the seed and the place's name."""
    digest = hashlib.blake2b(f"{seed}:{'/'.join(place)}".encode(), digest_size=8).digest()
    return random.Random(int.from_bytes(digest, "big"))


def ring_degree(nodes: int, degree: int) -> int:
    """Number of neighbors that a node of a ring really has: even, and less than the number of nodes.

    Watts and Strogatz join each node to degree // 2 others on either side.
    """
    return min(nodes - 1, degree) // 2 * 2


def watts_strogatz(nodes: int, degree: int, rewiring: float, rng: random.Random) -> Graph:
    """A ring whose edges were rewired at random, drawn again until it is connected.

    Args:
        nodes: Number of nodes, at least 3.
        degree: Neighbors of a node, at least 2; an odd number counts as one less, and at most `nodes` - 1.
        rewiring: Probability that an edge goes elsewhere, in [0, 1].
        rng: Source of randomness.

    Returns:
        A graph of `nodes` * (real degree) / 2 edges.
    """
    degree = ring_degree(nodes, degree)
    drawn = networkx.connected_watts_strogatz_graph(nodes, degree, rewiring, TRIES, rng)
    return _oriented(nodes, drawn.edges)


def erdos_renyi(nodes: int, probability: float, rng: random.Random) -> Graph:
    """A graph whose pairs are joined independently, on the condition that it is connected.

    Drawing whole graphs until one is connected takes hundreds of draws where edges are rare. The same distribution
    comes from drawing the number of edges, on the condition that there are enough for a tree, and then edges until
    they connect the graph; and, where they seldom do, from a walk through the graph that must not end early.

    Args:
        nodes: Number of nodes, at least 1.
        probability: Probability that a pair is joined, in (0, 1].
        rng: Source of randomness.
    """
    if nodes <= 2 or probability >= 1.0:
        return tuple(tuple(range(node)) for node in range(nodes))
    pairs = list(combinations(range(nodes), 2))
    fewest = nodes - 1
    weights = _binomial(len(pairs), probability, fewest)
    for _ in range(TRIED_PAIRS // len(pairs)):
        number = rng.choices(range(fewest, len(pairs) + 1), weights)[0]
        edges = rng.sample(pairs, number)
        if is_connected(nodes, edges):
            return _oriented(nodes, edges)
    return _oriented(nodes, _walked(nodes, probability, rng))


def inputs_of(graph: Graph) -> tuple[int, ...]:
    """Nodes that read the source."""
    return tuple(node for node, read in enumerate(graph) if not read)


def outputs_of(graph: Graph) -> tuple[int, ...]:
    """Nodes that the sink reads: those that no other node reads."""
    read = {source for sources in graph for source in sources}
    return tuple(node for node in range(len(graph)) if node not in read)


def is_connected(nodes: int, edges: Iterable[Sequence[int]]) -> bool:
    """Whether undirected edges lead from every node to every other."""
    leader = list(range(nodes))
    parts = nodes
    for a, b in edges:
        while leader[a] != a:
            leader[a] = a = leader[leader[a]]
        while leader[b] != b:
            leader[b] = b = leader[leader[b]]
        if a != b:
            leader[b] = a
            parts -= 1
    return parts == 1


def _oriented(nodes: int, edges: Iterable[Sequence[int]]) -> Graph:
    """The graph of undirected edges, each led from the lower to the higher node."""
    read: list[list[int]] = [[] for _ in range(nodes)]
    for a, b in edges:
        read[max(a, b)].append(min(a, b))
    return tuple(tuple(sorted(sources)) for sources in read)


def _binomial(trials: int, probability: float, fewest: int) -> list[float]:
    """Probabilities of `fewest`, ..., `trials` successes, up to a common factor."""
    odds = math.log(probability) - math.log1p(-probability)
    logs = [
        n * odds - math.lgamma(n + 1) - math.lgamma(trials - n + 1) for n in range(fewest, trials + 1)
    ]  # logarithms, because factorials of 4,950 pairs fit no float
    highest = max(logs)
    return [math.exp(value - highest) for value in logs]


def _walked(nodes: int, probability: float, rng: random.Random) -> list[tuple[int, int]]:
    """Edges of a connected graph, drawn in one walk whatever the probability.

    From node 0 on, each node that was met is visited. How many of the nodes not met yet it joins is drawn on the
    condition that all will be met; which of them, and its edges to nodes met but not visited, are drawn freely.
    """
    found, chances = _joins(nodes, probability), _conditions(nodes, probability)
    met, unmet, edges = [0], list(range(1, nodes)), []
    for visited in range(nodes):
        node, left = met[visited], len(unmet)
        edges += [(node, other) for other in met[visited + 1 :] if rng.random() < probability]
        if not left:
            continue
        logs = found[left, : left + 1] + chances[visited + 1, : left + 1]  # by the number left afterwards
        left_then = rng.choices(range(left + 1), np.exp(logs - logs.max()).tolist())[0]
        joined = rng.sample(unmet, left - left_then)
        edges += [(node, other) for other in joined]
        met += joined
        unmet = [other for other in unmet if other not in joined]
    return edges


@lru_cache(maxsize=64)
def _joins(nodes: int, probability: float) -> np.ndarray:
    """[u, j]: logarithm of the probability that a node joins u - j of u others; -inf where j > u."""
    odds, none = math.log(probability), math.log1p(-probability)
    found = np.full((nodes, nodes), -np.inf)
    for u in range(nodes):
        for j in range(u + 1):
            ways = math.lgamma(u + 1) - math.lgamma(j + 1) - math.lgamma(u - j + 1)
            found[u, j] = ways + (u - j) * odds + j * none
    return found


@lru_cache(maxsize=64)
def _conditions(nodes: int, probability: float) -> np.ndarray:
    """[v, u]: logarithm of the probability that all are met, after v visits and with u nodes not met."""
    found = np.full((nodes + 1, nodes), -np.inf)
    found[:, 0] = 0.0
    for visited in range(nodes - 1, -1, -1):
        left = np.arange(1, nodes - visited)  # with more, no node would be left to visit
        found[visited, left] = logsumexp(_joins(nodes, probability)[left] + found[visited + 1], axis=1)
    return found
