"""Random search: every proposal is a fresh sample of the space (Liu et al. 2018, section 3.3; Real et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from netwright.core.protocols import SearchSpace
from netwright.core.records import Proposal, Trial


@dataclass
class RandomSearch:
    """Samples independently; learns nothing, so any number of workers loses nothing."""

    space: SearchSpace

    def ask(self, rng: np.random.Generator, pending: Sequence[Trial]) -> Proposal:  # noqa: ARG002
        """A sample of the space."""
        return Proposal(self.space.sample(rng))

    def tell(self, trial: Trial, rng: np.random.Generator) -> None:
        """Learn nothing."""


plugin = RandomSearch
