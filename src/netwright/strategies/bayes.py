"""Bayesian optimization as in the textbook: a Gaussian process over all genes, and expected improvement.

Jones et al. 1998, "Efficient Global Optimization of Expensive Black-Box Functions", with a Matern kernel of smoothness
5/2 and one length scale per gene (`surrogates.matern`), targets standardized. It suits genes that are numbers, such as
those of a generator of networks: the improvement is climbed by its gradient in all reals at once, and from neighbor to
neighbor in the others. It knows no budgets; what NAGO's program does with them, another kernel and random candidates is
`vega_bohb`. `predictor` is the sibling for cells of many choices, with another kernel, and targets that are ranks.

* With several workers, pending trials count as observed at what the model expects of them (kriging believer,
  Ginsbourger et al. 2010), so that no two look at one place.
* A failed trial counts as the worst that was seen.
* No network is evaluated twice.
* What an ask costs is bounded: of a long history the model sees the best, the latest and some of all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import minimize
from sortedcontainers import SortedList

from netwright.core.errors import BadReference
from netwright.core.genes import Real, from_vector, to_vector
from netwright.core.objectives import score_of
from netwright.core.protocols import SearchSpace
from netwright.core.records import Genotype, Proposal, Trial
from netwright.core.single import check_single
from netwright.strategies.local_search import neighbors
from netwright.strategies.novelty import first_new, new_sample
from netwright.surrogates import improvement, matern
from netwright.surrogates.matern import MaternHyperparameters, Posterior

BEST, LATEST, OTHERS = 200, 100, 200  # trials that the model sees of a longer history
LEARN_FROM = 250  # trials that its parameters are learned from
LEARN_EVERY = 1.05  # growth of the history after which they are learned anew
SAMPLES = 200  # random candidates to begin with
ELITE = 5  # best trials, whose neighbors are candidates too
CLIMBERS, STEPS, NEIGHBORS = 4, 3, 200  # the best candidates climb: along the gradient, then to better neighbors
GRADIENT_STEPS = 30
SHORTLIST = 200  # best candidates that are tried for being a new network


@dataclass
class Bayes:
    """Expected improvement under a Gaussian process, for one objective on any space.

    Args:
        space: Search space, which samples and names networks; the model is one of its genes.
        objectives: Exactly one objective, as a run file writes it; None: the first metric, the higher the better.
        initial: Number of random networks before the model is asked.
    """

    space: SearchSpace
    objectives: tuple[str, ...] | None = None
    initial: int = 10
    _told: list[tuple[float | None, Genotype]] = field(default_factory=list, init=False, repr=False)
    _known: set[str] = field(default_factory=set, init=False, repr=False)  # keys of all that finished
    _scores: SortedList = field(default_factory=SortedList, init=False, repr=False)  # (score, -position in _told)
    # memos, made anew when needed: parameters by the length of history they are learned at, and the model by its length
    _learned: tuple[int, MaternHyperparameters] | None = field(default=None, init=False, repr=False, compare=False)
    _model: tuple[int, np.ndarray, Posterior] | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_single("bayes", self.objectives)
        if self.initial < 2:
            raise BadReference(f"strategy.initial is {self.initial}; it must be at least 2")

    def ask(self, rng: np.random.Generator, pending: Sequence[Trial]) -> Proposal | None:
        """A random network at first, then the one of the highest expected improvement; None: none is new."""
        taken = {trial.key for trial in pending}
        genotype = None
        if len(self._told) + len(pending) >= self.initial and len(self._scores) >= 2:
            genotype = self._best_new(rng, [trial.proposal.genotype for trial in pending], taken)
        if genotype is None:
            genotype = new_sample(self.space, self._known, taken, rng)
        return None if genotype is None else Proposal(genotype)

    def tell(self, trial: Trial, rng: np.random.Generator) -> None:  # noqa: ARG002
        """Remember the trial."""
        self._known.add(trial.key)
        score = score_of(trial)
        if score is not None:
            self._scores.add((score, -len(self._told)))
        self._told.append((score, trial.proposal.genotype))

    def _best_new(self, rng: np.random.Generator, pending: Sequence[Genotype], taken: set[str]) -> Genotype | None:
        """The candidate of the highest expected improvement that is a new network; None: no candidate is."""
        model, best = self._posterior(pending)
        return first_new(self.space, self._ranked(model, best, rng)[:SHORTLIST], self._known, taken)

    def _ranked(self, model: Posterior, best: float, rng: np.random.Generator) -> list[Genotype]:
        """Candidates, best first."""
        genes = self.space.genes
        values: dict[Genotype, float] = {}

        def add(found: Sequence[Genotype]) -> None:
            fresh = [genotype for genotype in dict.fromkeys(found) if genotype not in values]
            if fresh:
                mean, deviation = model.predict(self._vectors(fresh))
                gains = improvement.log_improvement(mean, deviation, best)
                values.update(zip(fresh, gains.tolist(), strict=True))

        elite = [self._told[-position][1] for _, position in self._scores[-ELITE:]]
        add([self.space.sample(rng) for _ in range(SAMPLES)])
        add([near for genotype in elite for near in neighbors(genes, genotype, rng)[: NEIGHBORS // ELITE]])
        expanded: set[Genotype] = set()
        for _ in range(STEPS):
            order = sorted(values, key=values.__getitem__, reverse=True)
            climbers = [genotype for genotype in order if genotype not in expanded][:CLIMBERS]
            expanded.update(climbers)
            add([self._climbed(model, best, genotype) for genotype in climbers])
            order = sorted(values, key=values.__getitem__, reverse=True)[:CLIMBERS]
            add([near for genotype in order for near in neighbors(genes, genotype, rng)[: NEIGHBORS // CLIMBERS]])
        return sorted(values, key=values.__getitem__, reverse=True)

    def _climbed(self, model: Posterior, best: float, genotype: Genotype) -> Genotype:
        """The genotype to which the gradient leads in the reals, all other genes kept."""
        free = np.array([isinstance(gene, Real) for gene in self.space.genes])
        if not free.any():
            return genotype
        x = to_vector(self.space.genes, genotype)

        def objective(reals: np.ndarray) -> tuple[float, np.ndarray]:
            x[free] = reals
            mean, deviation, by_mean, by_deviation = model.slopes(x)
            value = improvement.log_improvement(np.array(mean), np.array(deviation), best)
            slope_mean, slope_deviation = improvement.slopes(mean, deviation, best)
            return -float(value), -(slope_mean * by_mean + slope_deviation * by_deviation)[free]

        bounds = [(0.0, 1.0)] * int(free.sum())
        options = {"maxiter": GRADIENT_STEPS}
        found = minimize(objective, x[free].copy(), jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        x[free] = found.x
        return from_vector(self.space.genes, x)

    def _posterior(self, pending: Sequence[Genotype]) -> tuple[Posterior, float]:
        """The model of what was told, with pending trials at their expected targets; and its best expectation."""
        count = len(self._told)
        if self._model is None or self._model[0] != count:
            positions = self._positions(BEST, LATEST, OTHERS)
            targets = self._targets(positions)
            x = self._vectors([self._told[position][1] for position in positions])
            self._model = (count, targets, matern.condition(self._parameters(), x, targets))
        _, targets, model = self._model
        if pending:
            x = self._vectors(pending)
            expected, _ = model.predict(x)
            targets = np.concatenate([targets, expected])
            model = matern.condition(model.hyperparameters, np.concatenate([model.x, x]), targets)
        return model, float(model.predict(model.x)[0].max())

    def _parameters(self) -> MaternHyperparameters:
        """Parameters learned from the first trials, up to a number that grows in steps: the same whenever asked."""
        length = self.initial
        while (longer := max(length + 1, int(length * LEARN_EVERY))) <= len(self._told):
            length = longer
        length = min(length, len(self._told))
        if self._learned is None or self._learned[0] != length:
            positions = np.unique(np.linspace(0, length - 1, min(length, LEARN_FROM)).astype(int)).tolist()
            x = self._vectors([self._told[position][1] for position in positions])
            self._learned = (length, matern.learn(self.space.genes, x, self._targets(positions)))
        return self._learned[1]

    def _positions(self, best: int, latest: int, others: int) -> list[int]:
        """Which trials the model sees, in order: all of them while they are few enough."""
        length = len(self._told)
        if length <= best + latest + others:
            return list(range(length))
        top = [-position for _, position in self._scores[-best:]]
        spread = np.linspace(0, length - 1, others).astype(int).tolist()
        return sorted({*top, *range(length - latest, length), *spread})

    def _targets(self, positions: Sequence[int]) -> np.ndarray:
        """Scores of these trials, with mean 0 and variance 1; a failed one has the worst of them."""
        scores = [self._told[position][0] for position in positions]
        worst = min((score for score in scores if score is not None), default=0.0)
        targets = np.array([worst if score is None else score for score in scores])
        centered = targets - targets.mean()
        return centered / max(float(centered.std()), 1e-9)

    def _vectors(self, genotypes: Sequence[Genotype]) -> np.ndarray:
        return np.array([to_vector(self.space.genes, genotype) for genotype in genotypes])


plugin = Bayes
