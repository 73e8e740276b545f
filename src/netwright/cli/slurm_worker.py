"""What a job of Slurm becomes: `netwright worker` on a run's folder, for as long as the job has time.

`executors/slurm_job.py` writes the command. It is the process that Slurm signals before it ends a job.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from netwright.cli.main import TERMINATED, main
from netwright.core import refs, remembered
from netwright.core.errors import NetwrightError
from netwright.core.protocols import Store
from netwright.core.refs import Reference
from netwright.executors.post import ENOUGH, OUT_OF_REACH
from netwright.executors.slurm_job import EARLY, SIGN, watch_log, worker_name
from netwright.executors.slurm_queue import Queue, SlurmError, seconds_left
from netwright.stores import served_file

PATIENCE: Final = 5.0  # seconds for which the table is asked how long trials take
WATCH: Final = 60.0  # seconds without a sign of life on the disk after which a controller counts as dead
FINE = (0, ENOUGH, TERMINATED, 128 + signal.SIGUSR1)  # exit codes of a worker that has left as it should


def words(folder: str, patience: str, left: float | None, variables: Mapping[str, str]) -> list[str]:
    """The words of `netwright worker` in a job.

    Args:
        folder: Folder of the run.
        patience: Seconds for which a controller that does not answer is waited for.
        left: Seconds that the job has; None: there is no limit.
        variables: The job's environment.
    """
    name = worker_name(*_task(variables))
    until = [] if left is None else ["--until", f"{max(1.0, left - EARLY):.0f}"]
    # the run file is the one that this user's own controller has loaded
    return ["worker", folder, "--name", name, "--patience", patience, "--trust", *until]


def run(folder: str, patience: str, variables: Mapping[str, str]) -> int:
    """Work; returns the exit code of the job. Where no controller is left, what waits of its jobs is cancelled."""
    queue = Queue(variables["SLURM_JOB_NAME"])
    left: float | None = None
    try:
        left = seconds_left(*_task(variables), queue.variables)
    except SlurmError as error:  # Slurm tells the process in time
        print(f"netwright: how much time is left is not known: {error}", file=sys.stderr, flush=True)
    node, ends = variables.get("SLURMD_NODENAME", "a node"), "no end" if left is None else f"{left:.0f} s left"
    print(
        f"job {variables['SLURM_JOB_ID']} on {node}, start {variables.get('SLURM_RESTART_COUNT', '0')}, {ends}",
        flush=True,
    )
    median = None if left is None else median_seconds(folder)
    if left is not None and median is not None and median > left - EARLY:
        print(
            f"netwright: trials take {median:.0f} s, by the median so far, which is more than this job has; each goes "
            "on in another job from its checkpoint, if its evaluator writes any; give more --executor.minutes",
            flush=True,
        )
        left = None  # Slurm announces the end
    code = _worked(words(folder, patience, left, variables))
    # a controller that lives and is not reached from this node may be from others
    if code == OUT_OF_REACH and not lives(Path(folder)):
        with suppress(SlurmError):
            queue.cancel("--state=PENDING")
    return 0 if code in FINE else code


def _task(variables: Mapping[str, str]) -> tuple[int, int]:
    return int(variables["SLURM_ARRAY_JOB_ID"]), int(variables["SLURM_ARRAY_TASK_ID"])


def median_seconds(folder: str) -> float | None:
    """How long trials of a run have taken lately; None: that is not known, or nobody answers."""
    try:
        given = {"token_file": str(Path(folder) / served_file.NAME), "patience": PATIENCE}
        store: Store = refs.load("store", Reference("remote", given))
        with closing(store):
            return remembered.number(store, remembered.MEDIAN_SECONDS)
    except NetwrightError:  # of which the worker has more to say
        return None


def lives(folder: Path, sleep: Callable[[float], None] = time.sleep) -> bool:
    """Whether the controller of a run gives a sign of life on the disk within WATCH seconds; no clock is compared.

    Args:
        folder: Folder of the run.
        sleep: Waits some seconds.
    """
    first = _signed(folder)
    for _ in range(round(WATCH / SIGN)):
        sleep(SIGN)
        if _signed(folder) != first:
            return True
    return False


def _signed(folder: Path) -> int | None:
    """When the last sign of life was given, in the disk's nanoseconds; None: that cannot be seen."""
    with suppress(OSError), watch_log(folder).open("rb") as file:  # opened, as what a network disk knows may be old
        return os.fstat(file.fileno()).st_mtime_ns
    return None


def _worked(arguments: list[str]) -> int:
    try:
        main(arguments)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # until the worker listens, as the job's end may be near already
    try:
        sys.exit(run(sys.argv[1], sys.argv[2], os.environ))
    except (NetwrightError, KeyError) as fault:
        sys.exit(f"netwright: {fault}")
