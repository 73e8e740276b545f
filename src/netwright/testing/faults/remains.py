"""What is left of a search that has ended: nothing but its folder, and in that nothing but what belongs there."""

from __future__ import annotations

import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

import psutil

from netwright.core import claim, locks, resources
from netwright.executors import here
from netwright.stores.sqlite import SqliteStore
from netwright.testing.faults.searching import GRACE, TABLE, Scene

LOCK: Final = "controller.lock"
# what a folder holds after an undisturbed search
BELONGS: Final = frozenset(
    [
        *(LOCK, "run.toml", "logs", "report", "trials", resources.FOLDER),
        *(f"{TABLE}{each}" for each in ("", "-wal", "-shm", "-count")),
    ]
)


def processes(place: Scene, seconds: float = GRACE) -> list[str]:
    """Processes that are still there so many seconds after the end, and the ports on which they listen."""
    until = time.monotonic() + seconds
    while (found := place.processes()) and time.monotonic() < until:
        time.sleep(0.05)
    said = []
    for process in found:
        with suppress(psutil.Error):
            ports = [str(each.laddr.port) for each in process.net_connections() if each.status == psutil.CONN_LISTEN]
            listens = f", which listens on port {', '.join(ports)}" if ports else ""
            said.append(f"process {process.pid} ({' '.join(process.cmdline())[:120]}){listens}")
    return said


def files(place: Scene, allowed: frozenset[str] = BELONGS) -> list[str]:
    """Files, locks and the claim that are left behind by a search that has ended in order; a sentence each."""
    of_locks = here.place().name  # of all runs of a user on this machine, and as small as ever
    temporary = [path.relative_to(place.temporary) for path in place.temporary.rglob("*")]
    said = [f"temporary file {path}{_fault(place.temporary / path)}" for path in temporary if path.parts[0] != of_locks]
    said += [f"{path.name} in the run's folder" for path in place.run.iterdir() if path.name not in allowed]
    said += [f"the folder of trial {path.name}" for path in place.run.glob("trials/*")]
    said += [f"draft {path.relative_to(place.run)}" for path in place.run.rglob(".*.new*")]
    try:
        with locks.alone_in(place.run, LOCK):
            pass
    except locks.Held:
        said.append("the lock of the folder is held")
    with closing(SqliteStore(str(place.run / TABLE), mode="read")) as store:
        if store.recall(claim.FACT) is not None:
            said.append(f"the claim of {claim.owner(store, _number(place.run / TABLE))}")
        said += [f"the worker {each.name} in the table" for each in store.workers()]
    return said


def _fault(path: Path) -> str:
    """What the command met a fault of its own, where a file is the traceback of one."""
    if not path.name.startswith("netwright-fault-"):
        return ""
    return f": {path.read_text(errors='replace').strip().rpartition(chr(10))[2][:300]}"


def _number(path: Path) -> int:
    return path.stat().st_ino
