"""Worker processes on this machine, each under a parent of its own that beats for it, times it and replaces it.

Processes are started anew, never forked, so no live torch is inherited; they learn what to do from the table.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from subprocess import Popen
from typing import Final, Literal

from netwright.core import disk, room
from netwright.core.errors import WorkerError
from netwright.core.protocols import STOP_SECONDS, Job
from netwright.executors import card_service, deaths, descendants, lines, supervisor
from netwright.executors.card_service import Service
from netwright.executors.post import CANNOT_START, NO_ROOM, Post

WORKER_MB: Final = 350.0  # a worker with torch (300) and its parent (50), measured on Linux, before any network


@dataclass
class Processes:
    """`workers` processes that evaluate side by side.

    Args:
        workers: Number of worker processes; by default one per core, fewer where memory does not hold as many. No more
            are started than there are trials left.
        trial_minutes: Wall-clock limit of a trial, in minutes; 0: none.
        silent_minutes: Minutes that a trial may go on without a report; 0: no limit.
        stop_seconds: Seconds that a trial has for writing down where it stands when the search is stopped, or its hours
            are over; one that takes longer is killed and begins where it last wrote that down.
        trials_per_gpu: Most trials that share a card (GPU), where the evaluator trains on cards; there are no more
            workers than that. "auto": as many as bring clearly more steps a second, measured for half a minute when a
            search of some length begins; a shorter one has one on each card.
        card_service: Whether trials that share a card do so by the driver's multi-process service: "auto" starts it for
            the search where that is possible and allowed, and else goes on without.
    """

    workers: int = room.per_core(WORKER_MB)
    trial_minutes: float = 0.0
    silent_minutes: float = 30.0
    stop_seconds: float = STOP_SECONDS
    trials_per_gpu: int | Literal["auto"] = "auto"
    card_service: Literal["auto", "never"] = "auto"
    _is_crowded: bool = field(default=False, init=False, repr=False)  # trials share cards
    _service: Service | None = field(default=None, init=False, repr=False)
    _job: Job | None = field(default=None, init=False, repr=False)
    _parents: list[Popen[bytes]] = field(default_factory=list, init=False, repr=False)
    _faults: dict[int, int] = field(default_factory=dict, init=False, repr=False)
    _draining: bool = field(default=False, init=False, repr=False)
    _halting: bool = field(default=False, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise WorkerError(f"executor.workers is {self.workers}; it must be at least 1")
        for name in ("trial_minutes", "silent_minutes"):
            if not getattr(self, name) >= 0:
                raise WorkerError(f"executor.{name} is {getattr(self, name)}; it must be at least 0 (0: no limit)")
        if not self.stop_seconds >= 0:
            raise WorkerError(f"executor.stop_seconds is {self.stop_seconds}; it must be at least 0")
        if self.trials_per_gpu != "auto" and self.trials_per_gpu < 1:
            raise WorkerError(f"executor.trials_per_gpu is {self.trials_per_gpu}; it must be at least 1, or auto")

    def bounded(self, trials: int | None) -> Processes:
        """This executor with no more workers than trials, at least one; None: there is no limit of trials.

        Raises:
            WorkerError: The machine's memory does not hold the workers.
        """
        started = self.workers if trials is None else max(1, min(self.workers, trials))
        room.refuse_crowd("executor.workers", self.workers, started, WORKER_MB)
        return self if started == self.workers else replace(self, workers=started)

    def on_cards(self, cards: int, each: int) -> Processes:
        """This executor with workers for at most `each` trials on each of so many cards."""
        made = replace(self, workers=max(1, min(self.workers, cards * each)), trials_per_gpu=each)
        made._is_crowded = made.workers > cards
        return made

    def start(self, job: Job) -> None:
        """Start the parents; each starts its worker. Raises WorkerError where they cannot be."""
        if not job.store.address or job.folder is None:
            raise WorkerError("worker processes need a table in a file and a run folder; use the inline executor")
        self.bounded(None)
        descendants.end_marked(f"{job.store.address}|")  # of an earlier search, whose processes were all killed
        self._job, self._draining, self._halting, self._faults = job, False, False, {}
        if self._is_crowded and self.card_service == "auto":
            self._service = card_service.start(f"{job.store.address}|card_service|")
        self._parents = [self._launch(index) for index in range(self.workers)]

    def poll(self, seconds: float) -> None:
        """Wait; replace parents that died. Raises WorkerError when workers cannot start."""
        time.sleep(seconds)
        for index, parent in enumerate(self._parents):
            code = parent.poll()
            if code is None or self._draining:
                continue
            if code < 0:
                self._bury(index, parent)
            if code == NO_ROOM:
                raise WorkerError(self._without_room())
            # a parent ends on its own only over a fault of its own, say a full disk: it is not replaced for ever
            self._faults[index] = self._faults.get(index, 0) + (code > 0)
            if code == CANNOT_START or self._faults[index] >= supervisor.STARTS:
                raise WorkerError(f"worker w{index} cannot start: {_last_line(self._log(index))}")
            self._parents[index] = self._launch(index)

    def drain(self) -> None:
        """Tell the workers to leave after the trial they are at."""
        if not self._draining:
            self._draining = True
            self._tell("drain")

    def halt(self) -> None:
        """Tell the workers to put the trials that they are at back, with where these stand, and to leave."""
        if not self._halting:
            self._draining = self._halting = True
            self._tell("stop")

    def is_idle(self) -> bool:
        """Whether all workers have left."""
        return all(parent.poll() is not None for parent in self._parents)

    def stop(self) -> None:
        """Close the line to the parents: they kill their workers and leave; what does not leave is killed.

        So is what was told to halt and still writes, since it would go on with that.
        """
        for index, parent in enumerate(self._parents):
            assert parent.stdin is not None
            with suppress(OSError):
                parent.stdin.close()
            if self._halting and parent.poll() is None:
                parent.kill()
                parent.wait()
                descendants.end_marked(self._mark(index, parent))
        for parent in self._parents:
            try:
                parent.wait(timeout=10)
            except subprocess.TimeoutExpired:
                parent.kill()  # its worker sees the closed line and follows
                parent.wait()
        self._parents = []
        if self._service is not None:
            self._service.stop()
            self._service = None

    def _tell(self, order: str) -> None:
        for parent in self._parents:
            assert parent.stdin is not None
            with suppress(OSError):  # it is gone already
                parent.stdin.write(lines.encode(order))
                parent.stdin.flush()

    def _bury(self, index: int, parent: Popen[bytes]) -> None:
        """After a parent was killed: end what its worker has started, and say in the row what happened."""
        assert self._job is not None
        descendants.end_marked(self._mark(index, parent))
        reason = f"the process that watched over its worker {deaths.cause(parent.wait())}"
        self._job.store.requeue(0.0, _name(index, parent), reason)

    def _mark(self, index: int, parent: Popen[bytes]) -> str:
        """What stands in the environment of whatever the worker of a parent has started."""
        assert self._job is not None
        return f"{self._job.store.address}|{_name(index, parent)}|"

    def _launch(self, index: int) -> Popen[bytes]:
        job = self._job
        assert job is not None and job.folder is not None
        post = Post(
            address=job.store.address,
            folder=str(job.folder),
            name=f"w{index}",
            index=index,
            threads=job.threads,
            keep=job.keep,
            trial_seconds=self.trial_minutes * 60,
            silent_seconds=self.silent_minutes * 60,
            stop_seconds=self.stop_seconds,
            log=str(self._log(index)),
        )
        log = self._log(index)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            return Popen(
                [sys.executable, "-m", "netwright.executors.supervisor", post.to_json()],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env={**os.environ, **(self._service.environment if self._service else {})},
                start_new_session=True,  # Ctrl-C reaches the controller alone
            )

    def _without_room(self) -> str:
        assert self._job is not None and self._job.folder is not None
        full = disk.why_full(self._job.folder)
        return (
            f"a trial could not write in {self._job.folder}: {full}; it is put back; make room and give the same "
            f"command again (more in {self._job.folder / 'logs'})"
        )

    def _log(self, index: int) -> Path:
        assert self._job is not None and self._job.folder is not None
        return self._job.folder / "logs" / f"w{index}.log"


def _name(index: int, parent: Popen[bytes]) -> str:
    """The name of a worker in the table, as its parent makes it."""
    return f"w{index}-{parent.pid}"


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f"{lines[-1][:500]} (all of it in {path})" if lines else f"see {path}"


plugin = Processes
