"""What is wrong in the table of a run, and with the processes that it names.

A table that nobody writes is looked at as a copy in a temporary folder: SQLite would leave files beside the original.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from netwright.core import claim, disk, liveness, locks
from netwright.core.errors import StoreError
from netwright.core.protocols import Store
from netwright.executors import descendants
from netwright.runs import ownership, run_folder
from netwright.runs.checks.finding import Finding, Kind, listed, of_sentence, search
from netwright.stores import served_file

TIMED: Final = "timed.lock"  # is held by who plays a timed run
COPIED: Final = ("", "-wal", "-count")  # of the table's files; SQLite makes the third of its own, -shm, anew


def is_searched(folder: Path) -> bool:
    """Whether a process of this machine searches in a folder now, or plays a timed run there."""
    has_controller = (folder / ownership.OWNER).exists() and locks.is_held(folder / ownership.LOCK)
    return has_controller or locks.is_held(folder / TIMED)


@contextmanager
def looked_at(folder: Path, *, is_ours: bool = False) -> Iterator[Store]:
    """The table of a folder, to be read without a change to the folder; that of a search that goes on, as it is.

    Args:
        folder: Folder of a run.
        is_ours: Whether it is this process that keeps others out of the folder, so that nobody searches there.

    Raises:
        StoreError: It cannot be read, or is of another format.
    """
    if not is_ours and is_searched(folder):
        with closing(run_folder.open_table(folder, "inspect")) as store:
            yield store
        return
    with tempfile.TemporaryDirectory(prefix="netwright-doctor-") as place:
        try:
            for suffix in COPIED:
                if (original := folder / f"{run_folder.TABLE}{suffix}").exists():
                    shutil.copyfile(original, Path(place, original.name))
        except OSError as error:
            why = disk.reason(error, Path(place))
            raise StoreError(
                f"the table of {folder} could not be copied to {tempfile.gettempdir()} ({why}); set TMPDIR to a folder "
                "with room for it"
            ) from None
        try:
            with closing(run_folder.open_table(Path(place), "inspect")) as store:
                yield store
        except StoreError as error:
            raise StoreError(str(error).replace(place, str(folder))) from None


def unreadable(error: StoreError) -> Finding:
    """A finding on a table that could not be opened."""
    sentence = str(error)
    kind: Kind = "format" if " netwright" in sentence.partition("; ")[0] else "table"
    return of_sentence(kind, sentence, "restore a copy")


def of_table(store: Store, folder: Path) -> Iterator[Finding]:
    """What in a table that could be opened is damaged or missing."""
    for fault in store.faults():
        remedy = f"{search(folder)} keeps it aside and asks it again, or restore a copy"
        yield of_sentence("table", fault, remedy, is_in_table=True)


def of_processes(store: Store, folder: Path, *, is_ours: bool = False) -> tuple[str, list[Finding]]:
    """Who searches now, in words ("": nobody), and which processes, claims and rows were left by who searched before.

    Args:
        store: The table.
        folder: Folder of the run.
        is_ours: As for `looked_at`.
    """
    owner = claim.owner(store, ownership.table_number(folder))
    seen = liveness.fate(owner.pid, owner.born) if owner else "dead"
    if seen == "alive" or (not is_ours and is_searched(folder)):
        return str(owner or "another process"), []
    found: list[Finding] = []
    left = folder / ownership.OWNER
    aside = tuple(path for path in (left, folder / served_file.NAME) if path.exists())
    if owner is not None and seen == "unseen":
        what = f"whether {owner}, which searched here, still does cannot be seen from this machine since it was started"
        found.append(Finding("controller", what, f"where it is gone, {search(folder)} finds that out and goes on"))
    elif owner is not None or aside:
        who = str(owner) if owner else _named(left)
        what = f"{who}, which searched here, is gone without having ended its search"
        is_in_table = owner is not None
        found.append(Finding("controller", what, f"{search(folder)} goes on where it stood", aside, is_in_table))
    working = {worker.trial_id for worker in store.workers()}
    if lost := [row.id for row in store.unfinished() if row.status == "running" and row.id not in working]:
        what = f"{_trials(lost)} running, by the table, and the workers are gone"
        found.append(Finding("leases", what, f"{search(folder)} asks them again", is_in_table=True))
    if left_over := orphans(folder):
        what = f"processes of a search that is over still run: {listed(left_over)}"
        remedy = f"{search(folder)} ends them as it starts, as does `kill -9 {' '.join(map(str, left_over))}`"
        found.append(Finding("orphans", what, remedy))
    return "", found


def orphans(folder: Path) -> list[int]:
    """Ids of the processes that workers of a folder's run started, and of workers themselves."""
    table, served = ((folder / name).absolute() for name in (run_folder.TABLE, served_file.NAME))
    marks = f"sqlite(path={str(table)!r},", f"remote(token_file={str(served)!r}"
    return sorted(pid for mark in marks for pid in descendants.marked(mark))


def _named(left: Path) -> str:
    try:
        return left.read_text(encoding="utf-8").strip()[:200] or "a process"
    except (OSError, ValueError):
        return "a process"


def _trials(numbers: list[int]) -> str:
    return f"trial {numbers[0]} is" if len(numbers) == 1 else f"trials {listed(numbers)} are"
