"""A comparison on real tasks: every cell is a run in a folder of its own, which the other commands read like any run.

A cell's search has one worker on one thread, so that it repeats bit by bit; cells are played side by side. What was
played is known from the runs' tables: the same command goes on in each of them, and more trials or more seeds only
add to them. `recipe.toml` and `data.txt` beside the runs help to decide whether it may go on (`cell_runs.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from netwright.comparison import caveats, strategy_refs
from netwright.comparison.contests import budgets, cell_runs
from netwright.comparison.contests.recipes import naming
from netwright.comparison.courses import SearchCell
from netwright.core import building
from netwright.core.building import Parts
from netwright.core.errors import BadReference, MissingCapability
from netwright.core.protocols import Evaluator, NamesBudgets, PlaysRounds, Strategy, of_any_seed
from netwright.core.records import Counts, Genotype
from netwright.core.refs import Reference
from netwright.core.run_file import RunFile
from netwright.runs import beforehand, retraining


@dataclass(frozen=True)
class StrategyContest:
    """Every strategy on every recipe from every seed, with the same number of trials.

    Args:
        strategies: At least one strategy, each once.
        recipes: Run files by name; their `strategy` is for `recipes.standard_strategies` alone, their `seed` unused.
        seeds: At least one seed, each once.
        is_full: Train the best network of each search in full and test it.
        warnings: Sentences by label of strategy and name of recipe, to be read before and beside the results.
        remarks: Sentences by name of recipe.
        sources: Digest of the program of each strategy, by label.
    """

    strategies: tuple[Reference, ...]
    recipes: Mapping[str, RunFile]
    seeds: tuple[int, ...]
    is_full: bool = False
    warnings: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    remarks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def cells(self) -> list[SearchCell]:
        """All cells to play, seed by seed, so that a contest that is stopped early has some of everything."""
        labels = [strategy_refs.label(strategy) for strategy in self.strategies]
        return [SearchCell(label, name, seed) for seed in self.seeds for name in self.recipes for label in labels]

    def run_of(self, cell: SearchCell) -> RunFile:
        """The run file of a cell."""
        strategy = next(each for each in self.strategies if strategy_refs.label(each) == cell.strategy)
        return replace(self.recipes[cell.problem], strategy=strategy, seed=cell.seed)

    def folder_of(self, out: Path, cell: SearchCell) -> Path:
        """Where a cell is played: `runs/<recipe>/<strategy>-<seed>`."""
        return out / cell_runs.RUNS / cell.problem / f"{cell_runs.folder_name(cell.strategy)}-{cell.seed}"


def prepare(contest: StrategyContest) -> StrategyContest:
    """Makes every part of every recipe, and each strategy for each; returns the contest with its warnings and remarks.

    A few networks of each recipe are counted, so that a skeleton or a limit that fits none is refused here.

    Raises:
        NetwrightError: A part or one of its options is refused; nothing was written.
    """
    labels = [strategy_refs.label(strategy) for strategy in contest.strategies]
    for label in labels:
        if labels.count(label) > 1:
            raise BadReference(f"strategy {label} is given twice; give it once")
    warnings: dict[tuple[str, str], tuple[str, ...]] = {}
    remarks, recipes = {}, {}
    for name, run in contest.recipes.items():
        with naming(name, len(contest.recipes) > 1):
            made: dict[str, Strategy] = {}
            for label, reference in zip(labels, contest.strategies, strict=True):
                parts = building.build(replace(run, strategy=reference))
                made[label] = parts.strategy
                beforehand.check(parts.evaluator, beforehand.samples(parts.space, 0), parts.strategy)
            if (
                isinstance(parts.evaluator, PlaysRounds)
                and not contest.is_full
                and len(labels) * len(contest.seeds) > 1
            ):
                raise BadReference(
                    f"the evaluator {run.evaluator.name} scores networks by what the trials of their own search share, "
                    "so that scores of several searches do not compare; give --full, and the best of each is trained "
                    "alone, or an evaluator that trains each network by itself"
                )
            warnings |= _warnings(contest, name, made, parts.evaluator)
            with suppress(MissingCapability):  # a space without counts
                beforehand.of_those_that_fit(beforehand.samples(parts.space, 0), partial(_count, parts))
            if contest.is_full:
                retraining.check(run, {})
        recipes[name] = building.resolved(run, parts.measures, parts.evaluator)
        listed = recipes[name].objectives or ()
        remarks[name] = (f"its searches are judged by hypervolume: {', '.join(listed)}",) if len(listed) > 1 else ()
    sources = {label: strategy_refs.source_of(each) for label, each in zip(labels, contest.strategies, strict=True)}
    return replace(contest, recipes=recipes, warnings=warnings, remarks=remarks, sources=sources)


def _count(parts: Parts, genotype: Genotype) -> Counts:
    return of_any_seed(parts.space, lambda space: space.count(genotype, parts.task.io))


def _warnings(
    contest: StrategyContest, recipe: str, strategies: Mapping[str, Strategy], evaluator: Evaluator
) -> dict[tuple[str, str], tuple[str, ...]]:
    """Sentences on the strategies of a recipe, to be read before they search; `strategies` by label."""
    limit = contest.recipes[recipe].limits.trials or 0
    largest = {
        label: each.largest_budget if isinstance(each, NamesBudgets) else None for label, each in strategies.items()
    }
    apart = budgets.apart(largest, evaluator)
    found = {}
    for reference in contest.strategies:
        label = strategy_refs.label(reference)
        starts = strategy_refs.random_starts(reference, strategies[label])
        more = (beforehand.promotions(evaluator, strategies[label]), apart.get(label, ""))
        found[label, recipe] = (*caveats.long_starts(starts, limit), *(text for text in more if text))
    return found
