"""What a comparison on tables says: a row for each strategy, problem and horizon, every pair, and curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np

from netwright.comparison import bootstrap, measures
from netwright.comparison.bootstrap import Difference
from netwright.comparison.courses import Course, SearchCell
from netwright.comparison.measures import WITHIN, MeanOfSeeds
from netwright.comparison.tables import caveats
from netwright.comparison.tables.comparison import Comparison, ComparisonOutcome
from netwright.comparison.tables.problems import Problem

GRID = 300  # points of a curve over seconds

End = tuple[str, str, int | None]  # measure, strategy, horizon


@dataclass(frozen=True)
class ProblemRow:
    """How a strategy did on a problem.

    Args:
        strategy: Label of the strategy.
        problem: The problem that was searched.
        trials: Number of trials after which searches are judged; None: the limit of seconds ends them.
        table_seconds: Cost of evaluations at which searches end if that comes first; None: there is no such limit.
        seeds: Number of searches.
        final: Final measure of the incumbent, as it stands in the table.
        regret: Regret of the incumbent.
        found_best: Share of the searches that found the best; NaN where no trial of any succeeded.
        within: Trials until a search came so near to the best, by percent, over the searches that did.
        made: Mean number of trials of a search.
        repeated: Share of the trials that measured a network again.
        microseconds: Wall-clock time per trial up to there, everything included.
        warnings: Sentences to stand beside the row.
        hypervolume: Where there are several objectives, the share of the exact front's hypervolume; None: there is one.
    """

    strategy: str
    problem: Problem
    trials: int | None
    table_seconds: float | None
    seeds: int
    final: MeanOfSeeds
    regret: MeanOfSeeds
    found_best: float
    within: Mapping[float, MeanOfSeeds]
    made: float
    repeated: float
    microseconds: float
    warnings: tuple[str, ...] = ()
    hypervolume: MeanOfSeeds | None = None


@dataclass(frozen=True)
class ProblemPair:
    """`strategy` less `other` over common seeds: regret, final measure of their incumbents, or hypervolume."""

    strategy: str
    other: str
    problem: Problem
    trials: int | None
    table_seconds: float | None
    measure: str
    difference: Difference


@dataclass(frozen=True, eq=False)
class Curve:
    """Means over seeds and their standard errors after `x` trials, or, where `is_seconds`, seconds of evaluation.

    Hypervolumes are shares of the exact front's, NaN where there is one objective. `seeds` is the number of searches
    that the means are over.
    """

    strategy: str
    problem: Problem
    x: np.ndarray
    regret: np.ndarray
    regret_error: np.ndarray
    final: np.ndarray
    final_error: np.ndarray
    hypervolume: np.ndarray
    hypervolume_error: np.ndarray
    seeds: int
    is_seconds: bool = False


@dataclass(frozen=True)
class Results:
    """All results of a comparison on tables; `failed` are (strategy, problem, seed, why)."""

    rows: tuple[ProblemRow, ...]
    pairs: tuple[ProblemPair, ...]
    curves: tuple[Curve, ...]
    failed: tuple[tuple[str, str, int, str], ...]
    remarks: Mapping[str, tuple[str, ...]]


def summarize(comparison: Comparison, outcome: ComparisonOutcome, rng: np.random.Generator) -> Results:
    """Rows, pairs and curves; `rng` draws the bootstrap. Problems, horizons and strategies are in the plan's order."""
    asked = comparison.plan
    horizons = asked.horizons or (None,)
    rows: list[ProblemRow] = []
    pairs: list[ProblemPair] = []
    curves: list[Curve] = []
    for problem in comparison.problems:
        of_problem: list[ProblemRow] = []
        ends: dict[End, np.ndarray] = {}
        for strategy in comparison.strategies:
            cells = [SearchCell(strategy, problem.name, seed) for seed in asked.seeds]
            found = [outcome.courses[cell] for cell in cells if cell in outcome.courses]
            has_course = [cell in outcome.courses for cell in cells]
            paths = _paths(found, problem)
            curves.append(_curve(strategy, problem, paths, found, asked.table_seconds))
            for horizon in horizons:
                of_problem.append(_row(comparison, strategy, problem, horizon, paths, found))
                for measure in _measures(problem):
                    values = np.full(len(cells), np.nan)
                    values[has_course] = _at(getattr(paths, measure), horizon)
                    ends[measure, strategy, horizon] = values
        rows += sorted(of_problem, key=lambda row: horizons.index(row.trials))
        pairs += _pairs(comparison, problem, horizons, ends, rng)
    faults = sorted(outcome.faults.items(), key=lambda item: (item[0].problem, item[0].strategy, item[0].seed))
    failed = tuple((cell.strategy, cell.problem, cell.seed, why) for cell, why in faults)
    remarks = {problem.name: comparison.remarks(problem) for problem in comparison.problems}
    return Results(tuple(rows), tuple(pairs), tuple(curves), failed, remarks)


class _Paths(NamedTuple):
    """Paths of all searches of a strategy on a problem, each of shape (searches, trials), at least one trial."""

    regret: np.ndarray
    final: np.ndarray
    hypervolume: np.ndarray


def _measures(problem: Problem) -> tuple[str, ...]:
    """What strategies are compared by, each a field of `_Paths`, the most telling first."""
    return ("hypervolume", "regret", "final") if problem.front else ("regret", "final")


def _paths(found: Sequence[Course], problem: Problem) -> _Paths:
    length = max([1, *map(len, found)])
    regret, final = np.zeros((len(found), length)), np.zeros((len(found), length))
    hypervolume = np.full((len(found), length), np.nan)
    for place, course in enumerate(found):
        regret[place] = measures.regret_path(course, problem.sign, problem.best, length)
        final[place] = measures.final_path(course, problem.sign, length)
        if problem.front and len(course):
            shares = problem.front.shares(measures.points(course))
            hypervolume[place] = shares[np.minimum(np.arange(length), len(course) - 1)]
    return _Paths(regret, final, hypervolume)


def _at(path: np.ndarray, horizon: int | None) -> np.ndarray:
    """Values of a path after `horizon` trials, or at its end, shape (searches,)."""
    return path[:, min(horizon or path.shape[1], path.shape[1]) - 1]


def _row(
    comparison: Comparison,
    strategy: str,
    problem: Problem,
    horizon: int | None,
    paths: _Paths,
    found: Sequence[Course],
) -> ProblemRow:
    regrets, finals = _at(paths.regret, horizon), _at(paths.final, horizon)
    made = [min(len(course), horizon or len(course)) for course in found]
    upto = paths.regret[:, :horizon]
    within = {
        percent: measures.mean(measures.first_within(upto, percent / 100 * abs(problem.best))) for percent in WITHIN
    }
    repeated = sum(int(course.is_repeat[:count].sum()) for course, count in zip(found, made, strict=True))
    return ProblemRow(
        strategy=strategy,
        problem=problem,
        trials=horizon,
        table_seconds=comparison.plan.table_seconds,
        seeds=len(found),
        final=measures.mean(finals),
        regret=measures.mean(regrets),
        found_best=math.nan if np.isnan(regrets).all() else float((regrets == 0).mean()),
        within=within,
        made=sum(made) / len(found) if found else math.nan,
        repeated=repeated / sum(made) if sum(made) else math.nan,
        microseconds=_microseconds(found, made),
        warnings=caveats.of_row(comparison, strategy, horizon, found, made, regrets, finals),
        hypervolume=measures.mean(_at(paths.hypervolume, horizon)) if problem.front else None,
    )


def _microseconds(found: Sequence[Course], made: Sequence[int]) -> float:
    """Mean wall-clock microseconds per trial over the searches; NaN where none made any trial."""
    each = [course.elapsed[count - 1] / count for course, count in zip(found, made, strict=True) if count]
    return float(np.mean(each)) if each else math.nan


def _curve(
    strategy: str, problem: Problem, paths: _Paths, found: Sequence[Course], table_seconds: float | None
) -> Curve:
    x = np.arange(1.0, paths.regret.shape[1] + 1)
    if table_seconds is not None:
        x = np.linspace(table_seconds / GRID, table_seconds, GRID)
        paths = _Paths(*(_over_seconds(each, found, x) for each in paths))
    succeeded = (~np.isnan(paths.regret)).sum(axis=0)
    begun = succeeded == succeeded.max()  # before that, it would be the mean of the quickest searches alone
    regret, regret_error, final, final_error, covered, covered_error = (
        np.where(begun, each, np.nan) for path in paths for each in measures.mean_path(path)
    )
    means = (regret, regret_error, final, final_error, covered, covered_error)
    return Curve(strategy, problem, x, *means, int(succeeded.max()), is_seconds=table_seconds is not None)


def _over_seconds(paths: np.ndarray, found: Sequence[Course], grid: np.ndarray) -> np.ndarray:
    shown = np.zeros((len(found), len(grid)))
    for place, course in enumerate(found):
        shown[place] = measures.at_costs(paths[place], course.costs, grid)
    return shown


def _pairs(
    comparison: Comparison,
    problem: Problem,
    horizons: Sequence[int | None],
    ends: Mapping[End, np.ndarray],
    rng: np.random.Generator,
) -> list[ProblemPair]:
    named = [
        (strategy, other, measure, horizon)
        for horizon in horizons
        for measure in _measures(problem)
        for strategy, other in combinations(comparison.strategies, 2)
    ]
    if not named:
        return []
    columns = [ends[measure, a, horizon] - ends[measure, b, horizon] for a, b, measure, horizon in named]
    found = bootstrap.paired(np.array(columns).T, rng)
    return [
        ProblemPair(strategy, other, problem, horizon, comparison.plan.table_seconds, measure, difference)
        for (strategy, other, measure, horizon), difference in zip(named, found, strict=True)
    ]
