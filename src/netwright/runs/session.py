"""One process's work on runs. To play a run: make its data ready, note what it is, let a controller search, sum up."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, replace
from importlib import metadata
from itertools import islice
from pathlib import Path

from rich.console import Console
from threadpoolctl import threadpool_limits

from netwright.controller import Ending, Search
from netwright.core import baselines, disk, objectives, reading, remembered, run_file, trial_folders, whereabouts
from netwright.core.baselines import Baseline
from netwright.core.building import Parts
from netwright.core.claim import Claim
from netwright.core.errors import StoreError
from netwright.core.objectives import SPLITS, Objective
from netwright.core.protocols import (
    Evaluator,
    HasCaveats,
    HasFingerprint,
    KeepsTime,
    LeavesState,
    LimitsWorkers,
    Observed,
    Observer,
    Prepares,
    PromotesBest,
    Store,
    Task,
    Watcher,
    WorksElsewhere,
)
from netwright.core.records import Genotype, Trial
from netwright.core.refs import Reference
from netwright.core.run_file import RunFile
from netwright.core.shapes import contents
from netwright.report import progress
from netwright.report.progress import RunProgress
from netwright.runs import beforehand, run_folder, sharing
from netwright.runs.display import Display, work_done, write
from netwright.runs.observing import Observing
from netwright.runs.ownership import KEPT, OpenRun
from netwright.runs.states_left import StatesLeft
from netwright.runs.watched_front import WatchedFront
from netwright.stores import served_file
from netwright.training import constant, ranks

TABLE = "table"  # the fact of what an evaluator looks trials up in
PACKAGES = ("netwright", "torch", "numpy", "pillow", "scikit-learn")

# lends a controller, and a way to print a line, to someone who may drain it: a handler of signals
Attended = Callable[[Search, Callable[[str], None]], AbstractContextManager[None]]


class Drained(Exception):
    """The run was asked to stop; the trials that were running have finished, and the same call goes on."""


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    Args:
        folder: Folder of the run.
        objectives: Objectives of the run, those that it ended up with; None: nothing was measured.
        progress: What its finished trials come to.
        ending: The limit that was met.
        work: A sentence on how busy the workers were; "": nothing was left for them to do.
        baselines: What results are to be compared with.
    """

    folder: Path
    objectives: tuple[str, ...] | None
    progress: RunProgress
    ending: Ending
    work: str
    baselines: tuple[Baseline, ...] = ()

    @property
    def trials(self) -> tuple[Trial, ...]:
        """Finished trials with scores, in order of finishing, read from the table."""
        with closing(run_folder.open_table(self.folder, "read")) as store:
            rows = store.finished(most=self.progress.finished)  # the run may have gone on since
            return tuple(objectives.with_scores(rows, self.objectives))


class Session:
    """One process's work on runs.

    Args:
        console: Where progress is shown.
        attended: Lends each controller to someone who may stop it.
        command: The command that the user typed; "": none was typed.
        outlook: Says what is done now and when all will be over, where runs are parts of something longer; None: each
            stands for itself.
        observers: Are told how a search goes.
    """

    def __init__(
        self,
        console: Console,
        attended: Attended,
        command: str,
        outlook: Callable[[], str] | None = None,
        observers: Sequence[Observer] = (),
    ) -> None:
        self._console, self._attended, self.command, self._outlook = console, attended, command, outlook
        self.observing = Observing(observers, self.say)
        self._prepared: Reference | None = None

    def say(self, text: str) -> None:
        """Print a line for the user."""
        write(self._console, text)

    def play(
        self,
        run: OpenRun,
        parts: Parts,
        *,
        title: str,
        facts: Mapping[str, str],
        genotypes: Sequence[Genotype] = (),
        when_ready: Callable[[], None] = lambda: None,
        is_observed: bool = False,
        goes_on: bool = False,
    ) -> Ended:
        """Play a run until a limit is met: begin it, or go on with it.

        Args:
            run: A run in a folder that is this process's alone.
            parts: The parts that the run's settings name.
            title: What is done, for the display.
            facts: What is noted in the run's table, such as the command that repeats it.
            genotypes: A few networks to come: a run in which all of them would fail does not begin.
            when_ready: Called when the data is ready, to refuse what can only be known then.
            is_observed: Whether observers are told of it.
            goes_on: Whether the command has more to play behind it, which must not begin once it was told to stop.

        Raises:
            Drained: The run was stopped before a limit was met.
            NetwrightError: Settings or data cannot be used, raised before anything is written; or too many trials
                failed.
        """
        ranks.check_workers(parts.executor.workers)
        for sentence in run.set_aside:
            self.say(f"set aside, and asked again: {sentence}")
        for sentence in run.changed if not run.is_complete else ():
            self.say(sentence)
        executor, sentence = beforehand.bounded(parts.executor, run.left)
        parts = replace(parts, executor=executor)
        if sentence and not run.is_complete:
            self.say(sentence)
        if not run.is_complete:
            self.prepare(run.settings.task, parts.task)
            beforehand.check(parts.evaluator, genotypes, parts.strategy, data_is_ready=True)
            when_ready()
            for sentence in (
                *beforehand.remarks(parts.evaluator),
                parts.latency.remark() if parts.latency else "",
                beforehand.promotions(parts.evaluator, parts.strategy),
                beforehand.memory_estimate(parts, genotypes),
            ):
                if sentence:
                    self.say(sentence)
            if run.aside is None:
                refuse_other_data(run.folder, parts.task)
                _refuse_other_table(run.folder, parts.evaluator)
            else:
                self.say(
                    f"{short(run.folder)} held no result that could be compared; it is begun anew, and what was there "
                    f"is kept in {run.aside.name}"
                )
        else:
            _refuse_other_table(run.folder, parts.evaluator)
            if run.is_moved or whereabouts.is_given(run.settings.task):
                self.prepare(run.settings.task, parts.task)
                refuse_other_data(run.folder, parts.task)
        if (kind := disk.network(run.folder)) and not run.is_complete:
            self.say(
                f"{short(run.folder)} lies on a network disk ({kind}), where SQLite may lose trials: search on a disk "
                "of this machine, and let other machines join by `netwright worker`"
            )
        with run.table() as (store, own):
            if not isinstance(parts.executor, WorksElsewhere):  # after a kill of one that served the table
                served_file.clear(run.folder)
            if not run.is_complete:
                _note(store, parts)
                if parts.latency:
                    parts.latency.keep_in(store)
                settings = run.settings
                threads = settings.threads_per_trial or 1
                parts, sentence = sharing.shared(parts, store, genotypes, settings.limits, run.left, threads)
                if sentence:
                    self.say(sentence)
            for name, text in facts.items():
                store.remember(name, text)
            ending, work = self._control(run, store, parts, title, own, is_observed, goes_on)
            store.remember("ending", ending)
            names = run_folder.named_objectives(store, run.settings)
            known = remembered.baselines(store)
            return Ended(run.folder, names, progress.of_table(store, names), ending, work, known)

    def has_prepared(self, reference: Reference) -> None:
        """Told of a task whose data is ready, as it is that of one that was prepared."""
        self._prepared = reference

    def prepare(self, reference: Reference, task: Task) -> None:
        """Make the data ready, once, and say what that does. Raises NetwrightError for data that cannot be used."""
        if reference == self._prepared:
            return
        self._prepared = reference
        if isinstance(task, Prepares):
            for line in task.prepare():
                self.say(line)

    def _control(
        self, run: OpenRun, store: Store, parts: Parts, title: str, own: Claim, is_observed: bool, goes_on: bool
    ) -> tuple[Ending, str]:
        """Let a controller search, shown by a display; returns which limit was met, and how busy the workers were.

        What a strategy learns is small algebra: one thread does it, since more would wait for cores that workers use.
        """
        settings, before, begun = run.settings, store.tally(), time.monotonic()
        names = run_folder.named_objectives(store, settings)
        objective = objectives.first(names, parts.measures)
        known = remembered.baselines(store)
        keeps = settings.keep == "all" or store.recall(KEPT) is not None
        for sentence in trial_folders.make_room(store, run.folder / "trials", keep=keeps):
            self.say(sentence)
        front = _front(store, settings, names, parts.measures)
        display = Display(
            self._console,
            store,
            title=title,
            trials=settings.limits.trials,
            objective=objective,
            baselines=known,
            outlook=self._outlook,
            front=front,
        )
        watchers: list[Watcher] = [display, own, *([self.observing] if is_observed else [])]
        if front is not None:  # the display asks it
            watchers.insert(0, front)
        elif not keeps and isinstance(parts.evaluator, LeavesState) and isinstance(parts.strategy, PromotesBest):
            finished = (row for page in run_folder.pages(store) for row in objectives.with_scores(page, names))
            place, share = run.folder / "trials", parts.strategy.promoted_share
            watchers.append(StatesLeft(place, share, finished, store.unfinished()))
        controller = Search(
            parts.space,
            parts.strategy,
            store,
            parts.executor,
            objectives=settings.objectives,
            limits=settings.limits,
            seed=settings.seed,
            reuse=settings.reuse,
            folder=run.folder,
            threads=settings.threads_per_trial or 1,
            keep=settings.keep == "all",
            io=parts.io,
            latency=parts.latency,
            watchers=watchers,
            on_report=self.observing.reported if is_observed else _unheard,
            say=display.say,
        )
        try:
            with threadpool_limits(1, user_api="blas"), display, self._attended(controller, display.say):
                display.replayed(before, progress.best_of(store, names))
                if is_observed:
                    self.observing.begin(_observed(run, store, before.finished), store)
                ending = controller.run()
            if not keeps:
                trial_folders.sweep(store, run.folder / "trials", parts.evaluator)
        finally:
            if isinstance(parts.executor, KeepsTime):  # the clock starts anew with each command
                earlier = remembered.number(store, "simulated_hours") or 0.0
                store.remember("simulated_hours", repr(earlier + parts.executor.elapsed_seconds / 3600))
        if front is not None and ending != "drained":
            front.propose()
        if ending == "drained" or (goes_on and controller.is_draining):  # else the next stage would begin
            raise Drained(short(run.folder))
        wall_seconds, after = time.monotonic() - begun, store.tally()
        if after.finished == before.finished:
            return ending, ""
        return ending, work_done(after.seconds - before.seconds, parts.executor, wall_seconds)


def _front(
    store: Store, settings: RunFile, names: Sequence[str] | None, measures: Sequence[Objective]
) -> WatchedFront | None:
    """The front so far of a run by several objectives, to be watched; None: it has one."""
    goals = objectives.shown(names, measures)
    if len(goals) < 2:
        return None
    earlier = (row for page in run_folder.pages(store) for row in objectives.with_scores(page, names))
    return WatchedFront(store, goals, settings.reference_point, earlier)


def _observed(run: OpenRun, store: Store, finished: int) -> Observed:
    """The run as observers see it, with so many trials of before."""
    names = run_folder.named_objectives(store, run.settings)

    def earlier() -> Iterator[Trial]:
        rows = (row for page in run_folder.pages(store) for row in objectives.with_scores(page, names))
        return islice(rows, finished)

    named = tuple(Objective.read(name).name for name in names or ())
    return Observed(run.folder, run_file.to_tables(run.settings), named, finished, earlier)


def _unheard(_trial_id: int, _step: int, _metrics: Mapping[str, float]) -> None:
    """Nobody is told of reports."""


def _note(store: Store, parts: Parts) -> None:
    """Note what must be known of a run later: its data, what it measures, and the versions that it began with."""
    task = parts.task
    store.remember("io", run_file.write_io(parts.io))
    store.remember("measures", objectives.to_json(parts.measures))
    if store.recall("baselines") is None:
        store.remember("baselines", baselines.to_json(_baselines(parts)))
    if store.recall("versions") is None:
        store.remember("versions", json.dumps(versions()))
    if isinstance(parts.evaluator, LimitsWorkers):
        store.remember(remembered.MAX_WORKERS, str(parts.evaluator.max_workers))
    if isinstance(task, HasCaveats):
        store.remember("caveats", json.dumps(task.caveats()))
    for name, part in (("data", task), (TABLE, parts.evaluator)):
        if isinstance(part, HasFingerprint) and store.recall(name) is None:
            store.remember(name, part.fingerprint())


def _baselines(parts: Parts) -> list[Baseline]:
    """How well constant answers do, by the names of what the run's trials measure of its task."""
    measured = {measure.name for measure in parts.measures}
    splits = [split for split in SPLITS if any(measure.split == split for measure in parts.measures)]
    found = [each.on(split) for split in splits for each in constant.baselines(parts.task, split)]
    return [each for each in found if each.name in measured]


def refuse_other_data(folder: Path, task: Task) -> None:
    """Raise StoreError when the run of a folder, if there is one, was made with other data than the task has now."""
    if not run_folder.holds_run(folder):
        return
    with closing(run_folder.open_table(folder, "read")) as store:
        known, consists_of = store.recall("data"), contents(task.io)
    if known is None or not isinstance(task, HasFingerprint):
        return
    found = task.fingerprint()
    if not whereabouts.is_same_data(known, found):
        raise StoreError(
            f"the {consists_of} or splits of the task have changed since this run began (their fingerprint was "
            f"{reading.line(known)} and is {found}), so its results would not compare; restore them, give --task.path "
            "where they have moved, or begin another run with --out"
        )


def _refuse_other_table(folder: Path, evaluator: Evaluator) -> None:
    """Raise StoreError when an evaluator answers from other results than those that the run of a folder began with."""
    if not (run_folder.holds_run(folder) and isinstance(evaluator, HasFingerprint)):
        return
    with closing(run_folder.open_table(folder, "read")) as store:
        known = store.recall(TABLE)
    if known is not None and (found := evaluator.fingerprint()) != known:
        raise StoreError(
            f"the table that trials are looked up in has changed since this run began (its fingerprint was "
            f"{reading.line(known)} and is {found}), so its results would not compare; restore it, or begin another "
            "run with --out"
        )


def versions() -> dict[str, str]:
    """Versions that this process runs on: Python, system, packages."""
    found = {"python": platform.python_version(), "system": platform.platform(terse=True)}
    return found | {name: metadata.version(name) for name in PACKAGES}


def short(path: Path) -> str:
    """The path as seen from here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
