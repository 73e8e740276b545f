"""Random search: every proposal is a fresh sample of the space (Liu et al. 2018, section 3.3; Real et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np

from netwright.core.protocols import SearchSpace
from netwright.core.records import Proposal, Trial
from netwright.strategies.novelty import nth_sample


@dataclass
class RandomSearch:
    """Samples independently; learns nothing, so any number of workers loses nothing."""

    takes_several: ClassVar[Literal[True]] = True
    samples_at_random: ClassVar[Literal[True]] = True
    space: SearchSpace
    _told: int = field(default=0, init=False, repr=False, compare=False)

    def ask(self, rng: np.random.Generator, pending: Sequence[Trial]) -> Proposal:
        """A sample of the space, after its starts if it has any."""
        return Proposal(nth_sample(self.space, self._told + len(pending), rng))

    def tell(self, trial: Trial, rng: np.random.Generator) -> None:  # noqa: ARG002
        """Learn nothing but that there was a trial."""
        self._told += 1


plugin = RandomSearch
