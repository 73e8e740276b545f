import numpy as np
import pytest

from netwright.core import front
from netwright.surrogates import gaussian_process
from netwright.surrogates.features import Encoder
from netwright.surrogates.known_cost import CostEncoder, KnownCostImprovement
from netwright.testing.toys import ToySpace

SPACE = ToySpace(length=4, options=3)
ENCODER = CostEncoder(Encoder(SPACE.genes), 0.0, 2.0)
REFERENCE = (-3.0, -10.0)


def _networks(count, seed):
    rng = np.random.default_rng(seed)
    return list(dict.fromkeys(SPACE.sample(rng) for _ in range(count)))


def _costs(networks):
    return -np.array([sum(network) for network in networks], float)


def _process(networks, noise=0.0):
    y = np.array([np.sin(3 * network[0]) + 0.3 * network[1] - 0.2 * network[2] for network in networks])
    y = (y - y.mean()) / y.std() + noise * np.random.default_rng(9).standard_normal(len(y))
    x = ENCODER.encode(networks, _costs(networks))
    return gaussian_process.condition(gaussian_process.learn(ENCODER.genes, x, y), x, y)


def _drawn(process, fixed, candidate, draws):
    """Heights of the fixed networks and of one candidate, drawn together; shape (draws, networks + 1)."""
    x = ENCODER.encode([*fixed, candidate], _costs([*fixed, candidate]))
    cross = gaussian_process.kernel(process.hyperparameters, x, process.x)
    explained = cross @ np.linalg.solve(process.factor @ process.factor.T, cross.T)
    covariance = process.scale * (gaussian_process.kernel(process.hyperparameters, x, x) - explained)
    mean = cross @ process.solved
    return np.random.default_rng(0).multivariate_normal(mean, covariance + 1e-6 * np.eye(len(mean)), draws)


@pytest.mark.parametrize("is_pending", [False, True])
def test_the_gain_is_that_of_fronts_drawn_at_random(is_pending):
    networks, noise = _networks(12, 1), 0.5
    pending = [(2, 2, 0, 1)] if is_pending else []
    candidates = [(2, 2, 0, 0), (0, 1, 2, 2), (1, 0, 0, 0)]
    process, rng = _process(networks, noise), np.random.default_rng(4)
    improvement = KnownCostImprovement(ENCODER, process, _costs(networks), pending, _costs(pending), REFERENCE, rng)
    found = improvement.of(candidates, _costs(candidates))
    fixed, costs = [*networks, *pending], _costs([*networks, *pending])
    for candidate, value in zip(candidates, found, strict=True):
        gains = []
        for heights in _drawn(process, fixed, candidate, 300):
            before = np.column_stack([heights[:-1], costs])
            after = np.vstack([before, [heights[-1], _costs([candidate])[0]]])
            reference = np.array(REFERENCE)
            gains.append(front.hypervolume(after, reference) - front.hypervolume(before, reference))
        spread = np.std(gains) * (1 / 32 + 1 / 300) ** 0.5
        assert value == pytest.approx(np.mean(gains), abs=4 * spread + 1e-3)


def test_what_cannot_gain_is_worth_nothing():
    networks = _networks(12, 1)
    improvement = KnownCostImprovement(
        ENCODER, _process(networks), _costs(networks), [], np.zeros(0), REFERENCE, np.random.default_rng(0)
    )
    found = improvement.of([(1, 1, 1, 2)] * 2, np.array([-10.5, -1.0]))
    assert found[0] == 0 and found[1] > 0, "the first is behind the reference"
    assert improvement.of([], np.zeros(0)).shape == (0,)


def test_what_a_network_costs_is_one_more_level_within_the_range_that_was_seen():
    networks = _networks(6, 1)
    encoder = CostEncoder.of(Encoder(SPACE.genes), -np.array([9.0, 99.0, 999.0, np.inf]))
    found = encoder.encode(networks, -np.array([9.0, 99.0, 999.0, 1e9, 0.0, np.inf]))
    assert found.levels[:, -1] == pytest.approx([0.0, 0.5, 1.0, 1.5, -0.5, 1.5])
    assert found.levels.shape[1] == Encoder(SPACE.genes).encode(networks).levels.shape[1] + 1
    assert (encoder.low, encoder.high) == pytest.approx(np.log([10, 1000]))
    nothing = CostEncoder.of(Encoder(SPACE.genes), np.array([-np.inf]))
    assert (nothing.low, nothing.high) == (0.0, 1.0), "where nothing is known"
