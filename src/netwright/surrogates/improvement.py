"""Expected improvement as a logarithm, which has a slope where the improvement itself is 0 in floating point.

Jones et al. 1998, "Efficient Global Optimization of Expensive Black-Box Functions"; the logarithm: Ament et al. 2023,
"Unexpected Improvements to Expected Improvement for Bayesian Optimization", arXiv:2310.20708.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import erfcx, log_ndtr

FAR = -50.0  # deviations below the best from which the first term of the series is exact to one part in a thousand
NEAR = 8.0  # deviations above it from which the improvement is the distance, to all digits


def log_improvement(mean: np.ndarray, deviation: np.ndarray, best: float) -> np.ndarray:
    """ln E[max(0, f - best)] of normal variables with these means and standard deviations, in their shape."""
    found: np.ndarray = np.log(deviation) + _log_gain((mean - best) / deviation)
    return found


def slopes(mean: float, deviation: float, best: float) -> tuple[float, float]:
    """Derivatives of `log_improvement` by the mean and by the deviation."""
    standard = np.array((mean - best) / deviation)
    gain = _log_gain(standard)
    by_mean = np.exp(log_ndtr(standard) - gain) / deviation
    by_deviation = np.exp(_log_density(standard) - gain) / deviation
    return float(by_mean), float(by_deviation)


def _log_gain(standard: np.ndarray) -> np.ndarray:
    """ln(phi(z) + z Phi(z)), without the cancellation of its terms for large negative z."""
    near = np.clip(standard, FAR, NEAR)
    ratio = 1.0 + near * math.sqrt(math.pi / 2) * erfcx(-near / math.sqrt(2))
    far = np.minimum(standard, FAR)
    found: np.ndarray = _log_density(standard) + np.where(standard > FAR, np.log(ratio), -2 * np.log(-far))
    return np.where(standard > NEAR, np.log(np.maximum(standard, NEAR)), found)


def _log_density(standard: np.ndarray) -> np.ndarray:
    return -0.5 * standard**2 - 0.5 * math.log(2 * math.pi)
