"""A comparison on real tasks: every cell is a run in a folder of its own, which the other commands read like any run.

A cell's search has one worker on one thread, so that it repeats bit by bit; cells are played side by side. What was
played is known from the runs' tables: the same command goes on in each of them, and more trials or more seeds only
add to them. Whether it may go on, `recipe.toml` and `data.txt` beside the runs decide as well (`runs.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from netwright.comparison import budgets, caveats, compare, plan, pool, runs, tabular
from netwright.comparison.courses import Cell
from netwright.comparison.pool import TrainedOrder
from netwright.comparison.runs import Found, FullTraining
from netwright.core import refs, run_file
from netwright.core.errors import BadReference, BadRunFile, MissingCapability, NetwrightError
from netwright.core.finals import Final
from netwright.core.protocols import Evaluator, NamesBudgets, Prepares, Strategy, of_any_seed
from netwright.core.records import Counts, Genotype, Trial
from netwright.core.refs import Reference
from netwright.core.run_file import Limits, Parts, RunFile
from netwright.runs import beforehand, trainings

PLAYER = "netwright.comparison.cell_player"
STANDARD = ("random", "aging", "non_aging", "reinforce")  # compared when none are given
REPLACED = "aging"  # by the strategies that the recipes name, if any


@dataclass(frozen=True)
class Contest:
    """Every strategy on every recipe from every seed, with the same number of trials.

    Args:
        strategies: At least one, each once.
        recipes: Run files by name; `strategy` and `seed` of them are not used here (but see `standard`).
        seeds: At least one, each once.
        is_full: Train the best network of each search in full and test it.
        warnings: Sentences by label of strategy and recipe: what the contest makes of it.
        remarks: Sentences by recipe.
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
    def cells(self) -> list[Cell]:
        """All there are to play, seed by seed, so that what is stopped early has some of everything."""
        labels = [plan.label(strategy) for strategy in self.strategies]
        return [Cell(label, name, seed) for seed in self.seeds for name in self.recipes for label in labels]

    def run_of(self, cell: Cell) -> RunFile:
        """The run file of a cell."""
        strategy = next(each for each in self.strategies if plan.label(each) == cell.strategy)
        return replace(self.recipes[cell.problem], strategy=strategy, seed=cell.seed)

    def folder_of(self, out: Path, cell: Cell) -> Path:
        """Where a cell is played: `runs/<recipe>/<strategy>-<seed>`."""
        return out / runs.RUNS / cell.problem / f"{runs.folder_name(cell.strategy)}-{cell.seed}"


@dataclass(frozen=True)
class Outcome:
    """What became of the cells.

    Args:
        trials: Finished trials with scores of searches that ended.
        finals: Full trainings.
        faults: Of cells that failed; one whose search had ended has its trials too.
        untrained: Sentences on full trainings that failed.
        exhausted: Cells whose strategy had nothing more to ask before the last trial.
        sources: Programs that took part in a search, as `Found.sources`.
    """

    trials: Mapping[Cell, Sequence[Trial]]
    finals: Mapping[Cell, Final] = field(default_factory=dict)
    faults: Mapping[Cell, str] = field(default_factory=dict)
    untrained: Mapping[Cell, str] = field(default_factory=dict)
    exhausted: frozenset[Cell] = frozenset()
    sources: Mapping[Cell, tuple[str, ...]] = field(default_factory=dict)


def read_recipes(
    paths: Sequence[Path], changes: Mapping[str, Mapping[str, Any]], trials: int | None
) -> dict[str, RunFile]:
    """Run files by their names, each of searches that repeat: one worker, one thread, an end by trials alone.

    Args:
        paths: Of TOML files.
        changes: Options by part, put over all of them; workers of the executor, or threads, stay as they are given.
        trials: Per search; None: those of the recipe.

    Raises:
        NetwrightError: A file that is no run file, has no end, or the name of another one.
    """
    found: dict[str, RunFile] = {}
    for path in paths:
        if path.stem in found:
            raise BadRunFile(f"two recipes are called {path.stem!r}; give each a name of its own")
        tables = run_file.merged(run_file.read(path), changes)
        with _naming(path.stem, len(paths) > 1):
            run = run_file.from_tables(tables)
        budget = trials or run.limits.trials
        if budget is None:
            raise BadRunFile(f"recipe {path} has no limits.trials, so its searches have no common end; give --trials")
        found[path.stem] = replace(
            _single(run, changes.get("executor", {})),
            threads_per_trial=run.threads_per_trial or 1,
            limits=Limits(trials=budget, failures_in_a_row=run.limits.failures_in_a_row),
        )
    return found


def standard(recipes: Mapping[str, RunFile]) -> tuple[Reference, ...]:
    """What is compared when nothing is said: the usual ones, with those of the recipes and their options among them."""
    own = list(dict.fromkeys(plan.label(run.strategy) for run in recipes.values() if run.strategy != RunFile.strategy))
    references = {plan.label(run.strategy): run.strategy for run in recipes.values()}
    found: list[Reference] = []
    for name in STANDARD:
        if name == REPLACED and own:
            found += [references[label] for label in own]
        elif name not in {references[label].name for label in own}:
            found.append(Reference(name))
    return tuple(found)


def prepare(contest: Contest) -> Contest:
    """Make every part of every recipe, and each strategy for each; returns the contest with what is to be said of it.

    Of each recipe a few networks are counted, so that a skeleton or a limit that fits none is refused here.

    Raises:
        NetwrightError: Whatever a part or one of its options is refused for; nothing was written.
    """
    labels = [plan.label(strategy) for strategy in contest.strategies]
    for label in labels:
        if labels.count(label) > 1:
            raise BadReference(f"strategy {label} is given twice; give it once")
    warnings: dict[tuple[str, str], tuple[str, ...]] = {}
    remarks = {}
    for name, run in contest.recipes.items():
        with _naming(name, len(contest.recipes) > 1):
            made: dict[str, Strategy] = {}
            for label, reference in zip(labels, contest.strategies, strict=True):
                parts = run_file.build(replace(run, strategy=reference))
                made[label] = parts.strategy
                beforehand.check(parts.evaluator, beforehand.samples(parts.space, 0), parts.strategy)
            warnings |= _warnings(contest, name, made, parts.evaluator)
            with suppress(MissingCapability):  # a space without counts
                beforehand.of_those_that_fit(beforehand.samples(parts.space, 0), partial(_count, parts))
            if contest.is_full:
                trainings.check(run, {})
        is_one = len(run.objectives) == 1
        remarks[name] = () if is_one else (f"of its objectives {', '.join(run.objectives)} the first alone judges",)
    sources = {label: tabular.source_of(each) for label, each in zip(labels, contest.strategies, strict=True)}
    return replace(contest, warnings=warnings, remarks=remarks, sources=sources)


def _count(parts: Parts, genotype: Genotype) -> Counts:
    return of_any_seed(parts.space, lambda space: space.count(genotype, parts.task.io))


def _warnings(
    contest: Contest, recipe: str, strategies: Mapping[str, Strategy], evaluator: Evaluator
) -> dict[tuple[str, str], tuple[str, ...]]:
    """What is to be said of the strategies of a recipe before they search; `strategies` by label."""
    limit = contest.recipes[recipe].limits.trials or 0
    largest = {
        label: each.largest_budget if isinstance(each, NamesBudgets) else None for label, each in strategies.items()
    }
    apart = budgets.apart(largest, evaluator)
    found = {}
    for reference in contest.strategies:
        label = plan.label(reference)
        starts = compare.random_starts(reference, strategies[label])
        more = (beforehand.promotions(evaluator, strategies[label]), apart.get(label, ""))
        found[label, recipe] = (*caveats.long_starts(starts, limit), *(text for text in more if text))
    return found


def carry_out(
    contest: Contest,
    out: Path,
    workers: int,
    watch: Callable[[int, int], None] = lambda _done, _all: None,
    say: Callable[[str], None] = lambda _text: None,
) -> Outcome:
    """Play what is missing; call it within `folder.taken(out)`.

    Args:
        contest: As prepared.
        out: Folder with the runs so far; those of other strategies and seeds stay in it.
        workers: Cells at a time.
        watch: Told how many cells are done of how many.
        say: Told what the data takes.

    Raises:
        StoreError: The folder has runs of another recipe of that name, or of other data; nothing was written.
        WorkerError: The processes cannot start.
        KeyboardInterrupt: As raised into it; what was played is in the folder.
    """
    runs.check(out, contest.recipes)
    cells = contest.cells
    found = {cell: _read(contest, out, cell) for cell in cells}
    missing = [cell for cell in cells if not _is_complete(contest, out, cell, found[cell])]
    unfinished = {name: contest.recipes[name] for name in dict.fromkeys(cell.problem for cell in missing)}
    for name, run in unfinished.items():
        with _naming(name, len(contest.recipes) > 1):
            _make_ready(run, contest.is_full, say)
    known = {name: [each for cell, each in found.items() if cell.problem == name] for name in unfinished}
    runs.note(out, contest.recipes, runs.fingerprints(out, unfinished, known))
    orders = {
        pool.named(cell): (run_file.to_toml(contest.run_of(cell)), str(contest.folder_of(out, cell).absolute()))
        for cell in missing
    }
    faults: dict[Cell, str] = {}
    done = len(cells) - len(missing)
    watch(done, len(cells))
    with closing(pool.play(TrainedOrder(orders, contest.is_full), missing, workers, out / "logs", PLAYER)) as playing:
        for played in playing:
            if played.course is None:
                faults[played.cell] = played.fault
            done += 1
            watch(done, len(cells))
    found |= {cell: _read(contest, out, cell) for cell in missing}
    return _outcome(contest, out, {cell: each for cell, each in found.items() if each.ending}, faults)


def _outcome(contest: Contest, out: Path, ended: Mapping[Cell, Found], faults: Mapping[Cell, str]) -> Outcome:
    trained = {cell: _read_training(contest, out, cell, each) for cell, each in ended.items() if contest.is_full}
    done = {cell: each for cell, each in trained.items() if each is not None}
    return Outcome(
        trials={cell: each.trials for cell, each in ended.items()},
        finals={cell: each.final for cell, each in done.items() if each.final is not None},
        faults=faults,
        untrained={cell: each.fault for cell, each in done.items() if each.fault},
        exhausted=frozenset(cell for cell, each in ended.items() if each.ending == "exhausted"),
        sources={cell: each.sources for cell, each in ended.items()},
    )


def _read(contest: Contest, out: Path, cell: Cell) -> Found:
    return runs.read(contest.folder_of(out, cell), contest.run_of(cell))


def _read_training(contest: Contest, out: Path, cell: Cell, found: Found) -> FullTraining | None:
    return runs.read_training(contest.folder_of(out, cell), contest.run_of(cell), found.trials)


def _is_complete(contest: Contest, out: Path, cell: Cell, found: Found) -> bool:
    """Whether there is nothing to play: a full training that failed is done too, and would only fail again."""
    if not found.ending:
        return False
    is_trained = not contest.is_full or not runs.best_of(found.trials)
    return is_trained or _read_training(contest, out, cell, found) is not None


@contextmanager
def _naming(recipe: str, is_one_of_several: bool) -> Iterator[None]:
    """Errors name the recipe, where there are several."""
    try:
        yield
    except NetwrightError as error:
        if not is_one_of_several:
            raise
        raise type(error)(f"recipe {recipe}: {error}") from None


def _make_ready(run: RunFile, is_full: bool, say: Callable[[str], None]) -> None:
    """Prepare a recipe's data. Raises NetwrightError when it does not go with the rest of the recipe."""
    task = refs.load("task", run.task)
    for line in task.prepare() if isinstance(task, Prepares) else ():
        say(line)
    genotypes = beforehand.samples(run_file.build_space(run, task), 0)
    beforehand.check(run_file.build_evaluator(run), genotypes, data_is_ready=True)
    if is_full:
        trainings.check(run, {}, data_is_ready=True)


def _single(run: RunFile, given: Mapping[str, Any]) -> RunFile:
    """The run with one worker, unless another number is given."""
    accepted = refs.options_of(refs.locate("executor", run.executor.name))
    if "workers" not in accepted or "workers" in given:
        return run
    return run_file.override(run, "executor", {"workers": 1})
