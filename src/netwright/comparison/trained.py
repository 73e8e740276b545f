"""A comparison on real tasks: every cell is a run in a folder of its own, which the other commands read like any run.

A cell's search has one worker on one thread, so that it repeats bit by bit; cells are played side by side. The runs
are all there is on disk: the same command goes on in each of them, and a larger budget or more seeds only add to them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from netwright import beforehand, run_folder, trainings
from netwright.comparison import caveats, compare, plan, pool
from netwright.comparison.courses import Cell
from netwright.comparison.pool import TrainedOrder
from netwright.core import files, genes, objectives, refs, run_file
from netwright.core.errors import BadReference, BadRunFile, StoreError
from netwright.core.protocols import Prepares, Task
from netwright.core.records import Trial
from netwright.core.refs import Reference
from netwright.core.run_file import Limits, RunFile
from netwright.trainings import Candidate, Final

PLAYER = "netwright.cell_player"
RUNS = "runs"
COMMON = tuple(name for name in run_folder.IDENTITY if name not in ("strategy", "seed"))


@dataclass(frozen=True)
class Contest:
    """Every strategy on every recipe from every seed, with the same number of trials.

    Args:
        strategies: At least one, each once.
        recipes: Run files by name; `strategy` and `seed` of them are not used.
        seeds: At least one, each once.
        is_full: Train the best network of each search in full and test it.
        warnings: Sentences by label of strategy and recipe: what the contest makes of it.
    """

    strategies: tuple[Reference, ...]
    recipes: Mapping[str, RunFile]
    seeds: tuple[int, ...]
    is_full: bool = False
    warnings: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)

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
        """Where a cell is played: `runs/<recipe>/<strategy>-<seed>`, with a digest where two would be alike."""
        names = Counter(_folder_name(plan.label(each)) for each in self.strategies)
        name = _folder_name(cell.strategy)
        if names[name] > 1:
            name += f"-{genes.digest(cell.strategy)[:6]}"
        return out / RUNS / cell.problem / f"{name}-{cell.seed}"


@dataclass(frozen=True)
class Outcome:
    """What became of the cells: finished trials with scores, full trainings, and the faults of cells that failed."""

    trials: Mapping[Cell, Sequence[Trial]]
    finals: Mapping[Cell, Final] = field(default_factory=dict)
    faults: Mapping[Cell, str] = field(default_factory=dict)


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
        run = run_file.from_tables(run_file.merged(run_file.read(path), changes))
        budget = trials or run.limits.trials
        if budget is None:
            raise BadRunFile(f"recipe {path} has no limits.trials, so its searches have no common end; give --trials")
        found[path.stem] = replace(
            _single(run, changes.get("executor", {})),
            threads_per_trial=run.threads_per_trial or 1,
            limits=Limits(trials=budget, failures_in_a_row=run.limits.failures_in_a_row),
        )
    return found


def prepare(contest: Contest) -> Contest:
    """Make every part of every recipe, and each strategy for each; returns the contest with what is to be said of it.

    Raises:
        NetwrightError: Whatever a part or one of its options is refused for; nothing was written.
    """
    labels = [plan.label(strategy) for strategy in contest.strategies]
    for label in labels:
        if labels.count(label) > 1:
            raise BadReference(f"strategy {label} is given twice; give it once")
    warnings = {}
    for name, run in contest.recipes.items():
        for label, reference in zip(labels, contest.strategies, strict=True):
            parts = run_file.build(replace(run, strategy=reference))
            starts = compare.random_starts(reference, parts.strategy)
            warnings[label, name] = tuple(caveats.long_starts(starts, run.limits.trials or 0))
            beforehand.check(parts.evaluator, beforehand.samples(parts.space, 0), parts.strategy)
        if contest.is_full:
            trainings.check(run, {})
    return replace(contest, warnings=warnings)


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
        StoreError: The folder has runs of another recipe of that name.
        WorkerError: The processes cannot start.
        KeyboardInterrupt: As raised into it; what was played is in the folder.
    """
    refuse_others(contest, out)
    cells = contest.cells
    missing = [cell for cell in cells if not _is_complete(contest, out, cell)]
    for name in dict.fromkeys(cell.problem for cell in missing):
        _make_ready(contest.recipes[name], contest.is_full, say)
    claim(contest, out)
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
    kept = [cell for cell in cells if cell not in faults]
    finals = {cell: final_of(contest, out, cell) for cell in kept} if contest.is_full else {}
    known = {cell: final for cell, final in finals.items() if final is not None}
    return Outcome({cell: trials_of(contest, out, cell) for cell in kept}, known, faults)


def refuse_others(contest: Contest, out: Path) -> None:
    """Raise StoreError where there are runs of another recipe of a name."""
    for name, run in contest.recipes.items():
        path = _recipe_of(out, name)
        if not path.exists():
            continue
        stored = run_file.from_tables(run_file.read(path))
        for setting in COMMON:
            if getattr(stored, setting) != getattr(run, setting):
                raise StoreError(
                    f"{path.parent} holds runs of another recipe called {name!r}: its {setting} is "
                    f"{getattr(stored, setting)}, not {getattr(run, setting)}; give another folder with --out"
                )


def claim(contest: Contest, out: Path) -> None:
    """Note each recipe beside its runs."""
    for name, run in contest.recipes.items():
        path = _recipe_of(out, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write(path, run_file.to_toml(run).encode())


def trials_of(contest: Contest, out: Path, cell: Cell) -> list[Trial]:
    """The finished trials of a cell, with scores, as many as the contest has; empty where it was not begun."""
    place, run = contest.folder_of(out, cell), contest.recipes[cell.problem]
    if not run_folder.holds_run(place):
        return []
    store = run_folder.open_table(place, "read")
    try:
        return objectives.with_scores(store.finished()[: run.limits.trials], run.objectives)
    finally:
        store.close()


def final_of(contest: Contest, out: Path, cell: Cell) -> Final | None:
    """The full training of the cell's best network; None where it is not done, or has failed."""
    chosen = best_of(trials_of(contest, out, cell))
    if not chosen:
        return None
    run = trainings.run_of(contest.run_of(cell), chosen, {})
    place = contest.folder_of(out, cell) / trainings.folder_name(run)
    if not run_folder.holds_run(place):
        return None
    store = run_folder.open_table(place, "read")
    try:
        if len(store.finished()) < (run.limits.trials or 0):
            return None
        return next(iter(trainings.results(store, run, place)), None)
    finally:
        store.close()


def best_of(trials: Sequence[Trial]) -> list[Candidate]:
    """What is trained in full of a search: its best trial, if any succeeded."""
    best = objectives.best(trials)
    return [Candidate(trainings.BEST, best.proposal.genotype, best.id)] if best else []


def _is_complete(contest: Contest, out: Path, cell: Cell) -> bool:
    trials = trials_of(contest, out, cell)
    if len(trials) < (contest.recipes[cell.problem].limits.trials or 0):
        return False
    return not contest.is_full or not best_of(trials) or final_of(contest, out, cell) is not None


def _recipe_of(out: Path, name: str) -> Path:
    return out / RUNS / name / "recipe.toml"


def _make_ready(run: RunFile, is_full: bool, say: Callable[[str], None]) -> None:
    """Prepare a recipe's data. Raises NetwrightError when it does not go with the rest of the recipe."""
    task: Task = refs.load("task", run.task)
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


def _folder_name(label: str) -> str:
    """A label in characters that every file system takes: "aging-population-20-sample-5"."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", label).strip("-.")[:80]
