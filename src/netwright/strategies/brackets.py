"""Ladders of budgets, and the brackets of Hyperband on them: what `asha`, `bohb` and `vega_bohb` share.

Li et al. 2018, "Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization", JMLR 18:185, algorithm 1.
A rung is a position on the ladder, from 0; a bracket is one successive halving that starts on some rung.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from netwright.core.errors import BadReference, NetwrightError
from netwright.core.records import Genotype, Proposal, Trial


def ladder(min_budget: int, max_budget: int, eta: int, budgets: Sequence[int] = ()) -> tuple[int, ...]:
    """Budgets in ascending order: `budgets` themselves or, without any, `max_budget` divided by powers of `eta`.

    Raises:
        BadReference: The budgets do not ascend from 1 or more, or `eta` is below 2.
    """
    if eta < 2:
        raise BadReference(f"strategy.eta is {eta}; it must be at least 2")
    if budgets:
        if budgets[0] < 1 or any(low >= high for low, high in itertools.pairwise(budgets)):
            raise BadReference(f"strategy.budgets is {list(budgets)}; they must ascend, from 1 or more")
        return tuple(budgets)
    if not 1 <= min_budget <= max_budget:
        raise BadReference(
            f"strategy.min_budget and max_budget are {min_budget} and {max_budget}; "
            "the first must be at least 1 and at most the second"
        )
    powers = itertools.takewhile(lambda power: min_budget * power <= max_budget, (eta**k for k in itertools.count()))
    return tuple(sorted(round(max_budget / power) for power in powers))


def sizes(rungs: int, number: int, eta: int) -> dict[int, int]:
    """Number of trials of bracket 0, 1, 2, ... on each of its rungs, on a ladder with `rungs` rungs.

    The brackets cycle from the one that starts on the lowest rung to the one on the highest alone; with eta = 2 and
    three rungs they are 4, 2, 1, then 2, 1, then 3. The numbers are rounded down, as in the published code of BOHB;
    Hyperband's paper rounds the first of each bracket up.
    """
    rounds = rungs - 1 - number % rungs  # number of halvings
    start = (rungs // (rounds + 1)) * eta**rounds
    return {rungs - 1 - rounds + k: max(1, start // eta**k) for k in range(rounds + 1)}


def single_sizes(rungs: int, number: int, eta: int) -> dict[int, int]:
    """The same in the program that NAGO was released with (Ru et al. 2020), where the last bracket has one trial.

    With eta = 2 and three rungs they are 4, 2, 1, then 2, 1, then 1: 7 networks in 11 trials.
    """
    start = number % rungs
    return {rung: eta ** (rungs - 1 - rung) for rung in range(start, rungs)}


def rung_of(trial: Trial, budgets: Sequence[int]) -> int:
    """The rung on which a trial was measured. Raises NetwrightError for a budget that is not on the ladder."""
    budget = trial.proposal.budget
    if budget is None or budget not in budgets:
        listed = ", ".join(map(str, budgets))
        raise NetwrightError(
            f"trial {trial.id} was measured at the budget {budget}, which is not on the ladder {listed}; "
            "go on with the budgets that the run began with, or start another run"
        )
    return budgets.index(budget)


def promotion(genotype: Genotype, trial_id: int, budget: int, notes: Mapping[str, float]) -> Proposal:
    """A proposal of the same genotype at a higher budget, which goes on from where that trial stopped."""
    return Proposal(genotype, (trial_id,), budget, trial_id, notes)
