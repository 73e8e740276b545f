"""What must be said beside the numbers of a strategy on a recipe, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netwright.comparison import caveats
from netwright.comparison.contests import budgets
from netwright.comparison.contests.contest import StrategyContest
from netwright.comparison.contests.outcome import ContestOutcome
from netwright.comparison.contests.populations import SearchPath
from netwright.comparison.courses import SearchCell
from netwright.core.records import Trial


def of_row(
    contest: StrategyContest,
    outcome: ContestOutcome,
    searches: Mapping[SearchCell, Sequence[Trial]],
    listed: Sequence[SearchPath],
) -> list[str]:
    """Sentences on the searches of a strategy on a recipe; `listed` are their paths."""
    seeds_asked, count = len(contest.seeds), len(searches)
    found = caveats.lost(seeds_asked - count, seeds_asked)
    found += caveats.exhausted([len(searches[cell]) for cell in searches if cell in outcome.exhausted], count)
    if text := budgets.sentence(list(searches.values())):
        found.append(text)
    nothing = sum(not any(trial.scores for trial in trials) for trials in searches.values())
    found += caveats.without_success(nothing, count)
    found += _unjudged(sum(path.incumbent < 0 for path in listed) - nothing, budgets.judged(searches.values()), count)
    if failures := sum(path.failures for path in listed):
        found.append(f"{failures:,} of {sum(len(path.scores) for path in listed):,} trials failed")
    others = [set(outcome.sources.get(cell, ())) - {contest.sources.get(cell.strategy, "")} for cell in searches]
    found += caveats.outdated(sum(map(bool, others)), count)
    untrained = [outcome.untrained[cell] for cell in searches if cell in outcome.untrained]
    if untrained:
        found.append(f"full trainings failed in {len(untrained):,} of {count:,} searches; the first: {untrained[0]}")
    return found


def _unjudged(without: int, budget: int | None, searches: int) -> list[str]:
    """A sentence where searches have scores, but none at the budget that is judged."""
    if not without:
        return []
    return [f"no trial of the judged budget, {budget}, succeeded with {without:,} of {searches:,} seeds"]
