"""Bayesian optimization of several objectives: noisy expected hypervolume improvement by BoTorch.

Daulton et al. 2021, "Parallel Bayesian Optimization of Multiple Noisy Objectives with Expected Hypervolume
Improvement", arXiv:2105.08195. Each objective has a Gaussian process over all genes, as `bayes` has; what is proposed
is the network that is expected to add most to the volume in front of a reference point, which stands a tenth of the
front's range behind its worst. Candidates are networks of the space (samples, and mutants, neighbors and crosses of
those on the front, whose best lead to their own neighbors), so that it works on every space, whatever its genes.

* Of two objectives, one may be known of every network before it is trained (parameters, cost and memory, which are
  counted): then the other one alone is modeled, by the process of `predictor`, which knows the counted one of each
  network too, and the gain is in closed form.
* With several workers, what pending trials are expected to add is no more to be gained.
* A failed trial counts as the worst that was seen, in every objective.
* No network is evaluated twice.
* A choice is made when it is asked; several workers go on meanwhile with what was asked ahead. Parameters are learned
  by the ask that needs them, so that a run which is resumed learns the last ones alone.
* What an ask costs is bounded: of a long history the model sees the first layers, the latest and some of all others.

With one objective it is noisy expected improvement. It needs BoTorch, the extra `mobo`; `nsga2` needs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np

from netwright.core import extras, front
from netwright.core.errors import BadReference, InvalidGenotype, MissingCapability
from netwright.core.genes import to_vector
from netwright.core.objectives import Objective
from netwright.core.protocols import SearchSpace
from netwright.core.records import Genotype, Proposal, Trial
from netwright.strategies.layered import LayeredPopulation
from netwright.strategies.local_search import neighbors
from netwright.strategies.novelty import first_new, new_sample
from netwright.surrogates import gaussian_process, matern
from netwright.surrogates.background import Background
from netwright.surrogates.features import Encoder
from netwright.surrogates.front_improvement import NEED, FrontImprovement
from netwright.surrogates.gaussian_process import Hyperparameters
from netwright.surrogates.known_cost import CostEncoder, KnownCostImprovement
from netwright.surrogates.matern import MaternHyperparameters

BEST, LATEST, OTHERS = 150, 75, 75  # trials that the model sees of a longer history
LEARN_FROM = 200  # trials that its parameters are learned from
LEARN_EVERY = 1.1  # growth of the history after which they are learned anew
SAMPLES, MUTANTS, NEIGHBORS, CROSSED = 100, 150, 150, 50  # candidates to begin with
STEPS, CLIMBERS, NEAR = 3, 5, 40  # then so often, so many of the best lead to so many neighbors each
SHORTLIST = 200  # best candidates that are tried for being a new network
FARTHER = 0.65  # how far the reference stands behind the largest known cost, as a share of the range of costs
POOR = 0.3  # share of the scores, the lowest, that count alike where the other objective is known
REMEMBERED = 50_000  # networks whose known objective is not asked for again

Parameters = tuple[MaternHyperparameters, ...] | Hyperparameters  # of each objective, or of the one that is not known
Values = Callable[[Sequence[Genotype]], np.ndarray]  # how much each of several candidates is worth


@dataclass
class Mobo:
    """Noisy expected hypervolume improvement, for any number of objectives on any space.

    Args:
        space: Search space, which samples, mutates and names networks; the model is one of its genes.
        objectives: At least one objective, as a run file writes it; None: the first metric, the higher the better.
        initial: Number of random networks before the model is asked.
        foretell: Gives metrics that are known of a network before it is evaluated; None: none is known.
    """

    takes_several: ClassVar[Literal[True]] = True
    space: SearchSpace
    objectives: tuple[str, ...] | None = None
    initial: int = 10
    foretell: Callable[[Genotype], Mapping[str, float]] | None = None
    _told: list[tuple[tuple[float, ...] | None, Genotype]] = field(default_factory=list, init=False, repr=False)
    _known: set[str] = field(default_factory=set, init=False, repr=False)  # keys of all that finished
    _scored: int = field(default=0, init=False, repr=False)  # number of trials with scores
    _ranking: LayeredPopulation = field(init=False, repr=False, compare=False)  # of the best
    _positions: dict[int, int] = field(default_factory=dict, init=False, repr=False)  # in _told, by place in _ranking
    # memos, made anew when needed: parameters by what they are learned from, and the known scores of networks
    _learned: tuple[tuple[int, int | None], Parameters] | None = field(
        default=None, init=False, repr=False, compare=False
    )
    _foretold: dict[Genotype, dict[int, float]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        try:
            extras.check("botorch", *NEED)
        except MissingCapability as error:
            raise MissingCapability(f"{error}, or give --strategy nsga2, which needs no other package") from None
        if self.objectives is not None and not self.objectives:
            raise BadReference("mobo models at least one objective, the run has none; give one by --objectives")
        if self.initial < 2:
            raise BadReference(f"strategy.initial is {self.initial}; it must be at least 2")
        self._ranking = LayeredPopulation(BEST + 1)

    def ask(self, rng: np.random.Generator, pending: Sequence[Trial]) -> Proposal | None:
        """A random network at first, then the one that is expected to add most to the front; None: none is new."""
        taken = {trial.key for trial in pending}
        genotype = None
        if self._is_modeled(len(pending)):
            running = [trial.proposal.genotype for trial in pending]
            known = self._known_objective()
            parameters = self._parameters(known)
            # in a thread, which has one thread of torch's, as its sums depend on their number
            ranked = Background(lambda _is_stopped: self._ranked(parameters, known, running, rng)).result()
            genotype = first_new(self.space, ranked[:SHORTLIST], self._known, taken)
        if genotype is None:
            genotype = new_sample(self.space, self._known, taken, rng)
        return None if genotype is None else Proposal(genotype)

    def tell(self, trial: Trial, rng: np.random.Generator) -> None:  # noqa: ARG002
        """Remember the trial."""
        self._known.add(trial.key)
        scores = trial.scores or None
        if scores is not None:
            self._scored += 1
            self._positions[self._ranking.add(scores)] = len(self._told)
            if len(self._positions) > BEST:
                worst = self._ranking.worst()
                self._ranking.remove(worst)
                del self._positions[worst]
        self._told.append((scores, trial.proposal.genotype))

    def _ranked(
        self, parameters: Parameters, known: int | None, pending: Sequence[Genotype], rng: np.random.Generator
    ) -> list[Genotype]:
        """Candidates, best first."""
        if known is not None and isinstance(parameters, Hyperparameters):
            worth = self._by_known(parameters, known, pending, rng)
        else:
            assert isinstance(parameters, tuple), "one of each objective, where none is known"
            worth = self._by_models(parameters, pending, rng)
        values: dict[Genotype, float] = {}

        def add(found: Iterator[Genotype]) -> None:
            fresh = [genotype for genotype in dict.fromkeys(found) if genotype not in values]
            if fresh:
                values.update(zip(fresh, worth(fresh).tolist(), strict=True))

        add(self._drawn(rng))
        expanded: set[Genotype] = set()
        for _ in range(STEPS):
            order = sorted(values, key=values.__getitem__, reverse=True)
            climbers = [genotype for genotype in order if genotype not in expanded][:CLIMBERS]
            expanded.update(climbers)
            add(near for climber in climbers for near in neighbors(self.space.genes, climber, rng)[:NEAR])
        return sorted(values, key=values.__getitem__, reverse=True)

    def _by_models(
        self, parameters: Sequence[MaternHyperparameters], pending: Sequence[Genotype], rng: np.random.Generator
    ) -> Values:
        """Improvements where all objectives are modeled."""
        seen = self._seen()
        targets = self._targets(seen)
        x = self._vectors([self._told[position][1] for position in seen])
        processes = [matern.condition(each, x, y) for each, y in zip(parameters, targets.T, strict=True)]
        reference = front.reference_point(targets[self._is_scored(seen)])
        improvement = FrontImprovement(processes, reference, self._vectors(pending), int(rng.integers(2**31)))
        return lambda candidates: improvement.of(self._vectors(candidates))

    def _by_known(
        self, parameters: Hyperparameters, known: int, pending: Sequence[Genotype], rng: np.random.Generator
    ) -> Values:
        """Improvements where this one of two objectives is known; minus infinity for what is no network."""
        seen, encoder = self._seen(), self._encoder(known)
        genotypes = [self._told[position][1] for position in seen]
        targets, is_scored = self._raised_targets(seen, 1 - known), self._is_scored(seen)
        all_costs = self._known_scores(genotypes, known)
        costs = np.where(is_scored, all_costs, -np.inf)  # a failed one is not on the front
        scored = np.column_stack([targets, costs])[is_scored]
        # behind all costs that were seen: behind those of the front, no larger network would ever be worth a look
        largest, span = float(scored[:, 1].min()), float(np.ptp(scored[:, 1]))
        behind = largest - FARTHER * span if span else float(front.behind(scored)[1])
        reference = float(front.reference_point(scored)[0]), behind
        process = gaussian_process.condition(parameters, encoder.encode(genotypes, all_costs), targets)
        ahead = self._known_scores(pending, known)
        improvement = KnownCostImprovement(encoder, process, costs, pending, ahead, reference, rng)

        def worth(candidates: Sequence[Genotype]) -> np.ndarray:
            costs = self._known_scores(candidates, known)
            found, is_network = np.full(len(costs), -np.inf), np.flatnonzero(np.isfinite(costs))
            found[is_network] = improvement.of([candidates[place] for place in is_network.tolist()], costs[is_network])
            return found

        return worth

    def _known_objective(self) -> int | None:
        """The position of the only one of two objectives that is known of networks beforehand; None: there is none."""
        if self.foretell is None or self.objectives is None or len(self.objectives) != 2:
            return None
        measured = next(genotype for scores, genotype in self._told if scores is not None)
        known = list(self._foretold_scores(measured))
        return known[0] if len(known) == 1 else None

    def _known_scores(self, genotypes: Sequence[Genotype], known: int) -> np.ndarray:
        """The known objective's scores, shape (networks,); minus infinity for what is no network."""
        return np.array([self._foretold_scores(genotype).get(known, -np.inf) for genotype in genotypes], float)

    def _foretold_scores(self, genotype: Genotype) -> Mapping[int, float]:
        """What is known of a network, by the position of the objective."""
        if genotype not in self._foretold:
            if len(self._foretold) >= REMEMBERED:
                self._foretold.clear()
            self._foretold[genotype] = self._asked(genotype)
        return self._foretold[genotype]

    def _asked(self, genotype: Genotype) -> dict[int, float]:
        assert self.foretell is not None and self.objectives is not None
        try:
            self.space.check(genotype)
            found = self.foretell(genotype)
        except InvalidGenotype:
            return {}
        read = enumerate(map(Objective.read, self.objectives))
        return {place: each.score(found[each.name]) for place, each in read if each.name in found}

    def _is_scored(self, positions: Sequence[int]) -> np.ndarray:
        return np.array([self._told[position][0] is not None for position in positions])

    def _drawn(self, rng: np.random.Generator) -> Iterator[Genotype]:
        """Candidates to begin with, some of them no networks: samples, and what is near or between the front's."""
        first = self._ranking.layers[0]
        elite = [self._told[position][1] for place, position in sorted(self._positions.items()) if first >> place & 1]
        for _ in range(SAMPLES):
            yield self.space.sample(rng)
        for number in range(MUTANTS):
            genotype = elite[int(rng.random() * len(elite))]
            for _ in range(1 + number % 3):
                genotype = self.space.mutate(genotype, rng)
            yield genotype
        share = max(1, NEIGHBORS // len(elite))
        for genotype in elite:
            yield from neighbors(self.space.genes, genotype, rng)[:share]
        for _ in range(CROSSED if len(elite) > 1 else 0):
            one, other = (elite[place] for place in rng.choice(len(elite), 2, replace=False).tolist())
            is_first = (rng.random(len(one)) < 0.5).tolist()
            yield tuple(a if kept else b for a, b, kept in zip(one, other, is_first, strict=True))

    def _is_modeled(self, pending: int) -> bool:
        """Whether the model is asked, with so many trials pending."""
        return len(self._told) + pending >= self.initial and self._scored >= 2

    def _parameters(self, known: int | None) -> Parameters:
        """Parameters learned from the first trials, up to a number that grows in steps: the same whenever asked."""
        length = self._lesson()
        if self._learned is None or self._learned[0] != (length, known):
            seen = np.unique(np.linspace(0, length - 1, min(length, LEARN_FROM)).astype(int)).tolist()
            genes = self.space.genes
            genotypes = [self._told[position][1] for position in seen]
            learned: Parameters
            if known is None:
                x = self._vectors(genotypes)
                learned = tuple(matern.learn(genes, x, y) for y in self._targets(seen).T)
            else:
                features = self._encoder(known).encode(genotypes, self._known_scores(genotypes, known))
                learned = gaussian_process.learn(Encoder(genes), features, self._raised_targets(seen, 1 - known))
            self._learned = ((length, known), learned)
        return self._learned[1]

    def _encoder(self, known: int) -> CostEncoder:
        """With the range of the costs that the parameters are learned from, so that they mean the same later."""
        first = [genotype for _, genotype in self._told[: self._lesson()]]
        return CostEncoder.of(Encoder(self.space.genes), self._known_scores(first, known))

    def _lesson(self) -> int:
        """From how many of the first trials parameters are learned: a number that grows in steps."""
        length = self.initial
        while (longer := max(length + 1, int(length * LEARN_EVERY))) <= len(self._told):
            length = longer
        return min(length, len(self._told))

    def _seen(self) -> list[int]:
        """Which trials the model sees, in order: all of them while they are few enough."""
        length = len(self._told)
        if length <= BEST + LATEST + OTHERS:
            return list(range(length))
        spread = np.linspace(0, length - 1, OTHERS).astype(int).tolist()
        return sorted({*self._positions.values(), *range(length - LATEST, length), *spread})

    def _targets(self, positions: Sequence[int]) -> np.ndarray:
        """Scores of these trials, each objective of mean 0 and variance 1; a failed one has the worst of each."""
        measured = [scores for position in positions if (scores := self._told[position][0]) is not None]
        worst = tuple(np.min(measured, axis=0)) if measured else (0.0,) * len(self._any_scores())
        targets = np.array([self._told[position][0] or worst for position in positions], float)
        centered = targets - targets.mean(0)
        return centered / np.maximum(centered.std(0), 1e-9)

    def _raised_targets(self, positions: Sequence[int], objective: int) -> np.ndarray:
        """The same of one objective, where the poorest count alike: a few useless networks do not set the scale."""
        targets = self._targets(positions)[:, objective]
        raised = np.maximum(targets, np.quantile(targets, POOR))
        raised -= raised.mean()
        return raised / max(float(raised.std()), 1e-9)

    def _any_scores(self) -> tuple[float, ...]:
        return next(scores for scores, _ in self._told if scores is not None)

    def _vectors(self, genotypes: Sequence[Genotype]) -> np.ndarray:
        genes = self.space.genes
        return np.array([to_vector(genes, genotype) for genotype in genotypes]).reshape(len(genotypes), len(genes))


plugin = Mobo
