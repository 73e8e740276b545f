"""What must be said beside the numbers of any comparison, in sentences: what was left out, and what not to conclude."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netwright.comparison.bootstrap import FEW, Difference


def lost(failed: int, seeds: int) -> list[str]:
    """A sentence where searches are missing."""
    return [f"the searches of {failed:,} of {seeds:,} seeds failed and are left out"] if failed else []


def exhausted(lengths: Sequence[int], searches: int) -> list[str]:
    """A sentence where searches had nothing more to ask after `lengths` trials."""
    if not lengths:
        return []
    which = "" if len(lengths) == searches else f", with {len(lengths):,} of {searches:,} seeds"
    return [f"the space is exhausted after {span(lengths)} trials{which}"]


def without_success(nothing: int, searches: int) -> list[str]:
    """A sentence where searches have no incumbent."""
    return [f"no trial succeeded with {nothing:,} of {searches:,} seeds"] if nothing else []


def outdated(others: int, searches: int) -> list[str]:
    """A sentence where searches were made by another program than the strategy has now."""
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


def span(counts: Sequence[int]) -> str:
    """The least and the greatest of some numbers, as text."""
    return f"{min(counts):,}" if min(counts) == max(counts) else f"{min(counts):,} to {max(counts):,}"
