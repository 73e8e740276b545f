"""Real et al. 2019, "Regularized Evolution for Image Classifier Architecture Search": the toy problem of supplement C.

A genotype is 100 bits; its accuracy is the share of ones plus Gaussian noise, clipped to [0, 1]; a mutation flips one
bit. Population 100, sample 10, 1,000 evaluations. The expected numbers were computed independently of this package.
"""

import math
from dataclasses import dataclass

import numpy as np
import pytest

from netwright.core import genes, seeds
from netwright.core.records import Result, Trial
from netwright.strategies.aging import AgingEvolution
from netwright.strategies.non_aging import NonAgingEvolution
from netwright.strategies.random import RandomSearch
from tests.verified import IS_VERIFIED

BITS, TRIALS = 100, 1000
REPEATS = 30  # as many as the expected spread was seen over
PAIRS = 200 if IS_VERIFIED else 30


@dataclass(frozen=True)
class Bits:
    """Strings of `BITS` bits; a mutation flips one."""

    genes = tuple(genes.Choice(f"bit {n}", ("0", "1"), kind="bit") for n in range(BITS))

    def sample(self, rng):
        return genes.sample(self.genes, rng)

    def mutate(self, genotype, rng):
        position = int(rng.random() * BITS)
        return (*genotype[:position], 1 - genotype[position], *genotype[position + 1 :])


def play(strategy, noise, seed, trials=TRIALS):
    """The best measured accuracy of a run, and the true one of the string it belongs to."""
    streams, best = seeds.Streams(seed), (-math.inf, math.nan)
    for n in range(1, trials + 1):
        proposal = strategy.ask(streams.rng(seeds.ASK, n), ())
        true = sum(proposal.genotype) / BITS
        noisy = true + noise * streams.rng(seeds.TRAIN, n).standard_normal()
        measured = min(max(noisy, 0.0), 1.0)
        best = max(best, (measured, true))
        row = Trial(n, proposal, str(n), n, "done", Result({"valid_accuracy": measured}), (measured,), n)
        strategy.tell(row, streams.rng(seeds.TELL, n))
    return best


def evolved(make, noise, repeats):
    """`play` over seeds, shape (repeats, 2)."""
    return np.array([play(make(Bits(), population=100, sample=10), noise, seed) for seed in range(repeats)])


@pytest.fixture(scope="module")
def aging():
    return evolved(AgingEvolution, 0.01, REPEATS)[:, 0]


@pytest.fixture(scope="module")
def random():
    return np.array([play(RandomSearch(Bits()), 0.01, seed)[0] for seed in range(REPEATS)])


def test_12_best_noisy_accuracy_of_aging_evolution(aging):
    """0.905 +- 0.018 over 30 seeds, from 0.867 to 0.938."""
    assert is_near(aging, 0.905, 0.018)
    assert aging.min() > 0.905 - 4 * 0.018
    assert aging.max() < 0.905 + 4 * 0.018


def test_12_best_noisy_accuracy_of_random_search(random):
    """0.668 +- 0.021 over 30 seeds."""
    assert is_near(random, 0.668, 0.021)


def test_12_evolution_beats_random_search_in_every_run(aging, random):
    assert aging.min() > random.max()


def test_where_measurements_are_noisy_the_string_that_aging_chooses_is_truly_better():
    """At noise 0.05 about 0.716 against 0.670: without aging, lucky strings stay and have all the children."""
    aging, other = (evolved(make, 0.05, PAIRS)[:, 1] for make in (AgingEvolution, NonAgingEvolution))
    assert abs(aging.mean() - 0.716) < 0.01 + 3 * aging.std(ddof=1) / math.sqrt(PAIRS)
    assert abs(other.mean() - 0.670) < 0.01 + 3 * other.std(ddof=1) / math.sqrt(PAIRS)
    assert aging.mean() - other.mean() > 3 * math.sqrt((aging.var(ddof=1) + other.var(ddof=1)) / PAIRS)


def is_near(values, mean, sd):
    """Whether the mean is within three standard errors of the difference to 30 runs with this mean and spread."""
    return abs(values.mean() - mean) < 3 * sd * math.sqrt(1 / REPEATS + 1 / len(values))
