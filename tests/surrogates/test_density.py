import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import truncnorm

from netwright.core import genes
from netwright.core.genes import Choice, Integer, Real
from netwright.surrogates import density
from netwright.surrogates.density import Density

MIXED = (Choice("c", ("a", "b", "c")), Integer("n", 1, 4), Real("r", -1.0, 1.0))


def _points(space, genotypes):
    return np.array([genes.to_vector(space, genotype) for genotype in genotypes])


def test_the_density_is_a_mean_of_products_of_kernels():
    points = _points(MIXED, [(0, 1, 0.5), (2, 3, -0.2)])
    found = Density(MIXED, points, np.array([0.3, 0.2, 0.1]))
    x = _points(MIXED, [(0, 2, 0.0)])

    def normal(at, around, width):
        return truncnorm.pdf(at, (0 - around) / width, (1 - around) / width, around, width)

    first = 0.7 * normal(0.375, 0.125, 0.2) * normal(0.5, 0.75, 0.1)
    second = 0.15 * normal(0.375, 0.625, 0.2) * normal(0.5, 0.4, 0.1)
    assert np.exp(found.log(x)) == pytest.approx([(first + second) / 2])


def test_it_sums_to_one():
    space = (Choice("c", ("a", "b", "c")), Real("r", 0.0, 1.0))
    found = density.fit(space, _points(space, [(0, 0.02), (0, 0.3), (2, 0.9)]), 1e-3)
    grid = (np.arange(4000) + 0.5) / 4000
    x = np.array([((option + 0.5) / 3, r) for option in range(3) for r in grid])
    assert np.exp(found.log(x)).sum() / 4000 == pytest.approx(1.0, abs=1e-3)


def test_draws_follow_the_density():
    space = (Choice("c", ("a", "b", "c", "d")), Integer("n", 0, 4))
    found = Density(space, _points(space, [(1, 0), (3, 4)]), np.array([0.3, 0.15]))
    drawn = found.draw(20_000, 1.0, np.random.default_rng(0))
    shares = np.bincount([c for c, _ in drawn], minlength=4) / len(drawn)
    # a kernel draws anew with the probability of its width, and may draw the same
    assert shares == pytest.approx([0.075, 0.425, 0.075, 0.425], abs=0.015)
    assert {n for c, n in drawn} == set(range(5))
    assert np.mean([n <= 1 for _, n in drawn]) == pytest.approx(0.5, abs=0.02)


def test_widths_follow_their_rules():
    space = (Choice("c", ("a", "b", "c", "d")), Integer("n", 0, 9), Real("r", 0.0, 1.0))
    points = _points(space, [(0, 3, 0.1), (0, 3, 0.3), (1, 3, 0.8), (2, 3, 0.4)] * 4)
    found = density.fit(space, points, 1e-3).widths
    spread = np.sqrt(1 - (0.5**2 + 2 * 0.25**2))
    assert found[0] == pytest.approx(1.06 * spread * 16 ** (-2 / 6))
    assert found[1] == pytest.approx(0.25 / 10), "one value alone still reaches its neighbors"
    assert found[2] == pytest.approx(1.06 * np.std([0.1, 0.3, 0.8, 0.4]) * 16 ** (-1 / 6))
    few = density.fit(space[:1], _points(space[:1], [(0,), (1,), (2,), (3,)]), 1e-3)
    assert few.widths[0] == pytest.approx(1.06 * np.sqrt(0.75) / 2)
    assert density.fit(space[:1], _points(space[:1], [(0,), (1,)]), 1e-3).widths[0] <= 0.75


@given(st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_candidates_are_genotypes_of_the_space_that_differ(count, seed):
    space = (*MIXED, Choice("only", ("one",)), Integer("fixed", 5, 5), Real("point", 2.0, 2.0))
    rng = np.random.default_rng(seed)
    seen = _points(space, [genes.sample(space, rng) for _ in range(count)])
    good, others = (density.fit(space, part, 1e-3) for part in (seen[: count // 2 + 1], seen))
    found = density.candidates(good, others, 32, 3.0, rng)
    assert 0 < len(found) == len(set(found)) <= 32
    for genotype in found:
        genes.check(space, genotype)
    x = _points(space, found)
    ratios = good.log(x) - others.log(x)
    assert np.isfinite(ratios).all()
    assert (np.diff(ratios) <= 1e-9).all(), "best first"
