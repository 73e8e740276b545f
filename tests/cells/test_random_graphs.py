import math
import random
from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwright.cells import random_graphs
from netwright.cells.random_graphs import (
    erdos_renyi,
    generator,
    inputs_of,
    is_connected,
    outputs_of,
    ring_degree,
    watts_strogatz,
)


def edges_of(graph):
    return [(source, node) for node, reads in enumerate(graph) for source in reads]


def check(graph, nodes):
    edges = edges_of(graph)
    assert len(graph) == nodes
    assert len(set(edges)) == len(edges)
    assert all(0 <= source < node for source, node in edges)
    assert is_connected(nodes, edges)
    inputs, outputs = inputs_of(graph), outputs_of(graph)
    assert 0 in inputs and nodes - 1 in outputs
    assert nodes == 1 or not set(inputs) & set(outputs)
    reached, read = set(inputs), set(outputs)
    for node in range(nodes):
        assert node in inputs or reached & set(graph[node])
        reached.add(node)
    for node in reversed(range(nodes)):
        if node in read:
            read.update(graph[node])
    assert read == reached == set(range(nodes))


@given(st.integers(3, 40), st.integers(2, 12), st.floats(0, 1), st.integers(0, 2**63 - 1))
def test_rings_are_connected_and_keep_their_edges(nodes, degree, rewiring, seed):
    graph = watts_strogatz(nodes, degree, rewiring, generator(seed))
    check(graph, nodes)
    assert len(edges_of(graph)) == nodes * (min(nodes - 1, degree) // 2)


@given(st.integers(1, 12), st.floats(1e-6, 1), st.integers(0, 2**63 - 1))
def test_graphs_of_pairs_are_connected_whatever_the_probability(nodes, probability, seed):
    check(erdos_renyi(nodes, probability, generator(seed)), nodes)


@pytest.mark.parametrize(("nodes", "degree", "real"), [(3, 5, 2), (4, 5, 2), (5, 5, 4), (10, 5, 4), (10, 2, 2)])
def test_degrees_are_even_and_fit(nodes, degree, real):
    assert ring_degree(nodes, degree) == real


def test_a_ring_without_rewiring_by_hand():
    assert watts_strogatz(5, 2, 0.0, random.Random(0)) == ((), (0,), (1,), (2,), (0, 3))


@pytest.mark.parametrize("tried", [20_000, 0])
def test_graphs_of_pairs_have_the_distribution_of_drawing_until_connected(monkeypatch, tried):
    """All 38 connected graphs of 4 nodes, against their probabilities; also where they are drawn in one walk."""
    monkeypatch.setattr(random_graphs, "TRIED_PAIRS", tried)
    nodes, probability, draws = 4, 0.3, 20_000
    pairs = list(combinations(range(nodes), 2))
    weights = {}
    for number in range(len(pairs) + 1):
        for edges in combinations(pairs, number):
            if is_connected(nodes, edges):
                weights[edges] = probability**number * (1 - probability) ** (len(pairs) - number)
    rng = generator(7)
    found = Counter(tuple(sorted(edges_of(erdos_renyi(nodes, probability, rng)))) for _ in range(draws))
    assert len(weights) == 38 and set(found) <= set(weights)
    total = sum(weights.values())
    for edges, weight in weights.items():
        expected = draws * weight / total
        assert abs(found[edges] - expected) < 5 * math.sqrt(expected)


@pytest.mark.parametrize("probability", [1e-300, 1e-3, 0.5, 1 - 1e-9])
def test_a_walk_draws_a_graph_whatever_the_probability(monkeypatch, probability):
    monkeypatch.setattr(random_graphs, "TRIED_PAIRS", 0)
    edges = 0
    for seed in range(20):
        graph = erdos_renyi(30, probability, generator(seed))
        check(graph, 30)
        edges += len(edges_of(graph)) / 20
    expected = max(29, probability * 435)
    assert expected - 5 < edges < expected + 5


def test_rare_edges_cost_few_draws(monkeypatch):
    looks = []
    connected = random_graphs.is_connected
    monkeypatch.setattr(random_graphs, "is_connected", lambda *args: looks.append(1) or connected(*args))
    check(erdos_renyi(100, 1e-3, generator(0)), 100)
    assert len(looks) <= 5


def test_a_place_has_its_own_generator_and_nothing_else_matters():
    assert generator(3, "cell 1", "group 2").random() == generator(3, "cell 1", "group 2").random()
    drawn = {generator(seed, *place).random() for seed in (0, 1) for place in (("a",), ("b",), ("a", "b"), ())}
    assert len(drawn) == 8
