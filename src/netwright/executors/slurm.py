"""Jobs of Slurm, one worker each: arrays of them that claim trials until the budget is done."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from netwright.core.errors import WorkerError
from netwright.core.protocols import STOP_SECONDS, Job
from netwright.executors import slurm_job
from netwright.executors.slurm_job import JobSpec
from netwright.executors.slurm_queue import Queue, check_programs
from netwright.executors.slurm_watch import QueueWatch
from netwright.executors.table_service import Serving

LEAST: Final = {"workers": 1, "minutes": 0, "cpus": 1, "memory_mb": 0, "port": 0}
AT_LEAST_ZERO: Final = ("trial_minutes", "silent_minutes", "stop_seconds", "patience_minutes")
PLAIN: Final = ("partition", "gres", "account", "python", "host")
HIGHEST_PORT: Final = 65_535
TRIED: Final = 20  # addresses of nodes


@dataclass
class Slurm:
    """`workers` jobs, each of which evaluates trial after trial until the search ends or its own time is over.

    They find the table at this process, which the nodes must be able to reach, and the run's folder, the package and
    the interpreter on a disk that the nodes share. Jobs that end before the search does are replaced; those that Slurm
    preempts or requeues put their trials back first, with where these stand.

    Args:
        workers: Number of jobs; where an array may not have as many, there are several arrays.
        partition: Partition to submit to, as in "gpu"; "": Slurm's default one.
        minutes: Time limit of a job, in minutes; 0: that of the partition. A worker claims no trial that would not end
            in what is left of it, by the median of those so far.
        gres: What a job gets besides processors, as in "gpu:1"; "": nothing.
        cpus: Processors of a job, and the threads of a trial.
        memory_mb: Memory of a job, in 2**20 bytes; 0: what the partition gives.
        account: Account to be charged; "": the user's default one.
        setup: Lines of shell that a job runs before its worker, such as "module load cuda".
        extra: Further options of sbatch, each as one word, such as "--qos=long".
        python: Interpreter that jobs start; "": the one of this process.
        host: Address of this machine at which nodes reach it; "": the one from which it reaches them. Beyond loopback
            ones, the table is served by TLS.
        port: Port at which the table is served; 0: that of a controller of this run which was killed, else a free one.
        trial_minutes: Wall-clock limit of a trial, in minutes; 0: none.
        silent_minutes: Minutes that a trial may go on without a report; 0: no limit.
        stop_seconds: Seconds that a trial has for writing down where it stands when it is stopped. Slurm gives as many
            before it kills a job (KillWait, or a partition's GraceTime); what takes longer is lost.
        patience_minutes: Minutes for which jobs wait for a controller that was killed to be started again.
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
    patience_minutes: float = 10.0
    poll_seconds: float = 10.0
    _serving: Serving | None = field(default=None, init=False, repr=False)
    _watch: QueueWatch | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        for name, least in LEAST.items():
            if getattr(self, name) < least:
                raise WorkerError(f"executor.{name} is {getattr(self, name)}; it must be at least {least}")
        for name in AT_LEAST_ZERO:
            if not getattr(self, name) >= 0:
                raise WorkerError(f"executor.{name} is {getattr(self, name)}; it must be at least 0")
        if not self.poll_seconds > 0:
            raise WorkerError(f"executor.poll_seconds is {self.poll_seconds}; it must be greater than 0")
        if self.port > HIGHEST_PORT:
            raise WorkerError(f"executor.port is {self.port}; it must be from 1 to {HIGHEST_PORT}, or 0 for a free one")
        for name in PLAIN:
            text = getattr(self, name)
            if text != text.strip() or text.startswith("-") or not text.isprintable():
                raise WorkerError(
                    f"executor.{name} is {text!r}; write it in printable characters, without blanks around it and "
                    "without a dash before it"
                )
        for line in self.setup:
            if not line.strip() or "\n" in line or "\0" in line:
                raise WorkerError(f"executor.setup has {line!r}; give each line of shell as a text of its own")
        if fault := slurm_job.refusal(self.extra):
            raise WorkerError(f"executor.extra {fault}")

    @property
    def present(self) -> int:
        """How many workers are there: jobs may wait for hours."""
        return 0 if self._serving is None else len(self._serving.present())

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
        """Serve the table and submit the jobs; those of a controller that was killed go on, or are cancelled.

        Raises:
            WorkerError: There is no Slurm here, or it refuses the jobs; `stop` leaves nothing in its queue.
            StoreError: The table cannot be served at `host`.
        """
        if not job.store.address or job.folder is None:
            raise WorkerError("jobs of Slurm need a table in a file and a run folder; use the inline executor")
        check_programs()
        spec = self._spec(job.folder.absolute())
        queue = Queue(spec.name())
        host = self.host or own_address(queue.addresses(self.partition))
        spec.log_of(0, 0).parent.mkdir(parents=True, exist_ok=True)
        self._serving = Serving(job, host, self.port, self.stop_seconds)
        self._watch = QueueWatch(job, spec, queue, self.workers, self.poll_seconds, self._serving)
        self._watch.begin()

    def poll(self, seconds: float) -> None:
        """Wait; replace jobs that ended. Raises WorkerError when they end again and again as soon as they begin."""
        if self._serving is not None and self._watch is not None:
            self._serving.wait(seconds)
            self._watch.go_on()

    def drain(self) -> None:
        """Tell the workers to leave after the trial that they are at."""
        if self._serving is not None and self._watch is not None:
            self._serving.drain()
            self._watch.fills = False

    def halt(self) -> None:
        """Tell the workers to put the trials that they are at back, with where these stand, and to leave."""
        if self._serving is not None and self._watch is not None:
            self._serving.halt()
            self._watch.fills = False

    def is_idle(self) -> bool:
        """Whether nothing runs any more."""
        return self._serving is None or self._serving.is_idle()

    def stop(self) -> None:
        """Have the workers leave, cancel their jobs, and serve the table no longer once these have ended."""
        watch, serving = self._watch, self._serving
        self._watch = self._serving = None
        try:
            if watch is not None and serving is not None:
                serving.halt()
                watch.end()
        finally:  # also where Ctrl-C does not wait for the jobs
            if serving is not None:
                serving.end()

    def _spec(self, folder: Path) -> JobSpec:
        return JobSpec(
            folder,
            os.path.expanduser(self.python) or sys.executable,
            partition=self.partition,
            minutes=self.minutes,
            gres=self.gres,
            cpus=self.cpus,
            memory_mb=self.memory_mb,
            account=self.account,
            stop_seconds=self.stop_seconds,
            extra=tuple(self.extra),
            setup=tuple(self.setup),
            patience=60 * self.patience_minutes,
            variables=slurm_job.kept(os.environ),
        )


def own_address(nodes: Sequence[str]) -> str:
    """The address of this machine from which it reaches nodes, of which the first that has an address decides."""
    for node in nodes[:TRIED]:
        try:
            family, kind, protocol, _, place = socket.getaddrinfo(node, 9, type=socket.SOCK_DGRAM)[0]
            with socket.socket(family, kind, protocol) as line:
                line.connect(place)  # of datagrams: nothing is sent
                return str(line.getsockname()[0])
        except OSError:  # no such name, as of nodes of a cloud that are not there now
            continue
    return socket.getfqdn()


plugin = Slurm
