"""What one search saw, trial by trial, however it was obtained; and the same as a line of JSON.

A comparison is made of cells: a strategy, a problem and a seed. The problem is a table of results or a recipe, whose
networks are trained; both kinds of search have the same course.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

TEXT = r'("(?:[^"\\]|\\.)*")'  # of JSON
BEGINNING = re.compile(rf'\{{"strategy": {TEXT}, "problem": {TEXT}, "seed": (\d+),')


@dataclass(frozen=True, slots=True)
class SearchCell:
    """One search of a comparison: `strategy` is its label, `problem` the name of a table or recipe."""

    strategy: str
    problem: str
    seed: int


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """One search from its first trial to its end, in order of finishing.

    Args:
        signals: What the search saw, as measured, shape (trials,), float64; NaN where a trial failed or was measured at
            another budget than the one that is compared.
        finals: What is reported of each network, as measured, shape (trials,); NaN where not known.
        is_repeat: Whether the network was measured before in this search, shape (trials,).
        ending: Why the search ended, as `Search.run` says.
        elapsed: Wall-clock microseconds from the search's beginning to each trial, shape (trials,), int64.
        costs: Seconds that each evaluation cost, shape (trials,), or (0,) where costs are not known.
        values: True signals where the search saw single, noisy measurements of them, shape (trials,); (0,): the same.
        is_failed: Whether the trial failed, shape (trials,), or (0,) where none did.
        message: What the first failed trial said, in one line.
        source: Digest of the program of the strategy that searched; "": not known.
        others: What each network measured of further objectives, shape (trials, M - 1); (0, 0): there are none.
    """

    signals: np.ndarray
    finals: np.ndarray
    is_repeat: np.ndarray
    ending: str
    elapsed: np.ndarray
    costs: np.ndarray = field(default_factory=lambda: np.zeros(0))
    values: np.ndarray = field(default_factory=lambda: np.zeros(0))
    is_failed: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    message: str = ""
    source: str = ""
    others: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))

    def __len__(self) -> int:
        """Number of trials."""
        return len(self.signals)


def length_within(course: Course, trials: int | None, table_seconds: float | None) -> int | None:
    """Number of trials after which a search with these limits ends; None: the course is too short to tell."""
    lengths = []
    if trials is not None and len(course) >= trials:
        lengths.append(trials)
    if table_seconds is not None:
        paid = np.flatnonzero(np.cumsum(course.costs) >= table_seconds)
        lengths += [int(paid[0]) + 1] if len(paid) else []
    if lengths:
        return min(lengths)
    return len(course) if course.ending == "exhausted" else None


def cut(course: Course, trials: int | None, table_seconds: float | None) -> Course | None:
    """The course as a search with these limits would have it; None where it is too short."""
    length = length_within(course, trials, table_seconds)
    if length is None or length == len(course):
        return course if length is not None else None
    return replace(
        course,
        signals=course.signals[:length],
        finals=course.finals[:length],
        is_repeat=course.is_repeat[:length],
        is_failed=course.is_failed[:length],
        elapsed=course.elapsed[:length],
        ending="trials" if length == trials else "table_seconds",
        costs=course.costs[:length],
        values=course.values[:length],
        others=course.others[:length],
    )


def to_line(cell: SearchCell, course: Course) -> str:
    """One line of JSON without a line end; numbers that are missing are null."""
    found = {
        "strategy": cell.strategy,
        "problem": cell.problem,
        "seed": cell.seed,
        "signals": _listed(course.signals),
        "finals": _listed(course.finals),
        "ending": course.ending,
        "microseconds": np.diff(course.elapsed, prepend=0).tolist(),  # of each trial: shorter than their sums
    }
    more = {
        "repeats": np.flatnonzero(course.is_repeat).tolist(),
        "costs": _listed(course.costs),
        "values": _listed(course.values),
        "failed": np.flatnonzero(course.is_failed).tolist(),
        "message": course.message,
        "source": course.source,
        "others": [_listed(column) for column in course.others.T],
    }
    return json.dumps(found | {name: value for name, value in more.items() if value}, allow_nan=False)


def from_line(line: str) -> tuple[SearchCell, Course]:
    """Reads what `to_line` wrote. Raises ValueError for anything else."""
    try:
        found = json.loads(line)
        signals = _array(found["signals"])
        course = Course(
            signals,
            _array(found["finals"]),
            _marked(found.get("repeats", []), len(signals)),
            str(found["ending"]),
            np.cumsum(np.array(found["microseconds"], np.int64)),
            _array(found.get("costs", [])),
            _array(found.get("values", [])),
            _marked(found.get("failed", []), len(signals)),
            str(found.get("message", "")),
            str(found.get("source", "")),
            _columns(found.get("others", []), len(signals)),
        )
        lengths = {len(course.finals), len(course.elapsed)}
        lengths |= {len(column) or len(course) for column in (course.costs, course.values)}
        if lengths != {len(course)}:
            raise ValueError(f"its columns have {len(course)} and {max(lengths)} trials")
        return SearchCell(str(found["strategy"]), str(found["problem"]), int(found["seed"])), course
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"it is no cell of a comparison: {error!r}") from None


def cell_of(line: str) -> SearchCell | None:
    """The cell that a damaged line belongs to; None: its beginning is damaged too."""
    found = BEGINNING.match(line)
    try:
        return SearchCell(json.loads(found[1]), json.loads(found[2]), int(found[3])) if found else None
    except ValueError:
        return None


def _listed(values: np.ndarray) -> list[float | None]:
    return [None if value != value else value for value in values.tolist()]


def _marked(places: Any, length: int) -> np.ndarray:
    marked = np.zeros(length, bool)
    marked[places] = True
    return marked


def _columns(listed: Any, length: int) -> np.ndarray:
    columns = [_array(values) for values in listed]
    if any(len(column) != length for column in columns):
        raise ValueError("its columns of objectives have other lengths")
    return np.column_stack(columns) if columns else np.zeros((0, 0))


def _array(values: Any) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], np.float64)
