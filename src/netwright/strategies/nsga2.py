"""NSGA-II without generations: evolution towards a whole front of several objectives (Deb et al. 2002).

"A fast and elitist multiobjective genetic algorithm: NSGA-II", IEEE Transactions on Evolutionary Computation 6(2). The
better of two members drawn at random, by layer of dominance and then by how little crowded it is, has a child, mutated
by the space. When the child has been evaluated it enters the population, and the most crowded member of the last layer
leaves, which may be the child itself.

What differs from the paper:

* There are no generations: with several workers each asks as soon as it is free (Durillo et al. 2009 find this steady
  state better than generations).
* Genes are crossed uniformly; where the space does not admit the cross, its first parent is mutated instead.
* One network is one member: if it is found again, the new measurement takes the place of the old one, so that the
  copies of few networks never fill a population.
* As soon as a network was evaluated twice, which in large spaces never happens, children that are known or pending are
  drawn anew, TRIES times. On NATS-Bench a third of all trials were repeats, and without them the front covered more
  after 100 and 300 trials, with noise of 2 points too.
* With `aging`, the oldest member leaves instead of the worst, as in `aging`.

With one objective it is plain elitist evolution. A failed trial has no scores and never enters; constraints are the
space's, which mutates until they hold. Time per trial does not grow with the history, and memory by a key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np

from netwright.core.errors import BadReference, InvalidGenotype
from netwright.core.protocols import SearchSpace
from netwright.core.records import Genotype, Proposal, Trial
from netwright.strategies.layered import LayeredPopulation
from netwright.strategies.novelty import nth_sample

TRIES = 10  # children drawn for one that is new


@dataclass
class Nsga2:
    """Steady-state evolution by layers and crowding, for any number of objectives.

    Args:
        space: Search space, which samples the start population and mutates winners.
        objectives: At least one objective, as a run file writes it; None: the first metric, the higher the better.
        population: Number of members in the population (paper: 100); fewer get further in the few hundred trials that
            a search of networks has, and stay behind with thousands.
        crossover: Share of children whose genes are from two parents before they are mutated, in [0, 1] (paper: 0.9).
        aging: Whether the oldest member leaves instead of the worst one.
    """

    takes_several: ClassVar[Literal[True]] = True
    space: SearchSpace
    objectives: tuple[str, ...] | None = None
    population: int = 20
    crossover: float = 0.9
    aging: bool = False
    _ranking: LayeredPopulation = field(init=False, repr=False, compare=False)
    _members: dict[str, tuple[int, int, Genotype]] = field(  # place, trial id, genotype by key, in order of finishing
        default_factory=dict, init=False, repr=False
    )
    _keys: list[str] = field(init=False, repr=False)  # of the members, by place
    _places: list[int] = field(default_factory=list, init=False, repr=False)  # of the members, in order of finishing
    _told: int = field(default=0, init=False, repr=False)
    _known: set[str] = field(default_factory=set, init=False, repr=False)  # keys of all that finished
    _has_repeats: bool = field(default=False, init=False, repr=False)  # whether a network has finished twice

    def __post_init__(self) -> None:
        if self.objectives is not None and not self.objectives:
            raise BadReference("nsga2 ranks by at least one objective, the run has none; give one by --objectives")
        if self.population < 1:
            raise BadReference(f"strategy.population is {self.population}; it must be at least 1")
        if not 0 <= self.crossover <= 1:
            raise BadReference(f"strategy.crossover is {self.crossover}; it must be in [0, 1]")
        self._ranking = LayeredPopulation(self.population + 1)
        self._keys = [""] * (self.population + 1)

    def ask(self, rng: np.random.Generator, pending: Sequence[Trial]) -> Proposal:
        """A fresh sample until `population` were asked and one has finished, then a child of tournaments' winners."""
        asked = self._told + len(pending)
        if not self._members or asked < self.population:
            return Proposal(nth_sample(self.space, asked, rng))
        child = self._child(rng)
        if self._has_repeats:
            taken = {trial.key for trial in pending}
            for _ in range(TRIES - 1):
                key = self.space.key(child.genotype)
                if key not in self._known and key not in taken:
                    break
                child = self._child(rng)
        return child

    def tell(self, trial: Trial, rng: np.random.Generator) -> None:  # noqa: ARG002
        """Let the trial enter the population; an earlier one of its network leaves, or the worst of one too many."""
        self._told += 1
        self._has_repeats = self._has_repeats or trial.key in self._known
        self._known.add(trial.key)
        if not trial.scores:
            return
        if trial.key in self._members:
            self._leave(trial.key)
        place = self._ranking.add(trial.scores)
        self._keys[place] = trial.key
        self._places.append(place)
        self._members[trial.key] = (place, trial.id, trial.proposal.genotype)
        if len(self._members) > self.population:
            self._leave(next(iter(self._members)) if self.aging else self._keys[self._ranking.worst()])

    def _child(self, rng: np.random.Generator) -> Proposal:
        """A mutant of a tournament's winner, or of a cross of two."""
        chance, *drawn = rng.random(5).tolist()
        members = len(self._places)
        drawn = [self._places[int(uniform * members)] for uniform in drawn]
        parent_id, genotype = self._winner(*drawn[:2])
        parents: tuple[int, ...] = (parent_id,)
        if chance < self.crossover:
            other_id, other = self._winner(*drawn[2:])
            crossed = self._crossed(genotype, other, rng)
            if crossed != genotype:
                genotype, parents = crossed, (parent_id, other_id)
        return Proposal(self.space.mutate(genotype, rng), parents)

    def _leave(self, key: str) -> None:
        place, _, _ = self._members.pop(key)
        self._places.remove(place)
        self._ranking.remove(place)

    def _winner(self, first: int, second: int) -> tuple[int, Genotype]:
        """Trial and genotype of the better of the members at two places."""
        _, trial_id, genotype = self._members[self._keys[self._ranking.better(first, second)]]
        return trial_id, genotype

    def _crossed(self, first: Genotype, second: Genotype, rng: np.random.Generator) -> Genotype:
        """Each gene from one of two genotypes; the first where the space does not admit that, or one is longer."""
        if len(first) != len(second):
            return first
        is_first = (rng.random(len(first)) < 0.5).tolist()
        # of a list, which is made faster than what a generator yields
        crossed = tuple([a if kept else b for a, b, kept in zip(first, second, is_first, strict=True)])
        if crossed in (first, second):
            return first
        try:
            self.space.check(crossed)
        except InvalidGenotype:
            return first
        return crossed


plugin = Nsga2
