"""Asynchronous successive halving: random networks at a small budget, the best share of each rung at the next one.

Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", arXiv:1810.05934, algorithm 2. A free worker
promotes a trial that is within the best 1 / eta of its rung and not promoted yet, from the highest rung down; where
there is none it measures a fresh sample on the lowest rung. Nobody ever waits, at the price of promotions that later
arrivals would have prevented.

A promotion continues the trial from its checkpoint: the training evaluator needs `horizon` for that, the largest
budget. Checkpoints of trials that were not promoted stay in the run's folder, but those of trials far from the best. A
failed trial counts as the worst of its rung.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from netwright.core.protocols import SearchSpace
from netwright.core.records import Proposal, Trial
from netwright.core.single import check_single
from netwright.strategies.halving import Halving
from netwright.strategies.novelty import new_sample


@dataclass
class Asha:
    """Successive halving without waiting.

    Args:
        space: Search space, which samples and names networks.
        objectives: Exactly one objective, as a run file writes it; None: the first metric, the higher the better.
        min_budget: Least budget of the lowest rung, in the evaluator's unit: epochs or steps.
        max_budget: Budget of the highest rung.
        eta: One trial in `eta` is promoted, to `eta` times the budget.
        budgets: Budgets of all rungs, where they are no powers of `eta` apart, as 12 and 200 epochs; empty: as above.
    """

    space: SearchSpace
    objectives: tuple[str, ...] | None = None
    min_budget: int = 1
    max_budget: int = 9
    eta: int = 3
    budgets: tuple[int, ...] = ()
    _halving: Halving = field(init=False, repr=False)
    _known: set[str] = field(default_factory=set, init=False, repr=False)  # keys of all that finished

    def __post_init__(self) -> None:
        check_single("asha", self.objectives)
        self._halving = Halving.of(self.min_budget, self.max_budget, self.eta, self.budgets)

    @property
    def largest_budget(self) -> int:
        """Budget of the highest rung."""
        return self._halving.budgets[-1]

    @property
    def promoted_share(self) -> float:
        """The best 1 / eta of each rung are promoted."""
        return 1 / self.eta

    def ask(self, rng: np.random.Generator, pending: Sequence[Trial]) -> Proposal | None:
        """A promotion, else a fresh sample; None: no network is new, and none may be promoted."""
        promoted = self._halving.promoted({trial.proposal.continues for trial in pending})
        if promoted is not None:
            return promoted
        genotype = new_sample(self.space, self._known, {trial.key for trial in pending}, rng)
        return None if genotype is None else Proposal(genotype, budget=self._halving.budgets[0], notes={"rung": 0})

    def tell(self, trial: Trial, rng: np.random.Generator) -> None:  # noqa: ARG002
        """Rank the trial on its rung; the one that it continues is promoted. Raises NetwrightError: no such rung."""
        self._halving.enter(trial)
        self._known.add(trial.key)


plugin = Asha
