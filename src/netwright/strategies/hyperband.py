"""Brackets of successive halving side by side, for workers that never wait: the strategy of `bohb` and `vega_bohb`.

Li et al. 2018, "Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization", JMLR 18:185. When all trials
of a rung have finished, its best are promoted. A free worker takes what the oldest unfinished bracket needs; where that
waits for its trials, what the next needs, and in the end it begins another bracket. A failed trial counts as the worst,
and is never promoted. Bracket and rung (from 0), and of new networks whether a model chose, stand in the notes of each
row.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np

from netwright.core.errors import NetwrightError
from netwright.core.objectives import score_of
from netwright.core.protocols import SearchSpace
from netwright.core.records import Genotype, Proposal, Trial
from netwright.strategies.brackets import promotion, rung_of
from netwright.strategies.novelty import new_sample


class Finished(NamedTuple):
    """A trial of a rung; sorts from the best to the worst, and equal scores in order of asking."""

    loss: float  # minus the score; infinite: it failed
    trial_id: int
    genotype: Genotype


class BracketRung(NamedTuple):
    """Where a trial belongs."""

    bracket: int
    rung: int


@dataclass
class Bracket:
    """One successive halving.

    Args:
        sizes: Number of trials that each of its rungs takes, by rung.
        finished: Trials that finished, by rung.
        risen: Ids of trials that have been promoted.
    """

    sizes: dict[int, int]
    finished: dict[int, list[Finished]]
    risen: set[int] = field(default_factory=set)

    def risers(self, rung: int) -> list[Finished]:
        """The best trials of a rung, which are to be promoted; none before all its trials have finished."""
        found = sorted(self.finished[rung])
        if rung + 1 not in self.sizes or len(found) < self.wanted(rung):
            return []
        return [trial for trial in found[: self.sizes[rung + 1]] if trial.loss < math.inf]

    def wanted(self, rung: int) -> int:
        """Number of trials that finish on a rung: fewer than its size when too many below have failed."""
        if rung - 1 not in self.sizes or len(self.finished[rung - 1]) < self.wanted(rung - 1):
            return self.sizes[rung]
        return len(self.risers(rung - 1))

    def is_complete(self) -> bool:
        """Whether all its trials have finished."""
        return all(len(self.finished[rung]) >= self.wanted(rung) for rung in self.sizes)


@dataclass
class Hyperband:
    """The brackets of one search, and what they need next.

    Args:
        budgets: Budgets of the rungs, ascending.
        sizes: Number of trials on each rung of bracket 0, 1, 2, ..., given how many rungs there are and the bracket's
            number; as `brackets.sizes` or `brackets.single_sizes` with an `eta`.
        open: Brackets that have begun and not ended, by number.
        begun: Number of brackets of which, or of a later one, a trial has finished.
    """

    budgets: tuple[int, ...]
    sizes: Callable[[int, int], dict[int, int]] = field(repr=False, compare=False)
    open: dict[int, Bracket] = field(default_factory=dict, init=False)
    begun: int = field(default=0, init=False)

    def needed(self, pending: Sequence[Trial], fresh: Callable[[BracketRung], Proposal | None]) -> Proposal | None:
        """What the oldest bracket that does not wait needs: a promotion, or what `fresh` finds for its first rung.

        None: nothing may be promoted, and `fresh` found nothing; it is not asked again then.
        """
        rising = {trial.proposal.continues for trial in pending}
        asked = Counter(_place(trial.proposal) for trial in pending)
        last = max((number for number, _ in asked), default=0)
        is_exhausted = False
        for number in (*sorted(self.open), *range(self.begun, max(self.begun, last + 1) + 1)):
            bracket = self.open.get(number) or self._new(number)
            for rung in bracket.sizes:
                for trial in bracket.risers(rung):
                    if trial.trial_id not in rising and trial.trial_id not in bracket.risen:
                        notes = {"bracket": number, "rung": rung + 1}
                        return promotion(trial.genotype, trial.trial_id, self.budgets[rung + 1], notes)
            first = BracketRung(number, min(bracket.sizes))
            if is_exhausted or len(bracket.finished[first.rung]) + asked[first] >= bracket.sizes[first.rung]:
                continue
            proposal = fresh(first)
            if proposal is not None:
                return proposal
            is_exhausted = True
        return None

    def enter(self, trial: Trial) -> tuple[BracketRung, Finished]:
        """Enter a trial that finished into its bracket. Raises NetwrightError: no such rung or bracket."""
        rung = rung_of(trial, self.budgets)
        place = BracketRung(_place(trial.proposal).bracket, rung)
        while self.begun <= place.bracket:
            self.open[self.begun] = self._new(self.begun)
            self.begun += 1
        score = score_of(trial)
        finished = Finished(math.inf if score is None else -score, trial.id, trial.proposal.genotype)
        bracket = self.open[place.bracket]
        bracket.finished[rung].append(finished)
        if trial.proposal.continues is not None:
            bracket.risen.add(trial.proposal.continues)
        if bracket.is_complete():
            del self.open[place.bracket]
        return place, finished

    def _new(self, number: int) -> Bracket:
        found = self.sizes(len(self.budgets), number)
        return Bracket(found, {rung: [] for rung in found})


class Model(Protocol):
    """What chooses the networks that brackets begin with."""

    def choose(self, place: BracketRung, known: Set[str], taken: Set[str], rng: np.random.Generator) -> Genotype | None:
        """A network for the first rung of a bracket whose key is neither known nor taken; None: a sample is to do."""
        ...

    def learn(self, place: BracketRung, finished: Finished) -> None:
        """Take in a trial that finished there."""
        ...


@dataclass
class BracketSearch:
    """A search by brackets, whose new networks a model chooses.

    Args:
        space: Search space, which samples and names networks.
        hyperband: The brackets.
        model: What chooses.
    """

    space: SearchSpace
    hyperband: Hyperband
    model: Model
    _known: set[str] = field(default_factory=set, init=False, repr=False)  # keys of all that finished

    @property
    def largest_budget(self) -> int:
        """Budget of the highest rung."""
        return self.hyperband.budgets[-1]

    def ask(self, rng: np.random.Generator, pending: Sequence[Trial]) -> Proposal | None:
        """What the oldest bracket that does not wait needs; None: no network is new, and none may be promoted."""
        taken = {trial.key for trial in pending}
        return self.hyperband.needed(pending, lambda place: self._fresh(place, taken, rng))

    def tell(self, trial: Trial, rng: np.random.Generator) -> None:  # noqa: ARG002
        """Enter the trial into its bracket and the model's data. Raises NetwrightError: no such rung or bracket."""
        place, finished = self.hyperband.enter(trial)
        self._known.add(trial.key)
        self.model.learn(place, finished)

    def _fresh(self, place: BracketRung, taken: set[str], rng: np.random.Generator) -> Proposal | None:
        """A trial on a bracket's first rung: the model's choice, or a sample; None: no network is new."""
        genotype = self.model.choose(place, self._known, taken, rng)
        notes = {"bracket": place.bracket, "rung": place.rung, "modeled": int(genotype is not None)}
        if genotype is None:
            genotype = new_sample(self.space, self._known, taken, rng)
        return None if genotype is None else Proposal(genotype, budget=self.hyperband.budgets[place.rung], notes=notes)


def _place(proposal: Proposal) -> BracketRung:
    """Bracket and rung of a proposal. Raises NetwrightError for a trial of another strategy."""
    if not {"bracket", "rung"} <= proposal.notes.keys():
        raise NetwrightError(
            f"the trial of {list(proposal.genotype)} has no bracket and rung in its notes, so that a strategy without "
            "brackets asked for it; go on with that one, or start another run"
        )
    return BracketRung(int(proposal.notes["bracket"]), int(proposal.notes["rung"]))
