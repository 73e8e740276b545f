"""What a served run needs on the host of a worker: its data made ready, once, and found to be the same."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from netwright.core import building, run_file, whereabouts
from netwright.core.errors import BadRunFile, StoreError
from netwright.core.protocols import HasFingerprint, Prepares
from netwright.core.refs import Reference
from netwright.core.run_file import RunFile


def place() -> Path:
    """Folder of what this user's workers on this machine have in common: locks by which trials take turns on cards.

    It is made where it is missing. Raises StoreError where somebody else has taken its name, and would own the locks.
    """
    folder = Path(tempfile.gettempdir()) / f"netwright-{os.getuid()}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise StoreError(f"{folder} is not a folder of this user's; have it removed, or set TMPDIR to another folder")
    return folder


def with_data(run: RunFile, changes: Mapping[str, Any]) -> RunFile:
    """The run with options of its task changed that say where data lies. Raises BadRunFile for any other option."""
    known = whereabouts.of(run.task) if changes else ()
    if others := [name for name in changes if name not in known]:
        listed = ", ".join(f"--task.{name}" for name in known) or "no option of this task"
        raise BadRunFile(
            f"--task.{others[0]} is the run's own, and no worker's; a worker may be given {listed}, which say where "
            "its data lies"
        )
    options = {**run.task.options, **run_file.with_absolute_path(changes)}
    return replace(run, task=Reference(run.task.name, options))


def made_ready(run: RunFile, changes: Mapping[str, Any], fingerprint: str | None) -> RunFile:
    """The run as it is evaluated on this host, with its data ready: what is kept of it (caches) is made once.

    Args:
        run: The run.
        changes: Options of its task that are others here.
        fingerprint: That of the data of the run; None: it is not known.

    Raises:
        StoreError: The data here is not that of the run.
        NetwrightError: It cannot be used.
    """
    run = with_data(run, changes)
    task = building.build_task(run)
    if isinstance(task, Prepares):
        for sentence in task.prepare():
            print(sentence, flush=True)
    if fingerprint is not None and isinstance(task, HasFingerprint):
        found = task.fingerprint()
        if not whereabouts.is_same_data(fingerprint, found):
            raise StoreError(
                f"the data of this worker is not that of the run (its fingerprint is {found}, not {fingerprint}); give "
                "its place on this host with --task.path, or bring the same files here"
            )
    return run
