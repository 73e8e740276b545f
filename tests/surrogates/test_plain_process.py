import math

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from netwright.surrogates.plain_process import BOUNDS, PlainProcess, kernel


def _observed(count=30, seed=0):
    x = np.random.default_rng(seed).random((count, 3)) * [1.0, 50.0, 0.01]
    return x, np.sin(4 * x[:, 0]) + (x[:, 1] / 50 - 0.5) ** 2


def test_the_kernel_is_materns_of_smoothness_three_halves():
    """Rasmussen and Williams 2006, equation 4.17, by hand."""
    found = kernel(np.array([0.0, 1.0, 2.5]), 2.0)
    expected = [(1 + math.sqrt(3) * r / 2) * math.exp(-math.sqrt(3) * r / 2) for r in (0.0, 1.0, 2.5)]
    assert found == pytest.approx(expected)


def test_observations_are_met_and_doubt_grows_away_from_them():
    x, y = _observed()
    model = PlainProcess.of(x, y)
    mean, deviation = model.predict(x)
    assert mean == pytest.approx((y - y.mean()) / y.std(), abs=1e-3)
    assert deviation.max() < 0.01 < model.predict(x + np.array([3.0, 0.0, 0.0]))[1].min()


def test_no_length_within_the_bounds_is_likelier():
    x, y = _observed()
    model = PlainProcess.of(x, y)
    targets = (y - y.mean()) / y.std()

    def loss(length):
        """Minus the log marginal likelihood, where the scale fits best, but for a constant."""
        matrix = kernel(cdist(model.x, model.x), length) + 1e-6 * np.eye(len(x))
        return len(x) / 2 * math.log(targets @ np.linalg.solve(matrix, targets)) + np.linalg.slogdet(matrix)[1] / 2

    assert BOUNDS[0] < model.length < BOUNDS[1]
    assert loss(model.length) <= min(loss(length) for length in np.geomspace(*BOUNDS, 200)) + 1e-3


def test_units_of_inputs_and_targets_make_no_difference():
    x, y = _observed()
    one, other = PlainProcess.of(x, y), PlainProcess.of(1000 * x - 7, 30 * y + 2)
    for ours, theirs in zip(one.predict(x + 0.1), other.predict(1000 * (x + 0.1) - 7), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-4)


def test_equal_inputs_and_equal_targets_are_no_fault():
    x = np.array([[0.5, 1.0], [0.5, 1.0], [0.5, 2.0]])
    mean, deviation = PlainProcess.of(x, np.ones(3)).predict(x)
    assert np.isfinite(mean).all() and np.isfinite(deviation).all()
