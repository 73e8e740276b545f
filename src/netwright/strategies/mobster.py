"""Asynchronous successive halving whose fresh networks come from a model over all rungs at once.

Klein et al. 2020, "Model-based Asynchronous Hyperparameter and Neural Architecture Search", arXiv:2003.10865.
Promotions are those of `asha`, and nobody waits. A fresh network is, in this order:

1. a network that the space knows to be strong (`HasStarts`), until all have been tried;
2. with the probability `random_fraction`, a sample of the space;
3. before `initial` trials have a score, a mutant of the best so far, if the space has such starts, else a sample;
4. the candidate of the highest expected improvement at the highest budget (`surrogates.rungs`). Candidates are mutants
   of the networks that the model holds to be the best, whatever luck their measurements had, crosses of these mutants,
   and samples of the space.

A trial is not promoted while the chance that it ends better than the best on the highest rung is below `least_chance`
(`strategies.reach`), unless no network is new; nor is one whose training ended by itself.

* A failed trial counts as the worst of its rung; the model avoids its neighborhood.
* With several workers, pending trials count as observed at what the model expects of them.
* No network is drawn twice.
* What an ask costs is bounded: of a long history the model sees the best of each rung, the latest and some others.
* The notes of each row have its rung, and of a fresh one whether the model chose it.

A promotion continues the trial from its checkpoint: the training evaluator needs `horizon` for that, the largest
budget.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import median

import numpy as np

from netwright.core.errors import BadReference
from netwright.core.objectives import score_of
from netwright.core.protocols import SearchSpace, starts_of
from netwright.core.records import Genotype, Proposal, Trial
from netwright.core.single import check_single
from netwright.strategies import reach
from netwright.strategies.brackets import rung_of
from netwright.strategies.halving import Halving
from netwright.strategies.novelty import first_new, new_sample
from netwright.surrogates import improvement
from netwright.surrogates.gaussian_process import Hyperparameters
from netwright.surrogates.rungs import Observation, RungHistory, RungModel

BEST, LATEST, OTHERS = 120, 40, 120  # trials that the model sees of a longer history
LEARN_FROM = 100  # trials that its parameters are learned from
LEARN_EVERY = 1.2  # growth of the history after which they are learned anew
ELITE = 8  # networks that are mutated
MUTANTS, CROSSED, SAMPLES = 100, 120, 30  # candidates: spaces may take a millisecond for a sample, none for a cross


@dataclass
class Mobster:
    """Model-based successive halving without waiting, for one objective on any space.

    Args:
        space: Search space, which samples, mutates and names networks; the model is one of its genes.
        objectives: Exactly one objective, as a run file writes it; None: the first metric, the higher the better.
        min_budget: Least budget of the lowest rung, in the evaluator's unit: epochs, steps or seconds.
        max_budget: Budget of the highest rung.
        eta: One trial in `eta` is promoted, to `eta` times the budget.
        budgets: Budgets of all rungs, where they are no powers of `eta` apart, as 12 and 200 epochs; empty: as above.
        initial: Number of trials with a score before the model is asked.
        random_fraction: Share of fresh networks that are samples of the space.
        least_chance: Chance of ending best below which a trial is not promoted; 0: all are that are among the best of
            their rung.
    """

    space: SearchSpace
    objectives: tuple[str, ...] | None = None
    min_budget: int = 1
    max_budget: int = 9
    eta: int = 3
    budgets: tuple[int, ...] = ()
    initial: int = 8
    random_fraction: float = 0.15
    least_chance: float = 0.1
    _halving: Halving = field(init=False, repr=False)
    _known: set[str] = field(default_factory=set, init=False, repr=False)  # keys of all that finished
    _seen: dict[int, Observation] = field(default_factory=dict, init=False, repr=False)  # by trial id, as they finished
    _order: list[int] = field(default_factory=list, init=False, repr=False)  # their ids
    _trial_of: dict[Genotype, int] = field(default_factory=dict, init=False, repr=False)  # the latest of each
    _lesson: RungHistory | None = field(default=None, init=False, repr=False)  # what parameters are learned from
    _next_lesson: int = field(default=0, init=False, repr=False)  # number of trials at which it changes
    # a memo, made anew when needed: the parameters and the lesson that they were learned from
    _learned: tuple[RungHistory, Hyperparameters] | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_single("mobster", self.objectives)
        if self.initial < 2:
            raise BadReference(f"strategy.initial is {self.initial}; it must be at least 2")
        if not 0 <= self.random_fraction <= 1:
            raise BadReference(f"strategy.random_fraction is {self.random_fraction}; it must be in [0, 1]")
        if not 0 <= self.least_chance < 0.5:
            raise BadReference(
                f"strategy.least_chance is {self.least_chance}; it must be at least 0, and below 0.5, an even chance"
            )
        self._halving = Halving.of(self.min_budget, self.max_budget, self.eta, self.budgets)
        self._model = RungModel(self.space.genes, self._halving.budgets)

    @property
    def largest_budget(self) -> int:
        """Budget of the highest rung."""
        return self._halving.budgets[-1]

    @property
    def promoted_share(self) -> float:
        """The best 1 / eta of each rung are promoted."""
        return 1 / self.eta

    def ask(self, rng: np.random.Generator, pending: Sequence[Trial]) -> Proposal | None:
        """A promotion, else a fresh network; None: no network is new, and none may be promoted."""
        rising = {trial.proposal.continues for trial in pending}
        promoted = self._halving.promoted(rising, self._may_reach)
        if promoted is not None:
            return promoted
        # a worker that idles finds nothing, so that in the end the hopeless are promoted too
        return self._new(rng, pending) or self._halving.promoted(rising)

    def tell(self, trial: Trial, rng: np.random.Generator) -> None:  # noqa: ARG002
        """Remember the trial; the one that it continues is promoted. Raises NetwrightError: no such rung."""
        rung = self._halving.enter(trial)
        genotype = trial.proposal.genotype
        self._known.add(trial.key)
        self._seen[trial.id] = Observation(score_of(trial), genotype, rung)
        self._order.append(trial.id)
        self._trial_of[genotype] = trial.id
        if self._scored >= self.initial and len(self._order) >= self._next_lesson:
            self._lesson = self._chosen(LEARN_FROM // 2, 0, LEARN_FROM // 2)
            self._next_lesson = max(len(self._order) + 1, int(len(self._order) * LEARN_EVERY))

    def _may_reach(self, score: float, rung: int) -> bool:
        """Whether a trial with this score may still become the best on the highest rung."""
        rungs = self._halving.rungs
        if self.least_chance == 0 or not rungs[-1].ranked:
            return True
        gains = [reach.gain_of(each.risen) for each in rungs[rung:-1]]
        return not reach.chance(score, -rungs[-1].ranked[0][0], gains) < self.least_chance

    def _new(self, rng: np.random.Generator, pending: Sequence[Trial]) -> Proposal | None:
        """A fresh network on the lowest rung; None: none is new."""
        taken = {trial.key for trial in pending}
        is_modeled, found = False, None
        if not self._has_start(taken) and rng.random() >= self.random_fraction:
            if self._lesson is not None:
                found = self._best_new(self._lesson, rng, pending, taken)
                is_modeled = found is not None
            elif self._starts:
                elite = [self._seen[trial_id].genotype for _, trial_id in self._halving.rungs[0].ranked[:ELITE]]
                found = self._first_new(self._mutants(elite, rng), elite, taken)
        if found is None:
            genotype = new_sample(self.space, self._known, taken, rng)
            if genotype is None:
                return None
            found = genotype, ()
        notes = {"rung": 0, "modeled": int(is_modeled)}
        return Proposal(*found, budget=self._halving.budgets[0], notes=notes)

    def _best_new(
        self, lesson: RungHistory, rng: np.random.Generator, pending: Sequence[Trial], taken: set[str]
    ) -> tuple[Genotype, tuple[int, ...]] | None:
        """The new candidate of the highest expected improvement on the highest rung, and its parent."""
        if self._learned is None or self._learned[0] is not lesson:
            self._learned = (lesson, self._model.learn(lesson))
        running = [(trial.proposal.genotype, rung_of(trial, self._halving.budgets)) for trial in pending]
        history = self._chosen(BEST, LATEST, OTHERS)
        process = self._model.condition(self._learned[1], history, running)
        seen = list(dict.fromkeys(each.genotype for each in history.observations if each.score is not None))
        held, _ = self._model.at_top(process, seen)
        elite = [seen[place] for place in np.argsort(-held, kind="stable")[:ELITE].tolist()]
        mutants = list(self._mutants(elite, rng))
        drawn = [*mutants, *_crossed(mutants, rng), *(self.space.sample(rng) for _ in range(SAMPLES))]
        candidates = [genotype for genotype in dict.fromkeys(drawn) if genotype not in self._trial_of]
        if not candidates:
            return None
        gains = improvement.log_improvement(*self._model.at_top(process, candidates), float(held.max()))
        ranked = (candidates[place] for place in np.argsort(-gains, kind="stable").tolist())
        return self._first_new(ranked, elite, taken)

    def _first_new(
        self, genotypes: Iterable[Genotype], elite: Sequence[Genotype], taken: Collection[str]
    ) -> tuple[Genotype, tuple[int, ...]] | None:
        """The first genotype that is a new network, and the trial of the one of the best that is most like it."""
        found = first_new(self.space, genotypes, self._known, taken)
        if found is None:
            return None
        nearest = max(elite, key=lambda member: sum(a == b for a, b in zip(member, found, strict=True)))
        return found, (self._trial_of[nearest],)

    def _mutants(self, elite: Sequence[Genotype], rng: np.random.Generator) -> Iterator[Genotype]:
        """Genotypes one to three mutations away from the best, of which the better are taken more often."""
        for number in range(MUTANTS if elite else 0):
            genotype = elite[int(rng.random() ** 2 * len(elite))]
            for _ in range(1 + number % 3):
                genotype = self.space.mutate(genotype, rng)
            yield genotype

    def _chosen(self, best: int, latest: int, others: int) -> RungHistory:
        """Trials for a model to see: all while they are few; else the best of each rung, the latest, some of all."""
        ids, rungs = self._order, self._halving.rungs
        if len(ids) > best + latest + others:
            top = (trial_id for rung in rungs for _, trial_id in rung.ranked[: max(1, best // len(rungs))])
            spread = (ids[place] for place in np.linspace(0, len(ids) - 1, others).astype(int).tolist())
            ids = sorted({*top, *ids[len(ids) - latest :], *spread})
        return RungHistory(tuple(self._seen[trial_id] for trial_id in ids), self._raises())

    def _raises(self) -> tuple[float, ...]:
        """What promotions have gained from each rung to the highest."""
        found = [0.0]
        for rung in reversed(self._halving.rungs[:-1]):
            gain = median(after - before for before, after in rung.risen) if rung.risen else 0.0
            found.append(found[-1] + gain if np.isfinite(found[-1] + gain) else 0.0)
        return tuple(reversed(found))

    def _has_start(self, taken: set[str]) -> bool:
        """Whether a start of the space has not been tried."""
        return not all(key in self._known or key in taken for key in self._starts)

    @cached_property
    def _starts(self) -> tuple[str, ...]:
        """Keys of the space's starts."""
        return tuple(self.space.key(genotype) for genotype in starts_of(self.space))

    @property
    def _scored(self) -> int:
        """Number of trials with a score."""
        return sum(len(rung.ranked) for rung in self._halving.rungs)


def _crossed(genotypes: Sequence[Genotype], rng: np.random.Generator) -> list[Genotype]:
    """Genotypes whose genes are each from one of two others; they may be no networks of the space."""
    values = np.array(genotypes, dtype=object).reshape(len(genotypes), -1)
    first, second = rng.integers(len(genotypes), size=(2, CROSSED))
    is_first = rng.random((CROSSED, values.shape[1])) < rng.random((CROSSED, 1))
    return [tuple(row) for row in np.where(is_first, values[first], values[second]).tolist()]


plugin = Mobster
