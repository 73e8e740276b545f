"""Whether the data of a run is where it was, and what it was."""

from __future__ import annotations

from collections.abc import Iterator

from netwright.core import reading, refs, whereabouts
from netwright.core.errors import NetwrightError
from netwright.core.protocols import HasFingerprint, Store
from netwright.core.run_file import RunFile
from netwright.runs.checks.finding import Finding, of_sentence

REMEDY = "restore it, give --task.path where it has moved, or begin another run with --out"


def of_data(store: Store, run: RunFile) -> Iterator[Finding]:
    """What is to be said of the data of a run, which is read for that."""
    known = store.recall("data")
    if known is None:
        return
    try:
        task = refs.load("task", run.task)
        found = task.fingerprint() if isinstance(task, HasFingerprint) else known
    except NetwrightError as error:
        yield of_sentence("data", f"the data of the run cannot be read: {error}", REMEDY)
        return
    except OSError as error:
        yield Finding(
            "data", f"the data of the run cannot be read: {error.filename or run.task}: {error.strerror}", REMEDY
        )
        return
    if not whereabouts.is_same_data(known, found):
        what = f"the data of the run has changed: its fingerprint was {reading.line(known)} and is {found}"
        yield Finding("data", what, REMEDY)
