"""Which strategy a comparison puts first, whether it is clearly first, and its differences from the others.

Of n strategies there are n (n - 1) / 2 pairs; a reader wants those with the first one. All stand in pairs.csv.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from netwright.comparison import caveats, numbers
from netwright.comparison.bootstrap import Difference
from netwright.comparison.measures import MeanOfSeeds
from netwright.comparison.numbers import Pair, with_error
from netwright.report import markup

COLUMNS = ("other", "difference", "95 % interval", "p", "seeds")
EXPLAINED = (
    "The first strategy less the other, over common seeds: the mean difference, its 95 % interval by paired bootstrap, "
    "and twice the share of resampled means on the other side of zero. Nothing is corrected for the number of pairs, "
    "or for choosing the first after the fact. Every pair stands in pairs.csv."
)


@dataclass(frozen=True)
class Lead:
    """`strategy` less `other` over common seeds, by one measure."""

    strategy: str
    other: str
    measure: str
    difference: Difference


@dataclass(frozen=True)
class Leading:
    """The strategy of the best mean.

    Args:
        strategy: Its label.
        label: The measure in words.
        sign: 1 where a higher measure is better, else -1.
        means: What every strategy reached, by label.
        leads: Its differences from the others by that measure, the nearest rival first.
        others: The same by other measures, in their order.
    """

    strategy: str
    label: str
    sign: int
    means: Mapping[str, MeanOfSeeds]
    leads: tuple[Lead, ...]
    others: tuple[Lead, ...]


def leading(
    measure: str, label: str, sign: int, means: Mapping[str, MeanOfSeeds], pairs: Sequence[Pair]
) -> Leading | None:
    """The strategy of the best mean, the first of equals; None: fewer than two were measured, or no pair compares them.

    Args:
        measure: The measure that decides, as pairs name it.
        label: The same in words.
        sign: 1 where a higher measure is better, else -1.
        means: What every strategy reached by that measure, by label.
        pairs: Every pair of strategies, by all measures.
    """
    known = {name: sign * each.mean for name, each in means.items() if not math.isnan(each.mean)}
    if len(known) < 2:
        return None
    first = max(known, key=lambda name: known[name])
    found = [_of(pair, first) for pair in pairs if first in (pair.strategy, pair.other)]
    found = [lead for lead in found if lead.other in known]
    leads = sorted((lead for lead in found if lead.measure == measure), key=lambda lead: -known[lead.other])
    if not leads:
        return None
    return Leading(first, label, sign, means, tuple(leads), tuple(lead for lead in found if lead.measure != measure))


def sentence(found: Leading) -> str:
    """Who is first and whether that is clear, without a full stop."""
    value = f"{found.label} {with_error(found.means[found.strategy])}"
    near = [lead.other for lead in found.leads if not _is_clear(lead, found.sign)]
    if near:
        more = f" and {len(near) - 3:,} more" if len(near) > 3 else ""
        return (
            f"no clear winner: {found.strategy} is first ({value}), but not clearly before {', '.join(near[:3])}{more}"
        )
    rival = found.leads[0]
    mean, interval, *_ = numbers.difference(rival)
    return (
        f"{found.strategy} wins ({value}), clearly before every other; the nearest is {rival.other} "
        f"({with_error(found.means[rival.other])}; difference {mean}, 95 % interval {interval})"
    )


def parts(found: Leading | None) -> list[str]:
    """Table and explanation of the differences from the first strategy; empty where nothing was compared."""
    if found is None:
        return []
    caveat = caveats.few_seeds([lead.difference for lead in found.leads])
    shown = [f"{caveat[0].upper()}{caveat[1:]}."] if caveat else []
    rows = [(lead.other, *numbers.difference(lead)) for lead in found.leads]
    named = [(lead.other, lead.measure, *numbers.difference(lead)) for lead in found.others]
    columns = (COLUMNS[0], "measure", *COLUMNS[1:])
    folded = markup.folded("by other measures", markup.table(columns, named, COLUMNS[1:])) if named else ""
    title = f"{found.strategy} less every other, by {found.label}"
    return [markup.subsection(title, markup.table(COLUMNS, rows, COLUMNS[1:]), EXPLAINED, *shown, folded)]


def _of(pair: Pair, first: str) -> Lead:
    """The pair as a difference from `first`."""
    if pair.strategy == first:
        return Lead(first, pair.other, pair.measure, pair.difference)
    kept = pair.difference
    return Lead(first, pair.strategy, pair.measure, Difference(-kept.mean, -kept.high, -kept.low, kept.p, kept.seeds))


def _is_clear(lead: Lead, sign: int) -> bool:
    return lead.difference.is_clear and sign * lead.difference.mean > 0
