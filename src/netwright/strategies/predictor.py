"""Model-guided search over genes: a Gaussian process ranks mutants of the best, their neighbors and fresh samples.

Bayesian optimization with expected improvement (Jones et al. 1998, "Efficient Global Optimization of Expensive
Black-Box Functions"). What is this package's own: the kernel over genes (`surrogates.gaussian_process`), targets that
are ranks (so that a few useless networks do not set the scale), and a ranking that climbs from gene to gene instead of
listing the space.

* The parent of a proposal is the one of the best that agrees with it in most genes.
* With several workers, pending trials count as observed at what the model expects of them.
* After PATIENCE trials without a better network, every third ask maximizes a draw from each candidate's posterior
  instead, so that a plateau is left.
* A failed trial counts as one at the lower quartile of what was seen: its neighborhood is avoided, not forbidden.
* No network is evaluated twice.
* What an ask costs is bounded: the model sees the best, the latest and some of all others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from heapq import nlargest
from itertools import islice

import numpy as np
from scipy.special import ndtr, ndtri
from scipy.stats import rankdata
from sortedcontainers import SortedList

from netwright.core.errors import BadReference, InvalidGenotype
from netwright.core.objectives import score_of
from netwright.core.protocols import SearchSpace
from netwright.core.records import Genotype, Proposal, Trial
from netwright.core.single import check_single
from netwright.strategies.local_search import neighbors
from netwright.strategies.novelty import new_sample
from netwright.surrogates import gaussian_process
from netwright.surrogates.features import Encoder
from netwright.surrogates.gaussian_process import GaussianProcess, Hyperparameters

BEST, LATEST, OTHERS = 150, 50, 200  # trials that the model sees of a longer history
LEARN_FROM = 120  # trials that its parameters are learned from
LEARN_EVERY = 1.15  # growth of the history after which they are learned anew
ELITE = 10  # best trials that are mutated
MUTANTS, SAMPLES = 120, 80  # candidates to begin with
CLIMBERS, STEPS, NEIGHBORS = 5, 4, 250  # the best candidates climb to better neighbors
FAILURE = 0.25  # quantile of the scores that a failed trial counts as
PATIENCE, DRAW_EVERY = 20, 3  # trials without a better one, and how often draws decide from then on


@dataclass
class Predictor:
    """Bayesian optimization of one objective on any space.

    Args:
        space: Search space, which samples, mutates and names networks.
        objectives: Exactly one objective, as a run file writes it; None: the first metric, the higher the better.
        initial: Number of random networks before the model is asked.
    """

    space: SearchSpace
    objectives: tuple[str, ...] | None = None
    initial: int = 12
    _told: list[tuple[float | None, Genotype, int]] = field(default_factory=list, init=False, repr=False)
    _known: set[str] = field(default_factory=set, init=False, repr=False)  # keys of all that finished
    _seen: set[Genotype] = field(default_factory=set, init=False, repr=False)  # genotypes of the same
    _scores: SortedList = field(default_factory=SortedList, init=False, repr=False)  # (score, -position in _told)
    # memos, made anew when needed: parameters by the length of history they are learned at, and the model by its length
    _learned: tuple[int, Hyperparameters] | None = field(default=None, init=False, repr=False, compare=False)
    _model: tuple[int, tuple[Genotype, ...], np.ndarray, GaussianProcess] | None = field(
        default=None, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        check_single("predictor", self.objectives, "models")
        if self.initial < 2:
            raise BadReference(f"strategy.initial is {self.initial}; it must be at least 2")
        self._encoder = Encoder(self.space.genes)

    def ask(self, rng: np.random.Generator, pending: Sequence[Trial]) -> Proposal | None:
        """A random network at first, then the one of the highest expected improvement; None: none is new."""
        taken = {trial.key for trial in pending}
        if len(self._told) + len(pending) >= self.initial and len(self._scores) >= 2:
            proposal = self._best_new(rng, pending, taken)
            if proposal is not None:
                return proposal
        genotype = new_sample(self.space, self._known, taken, rng)
        return None if genotype is None else Proposal(genotype)

    def tell(self, trial: Trial, rng: np.random.Generator) -> None:  # noqa: ARG002
        """Remember the trial."""
        self._known.add(trial.key)
        self._seen.add(trial.proposal.genotype)
        score = score_of(trial)
        if score is not None:
            self._scores.add((score, -len(self._told)))
        self._told.append((score, trial.proposal.genotype, trial.id))

    def _best_new(self, rng: np.random.Generator, pending: Sequence[Trial], taken: set[str]) -> Proposal | None:
        """The candidate of the highest expected improvement that is a new network; None: no candidate is."""
        model, best = self._posterior([trial.proposal.genotype for trial in pending])
        elite = [self._told[-position] for _, position in self._scores[-ELITE:]]
        for genotype in self._ranked(model, best, [member for _, member, _ in elite], rng):
            if self._is_valid(genotype) and self._is_new(self.space.key(genotype), taken):
                _, _, nearest = max(elite, key=lambda member: _agreements(member[1], genotype))
                return Proposal(genotype, (nearest,))
        return None

    def _ranked(
        self, model: GaussianProcess, best: float, elite: Sequence[Genotype], rng: np.random.Generator
    ) -> list[Genotype]:
        """Candidates, best first."""
        candidates: dict[Genotype, float] = {}
        since_best = len(self._told) - 1 + self._scores[-1][1]
        is_drawn = since_best >= PATIENCE and since_best % DRAW_EVERY == 0

        def add(found: Iterable[Genotype]) -> None:
            fresh = [genotype for genotype in dict.fromkeys(found) if genotype not in candidates]
            if fresh:
                mean, deviation = model.predict(self._encoder.encode(fresh))
                gains = mean + deviation * rng.standard_normal(len(fresh)) if is_drawn else gain(mean, deviation, best)
                candidates.update(zip(fresh, gains.tolist(), strict=True))

        add([*self._mutants(elite, rng), *(self.space.sample(rng) for _ in range(SAMPLES))])
        expanded: set[Genotype] = set()
        for _ in range(STEPS):
            order = sorted(candidates, key=candidates.__getitem__, reverse=True)
            fit = (genotype for genotype in order if genotype not in expanded and self._is_valid(genotype))
            climbers = list(islice(fit, CLIMBERS))
            expanded.update(climbers)
            share = NEIGHBORS // CLIMBERS
            add(g for climber in climbers for g in neighbors(self.space.genes, climber, rng)[:share])
        return sorted((g for g in candidates if g not in self._seen), key=candidates.__getitem__, reverse=True)

    def _mutants(self, elite: Sequence[Genotype], rng: np.random.Generator) -> Iterable[Genotype]:
        """Genotypes one to three mutations away from the best, of which the better are taken more often."""
        for number in range(MUTANTS):
            genotype = elite[-1 - int(rng.random() ** 2 * len(elite))]
            for _ in range(1 + number % 3):
                genotype = self.space.mutate(genotype, rng)
            yield genotype

    def _posterior(self, pending: Sequence[Genotype]) -> tuple[GaussianProcess, float]:
        """The model of what was told, with pending trials at their expected targets; and the best target."""
        count = len(self._told)
        if self._model is None or self._model[0] != count:
            positions = self._positions(BEST, LATEST, OTHERS)
            genotypes = tuple(self._told[position][1] for position in positions)
            targets = self._targets(positions)
            model = gaussian_process.condition(self._parameters(), self._encoder.encode(genotypes), targets)
            self._model = (count, genotypes, targets, model)
        _, genotypes, targets, model = self._model
        if pending:
            expected, _ = model.predict(self._encoder.encode(pending))
            features = self._encoder.encode([*genotypes, *pending])
            model = gaussian_process.condition(model.hyperparameters, features, np.concatenate([targets, expected]))
        return model, float(targets.max())

    def _parameters(self) -> Hyperparameters:
        """Parameters learned from the first trials, up to a number that grows in steps: the same whenever asked."""
        length = self.initial
        while (longer := max(length + 1, int(length * LEARN_EVERY))) <= len(self._told):
            length = longer
        length = min(length, len(self._told))
        if self._learned is None or self._learned[0] != length:
            positions = self._positions(LEARN_FROM // 2, 0, LEARN_FROM // 2, length)
            features = self._encoder.encode([self._told[position][1] for position in positions])
            learned = gaussian_process.learn(self._encoder, features, self._targets(positions))
            self._learned = (length, learned)
        return self._learned[1]

    def _positions(self, best: int, latest: int, others: int, length: int | None = None) -> list[int]:
        """Which of the first `length` trials told the model sees, in order: all of them while they are few enough."""
        length = len(self._told) if length is None else length
        if length <= best + latest + others:
            return list(range(length))
        if length == len(self._told):
            top = [-position for _, position in self._scores[-best:]]
        else:
            scored = ((s, -n) for n, (s, _, _) in enumerate(self._told[:length]) if s is not None)
            top = [-position for _, position in nlargest(best, scored)]  # among equals the earlier, as above
        spread = np.linspace(0, length - 1, others).astype(int).tolist()
        return sorted({*top, *range(length - latest, length), *spread})

    def _targets(self, positions: Sequence[int]) -> np.ndarray:
        """Normal scores of the ranks among these trials, mean 0 and variance 1; failures at the lower quartile."""
        scores = [self._told[position][0] for position in positions]
        finished = np.array([score is not None for score in scores])
        targets = np.full(len(scores), ndtri(FAILURE))
        values = np.array([score for score in scores if score is not None])
        targets[finished] = ndtri((rankdata(values) - 0.5) / len(values))
        centered = targets - targets.mean()
        return centered / max(float(centered.std()), 1e-9)

    def _is_valid(self, genotype: Genotype) -> bool:
        try:
            self.space.check(genotype)
        except InvalidGenotype:
            return False
        return True

    def _is_new(self, key: str, taken: set[str]) -> bool:
        return key not in self._known and key not in taken


def _agreements(a: Genotype, b: Genotype) -> int:
    return sum(x == y for x, y in zip(a, b, strict=True))


def gain(mean: np.ndarray, deviation: np.ndarray, best: float) -> np.ndarray:
    """Expected improvement: the mean of what a normal variable has more than `best`, 0 where it has less."""
    standard = (mean - best) / deviation
    density = np.exp(-0.5 * standard**2) / np.sqrt(2 * np.pi)
    found: np.ndarray = deviation * (standard * ndtr(standard) + density)
    return found


plugin = Predictor
