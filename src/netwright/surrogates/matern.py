"""The textbook Gaussian process of Bayesian optimization, over genes of any sort.

A Matern kernel of smoothness 5/2 (Rasmussen and Williams 2006, equation 4.17) with one length scale per gene: of
integers and reals on the unit interval, and of choices by Hamming distance, 0 for the same option and 1 for others:

    k(x, y) = (1 + s + s^2 / 3) exp(-s),      s^2 = 5 sum_g w_g d_g(x, y)^2

The weights w_g (inverse squared length scales) and the noise maximize the marginal likelihood with, for the length
scales, the prior of Hvarfner et al. 2024, "Vanilla Bayesian Optimization Performs Great in High Dimensions",
arXiv:2402.02229; the scale of the targets is in closed form. `gaussian_process` is this package's own kernel, made for
cells of many choices.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.linalg.lapack import dpotri
from scipy.optimize import minimize

from netwright.core.genes import Choice, Gene

LENGTH, LENGTH_SD = math.sqrt(2) - 3.0, math.sqrt(3)  # mode, and spread, of ln(length scale / sqrt(genes))
NOISE, NOISE_SD = -7.0, 2.0  # of ln(variance of the noise over that of the function): weaker, this package's own
JITTER = 1e-6
ITERATIONS = 40


@dataclass(frozen=True, eq=False)
class MaternHyperparameters:
    """What the kernel has learned.

    Args:
        is_choice: Which genes are choices, shape (genes,), bool.
        weights: Inverse squared length scales, shape (genes,).
        noise: Variance of the noise over that of the function.
    """

    is_choice: np.ndarray
    weights: np.ndarray
    noise: float


@dataclass(frozen=True, eq=False)
class Posterior:
    """The process given N observations."""

    hyperparameters: MaternHyperparameters
    x: np.ndarray  # shape (N, genes)
    factor: np.ndarray  # lower Cholesky factor of the noisy kernel matrix, shape (N, N)
    solved: np.ndarray  # kernel matrix^-1 y, shape (N,)
    scale: float  # variance of the function

    def predict(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the function at M genotypes in vector form, without the noise, shape (M,)."""
        cross = kernel(self.hyperparameters, x, self.x)
        half = solve_triangular(self.factor, cross.T, lower=True, check_finite=False)
        variance = np.maximum(1.0 - (half**2).sum(0), 1e-10)
        return cross @ self.solved, np.sqrt(self.scale * variance)

    def slopes(self, x: np.ndarray) -> tuple[float, float, np.ndarray, np.ndarray]:
        """Mean and deviation at one genotype, shape (genes,), and the gradient of each; it is 0 for choices."""
        squared = _squared(self.hyperparameters, x[None], self.x)[0]
        cross = _matern(squared)
        weighted = cho_solve((self.factor, True), cross, check_finite=False)
        deviation = math.sqrt(self.scale * max(1.0 - float(cross @ weighted), 1e-10))
        moved = np.where(self.hyperparameters.is_choice, 0.0, 2 * self.hyperparameters.weights * (x - self.x))
        moved *= _matern_slope(squared)[:, None]
        by_deviation = -self.scale * (weighted @ moved) / deviation
        return float(cross @ self.solved), deviation, self.solved @ moved, by_deviation


def learn(genes: Sequence[Gene], x: np.ndarray, y: np.ndarray) -> MaternHyperparameters:
    """Maximize the posterior of the parameters on N observations.

    Args:
        genes: Genes of the space.
        x: N genotypes in vector form (`genes.to_vector`), shape (N, genes).
        y: Targets, shape (N,), of mean 0 and variance 1.
    """
    is_choice = np.array([isinstance(gene, Choice) for gene in genes])
    first, second = upper = np.triu_indices(len(x), 1)
    apart = x[first] - x[second]
    squares = np.where(is_choice, apart != 0, apart**2).T.copy()  # (genes, pairs)
    start = prior(len(genes))
    found = minimize(
        lambda parameters: negative_log_posterior(parameters, squares, upper, y),
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[(center - 8, center + 8) for center in start],
        options={"maxiter": ITERATIONS},
    )
    return MaternHyperparameters(is_choice, np.exp(found.x[:-1]), float(np.exp(found.x[-1])))


def condition(hyperparameters: MaternHyperparameters, x: np.ndarray, y: np.ndarray) -> Posterior:
    """The process given observations `y`, shape (N,), of mean about 0, at N genotypes in vector form."""
    matrix = kernel(hyperparameters, x, x)
    matrix[np.diag_indices_from(matrix)] += hyperparameters.noise + JITTER
    factor = cholesky(matrix, lower=True, check_finite=False)
    solved = cho_solve((factor, True), y, check_finite=False)
    return Posterior(hyperparameters, x, factor, solved, max(float(y @ solved) / len(y), 1e-12))


def kernel(hyperparameters: MaternHyperparameters, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Correlations of the function at N and at M genotypes in vector form, shape (N, M)."""
    return _matern(_squared(hyperparameters, a, b))


def prior(genes: int) -> np.ndarray:
    """Modes of the parameters: logarithms of the weights and of the noise, shape (genes + 1,)."""
    weight = -2 * (LENGTH + 0.5 * math.log(genes))
    return np.array([*[weight] * genes, NOISE])


def negative_log_posterior(
    parameters: np.ndarray, squares: np.ndarray, upper: tuple[np.ndarray, np.ndarray], y: np.ndarray
) -> tuple[float, np.ndarray]:
    """The value and its gradient; the scale of the targets is the one that fits best.

    Args:
        parameters: As `prior` has them.
        squares: Squared distances of every pair of observations in every gene, shape (genes, N (N - 1) / 2).
        upper: The two observations of each pair.
        y: Targets, shape (N,).
    """
    size = len(y)
    weights, noise = np.exp(parameters[:-1]), np.exp(parameters[-1])
    squared = weights @ squares
    matrix = np.zeros((size, size))
    matrix[upper] = _matern(squared)
    matrix += matrix.T
    matrix[np.diag_indices(size)] = 1.0 + noise + JITTER
    factor = cholesky(matrix, lower=True, check_finite=False)
    solved = cho_solve((factor, True), y, check_finite=False)
    inverse = dpotri(factor, lower=1)[0]  # its lower triangle
    scale = max(float(y @ solved) / size, 1e-12)
    deviations = (parameters - prior(len(weights))) / np.array([*[2 * LENGTH_SD] * len(weights), NOISE_SD])
    value = 0.5 * size * np.log(scale) + np.log(np.diag(factor)).sum() + 0.5 * deviations @ deviations
    # derivatives of the value by each pair's two entries of the matrix, and by its diagonal
    slopes = inverse[upper[1], upper[0]] - solved[upper[0]] * solved[upper[1]] / scale
    by_noise = 0.5 * float(np.trace(inverse) - solved @ solved / scale) * noise
    gradient = np.array([*((squares @ (slopes * _matern_slope(squared))) * weights), by_noise])
    return float(value), gradient + deviations / np.array([*[2 * LENGTH_SD] * len(weights), NOISE_SD])


def _squared(hyperparameters: MaternHyperparameters, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Weighted squared distances, shape (N, M)."""
    is_choice, weights = hyperparameters.is_choice, hyperparameters.weights
    scale = np.sqrt(weights[~is_choice])
    left, right = a[:, ~is_choice] * scale, b[:, ~is_choice] * scale
    found = (left**2).sum(1)[:, None] + (right**2).sum(1)[None, :] - 2 * left @ right.T
    np.maximum(found, 0.0, out=found)  # equal ones may differ by rounding
    for gene in np.flatnonzero(is_choice):
        found += weights[gene] * (a[:, gene, None] != b[None, :, gene])
    return found


def _matern(squared: np.ndarray) -> np.ndarray:
    root = np.sqrt(5 * squared)
    found: np.ndarray = (1 + root + 5 / 3 * squared) * np.exp(-root)
    return found


def _matern_slope(squared: np.ndarray) -> np.ndarray:
    """The derivative of `_matern` by the squared distance."""
    root = np.sqrt(5 * squared)
    found: np.ndarray = -5 / 6 * (1 + root) * np.exp(-root)
    return found
