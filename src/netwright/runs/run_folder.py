"""A run on disk: a folder with the table, which also holds the run file, with logs, final trainings and a report.

The folder alone is enough to resume, report and rebuild. It says in which format it was written, and `refuse_format`
alone decides what becomes of folders of other formats.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from netwright.core import files, objectives, refs, remembered, run_file
from netwright.core.errors import BadRunFile, StoreError
from netwright.core.liveness import is_alive
from netwright.core.protocols import Store
from netwright.core.records import Tally, Trial
from netwright.core.refs import Reference
from netwright.core.run_file import PARTS, RunFile
from netwright.stores import row_count

FORMAT = 1  # of the folders that this release writes; folders of earlier releases give no number
TABLE = "trials.sqlite"
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


def holds_comparison(folder: Path) -> bool:
    """Whether strategies were compared in the folder."""
    return holds_tables(folder) or holds_contest(folder)


def holds_tables(folder: Path) -> bool:
    """Whether strategies were compared in the folder on tables."""
    return any((folder / name).exists() for name in COMPARISON)


def holds_contest(folder: Path) -> bool:
    """Whether strategies were compared in the folder on recipes."""
    return any(folder.glob(CONTEST))


def refuse_format(folder: Path, number: str | None) -> None:
    """Raise StoreError for a folder that another release wrote in a way that this one does not read.

    This one place decides it for runs, for trainings within them and for comparisons. A format that this release still
    understood would be brought up to date, or opened for reading alone, from here.

    Args:
        folder: The folder that was written.
        number: Format that stands in the folder; None: no format stands there.
    """
    if number is None:
        raise StoreError(
            f"{folder} was written by an earlier netwright, in a format that this one does not read; use the release "
            "that wrote it, or begin in another folder with --out"
        )
    if number != str(FORMAT):
        raise StoreError(
            f"{folder} has format {number}, of a newer netwright; this one reads format {FORMAT}: upgrade, or begin in "
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


def stored_run(store: Store, folder: Path) -> RunFile:
    """The run file of a table, with the objective that its results show where it names none.

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


def settings_in(folder: Path) -> RunFile | None:
    """The run file in the table of a folder; None: there is no run, or nothing was asked yet."""
    if not (holds_run(folder) or had_run(folder)):
        return None
    with closing(open_table(folder, "read")) as store:
        text = store.recall("run")
        return run_file.from_toml(text) if text else None


def trainings(folder: Path) -> list[Path]:
    """Folders of full trainings within the folder of a run, those asked for last at the end."""
    found = []
    for place in filter(holds_run, folder.glob(f"{TRAININGS}*/")):
        with closing(open_table(place, "read")) as store:
            found.append((remembered.number(store, "asked") or 0.0, place))
    return [place for _, place in sorted(found)]


@dataclass(frozen=True)
class OpenRun:
    """A run in a folder that is this process's alone.

    Args:
        folder: The folder of the run.
        settings: The run file with which it goes on: threads as first fixed, limits and workers as now asked.
        is_complete: Whether the folder held all trials that are asked for when it was opened.
        set_aside: What of its table was damaged or missing, to be asked again; a sentence each.
    """

    folder: Path
    settings: RunFile
    is_complete: bool
    set_aside: tuple[str, ...] = ()

    @contextmanager
    def table(self) -> Iterator[Store]:
        """Opens the table, made when missing, and notes the settings in it. From here on, the folder holds the run."""
        text = run_file.to_toml(self.settings)
        mode: Literal["join", "write"] = "join" if holds_run(self.folder) else "write"  # `opened` has checked it
        with closing(open_table(self.folder, mode)) as store:
            store.remember("format", str(FORMAT))  # written first, so that a kill leaves no settings without a format
            store.remember("run", text)
            files.write(self.folder / "run.toml", text.encode())
            yield store


@contextmanager
def opened(folder: Path, settings: RunFile) -> Iterator[OpenRun]:
    """Makes this process the only one that plays a run in a folder: a new run, or the one that the folder holds.

    Nothing of the run is written before its table is opened: a run refused until then leaves no folder behind. What is
    damaged in the table of a run that goes on is set aside at once.

    Raises:
        BadRunFile: The folder holds another run; the message names the first difference.
        StoreError: The folder cannot be had (`controlled`), or its table cannot be used.
    """
    with controlled(folder):
        stored, tally = settings_in(folder), _tallied(folder)
        if stored is None and tally.finished + tally.unfinished:
            raise StoreError(f"the table of {folder} has lost its run file; restore a copy or start in another folder")
        if stored is not None:
            _refuse_other(folder, stored, settings)
        threads = stored.threads_per_trial if stored else settings.threads_per_trial or _threads(settings)
        limit, is_whole = settings.limits.trials, True
        set_aside: tuple[str, ...] = ()
        if holds_run(folder):
            with closing(open_table(folder, "write")) as store:
                set_aside, tally, is_whole = tuple(store.faults()), store.tally(), not store.missing()
        is_complete = limit is not None and is_whole and not tally.unfinished and tally.finished >= limit
        yield OpenRun(folder, replace(settings, threads_per_trial=threads), is_complete, set_aside)


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
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / "controller.lock")
        lock.acquire(timeout=0)
    except Timeout:
        owner = _owner(folder)
        raise StoreError(
            f"{folder} is being searched by {owner}; join it with `netwright worker {folder}`, or stop it first"
        ) from None
    except OSError as error:
        raise StoreError(f"{folder} cannot be written: {error.strerror}; give another folder with --out") from None
    try:
        (folder / "controller.txt").write_text(f"process {os.getpid()} on {socket.gethostname()}\n", encoding="utf-8")
        yield
    finally:
        (folder / "controller.txt").unlink(missing_ok=True)
        if {path.name for path in folder.iterdir()} <= {"controller.lock"}:  # refused before anything was written
            (folder / "controller.lock").unlink(missing_ok=True)
            with suppress(OSError):
                folder.rmdir()
        lock.release()


def controller_pid(folder: Path) -> int:
    """Process id of the folder's controller. Raises StoreError when no controller is at work."""
    _refuse_formats(folder)
    words = _owner(folder).split()
    pid = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
    if not pid or not is_alive(pid):
        raise StoreError(f"nobody searches in {folder} now; start it with `netwright search --out {folder}`")
    return pid


def _refuse_formats(folder: Path) -> None:
    """Raise StoreError where the run of a folder, or trainings within it, have a format that is not read."""
    if holds_run(folder) or had_run(folder):
        open_table(folder, "read").close()
    trainings(folder)


def _holds_trials(store: Store) -> bool:
    """Whether anything was asked in a run; else there is nothing that another format could make us misread."""
    tally = store.tally()
    return store.recall("run") is not None and tally.finished + tally.unfinished > 0


def _tallied(folder: Path) -> Tally:
    """What the rows in a folder come to."""
    if not holds_run(folder):
        return Tally()
    with closing(open_table(folder, "read")) as store:
        return store.tally()


def _owner(folder: Path) -> str:
    try:
        return (folder / "controller.txt").read_text(encoding="utf-8").strip()
    except OSError:
        return "another process"


def _threads(run: RunFile) -> int:
    """Threads of each worker: the machine's cores divided by the workers."""
    workers = run.executor.options.get("workers", os.cpu_count() if run.executor.name == "processes" else 1)
    return max(1, (os.cpu_count() or 1) // max(1, int(workers)))


def _refuse_other(folder: Path, stored: RunFile, asked: RunFile) -> None:
    """Raise BadRunFile where a folder's run is not the one asked for, which may leave the number of threads open."""
    asked = replace(asked, threads_per_trial=asked.threads_per_trial or stored.threads_per_trial)
    for name in IDENTITY:
        old, new = getattr(stored, name), getattr(asked, name)
        if old == new:
            continue
        if name in PARTS and old.name == new.name:
            option = next(o for o in (*new.options, *old.options) if old.options.get(o) != new.options.get(o))
            old, new, name = old.options.get(option, "default"), new.options.get(option, "default"), f"{name}.{option}"
        raise BadRunFile(
            f"{folder} holds another run: its {name} is {old}, not {new}; give another folder with --out, "
            f"or go on with that run by `netwright search --out {folder}`"
        )
