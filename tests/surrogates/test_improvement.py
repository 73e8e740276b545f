import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import approx_fprime
from scipy.stats import norm

from netwright.surrogates import improvement


@pytest.mark.parametrize("standard", [-6.0, -1.0, 0.0, 0.7, 4.0, 7.9, 8.1, 12.0])
def test_it_is_the_mean_of_what_exceeds_the_best(standard):
    deviation, best = 0.3, 1.5
    mean = best + deviation * standard
    low = min(standard, 0.0)
    expected = quad(lambda z: (z + standard) * deviation * norm.pdf(z), -standard, -low + 12, epsabs=0, limit=200)[0]
    found = improvement.log_improvement(np.array([mean]), np.array([deviation]), best)
    assert math.exp(found[0]) == pytest.approx(expected, rel=1e-6)


def test_it_has_a_slope_where_the_improvement_underflows():
    z = np.linspace(-300, 60, 3601)
    found = improvement.log_improvement(z, np.ones_like(z), 0.0)
    assert np.isfinite(found).all()
    assert (np.diff(found) > 0).all()
    joints = np.array([-50 - 1e-9, -50 + 1e-9])
    assert np.diff(improvement.log_improvement(joints, np.ones(2), 0.0))[0] == pytest.approx(0, abs=2e-3)


@pytest.mark.parametrize("mean", [-30.0, -2.0, 0.0, 3.0])
def test_slopes_are_those_of_the_logarithm(mean):
    def value(point):
        return float(improvement.log_improvement(np.array(point[0]), np.array(point[1]), 0.5))

    assert improvement.slopes(mean, 0.8, 0.5) == pytest.approx(approx_fprime([mean, 0.8], value, 1e-7), rel=1e-3)
