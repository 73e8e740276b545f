"""Jobs of Slurm, one worker each: an array of them that claims trials until the budget is done."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from netwright.core import orders, reading
from netwright.core.errors import WorkerError
from netwright.core.protocols import STOP_SECONDS, Job
from netwright.core.reading import BadText
from netwright.executors import deaths, slurm_crew, slurm_job
from netwright.executors.slurm_crew import Crew
from netwright.executors.slurm_job import JobSpec
from netwright.executors.slurm_queue import Queue, SlurmError, SlurmSilent, Task, check_programs
from netwright.stores.served import TableServer

FACT: Final = "slurm"  # of the table: the name of the jobs, the folder that they work for, their arrays
REFUSALS: Final = 3  # submissions in a row that Slurm refuses while no job is there, after which the search ends
END_SECONDS: Final = 60.0  # for which the end of cancelled jobs is waited for
END_LOOK: Final = 1.0  # seconds between looks meanwhile


@dataclass
class Slurm:
    """`workers` jobs, each of which evaluates trial after trial until the search ends or its time is over.

    They find the table at this process, which must be reachable from the nodes, and the run's folder, the package and
    the interpreter on a disk that the nodes share. Jobs that end before the search does are replaced; those that Slurm
    preempts or requeues put their trials back first, with where these stand.

    Args:
        workers: Number of jobs; there may be any number of them, in several arrays where Slurm's own limit asks for it.
        partition: Partition to submit to, as in "gpu"; "": Slurm's default one.
        minutes: Time limit of a job, in minutes; 0: that of the partition. A worker claims no trial that would not end
            in what is left of it, by the median of those so far.
        gres: What a job gets besides processors, as in "gpu:1"; "": nothing.
        cpus: Processors of a job.
        memory_mb: Memory of a job, in 2**20 bytes; 0: what the partition gives.
        account: Account to be charged; "": the user's default one.
        setup: Lines of shell that a job runs before its worker, such as "module load cuda".
        extra: Further options of sbatch, each as one word, such as "--qos=long".
        python: Interpreter that jobs start; "": the one of this process.
        host: Address of this machine at which the nodes reach it; "": the one from which it reaches them.
        port: Port at which the table is served; 0: a free one.
        trial_minutes: Wall-clock limit of a trial, in minutes; 0: none.
        silent_minutes: Minutes that a trial may go on without a report; 0: no limit.
        stop_seconds: Seconds that a trial has for writing down where it stands when it is stopped.
        poll_seconds: Seconds between looks at Slurm's queue.
    """

    workers: int = 8
    partition: str = ""
    minutes: int = 0
    gres: str = ""
    cpus: int = 1
    memory_mb: int = 0
    account: str = ""
    setup: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    python: str = ""
    host: str = ""
    port: int = 0
    trial_minutes: float = 0.0
    silent_minutes: float = 30.0
    stop_seconds: float = STOP_SECONDS
    poll_seconds: float = 10.0
    _job: Job | None = field(default=None, init=False, repr=False)
    _server: TableServer | None = field(default=None, init=False, repr=False)
    _watch: _Watch | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        for name, least in (("workers", 1), ("minutes", 0), ("cpus", 1), ("memory_mb", 0), ("port", 0)):
            if getattr(self, name) < least:
                raise WorkerError(f"executor.{name} is {getattr(self, name)}; it must be at least {least}")
        for name in ("trial_minutes", "silent_minutes", "stop_seconds"):
            if not getattr(self, name) >= 0:
                raise WorkerError(f"executor.{name} is {getattr(self, name)}; it must be at least 0")
        if not self.poll_seconds > 0:
            raise WorkerError(f"executor.poll_seconds is {self.poll_seconds}; it must be greater than 0")
        if self.port > 65535:
            raise WorkerError(f"executor.port is {self.port}; it must be at most 65535")
        for name in ("partition", "gres", "account", "python", "host"):
            text = getattr(self, name)
            if text != text.strip() or not (text.isprintable() and not text.startswith("-")):
                raise WorkerError(
                    f"executor.{name} is {text!r}; write it in printable characters, without blanks around it and "
                    "without a hyphen first"
                )
        for line in self.setup:
            if "\n" in line or "\0" in line or not line.strip():
                raise WorkerError(f"executor.setup has {line!r}; give each line of shell as a text of its own")
        if fault := slurm_job.refusal(self.extra):
            raise WorkerError(f"executor.extra {fault}")

    def bounded(self, trials: int | None) -> Slurm:
        """This executor with no more workers than trials, at least one; None: there is no limit of trials.

        Raises:
            SlurmError: There is no Slurm here, or it refuses jobs of these options.
        """
        if trials != 0:
            check_programs()
            spec = self._spec(Path.cwd())
            Queue(spec.name()).try_out(spec.arguments(), spec.script())
        started = self.workers if trials is None else max(1, min(self.workers, trials))
        return self if started == self.workers else replace(self, workers=started)

    def start(self, job: Job) -> None:
        """Serve the table and submit the jobs; those of a controller that died are adopted, or cancelled.

        Raises:
            WorkerError: There is no Slurm here, or it refuses the jobs; nothing is left in its queue then.
        """
        if not job.store.address or job.folder is None:
            raise WorkerError("jobs of Slurm need a table in a file and a run folder; use the inline executor")
        check_programs()
        spec = self._spec(job.folder.absolute())
        queue = Queue(spec.name())
        host = self.host or own_address(queue.addresses(self.partition))
        (job.folder / "logs").mkdir(parents=True, exist_ok=True)
        orders.give(job.store, "")
        self._job = job
        self._watch = watch = _Watch(job, spec, queue, self.workers, self.poll_seconds)
        self._server = TableServer(job.store, job.folder, host=host, port=self.port or None, log=watch.note)
        self._server.__enter__()
        watch.begin()

    def poll(self, seconds: float) -> None:
        """Wait; replace jobs that ended. Raises WorkerError when they end again and again as soon as they begin."""
        time.sleep(seconds)
        if self._watch is not None:
            self._watch.go_on()

    def drain(self) -> None:
        """Tell the workers to leave after the trial that they are at."""
        self._order("drain")

    def halt(self) -> None:
        """Tell the workers to put the trials that they are at back, with where these stand, and to leave."""
        self._order("stop")

    def is_idle(self) -> bool:
        """Whether no trial runs any more."""
        return self._job is None or all(trial.status != "running" for trial in self._job.store.unfinished())

    def stop(self) -> None:
        """Cancel the jobs, wait until they have ended, and serve the table no more."""
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.end()
        if self._server is not None:
            self._server.__exit__(None, None, None)
            self._server = None
        self._job = None

    def _order(self, order: orders.Order) -> None:
        if self._job is not None and self._watch is not None and self._watch.order != order:
            orders.give(self._job.store, order)
            self._watch.order = order

    def _spec(self, folder: Path) -> JobSpec:
        return JobSpec(
            folder,
            self.python or sys.executable,
            partition=self.partition,
            minutes=self.minutes,
            gres=self.gres,
            cpus=self.cpus,
            memory_mb=self.memory_mb,
            account=self.account,
            stop_seconds=self.stop_seconds,
            extra=tuple(self.extra),
            setup=tuple(self.setup),
            variables=slurm_job.kept(os.environ),
        )


class _Watch:
    """Looks at the queue in a thread, as Slurm may take its time, and fills the places of jobs that have ended."""

    def __init__(self, job: Job, spec: JobSpec, queue: Queue, wanted: int, every: float) -> None:
        assert job.folder is not None
        self._store, self._spec, self._queue, self._wanted, self._every = job.store, spec, queue, wanted, every
        self._log = job.folder / "logs" / "slurm.log"
        self._folder = str(job.folder.absolute())
        self._crew = Crew()
        self._arrays: list[int] = []
        self._most = slurm_crew.DEFAULT_ARRAY
        self._refused = 0
        self._counts = ""
        self._round: threading.Thread | None = None
        self._fault: Exception | None = None
        self._next = 0.0
        self.order: orders.Order = ""

    def begin(self) -> None:
        """Submit what is missing of the jobs. Raises SlurmError."""
        self._most = self._queue.max_array()
        earlier = self._earlier()
        if earlier is not None and earlier != self._queue.name:
            self.note(f"cancelled the jobs of an earlier controller, which had other options: {earlier}")
            Queue(earlier).cancel()
        self._remember()  # the name, before there is a job that has it
        surplus = self._crew.adopt(self._queue.look(), self._wanted)
        self._queue.cancel_tasks(surplus)
        if self._crew.members:
            self._arrays = sorted({array for array, _ in self._crew.members})
            self.note(f"goes on with {len(self._crew.members)} jobs of an earlier controller: {self._arrays}")
        self._submit(self._crew.needed(self._wanted, time.monotonic()))
        self._next = time.monotonic() + self._every

    def go_on(self) -> None:
        """Begin a look when it is time. Raises what the last one has found."""
        if self._round is not None:
            if self._round.is_alive():
                return
            self._round, self._next = None, time.monotonic() + self._every
        if self._fault is not None:
            raise self._fault
        if time.monotonic() >= self._next:
            self._round = threading.Thread(target=self._look, daemon=True)
            self._round.start()

    def end(self) -> None:
        """Cancel all jobs, and wait until they have ended; says so where that cannot be done."""
        if self._round is not None:
            self._round.join()
        until, fault = time.monotonic() + END_SECONDS, ""
        is_told = False
        while time.monotonic() < until:
            try:
                if not is_told:
                    self._queue.cancel()
                    is_told = True
                if not any(task.is_live for task in self._queue.look()):
                    self.note("all jobs have ended")
                    return
                fault = "they have not ended yet"
            except SlurmError as error:
                fault = str(error)
            time.sleep(END_LOOK)
        print(
            f"netwright: jobs of this search may be left in Slurm's queue ({fault}); they leave by themselves, or: "
            f"scancel --name={self._queue.name}",
            file=sys.stderr,
        )

    def note(self, text: str) -> None:
        """A line in the log of what was done."""
        with suppress(OSError), self._log.open("a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")

    def _look(self) -> None:
        try:
            self._fill()
        except Exception as fault:
            self._fault = fault

    def _fill(self) -> None:
        """One look at the queue, and what follows from it."""
        try:
            if self.order:  # what has not begun need not
                self._queue.cancel("--state=PENDING")
            listed = self._queue.look()
        except SlurmError as error:  # its controller restarts, say: the workers go on
            self.note(f"the queue cannot be read: {error}")
            return
        before = dict(self._crew.members)
        lost = self._crew.look(listed, self._store.tally().finished, time.monotonic())
        self._note(listed, lost)
        self._requeue([*lost, *self._restarted(before)])
        if self.order:
            return
        if self._crew.is_hopeless():
            raise WorkerError(self._hopeless())
        if self._crew.was_cancelled and not self._crew.members:
            raise WorkerError(
                "all jobs of the search were cancelled by somebody else (scancel); the same command goes on with new ones"
            )
        rows = len(self._store.unfinished())
        self._replace(self._crew.needed(min(self._wanted, rows), time.monotonic()))
...
