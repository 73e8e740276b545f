"""A Gaussian process over genotypes whose kernel learns which genes, and which of their options, matter.

The kernel is a mixture of two exponentials of weighted city-block distances, of options and levels ("which gene says
what") and of counts ("what occurs how often"):

    k(x, y) = a exp(-d(x, y)) + (1 - a) exp(-e(x, y)),      d = sum_c v_c |x_c - y_c|

The weight v_c of a column is the product of one factor per gene and one per option of a kind, so that few
observations suffice: that pooling differs from all else is learned once for all positions. All parameters maximize
the marginal likelihood with a prior (Rasmussen and Williams 2006, sections 5.4.1 and 5.1); the scale of the targets is
in closed form.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize
from scipy.spatial.distance import cdist

from netwright.surrogates.features import Encoder, Features

DISTANCE = 0.9  # prior: mean weighted distance of two random genotypes
COUNT_WEIGHT = 0.1  # prior: weight of one gene's change in the counts
NOISE = 0.05  # prior: variance of the noise over that of the function
SPREAD = 1.4  # prior: standard deviation of the logarithm of every factor
JITTER = 1e-6
ITERATIONS = 30


@dataclass(frozen=True, eq=False)
class Hyperparameters:
    """What the kernel has learned; weights are logarithms.

    Args:
        options: Weight of each column of options.
        levels: Weight of each column of levels.
        counts: Weight of each column of counts.
        share: Share of the kernel of counts, in [0, 1); 0: there are no counts.
        noise: Variance of the noise over that of the function.
    """

    options: np.ndarray
    levels: np.ndarray
    counts: np.ndarray
    share: float
    noise: float


def learn(encoder: Encoder, x: Features, y: np.ndarray) -> Hyperparameters:
    """Maximize the posterior of the parameters on N observations.

    Args:
        encoder: The encoder of the features.
        x: N encoded genotypes.
        y: Targets, shape (N,), of mean 0 and variance 1.
    """
    layout = _Layout.of(encoder, x)
    distances = _pairs(x)
    upper = np.triu_indices(len(x), 1)
    prior = layout.prior()

    def objective(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        return _negative_log_posterior(layout, parameters, prior, distances, upper, y)

    bounds = [(center - 5, center + 5) for center in prior]
    found = minimize(objective, prior, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": ITERATIONS})
    return layout.read(found.x)


@dataclass(frozen=True, eq=False)
class GaussianProcess:
    """The posterior given N observations: mean and standard deviation at any genotype."""

    hyperparameters: Hyperparameters
    x: Features
    factor: np.ndarray  # lower Cholesky factor of the noisy kernel matrix, shape (N, N)
    solved: np.ndarray  # kernel matrix^-1 y, shape (N,)
    scale: float  # variance of the function

    def predict(self, x: Features) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the function, without the noise, each of shape (M,)."""
        cross = kernel(self.hyperparameters, x, self.x)
        half = solve_triangular(self.factor, cross.T, lower=True, check_finite=False)
        variance = np.maximum(1.0 - (half**2).sum(0), 1e-10)
        return cross @ self.solved, np.sqrt(self.scale * variance)


def condition(hyperparameters: Hyperparameters, x: Features, y: np.ndarray) -> GaussianProcess:
    """The process given observations `y`, shape (N,), of mean about 0, at N encoded genotypes."""
    matrix = kernel(hyperparameters, x, x)
    matrix[np.diag_indices_from(matrix)] += hyperparameters.noise + JITTER
    factor = cholesky(matrix, lower=True, check_finite=False)
    solved = cho_solve((factor, True), y, check_finite=False)
    return GaussianProcess(hyperparameters, x, factor, solved, max(float(y @ solved) / len(y), 1e-12))


def kernel(hyperparameters: Hyperparameters, a: Features, b: Features) -> np.ndarray:
    """Correlations of the function at N and at M genotypes, shape (N, M)."""
    weighted = a.options * np.exp(hyperparameters.options)
    # the city-block distance of zeros and ones, by way of a product of matrices
    distance = 0.5 * (weighted.sum(1)[:, None] + (b.options @ np.exp(hyperparameters.options))[None, :])
    distance -= weighted @ b.options.T
    if a.levels.shape[1]:
        scale = np.exp(hyperparameters.levels)
        distance += cdist(a.levels * scale, b.levels * scale, "cityblock")
    found: np.ndarray = np.exp(-distance)
    if a.counts.shape[1]:
        scale = np.exp(hyperparameters.counts)
        counted = np.exp(-cdist(a.counts * scale, b.counts * scale, "cityblock"))
        found = (1 - hyperparameters.share) * found + hyperparameters.share * counted
    return found


@dataclass(frozen=True, eq=False)
class _Layout:
    """Where the parameters stand in the vector that is optimized: one per gene and block, one per option of a kind."""

    rows: np.ndarray  # (columns, parameters): column weight = exp(rows @ parameters)
    split: tuple[int, int, int]  # columns of options, levels, counts
    centers: np.ndarray

    @staticmethod
    def of(encoder: Encoder, x: Features) -> _Layout:
        genes_of_options, kinds = encoder.gene_of_option, encoder.kind_of_option
        options, levels, counts = x.options.shape[1], x.levels.shape[1], x.counts.shape[1]
        chosen, kind_count = len(encoder.choices), int(kinds.max()) + 1 if len(kinds) else 0
        gene_number = {int(gene): n for n, gene in enumerate(encoder.choices)}
        # a shared scale, one per choice, one per option of a kind, one per level, one for all counts
        rows = np.zeros((options + levels + counts, 1 + chosen + kind_count + levels + 1))
        rows[: options + levels, 0] = 1.0
        for column, (gene, kind) in enumerate(zip(genes_of_options, kinds, strict=True)):
            rows[column, 1 + gene_number[int(gene)]] = 1.0
            rows[column, 1 + chosen + kind] = 1.0
        for level in range(levels):
            rows[options + level, 1 + chosen + kind_count + level] = 1.0
        rows[options + levels :, -1] = 1.0
        centers = np.zeros(rows.shape[1])
        centers[0] = np.log(DISTANCE / max(1, len(encoder.genes)))
        centers[-1] = np.log(COUNT_WEIGHT * len(encoder.genes))
        return _Layout(rows, (options, levels, counts), centers)

    def prior(self) -> np.ndarray:
        """Centers of the prior: weights, logit of the share of the counts, logarithm of the noise."""
        return np.concatenate([self.centers, [-1.0, np.log(NOISE)]])

    def read(self, parameters: np.ndarray) -> Hyperparameters:
        weights = self.rows @ parameters[:-2]
        options, levels, _ = self.split
        share = float(1 / (1 + np.exp(-parameters[-2]))) if self.split[2] else 0.0
        return Hyperparameters(
            weights[:options],
            weights[options : options + levels],
            weights[options + levels :],
            share,
            float(np.exp(parameters[-1])),
        )


def _pairs(x: Features) -> np.ndarray:
    """Distance of every pair of rows in every column, shape (columns, N (N - 1) / 2); half of it in options."""
    first, second = np.triu_indices(len(x), 1)
    blocks = (0.5 * x.options, x.levels, x.counts)
    return np.concatenate([np.abs(block[first] - block[second]).T for block in blocks])


def _negative_log_posterior(
    layout: _Layout,
    parameters: np.ndarray,
    prior: np.ndarray,
    distances: np.ndarray,
    upper: tuple[np.ndarray, np.ndarray],
    y: np.ndarray,
) -> tuple[float, np.ndarray]:
    """The value and its gradient; the scale of the targets is the one that fits best."""
    size = len(y)
    joint = layout.split[0] + layout.split[1]
    weights = np.exp(layout.rows @ parameters[:-2])
    share = 1 / (1 + np.exp(-parameters[-2])) if layout.split[2] else 0.0
    noise = np.exp(parameters[-1])
    by_gene = np.exp(-(weights[:joint] @ distances[:joint]))
    by_count = np.exp(-(weights[joint:] @ distances[joint:]))
    matrix = np.zeros((size, size))
    matrix[upper] = (1 - share) * by_gene + share * by_count
    matrix += matrix.T
    matrix[np.diag_indices(size)] = 1.0 + noise + JITTER
    factor = cholesky(matrix, lower=True, check_finite=False)
    inverse = cho_solve((factor, True), np.eye(size), check_finite=False)
    solved = inverse @ y
    scale = max(float(y @ solved) / size, 1e-12)
    deviations = (parameters - prior) / SPREAD
    value = 0.5 * size * np.log(scale) + np.log(np.diag(factor)).sum() + 0.5 * deviations @ deviations
    slope = 0.5 * (inverse - np.outer(solved, solved) / scale)  # derivative of the value by each entry of the matrix
    slopes = 2 * slope[upper]
    by_weight = np.concatenate(
        [
            -distances[:joint] @ (slopes * (1 - share) * by_gene),
            -distances[joint:] @ (slopes * share * by_count),
        ]
    )
    by_share = float(slopes @ (by_count - by_gene)) * share * (1 - share)
    gradient = np.concatenate([layout.rows.T @ (by_weight * weights), [by_share, float(np.trace(slope)) * noise]])
    return float(value), gradient + deviations / SPREAD
