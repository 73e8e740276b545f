import numpy as np
import pytest

from netwright.surrogates import variance_shares
from netwright.surrogates.variance_shares import Axis, decompose

REAL, CHOICE, ORDERED = Axis(np.full(8, 1 / 8), True), Axis(np.full(4, 1 / 4), False), Axis(np.full(5, 1 / 5), True)
AXES = [REAL, CHOICE, ORDERED, REAL, CHOICE]


@pytest.fixture
def small(monkeypatch):
    for name, value in {"RESAMPLES": 3, "TREES": 4, "POINTS": 500}.items():
        monkeypatch.setattr(variance_shares, name, value)


def _levels(count, rng):
    return np.stack([rng.integers(len(axis.masses), size=count) for axis in AXES], 1)


def _standard(values, count):
    """Numbers of the levels of a gene, with mean 0 and variance 1 where levels are equally likely."""
    every = values(np.arange(count))
    return lambda level: (values(level) - every.mean()) / every.std()


def _made_up(levels):
    """Variance 2 by gene 0, 1 by gene 1, 0.25 by gene 2, 0.75 by genes 0 and 3 together, 4 in all; gene 4 is idle."""
    line, steps = _standard(lambda x: x, 8), _standard(lambda x: np.array([0.0, 2.0, -1.0, 0.5])[x], 4)
    fifth = _standard(lambda x: x**2, 5)
    single = np.sqrt(2) * line(levels[:, 0]) + steps(levels[:, 1]) + 0.5 * fifth(levels[:, 2])
    return single + np.sqrt(0.75) * line(levels[:, 0]) * line(levels[:, 3])


def test_shares_of_a_known_function_are_found():
    rng = np.random.default_rng(0)
    levels = _levels(800, rng)
    found = decompose(AXES, levels, _made_up(levels), np.arange(800), rng, groups=[(0, 3), (1, 4)])
    assert found.genes.mean(0) == pytest.approx([0.5, 0.25, 0.0625, 0, 0], abs=0.05)
    pairs = dict(zip(map(tuple, found.paired.tolist()), found.pairs.mean(0), strict=True))
    assert len(pairs) == 10 and max(pairs, key=pairs.__getitem__) == (0, 3)
    assert pairs[0, 3] == pytest.approx(0.1875, abs=0.06) and pairs[1, 4] < 0.01
    assert found.groups.mean(0) == pytest.approx([0.6875, 0.25], abs=0.06)
    assert found.explained > 0.9
    assert (found.genes.sum(1) + found.pairs.sum(1) < 1.02).all(), "and what three genes do together is the rest"
    low, high = np.quantile(found.genes[:, 0], [0.05, 0.95])
    assert 0 < high - low < 0.2


def test_noise_is_not_explained(small):
    rng = np.random.default_rng(0)
    found = decompose(AXES, _levels(200, rng), rng.normal(size=200), np.arange(200), rng)
    assert found.explained < 0.1


def test_trials_of_one_network_are_drawn_together(small):
    """Else a forest would have seen those that it is asked about, and noise would look as if it were explained."""
    rng = np.random.default_rng(0)
    levels = np.repeat(_levels(40, rng), 5, 0)
    scores = np.repeat(rng.normal(size=40), 5)
    assert decompose(AXES, levels, scores, np.repeat(np.arange(40), 5), np.random.default_rng(0)).explained < 0.2
    assert decompose(AXES, levels, scores, np.arange(200), np.random.default_rng(0)).explained > 0.5


def test_levels_count_by_their_mass(small):
    """Of a gene whose first level is nearly all of the space, little can come."""
    rng = np.random.default_rng(0)
    axes = [Axis(np.array([0.98, 0.02]), False), Axis(np.array([0.5, 0.5]), False)]
    levels = rng.integers(2, size=(100, 2))
    found = decompose(axes, levels, levels.sum(1).astype(float), np.arange(100), rng)
    first, second = 0.98 * 0.02, 0.25
    assert found.genes.mean(0) == pytest.approx([first / (first + second), second / (first + second)], abs=0.05)


def test_the_same_generator_gives_the_same_shares(small):
    levels = _levels(60, np.random.default_rng(1))
    one, other = (
        decompose(AXES, levels, _made_up(levels), np.arange(60), np.random.default_rng(3), most_paired=2)
        for _ in range(2)
    )
    assert (one.genes == other.genes).all() and len(one.paired) == 1
