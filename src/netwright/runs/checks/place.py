"""Whether a run can be written where its folder lies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from netwright.core import disk
from netwright.runs import run_folder
from netwright.runs.checks.finding import Finding

WITHIN: Final = 160  # characters of the longest path below a run's folder: of a draft in a trial of a training within
LONGEST: Final = 4096  # of a path, where the system does not say


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
    longest = _longest(folder)
    if (length := len(os.fsencode(folder.absolute())) + WITHIN) > longest:
        what = (
            f"the path of {folder.name} is so long that files within would have {length:,} of at most {longest:,} bytes"
        )
        yield Finding("path", what, "move it to a place with a shorter path")
    if kind := disk.network(folder):
        remedy = "search on a disk of the machine's own: other machines work for it by `netwright worker`"
        yield Finding("network disk", f"{folder} lies on a network disk ({kind}), where SQLite is not safe", remedy)


def _longest(folder: Path) -> int:
    try:
        return os.pathconf(folder, "PC_PATH_MAX")
    except (OSError, ValueError, AttributeError):
        return LONGEST
