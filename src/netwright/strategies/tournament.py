"""Tournament selection over a population from which nothing is removed (Liu et al. 2018, section 3.2).

A child is a copy, mutated once, of the fittest of a random share of all genotypes evaluated so far; it is asked as soon
as a worker is free, with no barrier. Departures: the winner's rank is drawn directly from its exact distribution, so
the cost of a tournament does not grow with the population; of equal scores the one finished first ranks higher.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from sortedcontainers import SortedList

from netwright.core.errors import BadReference
from netwright.core.objectives import score_of
from netwright.core.protocols import SearchSpace
from netwright.core.records import Genotype, Proposal, Trial
from netwright.core.single import check_single
from netwright.strategies.novelty import nth_sample


@dataclass
class Tournament:
    """Steady-state evolution by tournaments.

    Args:
        space: Search space, which samples the start population and mutates winners.
        objectives: Exactly one objective, as a run file writes it; None: the first metric, the higher the better.
        initial: Number of genotypes of the start population (paper: 200).
        share: Part of the current population that enters a tournament, in (0, 1] (paper: 0.05).
        probability: The best of a tournament wins with this probability, the next with p(1-p), and so on; the last
            takes what is left. 1 (paper): the best always wins.
    """

    space: SearchSpace
    objectives: tuple[str, ...] | None = None
    initial: int = 200
    share: float = 0.05
    probability: float = 1.0
    # (-score, finish, trial id, genotype), best first; finish is unique, so nothing behind it is compared
    _ranking: SortedList = field(default_factory=SortedList, init=False, repr=False)
    _told: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        check_single("tournament", self.objectives)
        if self.initial < 1:
            raise BadReference(f"strategy.initial is {self.initial}; it must be at least 1")
        for name in ("share", "probability"):
            if not 0 < getattr(self, name) <= 1:
                raise BadReference(f"strategy.{name} is {getattr(self, name)}; it must be in (0, 1]")

    def ask(self, rng: np.random.Generator, pending: Sequence[Trial]) -> Proposal | None:
        """A fresh sample while the start population is incomplete, then a mutant of a tournament's winner."""
        asked = self._told + len(pending)
        if asked < self.initial or not (self._ranking or pending):
            return Proposal(nth_sample(self.space, asked, rng))
        if not self._ranking:
            return None  # the whole start population is still in flight
        population = len(self._ranking)
        rank = winning_rank(population, tournament_size(population, self.share), self.probability, rng)
        parent_id, genotype = self._entry(rank)
        return Proposal(self.space.mutate(genotype, rng), (parent_id,))

    def tell(self, trial: Trial, rng: np.random.Generator) -> None:  # noqa: ARG002
        """Let the trial enter the population, for good; a failed trial has no fitness and stays out."""
        self._told += 1
        if (score := score_of(trial)) is not None:
            self._ranking.add((-score, trial.finish, trial.id, trial.proposal.genotype))

    def _entry(self, rank: int) -> tuple[int, Genotype]:
        _, _, trial_id, genotype = self._ranking[rank]
        return trial_id, genotype


def tournament_size(population: int, share: float) -> int:
    """Number of members that enter a tournament, at least 1: with the paper's share, 10 of 200 and 350 of 7,000."""
    return max(1, round(population * share))


def winning_rank(population: int, size: int, probability: float, rng: np.random.Generator) -> int:
    """Rank (0 = fittest) of the winner among `size` drawn without replacement from `population`.

    Walks down the ranking: the next rank is in the tournament with probability (members left) / (ranks left), so the
    expected number of steps is about population / size whatever the population.
    """
    place = 0  # how many better members of the tournament do not win
    while place < size - 1 and rng.random() >= probability:
        place += 1
    rank, members = 0, size
    for skipped in range(place + 1):
        uniform = rng.random()
        misses = 1.0 - members / (population - rank)
        while uniform < misses:
            rank += 1
            misses *= 1.0 - members / (population - rank)
        members -= 1
        rank += skipped < place
    return rank


plugin = Tournament
