"""Means, errors and differences as a reader of a comparison sees them."""

from __future__ import annotations

import math
from typing import Protocol

from netwright.comparison.bootstrap import Difference
from netwright.comparison.measures import MeanOfSeeds

BAND = 1.96  # standard errors to a side, about, of an interval of 95 %
MISSING = "–"


class Pair(Protocol):
    """`strategy` less `other` over common seeds, by one measure."""

    @property
    def strategy(self) -> str:
        """Label of the first strategy."""

    @property
    def other(self) -> str:
        """Label of the strategy that is subtracted."""

    @property
    def measure(self) -> str:
        """Name of the measure."""

    @property
    def difference(self) -> Difference:
        """The difference and its interval."""


def with_error(found: MeanOfSeeds) -> str:
    """A mean and its standard error, with as many decimals as show two digits of the error."""
    if math.isnan(found.mean):
        return MISSING
    if not found.error > 0:
        return f"{found.mean:.6g}" if math.isnan(found.error) else f"{found.mean:.6g} ± 0"
    places = decimals(found.error)
    return f"{found.mean:,.{places}f} ± {found.error:,.{places}f}"


def decimals(error: float) -> int:
    """Number of decimals that show two digits of `error`."""
    return min(12, max(0, 1 - math.floor(math.log10(error)))) if error > 0 else 2


def difference(pair: Pair) -> tuple[str, ...]:
    """Mean, interval, p and seeds of a pair as text; one seed alone has no interval."""
    found = pair.difference
    if not found.seeds:
        return (MISSING, MISSING, MISSING, "0")
    if math.isnan(found.low):
        return (f"{found.mean:+.6g}", MISSING, MISSING, f"{found.seeds:,}")
    places = decimals((found.high - found.low) / (2 * BAND))
    interval = f"{found.low:+,.{places}f} to {found.high:+,.{places}f}"
    return (f"{found.mean:+,.{places}f}", interval, f"{found.p:.2g}", f"{found.seeds:,}")
