"""Strategies: what every one has, and what some can do besides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal, Protocol, Self, runtime_checkable

import numpy as np

from netwright.core.records import Proposal, Trial


class Strategy(Protocol):
    """Chooses what to evaluate next."""

    def ask(self, rng: np.random.Generator, pending: Sequence[Trial]) -> Proposal | None:
        """The next proposal; None: not until something finishes, or, with nothing pending, the search is over."""

    def tell(self, trial: Trial, rng: np.random.Generator) -> None:
        """Learn from a finished trial; `trial.scores` is None when it failed."""


@runtime_checkable
class Caches(Protocol):
    """Capability of a strategy: it can cache what is expensive to relearn, by the hash of all that it learned from.

    What a cache holds is what learning would find again: deleting it changes nothing but the time.
    """

    def cache_in(self, folder: Path) -> None:
        """Keep the cache in `folder`, made when first written to. Called before anything is told."""


@runtime_checkable
class LearnsAside(Protocol):
    """Capability of a strategy: it learns in a thread of its own, for which it waits at stated numbers of trials."""

    def is_ready(self) -> bool:
        """Whether the next `ask` or `tell` would return without waiting for what is still being learned."""


@runtime_checkable
class TakesSeveral(Protocol):
    """Capability of a strategy's class: it searches by any number of objectives."""

    takes_several: ClassVar[Literal[True]]


@runtime_checkable
class AsksTogether(Protocol):
    """Capability of a strategy: some proposals must all be in the table before the first of them is measured."""

    @property
    def together(self) -> int:
        """The most that belong together: that many rows may wait beyond the workers', until `ask` gives None."""


@runtime_checkable
class LearnsByRounds(Protocol):
    """Capability of a strategy: it knows what a round is (`strategies.in_rounds`).

    One without it is told the trials of the round before, one by one, as if it had asked for them.
    """

    def for_round(self, told: Sequence[Trial], wanted: int, before: Self | None, rng: np.random.Generator) -> Self:
        """This strategy, which was told nothing, as it begins a round; nothing is told to it while that is played.

        Args:
            told: The newest row of each network of the round before, in order of first asking; empty: this is the
                first round.
            wanted: How many new networks it will be asked for.
            before: The strategy of the round before; None: this is the first.
            rng: Source of all that is drawn.

        Raises:
            BadReference: Options that say nothing in rounds.
        """


@runtime_checkable
class GoesByList(Protocol):
    """Capability of a strategy's class: what it asks for is fixed beforehand, so that there is nothing to select."""

    goes_by_list: ClassVar[Literal[True]]


@runtime_checkable
class SamplesAtRandom(Protocol):
    """Capability of a strategy's class: its trials are independent samples of the space, whatever was measured.

    Reports compare what searches of the same space found with what such trials come to.
    """

    samples_at_random: ClassVar[Literal[True]]


@runtime_checkable
class PromotesBest(Protocol):
    """Capability of a strategy: of the trials of each budget, a part is ever continued, which are the best.

    A class that inherits it and continues others too must state 1, or what those left is removed before.
    """

    @property
    def promoted_share(self) -> float:
        """That part, as a share."""


@runtime_checkable
class NamesBudgets(Protocol):
    """Capability of a strategy: its proposals name budgets."""

    @property
    def largest_budget(self) -> int:
        """The largest budget that it ever names."""
