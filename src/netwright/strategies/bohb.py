"""Bayesian optimization with Hyperband: brackets of successive halving, filled by a model of where good networks are.

Falkner et al. 2018, "BOHB: Robust and Efficient Hyperparameter Optimization at Scale", arXiv:1807.01774; the strategy
of NAGO's paper (Ru et al. 2020), there with budgets of 30, 60 and 120 epochs and eta = 2 (its program has another one,
`vega_bohb`). Brackets start, in turn, on each rung of the ladder of budgets. When all trials of a rung have finished,
its best are promoted. A new trial is, with the probability `random_fraction`, a sample of the space; else the one of
`samples` draws at which the density of the best trials exceeds that of the others most (`surrogates.density`), at the
largest budget with enough trials.

* Asynchronous: a free worker takes what the oldest unfinished bracket needs; where that waits for its trials, what the
  next needs, and in the end it begins another bracket. Nobody waits.
* A promotion has the budget of the next rung and continues the trial from its checkpoint: the training evaluator needs
  `horizon` for that, the largest budget. Checkpoints of trials that were not promoted stay in the run's folder.
* A failed trial counts as the worst, and is never promoted, nor among the best that the model sees.
* No network is drawn twice; a space without a new one ends the search when all promotions are done.
* Bracket and rung (from 0), and whether the model chose, stand in the notes of each row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from sortedcontainers import SortedList

from netwright.core.errors import BadReference
from netwright.core.genes import to_vector
from netwright.core.protocols import SearchSpace
from netwright.core.records import Genotype
from netwright.core.single import check_single
from netwright.strategies.brackets import ladder, sizes
from netwright.strategies.hyperband import BracketRung, BracketSearch, Finished, Hyperband
from netwright.strategies.novelty import first_new
from netwright.surrogates import density
from netwright.surrogates.density import Density

SEEN = 500  # trials of each density, so that an ask costs no more after 100,000 of them


@dataclass
class Densities:
    """Chooses by two densities: that of the best trials of a budget, and that of its others.

    Args:
        space: Search space.
        rungs: Number of rungs.
        random_fraction: As of `bohb`, and so are the others.
        best_share: Share of the trials of a budget that count as the best.
        samples: Number of draws that are chosen from.
        min_points: Fewest trials of either density.
        bandwidth_factor: Factor on the widths of the kernels that are drawn from.
        min_bandwidth: Least width of a kernel.
    """

    space: SearchSpace
    rungs: int
    random_fraction: float
    best_share: float
    samples: int
    min_points: int
    bandwidth_factor: float
    min_bandwidth: float
    _ranked: list[SortedList] = field(init=False, repr=False)  # finished trials of each rung, best first
    # a memo, made anew when needed: the densities by rung and number of trials
    _model: tuple[tuple[int, int], Density, Density] | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._ranked = [SortedList() for _ in range(self.rungs)]

    def choose(
        self,
        place: BracketRung,  # noqa: ARG002
        known: Set[str],
        taken: Set[str],
        rng: np.random.Generator,
    ) -> Genotype | None:
        """The best draw that is a new network; None: a sample's turn, too few trials for a model, or no draw is new."""
        if rng.random() < self.random_fraction:
            return None
        model = self._densities()
        if model is None:
            return None
        drawn = density.candidates(*model, self.samples, self.bandwidth_factor, rng)
        return first_new(self.space, drawn, known, taken)

    def learn(self, place: BracketRung, finished: Finished) -> None:
        """Rank the trial among those of its budget."""
        self._ranked[place.rung].add(finished)

    def _densities(self) -> tuple[Density, Density] | None:
        """Densities of the best trials and of the others, at the largest budget that has enough; None: none has."""
        for rung in range(len(self._ranked) - 1, -1, -1):
            ranked = self._ranked[rung]
            count = len(ranked)
            if count < self.min_points + 2 or ranked[self.min_points - 1].loss == math.inf:
                continue
            if self._model is None or self._model[0] != (rung, count):
                best = max(self.min_points, int(self.best_share * count))
                others = max(self.min_points, count - best)
                good = [trial for trial in ranked[:best] if trial.loss < math.inf]
                self._model = ((rung, count), self._density(good), self._density(ranked[count - others :]))
            return self._model[1], self._model[2]
        return None

    def _density(self, trials: Sequence[Finished]) -> Density:
        """The density of all or, where they are too many, of some that are spread evenly over their ranks."""
        positions = np.unique(np.linspace(0, len(trials) - 1, SEEN).astype(int)) if len(trials) > SEEN else None
        seen = trials if positions is None else [trials[position] for position in positions.tolist()]
        genes = self.space.genes
        points = np.array([to_vector(genes, trial.genotype) for trial in seen])
        return density.fit(genes, points, self.min_bandwidth)


def bohb(
    space: SearchSpace,
    objectives: tuple[str, ...] | None = None,
    min_budget: int = 1,
    max_budget: int = 9,
    eta: int = 3,
    budgets: tuple[int, ...] = (),
    random_fraction: float = 1 / 3,
    best_share: float = 0.15,
    samples: int = 64,
    min_points: int | None = None,
    bandwidth_factor: float = 3.0,
    min_bandwidth: float = 1e-3,
) -> BracketSearch:
    """Hyperband with a kernel-density model.

    Args:
        space: Search space, which samples and names networks; the model is one of its genes.
        objectives: Exactly one objective, as a run file writes it; None: the first metric, the higher the better.
        min_budget: Least budget of the lowest rung, in the evaluator's unit: epochs or steps.
        max_budget: Budget of the highest rung.
        eta: One trial in `eta` is promoted, to `eta` times the budget.
        budgets: Budgets of all rungs, where they are no powers of `eta` apart, as 12 and 200 epochs; empty: as above.
        random_fraction: Share of new trials that are samples of the space.
        best_share: Share of the trials of a budget that count as the best.
        samples: Number of draws that the model chooses from.
        min_points: Fewest trials of either density; None: one more than there are genes.
        bandwidth_factor: Factor on the widths of the kernels that are drawn from.
        min_bandwidth: Least width of a kernel, as a share of the gene's range, below 1. An integer's is also at least a
            quarter of a step, a departure from the published code (`surrogates.density`).
    """
    check_single("bohb", objectives)
    for name, share in (("random_fraction", random_fraction), ("best_share", best_share)):
        if not 0 <= share <= 1:
            raise BadReference(f"strategy.{name} is {share}; it must be in [0, 1]")
    points = len(space.genes) + 1 if min_points is None else min_points
    positive = {"samples": samples, "bandwidth_factor": bandwidth_factor, "min_bandwidth": min_bandwidth}
    for name, value in {**positive, "min_points": points}.items():
        if not 0 < value < math.inf:
            raise BadReference(f"strategy.{name} is {value}; it must be greater than 0, and finite")
    if min_bandwidth >= 1:
        raise BadReference(f"strategy.min_bandwidth is {min_bandwidth}; it must be below 1, the whole range")
    rungs = ladder(min_budget, max_budget, eta, budgets)
    model = Densities(space, len(rungs), random_fraction, best_share, samples, points, bandwidth_factor, min_bandwidth)
    return BracketSearch(space, Hyperband(rungs, partial(sizes, eta=eta)), model)


plugin = bohb
