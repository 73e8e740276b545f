"""Random graphs as wirings: acyclic, connected, the same for the same generator.

A graph is a tuple with the predecessors of each node, in order; every edge leads from a lower to a higher node, so
that the order of the nodes is one in which they can be computed. Nodes without predecessors read what enters the
graph, a virtual source; nodes that nobody reads make what leaves it, a virtual sink. As the undirected graph is
connected, every node lies on a way from the source to the sink.

Source: Xie et al. 2019, "Exploring Randomly Wired Neural Networks for Image Recognition", section 3.3; networkx draws
the Watts-Strogatz graphs.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Final

import networkx

Graph = tuple[tuple[int, ...], ...]

SMALLEST_RING: Final = 3  # a ring of two nodes has no edges in networkx
TRIES: Final = 10_000  # the least likely graph, a ring of 100 nodes rewired at will, is connected once in 8 draws


def generator(seed: int, *place: str) -> random.Random:
    """The generator of one place: it depends on nothing but the seed and the place's name."""
    digest = hashlib.blake2b(f"{seed}:{'/'.join(place)}".encode(), digest_size=8).digest()
    return random.Random(int.from_bytes(digest, "big"))


def ring_degree(nodes: int, degree: int) -> int:
    """Neighbors that a node of a ring really has: even, and fewer than there are nodes.

    Watts and Strogatz join each node to degree // 2 others on either side.
    """
    return min(nodes - 1, degree) // 2 * 2


def watts_strogatz(nodes: int, degree: int, rewiring: float, rng: random.Random) -> Graph:
    """A ring whose edges were rewired at random, drawn again until it is connected.

    Args:
        nodes: At least 3.
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
    """Each pair joined independently, on the condition that the graph is connected.

    Drawing until it is takes hundreds of draws where edges are rare. The same distribution comes from drawing the
    number of edges, on the condition that there are enough for a tree, and then the edges until they connect. Where
    even that fails TRIES times (40 nodes and a probability under 0.03), a random tree is completed with random edges.

    Args:
        nodes: At least 1.
        probability: In (0, 1].
        rng: Source of randomness.
    """
    if nodes <= 2 or probability >= 1.0:
        return tuple(tuple(range(node)) for node in range(nodes))
    pairs = list(combinations(range(nodes), 2))
    fewest = nodes - 1
    weights = _binomial(len(pairs), probability, fewest)
    for _ in range(TRIES):
        number = rng.choices(range(fewest, len(pairs) + 1), weights)[0]
        edges = rng.sample(pairs, number)
        if is_connected(nodes, edges):
            return _oriented(nodes, edges)
    number = rng.choices(range(fewest, len(pairs) + 1), weights)[0]
    tree = _tree(nodes, rng)
    others = [pair for pair in pairs if pair not in tree]
    return _oriented(nodes, [*tree, *rng.sample(others, number - fewest)])


def inputs_of(graph: Graph) -> tuple[int, ...]:
    """Nodes that read the source."""
    return tuple(node for node, read in enumerate(graph) if not read)


def outputs_of(graph: Graph) -> tuple[int, ...]:
    """Nodes that the sink reads: those that no other does."""
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
    """Every edge leads from the lower to the higher node."""
    read: list[list[int]] = [[] for _ in range(nodes)]
    for a, b in edges:
        read[max(a, b)].append(min(a, b))
    return tuple(tuple(sorted(sources)) for sources in read)


def _binomial(trials: int, probability: float, fewest: int) -> list[float]:
    """Probabilities of `fewest`, ..., `trials` successes, up to a common factor."""
    odds = math.log(probability) - math.log1p(-probability)
    logs = [
        n * odds - math.lgamma(n + 1) - math.lgamma(trials - n + 1) for n in range(fewest, trials + 1)
    ]  # logarithms: factorials of 4,950 pairs fit no float
    highest = max(logs)
    return [math.exp(value - highest) for value in logs]


def _tree(nodes: int, rng: random.Random) -> set[tuple[int, int]]:
    """A random tree: each node, in random order, joins an earlier one."""
    order = rng.sample(range(nodes), nodes)
    joined = ((node, order[rng.randrange(place)]) for place, node in enumerate(order) if place)
    return {(min(pair), max(pair)) for pair in joined}
