"""Who plays the run in a folder: one process at a time, a new run or the one that the folder holds.

A lock on the folder and a claim in its table keep every other process out (`core/claim.py`). A folder that holds
another run is refused, unless there is no result in it to compare.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, Literal

from netwright.core import claim, files, in_full, liveness, locks, objectives, reading, refs, run_file, whereabouts
from netwright.core.claim import Claim, Owner
from netwright.core.errors import BadRunFile, StoreError
from netwright.core.latency import LatencySettings
from netwright.core.protocols import Store
from netwright.core.records import Tally
from netwright.core.refs import Reference
from netwright.core.run_file import PARTS, RunFile
from netwright.data import given
from netwright.runs import run_folder

LOCK = "controller.lock"
# what makes a run the run it is; limits, workers and final training may change between two commands
IDENTITY = (
    *("space", "strategy", "task", "evaluator", "seed"),
    *("objectives", "metrics", "constraints", "latency", "reuse", "threads_per_trial"),
)


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
        mode: Literal["join", "write"] = "write"
        if run_folder.holds_run(self.folder):  # `opened` has checked it
            mode = "join"
        with closing(run_folder.open_table(self.folder, mode)) as store, _claimed(self.folder, store) as own:
            # the format is written first, so that a kill leaves no settings without one
            store.remember("format", str(run_folder.FORMAT))
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
        stored, tally = run_folder.settings_in(folder), _tallied(folder)
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
        if aside is None and run_folder.holds_run(folder):
            with closing(run_folder.open_table(folder, "write")) as store:
                set_aside, tally, is_whole = tuple(store.faults()), store.tally(), not store.missing()
        is_complete = limit is not None and is_whole and not tally.unfinished and tally.finished >= limit
        left = None if limit is None else max(limit - tally.finished, tally.unfinished)
        settings = replace(settings, threads_per_trial=threads)
        changed = _changed(stored.evaluator, settings.evaluator) if stored else ()
        yield OpenRun(folder, settings, is_complete, is_moved, aside, left, set_aside, changed)


def refuse_other(folder: Path, settings: RunFile) -> None:
    """Raise BadRunFile where the folder holds another run than that of these settings; names the first difference."""
    stored = run_folder.settings_in(folder)
    if stored is None:
        return
    is_moved = whereabouts.differ_alone(stored.task, settings.task)
    compared = replace(stored, task=settings.task) if is_moved else stored
    if difference := _difference(folder, compared, settings):
        raise BadRunFile(difference)


@contextmanager
def controlled(folder: Path) -> Iterator[None]:
    """Makes this process the only controller of a folder, made when missing; removed again if it stays empty.

    Raises:
        StoreError: The folder has a controller, whose process is named; it holds a comparison, or a run of another
            format; or it cannot be written.
    """
    if run_folder.holds_comparison(folder) and not run_folder.holds_run(folder):
        raise StoreError(f"{folder} holds a comparison of strategies; give another folder for the run with --out")
    _refuse_formats(folder)
    run_folder.refuse_links([folder / LOCK, folder / "controller.txt"])
    with _locked(folder):
        files.sweep(folder)
        if run_folder.holds_run(folder):  # before anything is prepared; what is written is claimed again
            with closing(run_folder.open_table(folder, "read")) as store:
                _refuse_owner(folder, claim.living_owner(store, _number(folder)))
        try:
            name = folder / "controller.txt"
            name.write_text(f"process {os.getpid()} on {socket.gethostname()}\n", encoding="utf-8")
            yield
        finally:
            with suppress(OSError):  # as where the folder was removed meanwhile
                (folder / "controller.txt").unlink(missing_ok=True)
                # refused before anything was written; data in memory is taken back by who put it there
                if {path.name for path in folder.iterdir()} <= {LOCK, given.FILE}:
                    (folder / LOCK).unlink(missing_ok=True)
                    folder.rmdir()


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Claims the run of a folder, if it holds one, for what is no search. Raises StoreError where another has it."""
    if not run_folder.holds_run(folder):
        yield
        return
    with closing(run_folder.open_table(folder, "join")) as store, _claimed(folder, store):
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
        return (folder / run_folder.TABLE).stat().st_ino
    except OSError:
        return 0


def controller(folder: Path) -> Owner:
    """The process that searches in a folder. Raises StoreError when no controller is at work."""
    _refuse_formats(folder)
    found = None
    if run_folder.holds_run(folder):
        with closing(run_folder.open_table(folder, "read")) as store:
            found = claim.living_owner(store, _number(folder))
    if found is None:
        raise StoreError(f"nobody searches in {folder} now; start it with `netwright search --out {folder}`")
    if not liveness.is_of_this_boot(found.born):
        raise StoreError(
            f"{folder} is being searched by {found}, and its workers must be on that machine, as a table on a network "
            "disk is no channel for others; stop it and go on with `netwright serve`, which has them from anywhere"
        )
    return found


def _refuse_formats(folder: Path) -> None:
    """Raise StoreError where the run of a folder, or trainings within it, have a format that is not read."""
    if run_folder.holds_run(folder) or run_folder.had_run(folder):
        run_folder.open_table(folder, "read").close()
    run_folder.trainings(folder)


def _knows_data(folder: Path) -> bool:
    """Whether the table of a folder has the fingerprint of the run's data."""
    with closing(run_folder.open_table(folder, "read")) as store:
        return store.recall("data") is not None


def _tallied(folder: Path) -> Tally:
    """What the rows in a folder come to."""
    if not run_folder.holds_run(folder):
        return Tally()
    with closing(run_folder.open_table(folder, "read")) as store:
        return store.tally()


def _holds_results(folder: Path, run: RunFile) -> bool:
    """Whether any trial measured the run's objective, so that there is something to compare others with."""
    with closing(run_folder.open_table(folder, "read")) as store:
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
        if (old := folder / f"{run_folder.TABLE}{suffix}").exists():
            old.rename(f"{aside}{suffix}")


def _owner(folder: Path) -> str:
    try:
        return (folder / "controller.txt").read_text(encoding="utf-8").strip()
    except OSError:
        return "another process"


def _threads(run: RunFile) -> int:
    """Threads of each worker: the processors that each is given, or this machine's divided by the workers."""
    own = refs.options_of(refs.locate("executor", run.executor.name)).get("cpus")
    if own is not None:
        return max(1, run.executor.options.get("cpus", own.default))
    cores = os.cpu_count() or 1
    return max(1, cores // (run.workers or (cores if run.executor.name in ("processes", "served") else 1)))


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
        verb = "is"
        if name in ("objectives", "metrics", "constraints"):
            old, new = (", ".join(each or ()) or "none" for each in (old, new))
            verb = "are"
        return (
            f"{folder} holds another run: its {name} {verb} {_told(old)}, not {_told(new)}; give another folder with "
            f"--out, or go on with that run by `netwright search --out {folder}`"
        )
    return ""


def _changed(stored: Reference, asked: Reference) -> tuple[str, ...]:
    """Which of the evaluator's options that change no result are others than before, a sentence each."""
    if stored.name != asked.name or stored == asked:
        return ()
    says = in_full.of(asked)
    old, new = says.incidental_of(stored.options), says.incidental_of(asked.options)
    return tuple(
        f"evaluator.{name} is {_told(new.get(name, 'its default'))} from now on; "
        f"it was {_told(old.get(name, 'its default'))}"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    )


def _told(value: Any) -> str:
    """A setting in a sentence: what has words of its own in these, all else as run files have it."""
    return str(value) if isinstance(value, str | Reference | LatencySettings) else reading.spelled(value)
