"""Whether a run can be written where its folder lies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from netwright.core import disk
from netwright.runs import run_folder
from netwright.runs.checks.finding import Finding


def of_place(folder: Path) -> Iterator[Finding]:
    """What keeps a run from being written in a folder."""
    if disk.is_read_only(folder):
        yield Finding("unwritable", f"{folder} lies on a disk that is read-only", "copy it to another one to go on")
    elif not os.access(folder, os.W_OK | os.X_OK):
        yield Finding("unwritable", f"{folder} cannot be written by this user", "change its permissions, or copy it")
    else:
        written = [folder / name for name in ("trials", "logs", "shared", run_folder.TABLE)]
        for path in written:
            if path.exists() and not os.access(path, os.W_OK):
                yield Finding("unwritable", f"{path} cannot be written by this user", "change its permissions")
    found = disk.left(folder)
    if found is not None and found.shortage:
        remedy = "remove files that nobody needs, or move the folder to another disk; searches that stopped go on then"
        yield Finding("room", f"{folder}: {found.shortage}", remedy)
    if (length := run_folder.path_length(folder)) > run_folder.LONGEST:
        what = f"the path of {folder.name} has {length:,} bytes, and SQLite opens no table below {run_folder.LONGEST}"
        yield Finding("path", what, "move it to a place with a shorter path")
    if kind := disk.network(folder):
        remedy = "search on a disk of the machine's own: other machines work for it by `netwright worker`"
        yield Finding("network disk", f"{folder} lies on a network disk ({kind}), where SQLite is not safe", remedy)
