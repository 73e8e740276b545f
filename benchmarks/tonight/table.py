"""The table: means over seeds, paired differences with 95 % intervals, the criteria, rows for results.csv."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev

import numpy as np

from . import cells, data
from .cells import Cell, Column, Line

OURS, PLAIN, REFERENCE = "netwright", "P0", "P1"
MOST = 1.1  # times its time that a search may take
Lines = Mapping[Cell, Line]
Targets = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Difference:
    """A paired difference in points (hundredths).

    Args:
        mean: Mean over the seeds that both columns have.
        low, high: 95 % interval; None: it takes two seeds, or one and which test images were right.
        n: Number of seeds.
        over: What the interval is over: "seeds and images", "images", "seeds", "".
    """

    mean: float
    low: float | None
    high: float | None
    n: int
    over: str

    def __str__(self) -> str:
        return f"{self.mean:+.2f}" + ("" if self.low is None else f" ({self.low:+.2f} to {self.high:+.2f})")


@dataclass(frozen=True)
class Criterion:
    """A line of what the numbers must reach.

    Args:
        text: What is asked.
        met: Whether it is so; None: cells that it needs are missing, or there are too few for an interval.
        found: The numbers.
    """

    text: str
    met: bool | None
    found: str


def difference(lines: Lines, name: str, ours: str, other: str, targets: np.ndarray | None) -> Difference | None:
    """Column `ours` minus column `other` on a data set, over the seeds that both have; None: there is no such seed.

    Where it is known which test images were right, the interval is over seeds and test images as crossed random effects
    (both variances add up, degrees of freedom after Satterthwaite 1946; 90 to 97 of 100 held the truth in
    simulations with three seeds); else over seeds alone, Student's.
    """
    pairs = [
        (lines[Cell(name, ours, seed)], lines[Cell(name, other, seed)])
        for seed in sorted({cell.seed for cell in lines if cell.data == name})
        if Cell(name, ours, seed) in lines and Cell(name, other, seed) in lines
    ]
    measured = [(a, b, a.value, b.value) for a, b in pairs]
    pairs = [(a, b) for a, b, one, two in measured if one is not None and two is not None]
    if not pairs:
        return None
    found = [100 * (one - two) for _, _, one, two in measured if one is not None and two is not None]
    if targets is not None and all(a.right and b.right for a, b in pairs):
        weights = _weights(targets, data.SETS[name].metric)
        right = [(cells.unpacked(a.right), cells.unpacked(b.right)) for a, b in pairs]
        if all(len(a) == len(b) == len(targets) for a, b in right):
            matrix = np.stack([100 * weights * (a.astype(float) - b) for a, b in right])
            half, over = _half_crossed(matrix)
            return Difference(fmean(found), fmean(found) - half, fmean(found) + half, len(pairs), over)
    if len(found) < 2:
        return Difference(fmean(found), None, None, len(pairs), "")
    half = _student(len(found) - 1) * stdev(found) / math.sqrt(len(found))
    return Difference(fmean(found), fmean(found) - half, fmean(found) + half, len(pairs), "seeds")


def _weights(targets: np.ndarray, metric: str) -> np.ndarray:
    """What an image counts, so that the mean over images is the metric."""
    if metric != "balanced":
        return np.ones(len(targets))
    kinds, places, counts = np.unique(targets, return_inverse=True, return_counts=True)
    return len(targets) / (len(kinds) * counts[places])


def _half_crossed(matrix: np.ndarray) -> tuple[float, str]:
    """Half the 95 % interval of the mean of (seeds, images), both drawn from many."""
    seeds, images = matrix.shape
    by_seed, by_image, mean = matrix.mean(1), matrix.mean(0), matrix.mean()
    of_images = seeds * float(((by_image - mean) ** 2).sum()) / (images - 1)
    if seeds == 1:
        return _student(images - 1) * math.sqrt(of_images / images), "images"
    of_seeds = images * float(((by_seed - mean) ** 2).sum()) / (seeds - 1)
    total = of_images + of_seeds
    if total == 0:
        return 0.0, "seeds and images"
    freedom = total**2 / (of_images**2 / (images - 1) + of_seeds**2 / (seeds - 1))
    return _student(freedom) * math.sqrt(total / (seeds * images)), "seeds and images"


def _student(freedom: float) -> float:
    from scipy import stats

    return float(stats.t.ppf(0.975, freedom))


def criteria(lines: Lines, targets: Targets, seeds: int, overran: Sequence[Cell] = ()) -> list[Criterion]:
    """What the issue asks of the numbers, in its order.

    Args:
        lines: Lines by cell.
        targets: Labels of the test images, by data set.
        seeds: Number of seeds that are wanted.
        overran: Cells that were ended on some try, as they took far too long, even where another try has numbers.
    """

    def of(ours: str, other: str, names: Sequence[str]) -> dict[str, Difference]:
        found = {name: difference(lines, name, ours, other, targets.get(name)) for name in names}
        return {name: each for name, each in found.items() if each is not None}

    def judged(
        text: str,
        found: Mapping[str, Difference],
        names: Sequence[str],
        test: Callable[[list[Difference]], bool | None],
        shown: Callable[[list[Difference]], str],
    ) -> Criterion:
        there = list(found.values())
        missing = sum(max(0, seeds - (found[name].n if name in found else 0)) for name in names)
        note = f"; {missing} of {seeds * len(names)} pairs are missing" if missing else ""
        return Criterion(text, None if missing or not there else test(there), (shown(there) if there else "-") + note)

    others = [name for name in data.REPORTED if name != "digits"]
    plain, reference = of(OURS, PLAIN, others), of(OURS, REFERENCE, data.REPORTED)
    small = of("netwright-50k", "P0-50k", cells.ON_TWO)

    def mean(found: list[Difference]) -> float:
        return fmean(each.mean for each in found)

    def least(found: list[Difference]) -> float:
        return min(each.mean for each in found)

    def lowest(found: list[Difference]) -> float | None:
        return min((each.low for each in found if each.low is not None), default=None)

    def above(found: list[Difference], bound: float) -> bool | None:
        lows = [each.low for each in found]
        return None if None in lows else all(low is not None and low > bound for low in lows)

    def points(value: float | None) -> str:
        return "-" if value is None else f"{value:+.2f} points"

    own = [line for cell, line in lines.items() if cell.column == OURS]
    longest = max((line.wall / line.seconds for line in own), default=None)
    complete = len(own) == seeds * len(data.REPORTED)
    ended = [cell for cell in overran if cell.column == OURS]
    is_late = bool(ended) or (longest is not None and longest > MOST)
    told = [] if longest is None else [f"longest {longest:.3f} times"]
    told += [f"ended as they took far too long: {', '.join(cell.name for cell in ended)}"] if ended else []
    return [
        judged(
            "Mean over the data sets but digits at least 1.5 points above P0",
            *(plain, others, lambda found: mean(found) >= 1.5, lambda found: points(mean(found))),
        ),
        judged(
            "On none of them more than 1 point below P0",
            *(plain, others, lambda found: least(found) >= -1, lambda found: f"least {points(least(found))}"),
        ),
        judged(
            "On digits at least equal to P0",
            *(of(OURS, PLAIN, ["digits"]), ["digits"]),
            *(lambda found: mean(found) >= -1e-9, lambda found: points(mean(found))),
        ),
        judged(
            "Lower end of the paired interval to P1 above -1 point on every data set",
            *(reference, data.REPORTED, lambda found: above(found, -1)),
            lambda found: f"lowest end {points(lowest(found))}",
        ),
        judged(
            "Mean over the data sets above P1",
            *(reference, data.REPORTED, lambda found: mean(found) > 0, lambda found: points(mean(found))),
        ),
        judged(
            "Within 50,000 parameters at least 2 points above P0 on both data sets",
            *(small, cells.ON_TWO, lambda found: least(found) >= 2),
            lambda found: ", ".join(points(each.mean) for each in found),
        ),
        Criterion(
            "Every search ends within 10 % of its time",
            False if is_late else True if complete else None,
            "; ".join(told) or "-",
        ),
    ]


def markdown(
    lines: Lines, columns: Mapping[str, Column], targets: Targets, seeds: int, overran: Sequence[Cell] = ()
) -> str:
    """All of it, to be read and to be pasted."""
    return "\n\n".join(
        part
        for part in (
            _main(lines, targets),
            _small(lines, targets),
            _ablations(lines, columns, targets),
            _alike(lines, columns),
            _criteria(criteria(lines, targets, seeds, overran)),
            _notes(lines),
        )
        if part
    )


def rows(
    lines: Lines, columns: Mapping[str, Column], targets: Targets
) -> list[tuple[str, int, float, float, float, str, str]]:
    """Values of `results.Row`: test accuracy in % for each data set and column, with the difference to P0 beside it."""
    found = []
    for key in columns:
        for name in data.REPORTED:
            values = _values(lines, name, key)
            if values:
                base = {"netwright-50k": "P0-50k"}.get(key, PLAIN)
                to = difference(lines, name, key, base, targets.get(name)) if key != base else None
                unit = "% balanced accuracy" if data.SETS[name].metric == "balanced" else "% accuracy"
                ratio = f"{to} points to {base}" if to else ""
                found.append((f"{key}; {name}", len(values), median(values), min(values), max(values), unit, ratio))
    return found


def _values(lines: Lines, name: str, column: str) -> list[float]:
    """Percentages of a data set and column, by seed."""
    ours = sorted(cell for cell in lines if cell.data == name and cell.column == column)
    return [100 * value for cell in ours if (value := lines[cell].value) is not None]


def _mean(lines: Lines, name: str, column: str) -> str:
    values = _values(lines, name, column)
    spread = f" ± {stdev(values):.2f}" if len(values) > 1 else ""
    return f"{fmean(values):.2f}{spread} ({len(values)})" if values else "-"


def _main(lines: Lines, targets: Targets) -> str:
    head = ("data set", PLAIN, REFERENCE, OURS, f"{OURS} - {PLAIN}", f"{OURS} - {REFERENCE}", f"{REFERENCE} - {PLAIN}")
    body = []
    for name in data.REPORTED:
        pairs = ((OURS, PLAIN), (OURS, REFERENCE), (REFERENCE, PLAIN))
        differences = [difference(lines, name, ours, other, targets.get(name)) for ours, other in pairs]
        called = f"{name} (balanced)" if data.SETS[name].metric == "balanced" else name
        means = [_mean(lines, name, column) for column in (PLAIN, REFERENCE, OURS)]
        body.append((called, *means, *(str(each) if each else "-" for each in differences)))
    text = "Test accuracy in %, mean ± standard deviation (seeds); differences in points with 95 % intervals."
    return f"{text}\n\n{_grid(head, body)}"


def _small(lines: Lines, targets: Targets) -> str:
    body = []
    for name in cells.ON_TWO:
        found = difference(lines, name, "netwright-50k", "P0-50k", targets.get(name))
        if found:
            body.append((name, _mean(lines, name, "P0-50k"), _mean(lines, name, "netwright-50k"), str(found)))
    return _grid(("within 50,000 parameters", PLAIN, OURS, "difference"), body) if body else ""


def _ablations(lines: Lines, columns: Mapping[str, Column], targets: Targets) -> str:
    body = []
    for key in (key for key, column in columns.items() if column.group == 2):
        for name in columns[key].sets:
            found = difference(lines, name, key, OURS, targets.get(name))
            if found:
                body.append((key, name, _mean(lines, name, key), str(found)))
    return (
        _grid(("instead of the default", "data set", "test accuracy", "difference to the default"), body)
        if body
        else ""
    )


def _alike(lines: Lines, columns: Mapping[str, Column]) -> str:
    """What searches on several cores shipped, beside the reference that each trained for the same seconds."""
    body = []
    for key, name in ((key, name) for key, column in columns.items() if column.cores > 1 for name in column.sets):
        found = [line for cell, line in sorted(lines.items()) if (cell.column, cell.data) == (key, name)]
        pairs = [(line.value, line.facts.get("reference_test_accuracy")) for line in found]
        known = [(100 * own, 100 * other) for own, other in pairs if own is not None and other is not None]
        if known:
            shipped = sum(line.facts.get("shipped") == "searched" for line in found)
            gains = [own - other for own, other in known]
            half = _student(len(gains) - 1) * stdev(gains) / math.sqrt(len(gains)) if len(gains) > 1 else None
            gain = Difference(fmean(gains), half and fmean(gains) - half, half and fmean(gains) + half, len(gains), "")
            means = [f"{fmean(each):.2f}" for each in zip(*known, strict=True)]
            body.append((key, name, *means, str(gain), f"{shipped} of {len(found)}"))
    head = (
        "",
        "data set",
        "what shipped",
        "the reference beside it",
        "difference, over seeds",
        "searched networks shipped",
    )
    return _grid(head, body) if body else ""


def _criteria(found: Sequence[Criterion]) -> str:
    words = {True: "yes", False: "no", None: "open"}
    return _grid(("criterion", "met", "found"), [(each.text, words[each.met], each.found) for each in found])


def _notes(lines: Lines) -> str:
    own = {cell: line for cell, line in lines.items() if cell.column == OURS}
    notes = []
    if own:
        shipped = sum(line.facts.get("shipped") == "searched" for line in own.values())
        notes.append(f"In {shipped} of {len(own)} runs a searched network was shipped, else the reference.")
    inside = [
        (100 * line.value, 100 * line.facts["reference_test_accuracy"])
        for line in own.values()
        if line.value is not None and line.facts.get("reference_test_accuracy") is not None
    ]
    if inside:
        gain = fmean(ours - other for ours, other in inside)
        notes.append(f"What was shipped is {gain:+.2f} points from the reference that the same run trained beside it.")
    choices = [
        f"{cell.data} {line.facts['choice']['rate']:g} and {line.facts['choice']['width']:g}"
        for cell, line in sorted(lines.items())
        if "choice" in line.facts
    ]
    if choices:
        notes.append(f"P1 chose as factors on its rate and width: {', '.join(choices)}.")
    unknown = [cell.name for cell, line in lines.items() if line.value is not None and not line.right]
    if unknown:
        notes.append(
            f"Which test images were right is not known of {len(unknown)} cells; intervals there are over seeds."
        )
    for column in (PLAIN, REFERENCE, OURS):
        took = sorted(line.wall / line.seconds for cell, line in lines.items() if cell.column == column)
        if took:
            notes.append(f"{column} took {took[0]:.2f} to {took[-1]:.2f} times its time, {fmean(took):.2f} on average.")
    commits = sorted({line.commit for line in own.values()})
    if len(commits) > 1:
        notes.append(f"The searches are of several commits: {', '.join(commits)}.")
    return "\n".join(f"* {note}" for note in notes)


def _grid(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *body))
