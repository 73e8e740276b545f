"""What must be said beside the numbers of a strategy on a table, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from netwright.comparison import caveats
from netwright.comparison.courses import Course
from netwright.comparison.tables.comparison import Comparison


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
        comparison: The comparison that the row belongs to.
        strategy: Label of the strategy.
        horizon: Number of trials at most; None: until the limit of seconds was met.
        found: Courses of the strategy's searches.
        made: Number of trials of each search up to the horizon.
        regrets: Regret of each search at its end, shape (searches,); NaN where no trial succeeded.
        finals: Final measure of each search at its end, shape (searches,); NaN also where it is not known.
    """
    seeds = len(comparison.plan.seeds)
    return (
        *_random(comparison.starts.get(strategy, {}), made, horizon),
        *caveats.lost(seeds - len(found), seeds),
        *_exhausted(found, horizon),
        *_unknown(regrets, finals),
        *_failures(found, made),
        *_outdated(found, comparison.sources.get(strategy, "")),
    )


def _random(starts: Mapping[str, int], made: Sequence[int], horizon: int | None) -> list[str]:
    """Sentences where a random start is all there is: because of the horizon, or because searches ended earlier."""
    if horizon is not None and (known := caveats.long_starts(starts, horizon)):
        return known
    found = []
    for option, value in starts.items():
        short = [count for count in made if 0 < count <= value]
        if short:
            which = "" if len(short) == len(made) else f", with {len(short):,} of {len(made):,} seeds"
            found.append(
                f"{option} = {value:,} is not less than the {caveats.span(short)} trials that were made: its random "
                f"start is all there is{which}; give fewer"
            )
    return found


def _exhausted(found: Sequence[Course], horizon: int | None) -> list[str]:
    ended = [len(c) for c in found if c.ending == "exhausted" and (horizon is None or len(c) < horizon)]
    return caveats.exhausted(ended, len(found))


def _unknown(regrets: np.ndarray, finals: np.ndarray) -> list[str]:
    nothing = int(np.isnan(regrets).sum())
    unknown = int(np.isnan(finals).sum()) - nothing
    found = caveats.without_success(nothing, len(regrets))
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
    return caveats.outdated(sum(course.source != source for course in found), len(found))
