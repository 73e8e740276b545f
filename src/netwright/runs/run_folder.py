"""A run on disk: a folder with the table, which also holds the run file, with logs, final trainings and a report.

The folder alone is enough to resume, report and rebuild.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from netwright.core import objectives, refs, run_file
from netwright.core.errors import BadRunFile, StoreError
from netwright.core.liveness import is_alive
from netwright.core.protocols import Store
from netwright.core.refs import Reference
from netwright.core.run_file import PARTS, RunFile

TABLE = "trials.sqlite"
COMPARISON = ("cells.jsonl", "problems.json")  # what `netwright bench` writes into its folders: on tables
CONTEST = "runs/*/recipe.toml"  # on recipes
# what makes a run the run it is; limits, workers and final training may change between two commands
IDENTITY = (
    *("space", "strategy", "task", "evaluator", "seed"),
    *("objectives", "constraints", "reuse", "threads_per_trial"),
)


def holds_run(folder: Path) -> bool:
    """Whether there is a table in the folder."""
    return (folder / TABLE).exists()


def holds_comparison(folder: Path) -> bool:
    """Whether strategies were compared in the folder."""
    return holds_tables(folder) or holds_contest(folder)


def holds_tables(folder: Path) -> bool:
    """Whether strategies were compared in the folder on tables."""
    return any((folder / name).exists() for name in COMPARISON)


def holds_contest(folder: Path) -> bool:
    """Whether strategies were compared in the folder on recipes."""
    return any(folder.glob(CONTEST))


def open_table(folder: Path, mode: Literal["write", "join", "read"]) -> Store:
    """The table of a folder. Raises StoreError when there is none, or it cannot be used."""
    if mode != "write" and not holds_run(folder):
        raise StoreError(f"{folder} holds no run ({TABLE} is missing); give the folder that a search wrote to")
    store: Store = refs.load("store", Reference("sqlite", {"path": str(folder / TABLE), "mode": mode}))
    return store


def stored_run(store: Store, folder: Path) -> RunFile:
    """The run file of a table, with the objective that its results show where it names none.

    Raises StoreError when there is none: nothing was ever asked.
    """
    text = store.recall("run")
    if text is None:
        raise StoreError(f"the table of {folder} holds no run file: its search never started; start it again")
    run = run_file.from_toml(text)
    if run.objectives is not None:
        return run
    return replace(run, objectives=objectives.named(None, store.finished()))


def take(folder: Path, run: RunFile) -> tuple[Store, RunFile]:
    """Open a folder to search in: a new one, or one that holds this very run.

    Returns:
        The table, and the run as it goes on: threads as first fixed, limits and workers as now asked.

    Raises:
        BadRunFile: The folder holds another run; names the first setting that differs.
        StoreError: The table cannot be used.
    """
    store = open_table(folder, "write")
    try:
        text = store.recall("run")
        if text is not None:
            stored = run_file.from_toml(text)
            fixed = replace(run, threads_per_trial=run.threads_per_trial or stored.threads_per_trial)
            _refuse_other(folder, stored, fixed)
            run = replace(run, threads_per_trial=stored.threads_per_trial)
        elif store.finished() or store.unfinished():
            raise StoreError(f"the table of {folder} has lost its run file; restore a copy or start in another folder")
        else:
            run = replace(run, threads_per_trial=run.threads_per_trial or _threads(run))
        store.remember("run", run_file.to_toml(run))
    except BaseException:
        store.close()
        raise
    return store, run


@contextmanager
def controlled(folder: Path) -> Iterator[None]:
    """Be the only controller of a folder, made when missing; one that stays empty is removed again.

    Raises:
        StoreError: It has a controller, whose process is named; it holds a comparison; or it cannot be written.
    """
    if holds_comparison(folder) and not holds_run(folder):
        raise StoreError(f"{folder} holds a comparison of strategies; give another folder for the run with --out")
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
    """Process id of the folder's controller. Raises StoreError when none is at work."""
    words = _owner(folder).split()
    pid = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
    if not pid or not is_alive(pid):
        raise StoreError(f"nobody searches in {folder} now; start it with `netwright search --out {folder}`")
    return pid


def _owner(folder: Path) -> str:
    try:
        return (folder / "controller.txt").read_text(encoding="utf-8").strip()
    except OSError:
        return "another process"


def _threads(run: RunFile) -> int:
    """The machine's cores divided by the workers."""
    workers = run.executor.options.get("workers", os.cpu_count() if run.executor.name == "processes" else 1)
    return max(1, (os.cpu_count() or 1) // max(1, int(workers)))


def _refuse_other(folder: Path, stored: RunFile, asked: RunFile) -> None:
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
