"""How much a network would add to a front of two objectives, one of which is known of every network beforehand.

Parameters, cost and memory are counted, so that only the other objective is uncertain: a Gaussian process over
genotypes (`surrogates.gaussian_process`). Where a network stands on the known axis is then certain, and what it is
expected to add to the volume in front of a reference point is in closed form: a sum of expected improvements (Jones et
al. 1998) over the steps of the front, each as wide as the part of the known axis that the network reaches. As in
Daulton et al. 2021, arXiv:2105.08195, measurements are noisy and trials may be pending: the heights of the steps are
drawn from the process, at observed and pending networks together, and a candidate's own height is what the process says
once it has been given the draw.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.special import ndtr

from netwright.core.records import Genotype
from netwright.surrogates import gaussian_process
from netwright.surrogates.features import Encoder, Features
from netwright.surrogates.gaussian_process import GaussianProcess

DRAWS = 32  # of the heights of the front's steps
OUTSIDE = 0.5  # how far beyond the range of seen costs a level goes on
CHUNK = 128  # candidates judged together, which bounds memory
JITTER = 1e-6  # added to variances, of targets of variance 1, so that covariances have a root


@dataclass(frozen=True, eq=False)
class CostEncoder:
    """Encodes networks with one more level: their known cost, by its logarithm within a range.

    How large a network is says much of how good it is, and no sum over its genes says how large it is.

    Args:
        genes: Encodes genes.
        low: Logarithm of the least cost.
        high: That of the largest.
    """

    genes: Encoder
    low: float
    high: float

    @classmethod
    def of(cls, genes: Encoder, costs: np.ndarray) -> CostEncoder:
        """The encoder whose range is that of known scores, shape (N,); infinite ones count for nothing."""
        logarithms = _logarithms(costs[np.isfinite(costs)])
        if not len(logarithms):
            return cls(genes, 0.0, 1.0)
        return cls(genes, float(logarithms.min()), float(logarithms.max()))

    def encode(self, genotypes: Sequence[Genotype], costs: np.ndarray) -> Features:
        """The features of N genotypes with these known scores, shape (N,); infinite: of what is no network."""
        plain = self.genes.encode(genotypes)
        level = (_logarithms(costs) - self.low) / max(self.high - self.low, 1e-9)
        return Features(
            plain.options, np.column_stack([plain.levels, np.clip(level, -OUTSIDE, 1 + OUTSIDE)]), plain.counts
        )


class KnownCostImprovement:
    """The expected improvement of any candidates.

    Args:
        encoder: The encoder of the process.
        process: The process of the unknown objective, to be maximized, given N observed networks.
        costs: Known scores of the observed networks, to be maximized, shape (N,).
        pending: Networks that are being evaluated: what they are expected to add is no more to be gained.
        pending_costs: Their known scores, shape (P,).
        reference: Reference point: a value of the process, and a known score.
        rng: Draws the heights of the front.
    """

    def __init__(
        self,
        encoder: CostEncoder,
        process: GaussianProcess,
        costs: np.ndarray,
        pending: Sequence[Genotype],
        pending_costs: np.ndarray,
        reference: tuple[float, float],
        rng: np.random.Generator,
    ) -> None:
        self._encoder, self._process = encoder, process
        self._fixed = _joined(process.x, encoder.encode(pending, pending_costs)) if pending else process.x
        cross, self._half = self._given(self._fixed)
        covariance = process.scale * (self._kernel(self._fixed, self._fixed) - self._half.T @ self._half)
        self._factor = cholesky(covariance + JITTER * np.eye(len(covariance)), lower=True, check_finite=False)
        normal = rng.standard_normal((DRAWS // 2, len(covariance)))
        normal = np.concatenate([normal, -normal])
        # a candidate's mean moves by its covariance with the fixed networks, times this, once it is given the draw
        self._pull = solve_triangular(self._factor, normal.T, lower=True, trans=1, check_finite=False)
        values = cross @ process.solved + normal @ self._factor.T  # (draws, networks)
        fixed_costs = np.concatenate([costs, pending_costs])
        ends, step = np.unique(np.maximum(fixed_costs, reference[1]), return_inverse=True)
        heights = np.full((DRAWS, len(ends) + 1), reference[0])
        for network, place in enumerate(step.tolist()):
            np.maximum(heights[:, place], values[:, network], out=heights[:, place])
        self._heights = np.maximum.accumulate(heights[:, ::-1], axis=1)[:, ::-1]  # of the front, up to each end
        self._begins, self._ends = np.append(reference[1], ends), np.append(ends, np.inf)

    def of(self, candidates: Sequence[Genotype], costs: np.ndarray) -> np.ndarray:
        """The improvement in the units of both objectives multiplied, shape (C,).

        Args:
            candidates: C networks.
            costs: Their known scores, shape (C,).
        """
        found = [np.zeros(0)]
        for first in range(0, len(candidates), CHUNK):
            part = slice(first, first + CHUNK)
            mean, deviation = self._moments(self._encoder.encode(candidates[part], costs[part]))
            z = (mean[:, :, None] - self._heights) / deviation[:, None, None]  # (candidates, draws, steps)
            gains = z * ndtr(z) + np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
            widths = np.clip(np.minimum(self._ends, costs[part, None]) - self._begins, 0.0, None)
            found.append(deviation * (gains.mean(1) * widths).sum(1))
        return np.concatenate(found)

    def _moments(self, x: Features) -> tuple[np.ndarray, np.ndarray]:
        """Means given each draw, shape (C, draws), and the deviation, which all draws share, shape (C,)."""
        cross, half = self._given(x)
        shared = self._process.scale * (self._kernel(x, self._fixed) - half.T @ self._half)
        explained = solve_triangular(self._factor, shared.T, lower=True, check_finite=False)
        variance = self._process.scale * (1.0 - (half**2).sum(0)) - (explained**2).sum(0)
        means = (cross @ self._process.solved)[:, None] + shared @ self._pull
        return means, np.sqrt(np.maximum(variance, JITTER))

    def _given(self, x: Features) -> tuple[np.ndarray, np.ndarray]:
        """Correlations with the observed networks, shape (C, N), and what they explain, shape (N, C)."""
        cross = self._kernel(x, self._process.x)
        return cross, solve_triangular(self._process.factor, cross.T, lower=True, check_finite=False)

    def _kernel(self, a: Features, b: Features) -> np.ndarray:
        return gaussian_process.kernel(self._process.hyperparameters, a, b)


def _logarithms(costs: np.ndarray) -> np.ndarray:
    return np.log1p(np.abs(costs))


def _joined(a: Features, b: Features) -> Features:
    blocks = ((a.options, b.options), (a.levels, b.levels), (a.counts, b.counts))
    return Features(*(np.concatenate(pair) for pair in blocks))
