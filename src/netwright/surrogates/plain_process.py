"""A Gaussian process with one length scale for all inputs and without noise: the model of NAGO's program.

Ru et al. 2020, "Neural Architecture Generator Optimization", arXiv:2004.01395, as in the framework that it was released
with. Inputs are scaled to mean 0 and variance 1, and so are targets; the kernel is Matern's of smoothness 3/2
(Rasmussen and Williams 2006, equation 4.17):

    k(x, y) = (1 + s) exp(-s),      s = sqrt(3) |x - y| / length

The length maximizes the marginal likelihood within its bounds; the scale of the targets is in closed form. `matern` has
a length for each input, a prior, and noise that it learns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize_scalar
from scipy.spatial.distance import cdist

BOUNDS = (0.1, 10.0)  # of the length
JITTER = 1e-6  # the program has 1e-10, with which few repeated scores end it


@dataclass(frozen=True, eq=False)
class PlainProcess:
    """The process given N observations of D inputs.

    Args:
        center: Mean of each input, shape (D,).
        spread: Standard deviation of each input, shape (D,); 1 where all are equal.
        x: Scaled inputs, shape (N, D).
        length: Length scale of all of them.
        factor: Lower Cholesky factor of the kernel matrix, shape (N, N).
        solved: Kernel matrix^-1 targets, shape (N,).
        scale: Variance of the function.
    """

    center: np.ndarray
    spread: np.ndarray
    x: np.ndarray
    length: float
    factor: np.ndarray
    solved: np.ndarray
    scale: float

    @staticmethod
    def of(x: np.ndarray, y: np.ndarray) -> PlainProcess:
        """The process given inputs, shape (N, D), and targets, shape (N,), of any scale; N is at least 2."""
        center, spread = x.mean(0), x.std(0)
        spread = np.where(spread > 0, spread, 1.0)
        scaled, targets = (x - center) / spread, (y - y.mean()) / max(float(y.std()), 1e-9)
        distances = cdist(scaled, scaled)

        def solved_at(length: float) -> tuple[np.ndarray, np.ndarray, float]:
            factor = cholesky(kernel(distances, length) + JITTER * np.eye(len(x)), lower=True, check_finite=False)
            solved = cho_solve((factor, True), targets, check_finite=False)
            return factor, solved, max(float(targets @ solved) / len(x), 1e-12)

        def objective(logarithm: float) -> float:
            factor, _, scale = solved_at(math.exp(logarithm))
            return 0.5 * len(x) * math.log(scale) + float(np.log(np.diag(factor)).sum())

        found = minimize_scalar(objective, bounds=tuple(map(math.log, BOUNDS)), method="bounded")
        length = math.exp(found.x)
        return PlainProcess(center, spread, scaled, length, *solved_at(length))

    def predict(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation at inputs, shape (M, D), in units of the scaled targets, each of shape (M,)."""
        cross = kernel(cdist((x - self.center) / self.spread, self.x), self.length)
        half = solve_triangular(self.factor, cross.T, lower=True, check_finite=False)
        return cross @ self.solved, np.sqrt(self.scale * np.maximum(1.0 - (half**2).sum(0), 1e-10))


def kernel(distances: np.ndarray, length: float) -> np.ndarray:
    """Correlations of the function at inputs that are `distances` apart, in their shape."""
    scaled = math.sqrt(3) / length * distances
    found: np.ndarray = (1 + scaled) * np.exp(-scaled)
    return found
