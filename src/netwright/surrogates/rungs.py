"""A model of score by (genotype, rung): one Gaussian process over the trials of all budgets.

Klein et al. 2020, "Model-based Asynchronous Hyperparameter and Neural Architecture Search", arXiv:2003.10865: the
logarithm of the budget is one more input, so that many short trainings and few long ones inform each other. The kernel
is that of `gaussian_process`, which learns how far two budgets agree, and how noisy scores are.

What this package does differently: targets. Scores of a rung are first raised by what promotions from it have gained on
average, up to the highest rung: a constant mean would take every long training for a good network. Then they are
replaced by the normal scores of their ranks, so that a few useless networks do not set the scale.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata

from netwright.core.genes import Gene, Real
from netwright.core.records import Genotype
from netwright.surrogates import gaussian_process
from netwright.surrogates.features import Encoder, Features
from netwright.surrogates.gaussian_process import GaussianProcess, Hyperparameters

FAILURE = 0.25  # quantile of the scores that a failed trial counts as: its neighborhood is avoided, not forbidden


class Observation(NamedTuple):
    """A finished trial; score None: it failed."""

    score: float | None
    genotype: Genotype
    rung: int


@dataclass(frozen=True)
class RungHistory:
    """What a model learns from.

    Args:
        observations: Finished trials.
        raises: For each rung, what its scores are raised by to compare with those of the highest.
    """

    observations: tuple[Observation, ...]
    raises: tuple[float, ...]

    @cached_property
    def targets(self) -> np.ndarray:
        """Normal scores of the ranks, mean 0 and variance 1, shape (N,); failures at the lower quartile."""
        raised = [None if each.score is None else each.score + self.raises[each.rung] for each in self.observations]
        finished = np.array([value is not None for value in raised])
        values = np.array([value for value in raised if value is not None])
        targets = np.full(len(raised), ndtri(FAILURE))
        targets[finished] = ndtri((rankdata(values) - 0.5) / len(values))
        centered = targets - targets.mean()
        found: np.ndarray = centered / max(float(centered.std()), 1e-9)
        return found


class RungModel:
    """Gaussian processes over the genes of a space and the rungs of a ladder.

    Args:
        genes: Genes of the space.
        budgets: Budgets of the rungs, ascending.
    """

    def __init__(self, genes: Sequence[Gene], budgets: Sequence[int]) -> None:
        self._encoder = Encoder((*genes, Real("logarithm of the budget", 0.0, 1.0)))
        whole = math.log(budgets[-1] / budgets[0]) if len(budgets) > 1 else 1.0
        self._levels = [math.log(budget / budgets[0]) / whole for budget in budgets]

    def encode(self, genotypes: Sequence[Genotype], rungs: Sequence[int]) -> Features:
        """Inputs of the process for N genotypes, each on its rung; -1 is the highest."""
        return self._encoder.encode(
            [(*genotype, self._levels[rung]) for genotype, rung in zip(genotypes, rungs, strict=True)]
        )

    def learn(self, history: RungHistory) -> Hyperparameters:
        """Parameters of the kernel that fit a history best."""
        return gaussian_process.learn(self._encoder, self._seen(history), history.targets)

    def condition(
        self, hyperparameters: Hyperparameters, history: RungHistory, pending: Sequence[tuple[Genotype, int]]
    ) -> GaussianProcess:
        """The process given a history; trials that are pending count as measured at what it expects of them."""
        features, targets = self._seen(history), history.targets
        model = gaussian_process.condition(hyperparameters, features, targets)
        if not pending:
            return model
        genotypes, rungs = zip(*pending, strict=True)
        expected, _ = model.predict(self.encode(genotypes, rungs))
        seen = history.observations
        features = self.encode([*(each.genotype for each in seen), *genotypes], [*(each.rung for each in seen), *rungs])
        return gaussian_process.condition(hyperparameters, features, np.concatenate([targets, expected]))

    def at_top(self, model: GaussianProcess, genotypes: Sequence[Genotype]) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of N genotypes' targets on the highest rung, each of shape (N,)."""
        return model.predict(self.encode(genotypes, [-1] * len(genotypes)))

    def _seen(self, history: RungHistory) -> Features:
        seen = history.observations
        return self.encode([each.genotype for each in seen], [each.rung for each in seen])
