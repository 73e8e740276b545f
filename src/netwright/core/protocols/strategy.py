"""Strategies: what every one has, and what some can do besides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal, Protocol, runtime_checkable

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
class SamplesAtRandom(Protocol):
    """Capability of a strategy's class: its trials are independent samples of the space, whatever was measured.

    Reports compare what searches of the same space found with what such trials come to.
    """

    samples_at_random: ClassVar[Literal[True]]


@runtime_checkable
class NamesBudgets(Protocol):
    """Capability of a strategy: its proposals name budgets."""

    @property
    def largest_budget(self) -> int:
        """The largest budget that it ever names."""
