"""What must be said beside the numbers of a comparison, in sentences: what was left out, and what not to conclude."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from netwright.comparison.bootstrap import FEW, Difference
from netwright.comparison.compare import Comparison
from netwright.comparison.courses import Course


def of_row(
    comparison: Comparison,
    strategy: str,
    horizon: int | None,
    found: Sequence[Course],
    made: Sequence[int],
    regrets: np.ndarray,
    finals: np.ndarray,
) -> tuple[str, ...]:
    """Sentences about a strategy on a problem.

    Args:
        comparison: Of which the row is one.
        strategy: Its label.
        horizon: After how many trials at most; None: when the limit of seconds was met.
        found: Its searches.
        made: Trials of each search up to there.
        regrets: Of each search at the end, shape (searches,); NaN where no trial succeeded.
        finals: The same of the final measure; NaN also where it is not known.
    """
    seeds = len(comparison.plan.seeds)
    return (
        *_random(comparison.starts.get(strategy, {}), made, horizon),
        *lost(seeds - len(found), seeds),
        *_exhausted(found, horizon),
        *_unknown(regrets, finals),
        *_failures(found, made),
        *_outdated(found, comparison.sources.get(strategy, "")),
    )


def lost(failed: int, seeds: int) -> list[str]:
    """That searches are missing."""
    return [f"the searches of {failed:,} of {seeds:,} seeds failed and are left out"] if failed else []


def exhausted(lengths: Sequence[int], searches: int) -> list[str]:
    """That searches had nothing more to ask after `lengths` trials."""
    if not lengths:
        return []
    which = "" if len(lengths) == searches else f", with {len(lengths):,} of {searches:,} seeds"
    return [f"the space is exhausted after {_span(lengths)} trials{which}"]


def without_success(nothing: int, searches: int) -> list[str]:
    """That searches have no incumbent."""
    return [f"no trial succeeded with {nothing:,} of {searches:,} seeds"] if nothing else []


def unjudged(without: int, budget: int | None, searches: int) -> list[str]:
    """That searches have scores, but none at the budget that is judged."""
    if not without:
        return []
    return [f"no trial of the judged budget, {budget}, succeeded with {without:,} of {searches:,} seeds"]


def outdated(others: int, searches: int) -> list[str]:
    """That searches were made by another program than the strategy has now."""
    if not others:
        return []
    return [f"its program has changed since {others:,} of {searches:,} searches; give another --out to play all anew"]


def long_starts(starts: Mapping[str, int], trials: int) -> list[str]:
    """A sentence for each option by which a strategy samples at random for all of `trials`."""
    return [
        f"{option} = {value:,} is not less than T = {trials:,}: its random start is all there is; give fewer"
        for option, value in starts.items()
        if value >= trials
    ]


def few_seeds(differences: Sequence[Difference]) -> str:
    """A sentence where strategies were compared over too few seeds; "" where there are enough."""
    fewest = min((found.seeds for found in differences if found.seeds), default=FEW)
    if fewest >= FEW:
        return ""
    return (
        f"with {fewest:,} common seed{'s' if fewest > 1 else ''}, fewer than {FEW}, intervals are too short and p is "
        "too small: no such difference is marked as clear; give more --seeds"
    )


def _random(starts: Mapping[str, int], made: Sequence[int], horizon: int | None) -> list[str]:
    """Where a random start is all there is: because of the horizon, or because searches ended earlier."""
    if horizon is not None and (known := long_starts(starts, horizon)):
        return known
    found = []
    for option, value in starts.items():
        short = [count for count in made if 0 < count <= value]
        if short:
            which = "" if len(short) == len(made) else f", with {len(short):,} of {len(made):,} seeds"
            found.append(
                f"{option} = {value:,} is not less than the {_span(short)} trials that were made: its random start "
                f"is all there is{which}; give fewer"
            )
    return found


def _exhausted(found: Sequence[Course], horizon: int | None) -> list[str]:
    ended = [len(c) for c in found if c.ending == "exhausted" and (horizon is None or len(c) < horizon)]
    return exhausted(ended, len(found))


def _span(counts: Sequence[int]) -> str:
    return f"{min(counts):,}" if min(counts) == max(counts) else f"{min(counts):,} to {max(counts):,}"


def _unknown(regrets: np.ndarray, finals: np.ndarray) -> list[str]:
    nothing = int(np.isnan(regrets).sum())
    unknown = int(np.isnan(finals).sum()) - nothing
    found = without_success(nothing, len(regrets))
    if unknown > 0:
        found.append(f"the final measure of {unknown:,} of {len(finals):,} incumbents is missing and left out")
    return found


def _failures(found: Sequence[Course], made: Sequence[int]) -> list[str]:
    failures = [int(course.is_failed[:count].sum()) for course, count in zip(found, made, strict=True)]
    if not sum(failures):
        return []
    message = next(course.message for course, count in zip(found, failures, strict=True) if count)
    return [f"{sum(failures):,} of {sum(made):,} trials failed; the first: {message}"]


def _outdated(found: Sequence[Course], source: str) -> list[str]:
    return outdated(sum(course.source != source for course in found), len(found))
