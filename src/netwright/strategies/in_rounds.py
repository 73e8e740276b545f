"""Any strategy played in rounds (`core.round_plan`): a round is asked whole, and the next one when all of it was told.

A round begins with those that stay from the round before, the best first, so that a search that is stopped within a
round has them in it; then come the `new` proposals of the strategy, then `fresh` random networks. The strategy is made
anew for each round and told the newest row of each network of the round before, in order of first asking, and nothing
else; where it is to know that this is a round, or what it learned in the one before, it says so itself
(`LearnsByRounds`). What fails, or decodes to nothing new, is made up for by further networks of the strategy and then
by random ones, so that rounds have the sizes that `Rounds` says.

What a place of a round gets depends on the rounds before and on the places before it alone: it does not matter which
rows of the round have finished, nor which were lost from the table and are asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from netwright.core import front
from netwright.core.errors import BadReference, InvalidGenotype, NetwrightError
from netwright.core.protocols import (
    Caches,
    GoesByList,
    LearnsAside,
    LearnsByRounds,
    NamesBudgets,
    SearchSpace,
    Strategy,
)
from netwright.core.records import ROUND, Proposal, Trial
from netwright.core.round_plan import AGE, MEMBERS, PLACE, Rounds
from netwright.strategies.novelty import new_sample

TRIES = 10  # proposals of the strategy for one place, after which a random network takes it


@dataclass
class InRounds:
    """A strategy in rounds.

    Args:
        make: Makes the strategy, which was told nothing.
        space: Its space.
        rounds: The rounds.
        name: What messages call the strategy.

    Raises:
        BadReference: The strategy cannot be played in rounds.
    """

    make: Callable[[], Strategy]
    space: SearchSpace
    rounds: Rounds
    name: str = "the strategy"
    _number: int = field(default=1, init=False, repr=False)  # the round that is played
    _told: dict[int, Trial] = field(default_factory=dict, init=False, repr=False)  # its finished rows, by place
    _pool: list[Trial] = field(default_factory=list, init=False, repr=False)  # the round before, by first asking
    _known: frozenset[str] = field(default=frozenset(), init=False, repr=False)  # keys of the same
    _stay: list[Trial] = field(default_factory=list, init=False, repr=False)  # those of it that are asked again
    _first: dict[str, int] = field(default_factory=dict, init=False, repr=False)  # ids of their first rows, by key
    _folder: Path | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self._inner = self._begun(None, np.random.default_rng(0))  # nothing is drawn before anything was told

    @property
    def together(self) -> int:
        """The size of the largest round."""
        return self.rounds.size(self.rounds.number)

    def cache_in(self, folder: Path) -> None:
        """Have the strategy keep in `folder` what it learns."""
        self._folder = folder
        if isinstance(self._inner, Caches):
            self._inner.cache_in(folder)

    def is_ready(self) -> bool:
        """Whether the strategy has learned what the round begins with."""
        return not isinstance(self._inner, LearnsAside) or self._inner.is_ready()

    def ask(self, rng: np.random.Generator, pending: Sequence[Trial]) -> Proposal | None:
        """The proposal for the first free place of the round; None: the round is asked, or all rounds are over.

        Raises:
            BadReference: The space has too few networks, or the strategy names a budget.
        """
        size = self.rounds.size(self._number)
        waiting = {int(trial.proposal.notes[PLACE]): trial for trial in pending if self._is_of_round(trial)}
        place = _first_free(waiting.keys() | self._told.keys())
        if place == size or self._number > self.rounds.number:
            return None
        proposal, age = self._at(place, rng, [waiting.get(each) or _asked(self._told[each]) for each in range(place)])
        notes = {ROUND: float(self._number), PLACE: float(place), MEMBERS: float(size), AGE: float(age)}
        return replace(proposal, budget=self._number, notes={**proposal.notes, **notes})

    def tell(self, trial: Trial, rng: np.random.Generator) -> None:
        """Remember the row; with the last one of its round, begin the next."""
        if not self._is_of_round(trial):
            raise NetwrightError(
                f"trial {trial.id} has the budget {trial.proposal.budget} and round {self._number} is played; go on "
                "with the rounds that the run began with, or start another run"
            )
        self._told[int(trial.proposal.notes[PLACE])] = trial
        if len(self._told) < self.rounds.size(self._number):
            return
        rows = [self._told[place] for place in sorted(self._told)]
        first = {row.key: self._first.get(row.key, row.id) for row in rows}
        self._pool = sorted(rows, key=lambda row: first[row.key])
        self._first, self._known, self._told = first, frozenset(first), {}
        self._number += 1
        if self._number <= self.rounds.number:
            self._stay = ranked(rows)[: self.rounds.survivors(self._number)]
            self._inner = self._begun(self._inner, rng)

    def _begun(self, before: Any, rng: np.random.Generator) -> Strategy:
        """The strategy as it begins a round, after that of the round before."""
        made = self.make()
        if isinstance(made, NamesBudgets | GoesByList):
            raise self._refusal()
        if self._folder is not None and isinstance(made, Caches):
            made.cache_in(self._folder)
        if isinstance(made, LearnsByRounds):
            return made.for_round(self._pool, self._until - len(self._stay), before, rng)
        for row in self._pool:
            made.tell(row, rng)
        return made

    @property
    def _until(self) -> int:
        """The place up to which those that stay, and then the strategy, have the places of the round."""
        return self.rounds.size(self._number) - (self.rounds.fresh if self._number > 1 else 0)

    def _at(self, place: int, rng: np.random.Generator, earlier: Sequence[Trial]) -> tuple[Proposal, int]:
        """The proposal for a place, without what all of a round have in common, and how old its network is."""
        stay = len(self._stay)
        if place < stay:
            row = self._stay[place]
            return Proposal(row.proposal.genotype, (row.id,)), int(row.proposal.notes[AGE]) + 1
        taken = {trial.key for trial in earlier}
        # the strategy was told of those that stay, and does not wait for them
        if place < self._until and (found := self._of_strategy(rng, earlier[stay:], taken)) is not None:
            return found, 0
        genotype = new_sample(self.space, self._known, taken, rng)
        if genotype is None:
            raise BadReference(
                f"round {self._number} needs {self.rounds.size(self._number)} different networks, and the space has "
                f"no more than about {place + len(self._known)}; give the evaluator a smaller pool, or another space"
            )
        return Proposal(genotype), 0

    def _of_strategy(self, rng: np.random.Generator, earlier: Sequence[Trial], taken: set[str]) -> Proposal | None:
        """A new network of the strategy, or one that is none, which the controller refuses; None: it found none."""
        for _ in range(TRIES):
            proposal = self._inner.ask(rng, earlier)
            if proposal is None:
                return None
            if proposal.budget is not None or proposal.continues is not None:
                raise self._refusal()
            try:
                key = self.space.key(proposal.genotype)
            except InvalidGenotype:
                return proposal
            if key not in self._known and key not in taken:
                return proposal
        return None

    def _is_of_round(self, trial: Trial) -> bool:
        return trial.proposal.budget == self._number and PLACE in trial.proposal.notes

    def _refusal(self) -> BadReference:
        return BadReference(
            f"{self.name} names budgets or goes by a list, and the evaluator measures in rounds, which take the place "
            "of both; give another strategy, such as --strategy nao or --strategy aging"
        )


def ranked(rows: Sequence[Trial]) -> list[Trial]:
    """The rows with scores, the best first, the earlier among equals; of several objectives, layer by layer.

    Within a layer of dominance (`core.front`) the first objective decides, then the second, and so on.
    """
    scored = [row for row in rows if row.scores]
    if not scored:
        return []
    scores = np.array([row.scores for row in scored])
    depths = front.layers(scores) if scores.shape[1] > 1 else np.zeros(len(scored))
    return [scored[place] for place in np.lexsort((*-scores.T[::-1], depths))]


def _first_free(taken: Set[int]) -> int:
    """The lowest place that is not taken."""
    count = len(taken)
    return count if max(taken, default=-1) < count else next(place for place in range(count) if place not in taken)


def _asked(row: Trial) -> Trial:
    """A finished row as it was when it was asked."""
    return replace(row, status="pending", result=None, scores=None, finish=None)
