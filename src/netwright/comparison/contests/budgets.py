"""Trials of several budgets in a contest: those of one are judged (`objectives.judged_budget`), others only cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from netwright.core import objectives
from netwright.core.protocols import Evaluator, TrainsToBudgets
from netwright.core.records import CARRIED_STEPS, Trial
from netwright.core.round_plan import MEMBERS


def judged(searches: Iterable[Sequence[Trial]]) -> int | None:
    """The budget whose trials are judged; None: trials without a budget are judged."""
    return objectives.judged_budget([trial for trials in searches for trial in trials])


def only(trials: Sequence[Trial], budget: int | None) -> list[Trial]:
    """The trials, with those of another budget stripped of their scores."""
    return [trial if trial.proposal.budget == budget else replace(trial, scores=None) for trial in trials]


def spent(trials: Sequence[Trial]) -> int:
    """Sum of the budgets of a search's trials; of one that went on from another, only what goes beyond that one counts.

    A promotion that found no checkpoint, or was to find none, trained anew: all of it counts.
    """
    own = {trial.id: trial.proposal.budget or 0 for trial in trials}
    went_on = {trial.id: trial.proposal.continues or 0 for trial in trials if _went_on(trial)}
    return sum(budget - own.get(went_on.get(trial, 0), 0) for trial, budget in own.items())


def _went_on(trial: Trial) -> bool:
    """Whether a promotion went on from the steps of the trial that it continues, as far as its evaluator says."""
    return trial.result is None or trial.result.metrics.get(CARRIED_STEPS, 1) > 0


def are_rounds(trials: Iterable[Trial]) -> bool:
    """Whether budgets are numbers of rounds, as notes say: scores are then by what the trials of a search share."""
    return any(MEMBERS in trial.proposal.notes for trial in trials)


def apart(largest: Mapping[str, int | None], evaluator: Evaluator) -> dict[str, str]:
    """Sentences to say before a contest whose strategies are judged at different budgets.

    Args:
        largest: The largest budget of each strategy, by label; None: it names none, so that the evaluator's own holds.
        evaluator: The evaluator; its own budget is known where it `TrainsToBudgets`.

    Returns:
        A sentence by label for each strategy that names budgets; those that name none do not differ among themselves.
    """
    own = unit = None
    if is_known := isinstance(evaluator, TrainsToBudgets):
        own, unit = evaluator.own_budget, evaluator.budget_unit
    usual = f"{own:,} {unit}" if own else "the evaluator's own steps"
    said = {}
    for label, budget in largest.items():
        if budget is None:
            continue
        plain = [other for other, judged in largest.items() if judged is None and is_known and own != budget]
        named = [(other, judged) for other, judged in largest.items() if judged is not None and judged != budget]
        differing = [*(f"{other} with {usual}" for other in plain), *(f"{o} with budget {b:,}" for o, b in named)]
        if differing:
            remedy = f", as by --evaluator.{unit} {budget}" if plain else ""
            said[label] = (
                f"it is judged by its trials with budget {budget:,}, {', '.join(differing)}: such scores do not "
                f"compare; make them equal{remedy}"
            )
    return said


def sentence(searches: Sequence[Sequence[Trial]]) -> str:
    """A sentence that a reader of these searches must know about their budgets; "" where there is one budget."""
    trials = [trial for search in searches for trial in search]
    found = {trial.proposal.budget for trial in trials}
    listed = ", ".join(map(str, sorted(budget for budget in found if budget is not None)))
    top = objectives.judged_budget(trials)
    if are_rounds(trials):
        last = sum(trial.proposal.budget == top for trial in trials)
        return (
            f"its networks are scored in rounds, by weights that their own search trains: the {last:,} of "
            f"{len(trials):,} trials of round {top} are judged, which do not compare with those of another search; "
            "full trainings do"
        )
    if top is None or len(found) < 2:
        return ""
    if None in found:
        listed += " or none"
    count = sum(trial.proposal.budget == top for trial in trials)
    worth = sum(map(spent, searches)) / top / len(searches)
    return (
        f"its trials have budgets {listed}: the {count:,} of {len(trials):,} with {top} are judged; "
        f"the others count as trials alone; a search spent what {worth:,.1f} trials with {top} cost"
    )
