"""A run on disk: a folder with the table, which also holds the run file, with logs, final trainings and a report.

The folder alone is enough to resume, report and rebuild. It says in which format it was written, and `refuse_format`
alone decides what becomes of folders of other formats.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Literal

from netwright.core import (
    claim,
    files,
    in_full,
    liveness,
    locks,
    objectives,
    refs,
    remembered,
    run_file,
    timetable,
    whereabouts,
)
from netwright.core.claim import Claim, Owner
from netwright.core.contest import FACT
from netwright.core.errors import BadRunFile, StoreError
from netwright.core.protocols import Store
from netwright.core.records import Tally, Trial
from netwright.core.refs import Reference
from netwright.core.run_file import PARTS, RunFile
from netwright.core.trust import Trust
from netwright.report.history import History
from netwright.stores import row_count

FORMAT = 1  # of the folders that this release writes; folders of earlier releases give no number
TABLE = "trials.sqlite"
LOCK = "controller.lock"
PAGE = 10_000  # rows read from a table at once
TRAININGS = "train-"  # begins the names of the folders of full trainings within that of a run
COMPARISON = ("cells.jsonl", "problems.json")  # what `netwright bench` writes into a folder when it compares on tables
CONTEST = "runs/*/recipe.toml"  # and when it compares on recipes
# what makes a run the run it is; limits, workers and final training may change between two commands
IDENTITY = (
    *("space", "strategy", "task", "evaluator", "seed"),
    *("objectives", "constraints", "reuse", "threads_per_trial"),
)


def holds_run(folder: Path) -> bool:
    """Whether there is a table in the folder."""
    return (folder / TABLE).exists()


def had_run(folder: Path) -> bool:
    """Whether there was a table in the folder, as the number of its rows says, which lies beside it."""
    return row_count.RowCount(folder / TABLE).read() != (0, 0)


def has_begun(folder: Path) -> bool:
    """Whether there is a run in the folder that can go on: a kill may leave a table in which none was noted yet."""
    return holds_run(folder) and settings_in(folder) is not None


def holds_comparison(folder: Path) -> bool:
    """Whether strategies were compared in the folder."""
    return holds_tables(folder) or holds_contest(folder)


def holds_tables(folder: Path) -> bool:
    """Whether strategies were compared in the folder on tables."""
    return any((folder / name).exists() for name in COMPARISON)


def holds_contest(folder: Path) -> bool:
    """Whether strategies were compared in the folder on recipes."""
    return any(folder.glob(CONTEST))


def refuse_format(folder: Path, number: str | None, known: int = FORMAT) -> None:
    """Raise StoreError for a folder that another release wrote in a way that this one does not read.

    This one place decides it for runs, for trainings within them and for comparisons. A format that this release still
    understood would be brought up to date, or opened for reading alone, from here.

    Args:
        folder: The folder that was written.
        number: Format that stands in the folder; None: no format stands there.
        known: Format that this release reads: that of runs, or that of comparisons.
    """
    if number == str(known):
        return
    if number is None or number in map(str, range(known)):
        raise StoreError(
            f"{folder} was written by an earlier netwright, in a format that this one does not read; use the release "
            "that wrote it, or begin in another folder with --out"
        )
    raise StoreError(
        f"{folder} has format {number[:20]}, of a newer netwright; this one reads format {known}: upgrade, or begin in "
        "another folder with --out"
    )


def open_table(folder: Path, mode: Literal["write", "join", "read", "inspect"]) -> Store:
    """Opens the table of a folder. Raises StoreError when there is no table, or it cannot be used.

    Args:
        folder: Folder of a run.
        mode: "write" makes the table when missing and sets aside what is damaged; "join" goes on with one that is
            there; "read" only looks; so does "inspect", which leaves out what is damaged (`Store.faults` names it).
    """
    if mode != "write" and not holds_run(folder) and not had_run(folder):
        raise StoreError(f"{folder} holds no run ({TABLE} is missing); give the folder that a search wrote to")
    store: Store = refs.load("store", Reference("sqlite", {"path": str(folder / TABLE), "mode": mode}))
    try:
        number = store.recall("format")
        if number is not None or _holds_trials(store):
            refuse_format(folder, number)
    except BaseException:
        store.close()
        raise
    return store


def stored_run(store: Store, folder: Path, trust: Trust = Trust()) -> RunFile:
    """`recorded_run`, whose plug-ins may be loaded.

    Raises:
        StoreError: There is no run file.
        BadReference: It names a plug-in that is not trusted.
    """
    run = recorded_run(store, folder)
    trust.check(run_file.references(run), f"the run file in {folder}")
    return run


def recorded_run(store: Store, folder: Path) -> RunFile:
    """The run file of a table, with the objective that its results show where it names none: data, nothing to load.

    Raises StoreError when there is no run file: nothing was ever asked.
    """
    text = store.recall("run")
    if text is None:
        raise StoreError(f"the table of {folder} holds no run file: its search never started; start it again")
    run = run_file.from_toml(text)
    return replace(run, objectives=named_objectives(store, run))


def named_objectives(store: Store, run: RunFile) -> tuple[str, ...] | None:
    """The objectives of a run; if it names none, the metric that its results show first; None before there are any."""
    if run.objectives is not None:
        return run.objectives
    named = (objectives.named(None, page) for page in pages(store))
    return next((names for names in named if names is not None), None)


def pages(store: Store) -> Iterator[list[Trial]]:
    """The finished rows of a table, a few at a time."""
    after = 0
    while rows := store.finished(after, PAGE):
        yield rows
        after = rows[-1].finish or after


def history(folder: Path, names: Sequence[str] | None) -> History:
    """The finished trials of a run, less those that are damaged, which its `faults` name; empty: nothing was searched.

    Args:
        folder: Folder of the run.
        names: Objectives as the run file has them.
    """
    if not holds_run(folder):
        return History.of([])
    return History.read(lambda: open_table(folder, "inspect"), names)


def settings_in(folder: Path) -> RunFile | None:
    """The run file in the table of a folder, as data; None: there is no run, or nothing was asked yet."""
    if not (holds_run(folder) or had_run(folder)):
        return None
    with closing(open_table(folder, "read")) as store:
        text = store.recall("run")
        return run_file.from_toml(text) if text else None


def trainings(folder: Path, mode: Literal["read", "inspect"] = "read") -> list[Path]:
    """Folders of full trainings within the folder of a run, those asked for last at the end; see `open_table`."""
    found = []
    for place in filter(holds_run, folder.glob(f"{TRAININGS}*/")):
        with closing(open_table(place, mode)) as store:
            found.append((remembered.number(store, "asked") or 0.0, place))
    return [place for _, place in sorted(found)]


@dataclass(frozen=True)
class OpenRun:
    """A run in a folder that is this process's alone.

    Args:
        folder: The folder of the run.
        settings: The run file with which it goes on: threads as first fixed, limits and workers as now asked.
        is_complete: Whether the folder held all trials that are asked for when it was opened.
        is_moved: Whether the data is to lie elsewhere than before, which holds if its fingerprint is the same.
        aside: Path to which the table of another run, without any result to compare, is moved when this one begins;
            None: there is none.
        left: Trials that are still to finish; None: as many as the time allows.
        set_aside: What of its table was damaged or missing, to be asked again; a sentence each.
        changed: Options of its evaluator that change no result and are others from now on; a sentence each.
    """

    folder: Path
    settings: RunFile
    is_complete: bool
    is_moved: bool = False
    aside: Path | None = None
    left: int | None = None
    set_aside: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    @contextmanager
    def table(self) -> Iterator[tuple[Store, Claim]]:
        """Opens the table, made when missing, claims it and notes the settings in it: now the folder holds the run.

        Raises:
            StoreError: Another process controls the run.
        """
        text = run_file.to_toml(self.settings)
        if self.aside is not None and not self.aside.exists():
            _move_aside(self.folder, self.aside)
        mode: Literal["join", "write"] = "join" if holds_run(self.folder) else "write"  # `opened` has checked it
        with closing(open_table(self.folder, mode)) as store, _claimed(self.folder, store) as own:
            store.remember("format", str(FORMAT))  # written first, so that a kill leaves no settings without a format
            store.remember("run", text)
            files.write(self.folder / "run.toml", text.encode())
            yield store, own


@contextmanager
def opened(folder: Path, settings: RunFile) -> Iterator[OpenRun]:
    """Makes this process the only one that plays a run in a folder: a new run, or the one that the folder holds.

    Nothing of the run is written before its table is opened: a run refused until then leaves no folder behind. What is
    damaged in the table of a run that goes on is set aside at once.

    Raises:
        BadRunFile: The folder holds another run, with results to compare; the message names the first difference.
        StoreError: The folder cannot be had (`controlled`), or its table cannot be used.
    """
    with controlled(folder):
        stored, tally = settings_in(folder), _tallied(folder)
        is_moved = stored is not None and whereabouts.differ_alone(stored.task, settings.task) and _knows_data(folder)
        if stored is None and tally.finished + tally.unfinished:
            raise StoreError(f"the table of {folder} has lost its run file; restore a copy or start in another folder")
        aside = None
        compared = replace(stored, task=settings.task) if stored is not None and is_moved else stored
        if compared is not None and (difference := _difference(folder, compared, settings)):
            if _holds_results(folder, compared):
                raise BadRunFile(difference)
            aside, stored, is_moved, tally = _free(folder), None, False, Tally()
        threads = stored.threads_per_trial if stored else settings.threads_per_trial or _threads(settings)
        limit, is_whole = settings.limits.trials, True
        set_aside: tuple[str, ...] = ()
        if aside is None and holds_run(folder):
            with closing(open_table(folder, "write")) as store:
                set_aside, tally, is_whole = tuple(store.faults()), store.tally(), not store.missing()
        is_complete = limit is not None and is_whole and not tally.unfinished and tally.finished >= limit
        left = None if limit is None else max(limit - tally.finished, tally.unfinished)
        settings = replace(settings, threads_per_trial=threads)
        changed = _changed(stored.evaluator, settings.evaluator) if stored else ()
        yield OpenRun(folder, settings, is_complete, is_moved, aside, left, set_aside, changed)


def refuse_other(folder: Path, settings: RunFile) -> None:
    """Raise BadRunFile where the folder holds another run than that of these settings; names the first difference."""
    stored = settings_in(folder)
    if stored is None:
        return
    is_moved = whereabouts.differ_alone(stored.task, settings.task)
    compared = replace(stored, task=settings.task) if is_moved else stored
    if difference := _difference(folder, compared, settings):
        raise BadRunFile(difference)


def report_in(folder: Path) -> Path:
    """The folder for a run's report within its own. Raises StoreError where a link would lead what is written away."""
    place = folder / "report"
    _refuse_links([place, *(place.iterdir() if place.is_dir() else ())])
    return place


def page_in(folder: Path) -> Path:
    """The page of a run's report: a timed run has it where its owner looks first, any other beside the figures.

    Raises StoreError where a link would lead what is written away.
    """
    figures = report_in(folder)
    if not (holds_run(folder) and _is_timed(folder)):
        return figures / "report.html"
    _refuse_links([folder / "report.html"])
    return folder / "report.html"


def _is_timed(folder: Path) -> bool:
    """Whether the run of a folder ends with a contest."""
    if (folder / timetable.FILE).exists():
        return True
    with closing(open_table(folder, "inspect")) as store:
        return store.recall(FACT) is not None


def _refuse_links(paths: Iterable[Path]) -> None:
    """Raise StoreError for a link where something is about to be written: a stranger could aim it anywhere."""
    for path in paths:
        if path.is_symlink():
            raise StoreError(f"{path} is a link, and what is written there would land elsewhere; remove it")


@contextmanager
def controlled(folder: Path) -> Iterator[None]:
    """Makes this process the only controller of a folder, made when missing; removed again if it stays empty.

    Raises:
        StoreError: The folder has a controller, whose process is named; it holds a comparison, or a run of another
            format; or it cannot be written.
    """
    if holds_comparison(folder) and not holds_run(folder):
        raise StoreError(f"{folder} holds a comparison of strategies; give another folder for the run with --out")
    _refuse_formats(folder)
    _refuse_links([folder / LOCK, folder / "controller.txt"])
    with _locked(folder):
        if holds_run(folder):  # before anything is prepared; what is written is claimed again
            with closing(open_table(folder, "read")) as store:
                _refuse_owner(folder, claim.living_owner(store, _number(folder)))
        try:
            name = folder / "controller.txt"
            name.write_text(f"process {os.getpid()} on {socket.gethostname()}\n", encoding="utf-8")
            yield
        finally:
            with suppress(OSError):  # as where the folder was removed meanwhile
                (folder / "controller.txt").unlink(missing_ok=True)
                if {path.name for path in folder.iterdir()} <= {LOCK}:  # refused before anything was written
                    (folder / LOCK).unlink(missing_ok=True)
                    folder.rmdir()


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Claims the run of a folder, if it holds one, for what is no search. Raises StoreError where another has it."""
    if not holds_run(folder):
        yield
        return
    with closing(open_table(folder, "join")) as store, _claimed(folder, store):
        yield


@contextmanager
def _claimed(folder: Path, store: Store) -> Iterator[Claim]:
    try:
        with claim.taken(store, lambda: _number(folder)) as own:
            yield own
    except claim.Taken as error:
        _refuse_owner(folder, error.owner)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Holds the lock of a folder, made when missing."""
    with ExitStack() as held:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(locks.alone_in(folder, LOCK))
        except locks.Held:
            _refuse_owner(folder, _owner(folder))
        except OSError as error:
            raise StoreError(f"{folder} cannot be written: {error.strerror}; give another folder with --out") from None
        yield


def _refuse_owner(folder: Path, owner: Owner | str | None) -> None:
    if owner is not None:
        raise StoreError(
            f"{folder} is being searched by {owner}; join it with `netwright worker {folder}`, or stop it first"
        ) from None


def _number(folder: Path) -> int:
    """Number of the file that the table of a folder is, of which a copy has another one; 0: there is none."""
    try:
        return (folder / TABLE).stat().st_ino
    except OSError:
        return 0


def controller(folder: Path) -> Owner:
    """The process that searches in a folder. Raises StoreError when no controller is at work."""
    _refuse_formats(folder)
    found = None
    if holds_run(folder):
        with closing(open_table(folder, "read")) as store:
            found = claim.living_owner(store, _number(folder))
    if found is None:
        raise StoreError(f"nobody searches in {folder} now; start it with `netwright search --out {folder}`")
    if not liveness.is_of_this_boot(found.born):
        raise StoreError(
            f"{folder} is being searched by {found}, and workers must be on the machine of the search: a table on a "
            "network disk is no channel for them"
        )
    return found


def _refuse_formats(folder: Path) -> None:
    """Raise StoreError where the run of a folder, or trainings within it, have a format that is not read."""
    if holds_run(folder) or had_run(folder):
        open_table(folder, "read").close()
    trainings(folder)


def _holds_trials(store: Store) -> bool:
    """Whether anything was asked in a run; else there is nothing that another format could make us misread."""
    tally = store.tally()
    return store.recall("run") is not None and tally.finished + tally.unfinished > 0


def _knows_data(folder: Path) -> bool:
    """Whether the table of a folder has the fingerprint of the run's data."""
    with closing(open_table(folder, "read")) as store:
        return store.recall("data") is not None


def _tallied(folder: Path) -> Tally:
    """What the rows in a folder come to."""
    if not holds_run(folder):
        return Tally()
    with closing(open_table(folder, "read")) as store:
        return store.tally()


def _holds_results(folder: Path, run: RunFile) -> bool:
    """Whether any trial measured the run's objective, so that there is something to compare others with."""
    with closing(open_table(folder, "read")) as store:
        if run.objectives is None:
            return store.tally().done > 0
        return store.best(objectives.first(run.objectives).name) is not None


def _free(folder: Path) -> Path:
    """A name for a table that is moved aside."""
    return next(path for n in count(1) if not (path := folder / f"trials-{n}.sqlite").exists())


def _move_aside(folder: Path, aside: Path) -> None:
    """Move the table of a folder aside, with the folders of its trials, whose numbers those of a new run repeat."""
    if (folder / "trials").exists():
        (folder / "trials").rename(aside.with_suffix(""))
    for suffix in ("-wal", "-shm", "-count", ""):
        if (old := folder / f"{TABLE}{suffix}").exists():
            old.rename(f"{aside}{suffix}")


def _owner(folder: Path) -> str:
    try:
        return (folder / "controller.txt").read_text(encoding="utf-8").strip()
    except OSError:
        return "another process"


def _threads(run: RunFile) -> int:
    """Threads of each worker: the machine's cores divided by the workers."""
    cores = os.cpu_count() or 1
    return max(1, cores // (run.workers or (cores if run.executor.name == "processes" else 1)))


def _difference(folder: Path, stored: RunFile, asked: RunFile) -> str:
    """Why a folder's run is not the one asked for, which may leave the number of threads open; "" where it is.

    Options of the evaluator that change no result make no other run.
    """
    asked = replace(asked, threads_per_trial=asked.threads_per_trial or stored.threads_per_trial)
    if _changed(stored.evaluator, asked.evaluator):
        kept = in_full.of(asked.evaluator).incidental_of(stored.evaluator.options)
        essential = in_full.of(asked.evaluator).essential(asked.evaluator.options)
        asked = replace(asked, evaluator=Reference(asked.evaluator.name, {**essential, **kept}))
    for name in IDENTITY:
        old, new = getattr(stored, name), getattr(asked, name)
        if old == new:
            continue
        if name in PARTS and old.name == new.name:
            option = next(o for o in (*new.options, *old.options) if old.options.get(o) != new.options.get(o))
            old, new, name = old.options.get(option, "default"), new.options.get(option, "default"), f"{name}.{option}"
        return (
            f"{folder} holds another run: its {name} is {old}, not {new}; give another folder with --out, "
            f"or go on with that run by `netwright search --out {folder}`"
        )
    return ""


def _changed(stored: Reference, asked: Reference) -> tuple[str, ...]:
    """Which of the evaluator's options that change no result are others than before, a sentence each."""
    if stored.name != asked.name or stored == asked:
        return ()
    says = in_full.of(asked)
    old, new = says.incidental_of(stored.options), says.incidental_of(asked.options)
    return tuple(
        f"evaluator.{name} is {new.get(name, 'its default')} from now on; it was {old.get(name, 'its default')}"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    )
