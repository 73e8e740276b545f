"""What a page says about networks trained in full: how good they are, and whether the search paid."""

from __future__ import annotations

import math
from collections.abc import Sequence

from netwright.core.finals import RESIDUAL, Final, Measured, Printed
from netwright.core.objectives import Objective
from netwright.report import markup
from netwright.report.examined import examples_of
from netwright.report.markup import MISSING, Html

SIMILAR = 2.0  # times the parameters, more or fewer, up to which a reference tells something


def table(named: Sequence[tuple[str, Final]]) -> Html:
    """A table with a row for each network; each comes with what its name begins with, such as its run."""
    has_more = any(final.further for _, final in named)
    measured = ("mean", "measure", "params", "setting", "sd", "trainings", "to compare with")
    columns = ("network", "trial", *measured, *(("measured besides",) if has_more else ()))
    rows = [
        (
            f"{name}{final.label}",
            MISSING if final.trial_id is None else str(final.trial_id),
            f"{final.mean:.4f}",
            final.objective.label,
            f"{final.params:,}",
            final.setting or MISSING,
            MISSING if final.sd is None else f"{final.sd:.4f}",
            str(final.n),
            final.note or MISSING,
            *((_further(final),) if has_more else ()),
        )
        for name, final in named
    ]
    return markup.table(columns, rows, ("trial", "mean", "params", "sd", "trainings"))


def _further(final: Final) -> str:
    """What else was measured: "test top5 94.80 %"."""
    return ", ".join(f"{mean.objective.label} {mean.objective.text(mean.value)}" for mean in final.further) or MISSING


def published(named: Sequence[tuple[str, Final]]) -> list[Html]:
    """Tables of errors in percent, as papers have them: what was printed, and what was measured here, tested networks.

    Networks that stand beside the same printed values share a table; without any such values there is none.
    """
    tested = [(name, final) for name, final in named if final.published and final.is_tested]
    columns = ("network", "from", "error %", "top-5 error %", "params", "trainings", "setting")
    tables: list[Html] = []
    for printed in dict.fromkeys(final.published for _, final in tested):
        rows = [_printed_row(each) for each in printed]
        rows += [_row(f"{name}{final.name}", final) for name, final in tested if final.published == printed]
        tables.append(markup.table(columns, rows, columns[2:-1]))
    return tables


def _printed_row(printed: Printed) -> tuple[str, ...]:
    params = MISSING if printed.params is None else f"{printed.params:,.0f}"
    error, top5 = (MISSING if value is None else f"{value:g}" for value in (printed.error, printed.top5_error))
    spread = "" if printed.deviation is None else f" ± {printed.deviation:g}"
    return printed.network, "published", error + spread, top5, params, str(printed.n or MISSING), MISSING


def _row(name: str, final: Final) -> tuple[str, ...]:
    means = {mean.objective.bare: mean for mean in (Measured(final.objective, final.mean, final.sd), *final.further)}
    errors = (_error(means.get("accuracy")), _error(means.get("top5")))
    return name, "here", *errors, f"{final.params:,}", str(final.n), final.setting or MISSING


def _error(mean: Measured | None) -> str:
    """The error in percent of a mean share of right answers."""
    if mean is None:
        return MISSING
    return f"{100 * (1 - mean.value):.2f}" + ("" if mean.sd is None else f" ± {100 * mean.sd:.2f}")


def verdict(finals: Sequence[Final]) -> str:
    """Whether the search paid, in a sentence or two: the first network found against a plain one trained the same way.

    Two standard errors are those of the means over several trainings and of a share of so many examples, together; that
    both networks saw the same examples would make them smaller and is left out. `finals` are of one search.
    """
    pairs = [(found, rival) for found in _searched(finals) if (rival := _rival(found, finals))]
    if not pairs:
        if not _searched(finals):
            return ""
        return "Nothing of similar size was trained the same way, so these numbers do not say whether the search paid."
    found, rival = min(pairs, key=lambda pair: not pair[0].is_tested)
    measure = found.objective
    gain = measure.score(found.mean) - measure.score(rival.mean)
    error = _standard_error(found, rival)
    is_open = gain == 0 or (error is not None and abs(gain) < 2 * error)
    opening = (
        "Whether the search paid is open" if is_open else "The search paid" if gain > 0 else "The search did not pay"
    )
    sentence = (
        f"{opening}: {found.label} has {measure.text(found.mean)} {measure.label} ({found.params:,} parameters), "
        f"the {rival.label} trained the same way {measure.text(rival.mean)} ({rival.params:,}). "
        f"That is {_difference(measure, found.mean - rival.mean)}"
    )
    if is_open and error is not None:
        sentence += f"; a difference this small may be chance (two standard errors: {measure.amount(2 * error)})"
    return sentence + (". Trained once only: another seed may change this." if min(found.n, rival.n) == 1 else ".")


def _rival(found: Final, finals: Sequence[Final]) -> Final | None:
    """The plain network of the nearest size that was trained the same way, if one is near."""
    rivals = [
        final
        for final in finals
        if final.reference
        and final.label == RESIDUAL
        and final.metric == found.metric
        and final.way == found.way
        and 1 / SIMILAR <= final.params / max(found.params, 1) <= SIMILAR
    ]
    return min(rivals, key=lambda final: abs(final.params - found.params), default=None)


def _standard_error(one: Final, other: Final) -> float | None:
    """Standard error of the difference of two means; None where nothing tells it."""
    tested = next((kept for final in (one, other) if one.objective.is_share and (kept := examples_of(final))), None)
    if tested is None and (one.sd is None or other.sd is None):
        return None
    variance = sum(final.sd**2 / final.n for final in (one, other) if final.sd is not None)
    if tested is not None:
        variance += sum(final.mean * (1 - final.mean) for final in (one, other)) / tested.count
    return math.sqrt(variance)


def _searched(finals: Sequence[Final]) -> list[Final]:
    """Networks that a search found: published ones do not tell whether the search paid."""
    return [final for final in finals if not final.reference and final.trial_id is not None]


def _difference(measure: Objective, value: float) -> str:
    if value == 0:
        return "no difference"
    return f"{measure.amount(abs(value))} {'more' if value > 0 else 'less'}"
