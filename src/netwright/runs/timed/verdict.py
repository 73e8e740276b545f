"""The verdict of a contest: what ships beside the reference, on the same test examples, with an interval.

Both networks answered the same examples, so that their difference is taken example by example: its interval is that of
a mean of paired differences, with two made-up examples of which one speaks for either side, as if they had been seen
too, so that few disagreements do not pass for certainty (Agresti and Min 2005). A balanced accuracy is a mean over
classes of such means. Where networks were trained several times, what the means vary by seed is added, and the interval
is that of Student's t with the degrees of freedom that both sources of chance come to (Welch 1947; Satterthwaite 1946).
Where they were trained once, nothing tells what other seeds would give, which is said.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
from safetensors import SafetensorError
from scipy.special import stdtrit

from netwright.core import left, trial_folders
from netwright.core.finals import Final
from netwright.core.objectives import Objective
from netwright.data import outcome
from netwright.data.by_class import BALANCED
from netwright.data.outcome import Outcome
from netwright.runs import run_folder

TAIL = 0.975  # what lies below the upper end of a 95 % interval
ON_EITHER_SIDE, RIGHT_AND_WRONG = (1.0, -1.0), (1.0, 0.0)  # made-up examples: of a difference, of one network
Chance = tuple[float, float]  # a variance, and the degrees of freedom that it was estimated with
ANY = (-math.inf, math.inf)  # where an interval may reach
MANY = 5000  # examples, from which on a second decimal of a percentage says something


@dataclass(frozen=True)
class Interval:
    """A measured value, or a difference of two, and its 95 % interval; a difference is positive where ours is higher.

    Args:
        value: What was measured.
        low: Lower end; NaN: nothing tells how far chance goes.
        high: Upper end.
        examples: Number of test examples; 0: not known.
        seeds: Number of trainings of each network, the least; 1: the interval knows nothing of other seeds.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    examples: int = 0
    seeds: int = 1


def outcomes(final: Final) -> list[Outcome]:
    """How each training of a network answered every test image; empty: not all left that, or some was changed since."""
    if final.folder is None:
        return []
    place = final.folder.parent.parent
    with closing(run_folder.open_table(place, "read")) as store:
        rows = {row.seed: row.id for row in store.finished()}
    found = []
    for each in final.repetitions:
        folder = trial_folders.folder_of(final.folder.parent, rows[each.seed]) if each.seed in rows else None
        if folder is None or not (folder / outcome.OUTCOME).exists() or left.fault(folder, each.seed):
            return []
        try:
            found.append(outcome.read(folder / outcome.OUTCOME))
        except (OSError, SafetensorError):
            return []
    return found


def difference(ours: Final, theirs: Final) -> Interval:
    """Ours minus theirs, by the metric that both were measured by; without an interval where nothing tells it."""
    value = ours.mean - theirs.mean
    one, other = outcomes(ours), outcomes(theirs)
    kept = [*one, *other]
    targets = kept[0].targets if one and other else np.zeros(0, np.int64)
    if not len(targets) or any(not np.array_equal(targets, each.targets) for each in kept):
        one = other = []
    strata = _strata(ours.objective.bare, targets) if one else None
    within = (-1.0, 1.0) if ours.objective.is_share else ANY
    count = min(ours.n, theirs.n)
    seeds = (*_of_seeds(ours), *_of_seeds(theirs))
    if strata is None:
        found = Interval(value, examples=len(targets), seeds=count)
        return _with_ends(found, seeds, within) if count > 1 else found
    answers = [np.mean([_values(ours.objective.bare, each) for each in side], 0) for side in (one, other)]
    chance = _variance(answers[0] - answers[1], strata, ON_EITHER_SIDE), _freedom(strata)
    return _with_ends(Interval(value, examples=len(targets), seeds=count), (chance, *seeds), within)


def alone(final: Final) -> Interval:
    """What was measured of one network; without an interval where nothing tells it."""
    found = outcomes(final)
    strata = _strata(final.objective.bare, found[0].targets) if found else None
    if strata is None:
        return Interval(final.mean, examples=len(found[0].targets) if found else 0)
    answers = np.mean([_values(final.objective.bare, each) for each in found], 0)
    chance = _variance(answers, strata, RIGHT_AND_WRONG), _freedom(strata)
    own = Interval(final.mean, examples=len(answers), seeds=final.n)
    return _with_ends(own, (chance, *_of_seeds(final)), (0.0, 1.0) if final.objective.is_share else ANY)


def sentence(ours: Final, theirs: Final | None, example: str = "example", why_alone: str = "") -> str:
    """What ships, a network of the search, against the reference; None: there is none, and `why_alone` says why."""
    measure = ours.objective
    if theirs is None:
        return f"{_single(ours, example)}; {why_alone or 'there is no plain network to compare it with'}"
    found = difference(ours, theirs)
    values = (_text(measure, final.mean, found) for final in (ours, theirs))
    mine, other = values
    means = f"{ours.label} {mine}{_named(measure)} against {other} of the {theirs.label}{_on(found, example)}: "
    gain = measure.score(found.value)
    lower, upper = sorted((measure.score(found.low), measure.score(found.high)))
    if math.isnan(lower):
        side = "better" if gain > 0 else "worse" if gain < 0 else "the same"
        amount = f"{_amount(measure, abs(gain), found)} {side}" if gain else side
        return f"{means}{amount} (trained once each, so that nothing says how much of it is chance)"
    interval = _ends(measure, lower, upper, found, example)
    if lower > 0:
        return f"{means}{_amount(measure, gain, found)} better ({interval})"
    if upper < 0:
        return f"{means}{_amount(measure, -gain, found)} worse ({interval})"
    return f"{means}no better than it ({_amount(measure, gain, found)}, {interval})"


def of_reference(shipped: Final, example: str = "example", reason: str = "") -> str:
    """What ships, where it is the reference, and why."""
    why = f"; {reason}" if reason else ""
    return f"the {shipped.label} ships: {_single(shipped, example, is_named=False)}{why}"


def _single(final: Final, example: str, is_named: bool = True) -> str:
    found, measure = alone(final), final.objective
    name = f"{final.label} " if is_named else ""
    interval = "" if math.isnan(found.low) else f" ({_ends(measure, found.low, found.high, found, example)})"
    return f"{name}{_text(measure, final.mean, found)}{_named(measure)}{_on(found, example)}{interval}"


def _ends(measure: Objective, lower: float, upper: float, found: Interval, example: str) -> str:
    """The interval in words, and over what it is."""
    known = [f"test {example}s"] if found.examples else []
    known += [f"{found.seeds} seeds"] if found.seeds > 1 else []
    over = f"over {' and '.join(known)}" + (", not over seeds" if found.seeds == 1 else "")
    return f"95 % interval {_number(measure, lower, found)} to {_number(measure, upper, found)}, {over}"


def _values(metric: str, found: Outcome) -> np.ndarray:
    """What each example counts for in the metric, shape (N,), float64."""
    if metric == "loss":
        return found.losses.astype(np.float64)
    return (found.predictions == found.targets).astype(np.float64)


def _strata(metric: str, targets: np.ndarray) -> list[np.ndarray] | None:
    """Positions of the examples whose means are averaged into the metric; None: it is no mean over examples."""
    if metric in ("accuracy", "loss"):
        return [np.arange(len(targets))]
    if metric == BALANCED:
        return [np.flatnonzero(targets == each) for each in np.unique(targets)]
    return None


def _variance(values: np.ndarray, strata: Sequence[np.ndarray], made_up: tuple[float, float]) -> float:
    """Variance of the mean over strata of the means within them, in which the made-up values are spread evenly."""
    total, share = 0.0, 1 / len(strata)
    for places in strata:
        here, count = values[places], len(places) + share * len(made_up)
        mean = (float(here.sum()) + share * sum(made_up)) / count
        square = (float((here**2).sum()) + share * sum(each**2 for each in made_up)) / count
        total += max(0.0, square - mean**2) / count
    return total * share**2


def _freedom(strata: Sequence[np.ndarray]) -> float:
    """Degrees of freedom of a variance over examples, at least 1."""
    return max(1.0, float(sum(len(places) - 1 for places in strata)))


def _of_seeds(final: Final) -> tuple[Chance, ...]:
    """Variance of the mean over trainings from different seeds, and its degrees of freedom; empty where there was one.

    Equal values of a few seeds are no certainty, but the examples' own chance is in the interval too.
    """
    values = [each.value for each in final.repetitions]
    return ((statistics.variance(values) / len(values), len(values) - 1.0),) if len(values) > 1 else ()


def _with_ends(found: Interval, chances: Sequence[Chance], within: tuple[float, float]) -> Interval:
    """The interval of a value that several sources of chance add to."""
    total = sum(variance for variance, _ in chances)
    squares = sum(variance**2 / freedom for variance, freedom in chances)
    quantile = float(stdtrit(total**2 / squares, TAIL)) if squares else 0.0
    error, (least, most) = quantile * math.sqrt(total), within
    return replace(found, low=max(least, found.value - error), high=min(most, found.value + error))


def _named(measure: Objective) -> str:
    """The metric in words; "" for the accuracy, which everybody means."""
    return "" if measure.bare == "accuracy" else f" {measure.bare.replace('_', ' ')}"


def _on(found: Interval, example: str) -> str:
    return f" on {found.examples:,} test {example}s" if found.examples else " on the test data"


def _text(measure: Objective, value: float, found: Interval) -> str:
    return f"{_number(measure, value, found)} %" if measure.is_share else measure.text(value)


def _amount(measure: Objective, value: float, found: Interval) -> str:
    return f"{_number(measure, value, found)} points" if measure.is_share else measure.text(value)


def _number(measure: Objective, value: float, found: Interval) -> str:
    """A share in percent, with as many decimals as so many examples tell; any other value as it is shown elsewhere."""
    if not measure.is_share:
        return measure.text(value)
    text = f"{100 * value:.{2 if found.examples >= MANY else 1}f}"
    return text.removeprefix("-") if not float(text) else text
