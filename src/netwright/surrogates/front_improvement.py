"""How much a network would add to a front of noisy measurements, by BoTorch.

Daulton et al. 2021, "Parallel Bayesian Optimization of Multiple Noisy Objectives with Expected Hypervolume
Improvement", arXiv:2105.08195, in the logarithmic form of Ament et al. 2023, arXiv:2310.20708; with one objective, the
noisy expected improvement. Each objective has a Gaussian process of its own, with the kernel and the parameters of
`surrogates.matern`; BoTorch draws fronts from them and integrates over these. It sees networks by their numbers and the
processes as a table of means and covariances, since it would compute those of all observed networks anew for each
candidate.

Random numbers come from the given seed alone: torch's own state is neither read nor changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from scipy.linalg import solve_triangular
from torch import Tensor

from netwright.core import extras
from netwright.surrogates.matern import Posterior, kernel

NEED = "mobo", "the strategy mobo"  # the extra, and what needs it
DRAWS, FEW_DRAWS = 64, 32  # of fronts: twice as many rank candidates alike; beyond 3 objectives boxes are many
MOST_BASELINE = 50  # observed networks that a front is drawn from
CHUNK = 256  # candidates judged together, which bounds memory
EXACT = 10**6  # size up to which gpytorch computes roots exactly: larger ones it estimates, with random numbers
JITTER = 1e-6  # added to variances, of targets of variance 1, so that covariances have a root


class FrontImprovement:
    """The logarithm of the expected improvement, of any candidates.

    Args:
        processes: One for each of M objectives, given the same N observed networks; targets are to be maximized.
        reference: Reference point of the hypervolume in the units of the targets, shape (M,).
        pending: Networks that are being evaluated, in vector form, shape (P, genes): what they are expected to add is
            no more to be gained.
        seed: Seed of all draws.
    """

    def __init__(self, processes: Sequence[Posterior], reference: np.ndarray, pending: np.ndarray, seed: int) -> None:
        normal = extras.load("botorch.sampling.normal", *NEED)
        self._settings = extras.load("gpytorch.settings", *NEED)
        self._processes = processes
        observed = processes[0].x
        draws = DRAWS if len(processes) <= 3 else FEW_DRAWS
        baseline = observed[_baseline(*_moments(processes, observed), draws, seed)]
        self._fixed = np.concatenate([baseline, pending])
        self._model = _table()(*_moments(processes, self._fixed))
        numbers = _numbers(0, len(self._fixed))
        shared = {
            "X_baseline": numbers[: len(baseline)],
            "sampler": normal.SobolQMCNormalSampler(torch.Size([draws]), seed=seed),
            "X_pending": numbers[len(baseline) :] if len(pending) else None,
            "prune_baseline": False,  # BoTorch's own would draw from torch's global state
            "cache_root": False,
        }
        with self._settings.max_cholesky_size(EXACT):
            self._value = self._acquisition(reference, shared)

    def _acquisition(self, reference: np.ndarray, shared: dict[str, Any]) -> Any:
        if len(reference) == 1:
            module = extras.load("botorch.acquisition.logei", *NEED)
            return module.qLogNoisyExpectedImprovement(self._model, **shared)
        partitioning = extras.load("botorch.acquisition.multi_objective.utils", *NEED)
        module = extras.load("botorch.acquisition.multi_objective.logei", *NEED)
        # else it would compile a kernel where there is a compiler, so that results would differ between machines; and
        # where such a compilation was once cut short, wait for its end for ever. BoTorch 0.18 has no public way to
        # leave it out: `fat=False` would not use the kernel, but still compile it. A test holds that none was compiled.
        module._load_attempted = True
        alpha = partitioning.get_default_partitioning_alpha(len(reference))  # 0, exact, up to 4 objectives
        point = torch.from_numpy(reference)
        return module.qLogNoisyExpectedHypervolumeImprovement(self._model, point, alpha=alpha, **shared)

    def of(self, x: np.ndarray) -> np.ndarray:
        """The logarithm for each of C candidates in vector form, shape (C,)."""
        found = []
        with torch.no_grad(), self._settings.max_cholesky_size(EXACT):
            for first in range(0, len(x), CHUNK):
                chunk = x[first : first + CHUNK]
                self._model.show(*_moments(self._processes, np.concatenate([self._fixed, chunk])))
                found.append(self._value(_numbers(len(self._fixed), len(chunk)).unsqueeze(1)))
        return torch.cat(found).numpy()


def _numbers(first: int, count: int) -> Tensor:
    return torch.arange(first, first + count, dtype=torch.float64).unsqueeze(1)


def _moments(processes: Sequence[Posterior], x: np.ndarray) -> tuple[Tensor, Tensor]:
    """Means, shape (M, P), and covariances, shape (M, P, P), of each process at P networks in vector form."""
    means, covariances = [], []
    for process in processes:
        cross = kernel(process.hyperparameters, x, process.x)
        half = solve_triangular(process.factor, cross.T, lower=True, check_finite=False)
        covariance = process.scale * (kernel(process.hyperparameters, x, x) - half.T @ half)
        covariance[np.diag_indices_from(covariance)] = np.maximum(np.diag(covariance), 0.0) + JITTER
        means.append(cross @ process.solved)
        covariances.append(covariance)
    return torch.from_numpy(np.array(means)), torch.from_numpy(np.array(covariances))


@cache
def _table() -> Any:
    """The class of models that look up what is known of a network by its number, made once BoTorch is needed."""
    base = extras.load("botorch.models.model", *NEED).Model
    posteriors = extras.load("botorch.posteriors.gpytorch", *NEED)
    distributions = extras.load("gpytorch.distributions", *NEED)

    class Table(base):  # type: ignore[misc, valid-type]
        """Means, shape (M, P), and covariances, shape (M, P, P), of P networks; an input is a network's number."""

        def __init__(self, means: Tensor, covariances: Tensor) -> None:
            super().__init__()
            self.show(means, covariances)

        def show(self, means: Tensor, covariances: Tensor) -> None:
            self.means, self.covariances = means, covariances

        @property
        def num_outputs(self) -> int:
            return len(self.means)

        @property
        def batch_shape(self) -> torch.Size:
            return torch.Size()

        def posterior(self, X: Tensor, *_: Any, **__: Any) -> Any:
            at = X[..., 0].long()
            means, covariances = self.means[:, at], self.covariances[:, at.unsqueeze(-1), at.unsqueeze(-2)]
            normals = [distributions.MultivariateNormal(m, c) for m, c in zip(means, covariances, strict=True)]
            together = distributions.MultitaskMultivariateNormal.from_independent_mvns
            return posteriors.GPyTorchPosterior(normals[0] if len(normals) == 1 else together(normals))

    return Table


def _baseline(means: Tensor, covariances: Tensor, draws: int, seed: int) -> np.ndarray:
    """Which networks are most often on a front that is drawn from the processes: positions, ascending."""
    pareto = extras.load("botorch.utils.multi_objective.pareto", *NEED)
    sampling = extras.load("botorch.utils.sampling", *NEED)
    count, size = means.shape
    normal = sampling.draw_sobol_normal_samples(count * size, draws, dtype=means.dtype, seed=seed)
    roots = torch.linalg.cholesky(covariances)
    drawn = means + (roots @ normal.view(draws, count, size, 1)).squeeze(-1)
    times = pareto.is_non_dominated(drawn.transpose(1, 2)).sum(0)
    order = times.argsort(descending=True, stable=True)[:MOST_BASELINE]
    found: np.ndarray = order[times[order] > 0].sort().values.numpy()
    return found
