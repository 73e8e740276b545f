"""What a comparison on real tasks says: rows of the final table, every pair, curves, sizes and fan-ins.

The best of any real task is not known, so there is no regret: a search is judged by the objective of its best network,
by that network's test accuracy after a full training, and by how soon it reached a fraction of the best that any of the
compared searches found.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from netwright.comparison import bootstrap, measures, strategy_refs
from netwright.comparison.bootstrap import Difference
from netwright.comparison.contests import budgets, caveats, common_front, fan_in, populations
from netwright.comparison.contests.common_front import CommonFront
from netwright.comparison.contests.contest import StrategyContest
from netwright.comparison.contests.outcome import ContestOutcome
from netwright.comparison.contests.populations import SearchPath
from netwright.comparison.courses import SearchCell
from netwright.comparison.measures import MeanOfSeeds
from netwright.core import baselines, building, objectives, refs, seeds
from netwright.core.baselines import Baseline
from netwright.core.objectives import Objective
from netwright.core.records import Trial
from netwright.core.run_file import RunFile

FRACTIONS = (0.99,)  # of the best of all, which a search is to reach
MEASURES = ("hypervolume", "best", "population", "test")


@dataclass(frozen=True)
class RecipeRow:
    """How a strategy did on a recipe; means over seeds.

    Args:
        strategy: Label of the strategy.
        trials: Number of trials of a search.
        seeds: Number of searches.
        best: Objective of the best network, as measured.
        population: Mean objective of the last P trials.
        size: P, the size of the population.
        params: Parameters of the best network.
        test: Test metric of the best network after a full training; of no seeds where none was trained.
        reached: Trials and hours of evaluation, by fraction of the best of all, over the searches that reached it.
        fan_in: Mean fan-in of the last P networks.
        deviations: Standard deviations of random networks by which that is above their mean; NaN: it does not vary.
        hours: Mean hours of evaluation of a search.
        repeated: Share of trials that measured a network again.
        warnings: Sentences to stand beside the row.
        hypervolume: Where there are several objectives, the share of the hypervolume of the front of all searches; of
            no seeds where there is one.
    """

    strategy: str
    trials: int
    seeds: int
    best: MeanOfSeeds
    population: MeanOfSeeds
    size: int
    params: MeanOfSeeds
    test: MeanOfSeeds
    reached: Mapping[float, tuple[MeanOfSeeds, MeanOfSeeds]]
    fan_in: MeanOfSeeds
    deviations: float
    hours: float
    repeated: float
    warnings: tuple[str, ...] = ()
    hypervolume: MeanOfSeeds = MeanOfSeeds(math.nan, math.nan, 0)


@dataclass(frozen=True)
class RecipePair:
    """`strategy` less `other` over common seeds, by one of MEASURES, as measured."""

    strategy: str
    other: str
    measure: str
    difference: Difference


@dataclass(frozen=True)
class FanIn:
    """Networks of one fan-in `edges`, a mean over graphs, and the mean objective of their trials, as measured."""

    edges: float
    score: MeanOfSeeds


@dataclass(frozen=True, eq=False)
class RecipeStanding:
    """What the searches on one recipe say.

    Args:
        name: Name of the recipe.
        run: The run file.
        objective: Name of the first objective, without the minus.
        sign: 1 where a higher objective is better, else -1.
        best: The best objective of all searches, as measured; NaN: nothing succeeded.
        rows: A row for each strategy.
        pairs: Differences between every two strategies.
        paths: Searches, by label of strategy.
        tests: Full trainings of best networks, by label of strategy: (parameters, test metric).
        random_fan_in: Mean and standard deviation of the fan-in of random networks; None: it does not vary.
        fan_ins: Measured networks by their fan-in, rising.
        test_metric: What full trainings measured; "": there are none.
        remarks: Sentences on the recipe.
        beside: What stands beside the best of all: which way is better, and what it is to be compared with.
        has_budgets: Whether some trials cost less than others because a strategy asked for it.
        front: The front of all searches, where there are several objectives; None: there is one.
    """

    name: str
    run: RunFile
    objective: str
    sign: int
    best: float
    rows: tuple[RecipeRow, ...]
    pairs: tuple[RecipePair, ...]
    paths: Mapping[str, Sequence[SearchPath]]
    tests: Mapping[str, Sequence[tuple[int, float]]]
    random_fan_in: tuple[float, float] | None
    fan_ins: tuple[FanIn, ...]
    test_metric: str = ""
    remarks: tuple[str, ...] = ()
    beside: str = ""
    has_budgets: bool = False
    front: CommonFront | None = None


@dataclass(frozen=True)
class Standings:
    """What a contest says of every recipe; `failed` are searches and full trainings: (strategy, recipe, seed, why)."""

    recipes: tuple[RecipeStanding, ...]
    failed: tuple[tuple[str, str, int, str], ...]
    fractions: tuple[float, ...]


def summarize(
    contest: StrategyContest,
    outcome: ContestOutcome,
    rng: np.random.Generator,
    fractions: tuple[float, ...] = FRACTIONS,
) -> Standings:
    """All standings of an outcome; `rng` draws the bootstrap, for each recipe as if there were no other."""
    listed = [*outcome.faults.items(), *outcome.untrained.items()]
    faults = sorted(listed, key=lambda item: (item[0].problem, item[0].strategy, item[0].seed))
    failed = tuple((cell.strategy, cell.problem, cell.seed, why) for cell, why in faults)
    return Standings(
        tuple(_standing(contest, name, outcome, copy.deepcopy(rng), fractions) for name in contest.recipes),
        failed,
        fractions,
    )


def _standing(
    contest: StrategyContest, name: str, outcome: ContestOutcome, rng: np.random.Generator, fractions: tuple[float, ...]
) -> RecipeStanding:
    run = contest.recipes[name]
    space = building.build_space(run, refs.load("task", run.task))
    random = fan_in.random(space, seeds.rng_for(0, seeds.ASK))
    graphs = tuple(random)
    spread = fan_in.mean(random, graphs, fan_in.SAMPLES)
    strategies = {strategy_refs.label(reference): reference for reference in contest.strategies}
    sizes = populations.sizes(strategies)
    paths: dict[str, dict[int, SearchPath]] = {}
    searches: dict[str, dict[SearchCell, Sequence[Trial]]] = {}
    for label in strategies:
        cells = [SearchCell(label, name, seed) for seed in contest.seeds]
        searches[label] = {cell: outcome.trials[cell] for cell in cells if cell in outcome.trials}
        budget = budgets.judged(searches[label].values())
        paths[label] = {
            cell.seed: populations.path(budgets.only(trials, budget), sizes[label], space, graphs)
            for cell, trials in searches[label].items()
        }
    goals = objectives.shown(run.objectives, building.measures_of(run))
    in_rounds = budgets.are_rounds(trial for own in searches.values() for trials in own.values() for trial in trials)
    # of scores in rounds, which do not compare from search to search, there is no common front
    front = None if in_rounds else common_front.common_front(paths, goals, run.reference_point)
    paths = common_front.judged(paths, front)
    found = [path.best[-1] for listed in paths.values() for path in listed.values() if path.incumbent >= 0]
    top = max(found, default=np.nan)
    known = outcome.baselines.get(name, ())
    objective, sign = goals[0], goals[0].sign
    tests = {label: _tests(contest, outcome, label, name) for label in strategies}
    finals = [final for cell, final in outcome.finals.items() if cell.problem == name]
    random_fan_in = (float(spread.mean()), float(spread.std(ddof=1))) if graphs else None
    rows, ends = [], {}
    for label in strategies:
        listed = list(paths[label].values())
        bounds = {fraction: np.nan if in_rounds else populations.bound(top, fraction) for fraction in fractions}
        ends["best", label] = _by_seed(contest, {s: sign * p.best[-1] for s, p in paths[label].items() if len(p.best)})
        ends["population", label] = _by_seed(
            contest, {s: sign * p.population[-1] for s, p in paths[label].items() if len(p.best)}
        )
        ends["test", label] = _by_seed(contest, {seed: value for seed, (_, value) in tests[label].items()})
        covered = {s: p.covered[-1] for s, p in paths[label].items() if len(p.covered)}
        ends["hypervolume", label] = _by_seed(contest, covered)
        lasts = [p.fan_in[-sizes[label] :] for p in listed]
        edges = np.array([np.nanmean(last) for last in lasts if not np.isnan(last).all()])
        repeats = np.concatenate([p.is_repeat for p in listed] or [np.zeros(0)])
        rows.append(
            RecipeRow(
                strategy=label,
                trials=run.limits.trials or 0,
                seeds=len(listed),
                best=measures.mean(ends["best", label]),
                population=measures.mean(ends["population", label]),
                size=sizes[label],
                params=measures.mean(np.array([p.params[p.incumbent] for p in listed if p.incumbent >= 0])),
                test=measures.mean(ends["test", label]),
                reached={fraction: _reached(listed, score) for fraction, score in bounds.items()},
                fan_in=measures.mean(edges),
                deviations=float((edges.mean() - random_fan_in[0]) / random_fan_in[1])
                if random_fan_in and len(edges)
                else np.nan,
                hours=float(np.mean([p.hours[-1] for p in listed if len(p.hours)])) if len(repeats) else np.nan,
                repeated=float(np.mean(repeats)) if len(repeats) else np.nan,
                warnings=(
                    *contest.warnings.get((label, name), ()),
                    *caveats.of_row(contest, outcome, searches[label], listed),
                    *_no_better(objective, listed, known),
                ),
                hypervolume=measures.mean(ends["hypervolume", label]),
            )
        )
    return RecipeStanding(
        name=name,
        run=run,
        objective=objective.name,
        sign=sign,
        best=sign * top,
        rows=tuple(rows),
        pairs=tuple(_pairs(tuple(strategies), ends, rng, ("test",) if in_rounds else MEASURES)),
        paths={label: list(listed.values()) for label, listed in paths.items()},
        tests={label: list(listed.values()) for label, listed in tests.items()},
        random_fan_in=random_fan_in,
        fan_ins=_by_fan_in([path for listed in paths.values() for path in listed.values()], sign) if graphs else (),
        test_metric=finals[0].metric if finals else "",
        remarks=contest.remarks.get(name, ()),
        beside=baselines.beside(objective, sign * top, known) if found else "",
        has_budgets=any(budgets.sentence(list(found.values())) for found in searches.values()),
        front=front,
    )


def _no_better(objective: Objective, listed: Sequence[SearchPath], known: Sequence[Baseline]) -> list[str]:
    """A sentence where the best of some searches is no better than a constant answer."""
    best = [objective.measured(path.best[-1]) for path in listed if path.incumbent >= 0]
    fails = [text for value in best if (text := baselines.failing(objective, value, known))]
    return [f"the best of {len(fails):,} of {len(listed):,} searches is {fails[0]}"] if fails else []


def _tests(contest: StrategyContest, outcome: ContestOutcome, label: str, name: str) -> dict[int, tuple[int, float]]:
    """Parameters and mean test metric of the full trainings of a strategy, by seed."""
    cells = [SearchCell(label, name, seed) for seed in contest.seeds]
    return {
        cell.seed: (outcome.finals[cell].params, outcome.finals[cell].mean) for cell in cells if cell in outcome.finals
    }


def _by_seed(contest: StrategyContest, values: Mapping[int, float]) -> np.ndarray:
    return np.array([values.get(seed, np.nan) for seed in contest.seeds], np.float64)


def _reached(listed: Sequence[SearchPath], score: float) -> tuple[MeanOfSeeds, MeanOfSeeds]:
    times = np.array([populations.reached(path, score) for path in listed]).reshape(-1, 2)
    return measures.mean(times[:, 0]), measures.mean(times[:, 1])


def _pairs(
    labels: Sequence[str],
    ends: Mapping[tuple[str, str], np.ndarray],
    rng: np.random.Generator,
    compared: Sequence[str] = MEASURES,
) -> list[RecipePair]:
    named = [
        (measure, a, b)
        for measure in compared
        if any(not np.isnan(ends[measure, label]).all() for label in labels)
        for a, b in combinations(labels, 2)
    ]
    if not named:
        return []
    found = bootstrap.paired(np.array([ends[m, a] - ends[m, b] for m, a, b in named]).T, rng)
    return [RecipePair(a, b, m, difference) for (m, a, b), difference in zip(named, found, strict=True)]


def _by_fan_in(paths: Sequence[SearchPath], sign: int) -> tuple[FanIn, ...]:
    edges = np.concatenate([path.fan_in for path in paths] or [np.zeros(0)])
    scores = np.concatenate([path.scores for path in paths] or [np.zeros(0)])
    known = ~np.isnan(edges) & ~np.isnan(scores)
    edges, scores = np.round(edges[known], 9), sign * scores[known]  # means of thirds differ in their last digits
    return tuple(FanIn(float(each), measures.mean(scores[edges == each])) for each in np.unique(edges))
