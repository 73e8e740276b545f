"""Playing the cells of a contest that were not played yet, and reading what became of all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from netwright.comparison import pool
from netwright.comparison.contests import cell_runs, player, recipes
from netwright.comparison.contests.cell_runs import CellRun, FullTraining
from netwright.comparison.contests.contest import StrategyContest
from netwright.comparison.contests.player import ContestOrder
from netwright.comparison.courses import SearchCell
from netwright.core import building, refs, run_file
from netwright.core.baselines import Baseline
from netwright.core.finals import Final
from netwright.core.protocols import Prepares
from netwright.core.records import Trial
from netwright.core.run_file import RunFile
from netwright.runs import beforehand, retraining


@dataclass(frozen=True)
class ContestOutcome:
    """What became of the cells.

    Args:
        trials: Finished trials with scores, of each search that ended.
        finals: What the full trainings measured.
        faults: Why cells failed; one whose search had ended has its trials too.
        untrained: Why full trainings failed.
        exhausted: Cells whose strategy had nothing more to ask before the last trial.
        sources: Digests of the programs that took part in each search, as `CellRun.sources`.
        baselines: What results are to be compared with, by name of recipe.
    """

    trials: Mapping[SearchCell, Sequence[Trial]]
    finals: Mapping[SearchCell, Final] = field(default_factory=dict)
    faults: Mapping[SearchCell, str] = field(default_factory=dict)
    untrained: Mapping[SearchCell, str] = field(default_factory=dict)
    exhausted: frozenset[SearchCell] = frozenset()
    sources: Mapping[SearchCell, tuple[str, ...]] = field(default_factory=dict)
    baselines: Mapping[str, tuple[Baseline, ...]] = field(default_factory=dict)


def carry_out(
    contest: StrategyContest,
    out: Path,
    workers: int,
    watch: Callable[[int, int], None] = lambda _done, _all: None,
    say: Callable[[str], None] = lambda _text: None,
) -> ContestOutcome:
    """Play what is missing; call it within `folder.taken(out)`.

    Args:
        contest: The contest as prepared.
        out: Folder with the runs so far; those of other strategies and seeds stay in it.
        workers: Number of cells at a time.
        watch: Told how many cells are done, and how many there are.
        say: Told, line by line, what preparing the data does.

    Raises:
        StoreError: The folder has runs of another recipe of that name, or of other data; nothing was written.
        WorkerError: The processes cannot start.
        KeyboardInterrupt: The user stopped it; what was played is in the folder.
    """
    moved = cell_runs.check(out, contest.recipes)
    cells = contest.cells
    found = {cell: _read(contest, out, cell) for cell in cells}
    missing = [cell for cell in cells if not _is_complete(contest, out, cell, found[cell])]
    looked_at = {name: contest.recipes[name] for name in dict.fromkeys([*(cell.problem for cell in missing), *moved])}
    for name, run in looked_at.items():
        with recipes.naming(name, len(contest.recipes) > 1):
            _make_ready(run, contest.is_full, say)
    known = {name: [each for cell, each in found.items() if cell.problem == name] for name in looked_at}
    cell_runs.note(out, contest.recipes, cell_runs.fingerprints(out, looked_at, known))
    orders = {
        player.named(cell): (run_file.to_toml(contest.run_of(cell)), str(contest.folder_of(out, cell).absolute()))
        for cell in missing
    }
    order = vars(ContestOrder(orders, contest.is_full))
    faults: dict[SearchCell, str] = {}
    done = len(cells) - len(missing)
    watch(done, len(cells))
    with closing(pool.play(order, missing, workers, out / "logs", player.PROGRAM)) as playing:
        for played in playing:
            if played.course is None:
                faults[played.cell] = played.fault
            done += 1
            watch(done, len(cells))
    found |= {cell: _read(contest, out, cell) for cell in missing}
    return _outcome(contest, out, {cell: each for cell, each in found.items() if each.ending}, faults)


def _outcome(
    contest: StrategyContest, out: Path, ended: Mapping[SearchCell, CellRun], faults: Mapping[SearchCell, str]
) -> ContestOutcome:
    trained = {cell: _read_training(contest, out, cell, each) for cell, each in ended.items() if contest.is_full}
    done = {cell: each for cell, each in trained.items() if each is not None}
    return ContestOutcome(
        trials={cell: each.trials for cell, each in ended.items()},
        finals={cell: each.final for cell, each in done.items() if each.final is not None},
        faults=faults,
        untrained={cell: each.fault for cell, each in done.items() if each.fault},
        exhausted=frozenset(cell for cell, each in ended.items() if each.ending == "exhausted"),
        sources={cell: each.sources for cell, each in ended.items()},
        baselines={cell.problem: each.baselines for cell, each in ended.items() if each.baselines},
    )


def _read(contest: StrategyContest, out: Path, cell: SearchCell) -> CellRun:
    return cell_runs.read(contest.folder_of(out, cell), contest.run_of(cell))


def _read_training(contest: StrategyContest, out: Path, cell: SearchCell, found: CellRun) -> FullTraining | None:
    return cell_runs.read_training(contest.folder_of(out, cell), contest.run_of(cell), found.trials)


def _is_complete(contest: StrategyContest, out: Path, cell: SearchCell, found: CellRun) -> bool:
    """Whether there is nothing to play: a full training that failed is done too, and would only fail again."""
    if not found.ending:
        return False
    is_trained = not contest.is_full or not cell_runs.best_of(found.trials)
    return is_trained or _read_training(contest, out, cell, found) is not None


def _make_ready(run: RunFile, is_full: bool, say: Callable[[str], None]) -> None:
    """Prepare a recipe's data. Raises NetwrightError when it does not go with the rest of the recipe."""
    task = refs.load("task", run.task)
    for line in task.prepare() if isinstance(task, Prepares) else ():
        say(line)
    genotypes = beforehand.samples(building.build_space(run, task), 0)
    beforehand.check(building.build_evaluator(run), genotypes, data_is_ready=True)
    if is_full:
        retraining.check(run, {}, data_is_ready=True)
