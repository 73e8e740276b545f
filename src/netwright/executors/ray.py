"""Workers on a Ray cluster: actors, each of which runs the worker of a served table; without an address, a local Ray.

Ray places them, and replaces nothing: an actor that is gone is made anew here. What is connected to Ray is a process of
its own (`ray_bridge`), which Ray ends where the cluster goes away; the search then waits, and goes on with the cluster.
"""

from __future__ import annotations

import hashlib
import math
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from netwright.core import extras, room
from netwright.core.errors import WorkerError
from netwright.core.protocols import STOP_SECONDS, Job
from netwright.executors import deaths, ray_options
from netwright.executors.post import CANNOT_START
from netwright.executors.ray_bridge import NEED, Duty, Terms
from netwright.executors.ray_link import LOG, Link
from netwright.executors.table_service import Serving
from netwright.stores.remote import TOKEN

WORKER_MB: Final = 420.0  # a worker with torch and its parent, and an estimate for its actor, before any network
CONNECTING: Final = 120.0  # seconds that a cluster has for the first answer
ENDING: Final = 40.0  # seconds that actors have for ending
LEAVING: Final = 15.0  # seconds after those for what is at work within which an actor that halts should have left
REMOVING: Final = 10.0  # seconds for which removing a folder is tried
LOOK_EVERY: Final = 0.05  # seconds
HIGHEST_PORT: Final = 65_535
LONGEST_WAIT: Final = 30.0  # seconds between two tries to connect
WORKER: Final = ("-m", "netwright", "worker", "--trust", "--leashed")  # the run's plug-ins are those of this user
SIGNALED: Final = 128  # exit codes beyond it: somebody told it to leave
STARTS: Final = 3  # faults of the worker in one place, without a trial that finished, after which it is given up


@dataclass
class Ray:
    """`workers` actors, each a place for one worker, on whichever nodes have room for them.

    Args:
        address: HOST:PORT of a cluster that runs, one of whose nodes is this machine, or "auto" for the one that Ray
            finds; "": a Ray of this run's own, on this machine, which is started and ended with it.
        workers: Number of actors; those for which there is no room wait until there is.
        cpus: CPUs that each takes, by Ray's count, and the threads of a trial.
        gpus: GPUs that each takes; below 1, a share of one.
        memory_mb: Memory that each takes by Ray's count, in 10**6 bytes; 0: it is not stated.
        resources: What else each takes of the cluster, as NAME=NUMBER with commas between.
        namespace: Ray's namespace of the actors.
        working_dir: Folder that Ray copies to the nodes, with plug-ins of one's own; "": none, as where these are
            installed there, or the nodes share this directory.
        host: Address of this machine at which the nodes reach it; "": the one by which Ray knows it. Beyond loopback
            ones, the table is served by TLS.
        port: Port at which the table is served; 0: that of a search of this run which was killed, else a free one.
        patience_minutes: Minutes for which workers wait for a search that was killed to be started again; then they
            leave, and their actors with them.
        trial_minutes: Wall-clock limit of a trial, in minutes; 0: none.
        silent_minutes: Minutes that a trial may go on without a report; 0: no limit.
        stop_seconds: Seconds that a trial has for writing down where it stands when the search is stopped.

    Raises:
        MissingCapability: Ray is not installed.
        WorkerError: An option has a value that it cannot have.
    """

    address: str = ""
    workers: int = room.per_core(WORKER_MB)
    cpus: int = 1
    gpus: float = 0.0
    memory_mb: float = 0.0
    resources: str = ""
    namespace: str = "netwright"
    working_dir: str = ""
    host: str = ""
    port: int = 0
    patience_minutes: float = 10.0
    trial_minutes: float = 0.0
    silent_minutes: float = 30.0
    stop_seconds: float = STOP_SECONDS
    _job: Job | None = field(default=None, init=False, repr=False)
    _serving: Serving | None = field(default=None, init=False, repr=False)
    _link: Link | None = field(default=None, init=False, repr=False)  # None: the cluster is not there
    _folder: str = field(default="", init=False, repr=False)  # of a Ray of this run's own
    _retry: _Retry = field(default_factory=lambda: _Retry(), init=False, repr=False)
    _faults: dict[int, int] = field(default_factory=dict, init=False, repr=False)  # by seat, since a trial finished
    _finished: int = field(default=0, init=False, repr=False)  # trials, when a worker had a fault last
    _halted_at: float = field(default=math.inf, init=False, repr=False)
    _is_leaving: bool = field(default=False, init=False, repr=False)
    _is_idle: bool = field(default=False, init=False, repr=False)  # no actor is left
    _is_waiting: bool = field(default=False, init=False, repr=False)  # nobody works, which was said

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise WorkerError(f"executor.workers is {self.workers}; it must be at least 1")
        if self.cpus < 1:
            raise WorkerError(f"executor.cpus is {self.cpus}; it must be at least 1")
        if not 0 <= self.port <= HIGHEST_PORT:
            raise WorkerError(f"executor.port is {self.port}; it must be from 1 to {HIGHEST_PORT}, or 0 for a free one")
        if fault := ray_options.fault_of_address(self.address):
            raise WorkerError(f"executor.address is {self.address}; {fault}")
        for name in ("gpus", "memory_mb", "trial_minutes", "silent_minutes", "stop_seconds", "patience_minutes"):
            if not 0 <= getattr(self, name) < math.inf:
                raise WorkerError(f"executor.{name} is {getattr(self, name)}; it must be a number of at least 0")
        if self.gpus > 1 and self.gpus % 1:
            raise WorkerError(f"executor.gpus is {self.gpus}; give a whole number, or a share below 1")
        if not re.fullmatch(r"[\w.-]{1,100}", self.namespace):
            raise WorkerError(f"executor.namespace is {self.namespace!r}; give letters, digits, dots and hyphens")
        if self.working_dir and not Path(self.working_dir).is_dir():
            raise WorkerError(f"executor.working_dir is {self.working_dir}; there is no such folder")
        ray_options.numbers(self.resources)
        extras.check("ray", *NEED)

    @property
    def present(self) -> int:
        """How many workers are there."""
        return 0 if self._serving is None else len(self._serving.present())

    @property
    def needs(self) -> Mapping[str, Any]:
        """What each actor takes, as options of Ray."""
        found: dict[str, Any] = {"num_cpus": self.cpus, "num_gpus": self.gpus}
        if self.memory_mb:
            found["memory"] = int(1e6 * self.memory_mb)
        if named := ray_options.numbers(self.resources):
            found["resources"] = named
        return found

    def bounded(self, trials: int | None) -> Ray:
        """This executor with no more workers than trials, at least one; None: there is no limit of trials.

        Raises:
            WorkerError: The workers are to be on this machine, whose memory does not hold them.
        """
        started = self.workers if trials is None else max(1, min(self.workers, trials))
        if not self.address:
            room.refuse_crowd("executor.workers", self.workers, started, WORKER_MB)
        return self if started == self.workers else replace(self, workers=started)

    def start(self, job: Job) -> None:
        """Connect to the cluster, serve the table and have the actors made.

        Raises:
            WorkerError: The job has no folder, or there is no such cluster.
            StoreError: The table cannot be served.
        """
        if job.folder is None:
            raise WorkerError("workers on a cluster need a run with a folder; use the inline executor")
        self._job, self._faults, self._retry = job, {}, _Retry()
        self._is_leaving = self._is_idle = self._is_waiting = False
        self._finished, self._halted_at = 0, math.inf
        host = self._connected(job)
        is_here = not self.address or ray_options.is_loopback(
            host
        )  # a Ray of this run's own has all actors on this machine
        host = self.host or ("127.0.0.1" if is_here else host)
        self._serving = Serving(job, host, self.port, self.stop_seconds)
        assert self._link is not None
        self._link.begin(self._duty())

    def poll(self, seconds: float) -> None:
        """Wait; take in what the cluster says, and connect to it anew where it was gone.

        Raises:
            WorkerError: Workers cannot start.
        """
        if self._link is None:
            time.sleep(seconds)
            if self._retry.is_due():
                self._link = self._linked()
            return
        if self._serving is not None:
            self._serving.wait(seconds)
        for message in self._link.hear(0.0):
            self._take(message)
        if self._link is not None and not self._link.is_alive():
            self._lose_link("")

    def drain(self) -> None:
        """Have workers leave after the trial they are at."""
        if self._serving is not None and not self._is_leaving:
            self._serving.drain()
            self._leave()

    def halt(self) -> None:
        """Have workers put back what they are at, with where it stands, and leave."""
        if self._serving is not None:
            self._halted_at = min(self._halted_at, time.monotonic())
            self._serving.halt()
            self._leave()

    def is_idle(self) -> bool:
        """Whether no actor is left; where the cluster does not answer in time, whether no trial runs."""
        if self._serving is None:
            return True
        is_late = time.monotonic() - self._halted_at > self.stop_seconds + LEAVING
        return (self._is_idle or self._link is None or self._is_waiting or is_late) and self._serving.is_idle()

    def stop(self) -> None:
        """End the workers, the actors, the connection, and a Ray of this run's own; serve the table no longer."""
        link, serving = self._link, self._serving
        self._link = self._serving = None
        with ExitStack() as last:  # each, whatever becomes of the one before, as where Ctrl-C comes meanwhile
            last.callback(self._remove_folder)
            if serving is not None:
                last.callback(serving.end)
            if link is not None:
                link.end(ENDING)

    def _connected(self, job: Job) -> str:
        """Connect for the first time; returns the address of this machine as the cluster sees it."""
        tries = 1 if self.address else 2  # a machine that is busy may be too slow for Ray, which waits for 30 s
        for left in reversed(range(tries)):
            self._link, until, fault = self._linked(), time.monotonic() + CONNECTING, ""
            while not fault and self._link.is_alive() and time.monotonic() < until:
                for message in self._link.hear(0.5):
                    if message["say"] == "connected":
                        return str(message["host"])
                    fault = fault or str(message.get("text", ""))
            self._link.close()
            self._link = None
            self._remove_folder()
            if not left:
                break
        where = f"no Ray answers at {self.address}" if self.address else "no Ray could be started on this machine"
        raise WorkerError(f"{where}: {fault or 'it did not say why'} (see {_logs(job) / LOG})")

    def _linked(self) -> Link:
        """A process that connects, or will have said that it cannot."""
        assert self._job is not None
        if not self.address:
            self._folder = _folder_of(self._job)
        return Link(
            Terms(
                address=self.address,
                namespace=self.namespace,
                run=f"netwright-{_digest(self._job)}",
                workers=self.workers,
                needs=dict(self.needs),
                working_dir=str(Path(self.working_dir).absolute()) if self.working_dir else "",
                folder=self._folder,
                logs=str(_logs(self._job)),
                is_leaving=self._is_leaving,
            )
        )

    def _remove_folder(self) -> None:
        """Remove the folder of a Ray of this run's own, whose last processes may still write there."""
        until = time.monotonic() + REMOVING
        while self._folder and Path(self._folder).exists() and time.monotonic() < until:
            shutil.rmtree(self._folder, ignore_errors=True)
            time.sleep(LOOK_EVERY)
        self._folder = ""

    def _duty(self) -> Duty:
        """What workers do."""
        assert self._serving is not None
        return Duty(
            arguments=(*WORKER, self._serving.address, "--patience", f"{60 * self.patience_minutes:g}", "--name"),
            environment={TOKEN: self._serving.token},
            directory="" if self.working_dir else str(Path.cwd()),
        )

    def _take(self, message: Mapping[str, Any]) -> None:
        """Do what a message of the connected process asks for."""
        assert self._job is not None and self._link is not None
        say = message["say"]
        if say == "connected":  # anew, as the first time is waited for
            self._retry = _Retry()
            self._link.begin(self._duty())
        elif say == "refused":
            self._lose_link(message["text"])
        elif say == "waiting":
            self._wait(f"no worker has a place on the cluster, which has {message['text']}")
        elif say in ("here", "back"):
            self._go_on()
        elif say == "lost":
            self._bury(message["worker"], message["text"])
        elif say == "left":
            self._leave_seat(message["seat"], message["code"], message["worker"])
        elif say == "failed":
            raise WorkerError(f"actors cannot be made: {message['text']} (see {_logs(self._job) / LOG})")
        elif say == "idle":
            self._is_idle = True

    def _lose_link(self, reason: str) -> None:
        """The process has ended: the cluster is gone, or it was killed. Another one is tried again and again."""
        assert self._link is not None
        self._link.close()
        self._link = None
        self._retry = self._retry.next()
        if self._retry.tries > 1:
            self._wait(f"no Ray answers {f'at {self.address}' if self.address else 'here'}{reason and f': {reason}'}")

    def _wait(self, why: str) -> None:
        assert self._job is not None
        if not self._is_waiting:
            self._is_waiting = True
            self._job.say(f"waiting for Ray: {why}")

    def _go_on(self) -> None:
        assert self._job is not None
        if self._is_waiting:
            self._is_waiting = False
            self._job.say("a worker has a place on the cluster; the search goes on")

    def _leave(self) -> None:
        self._is_leaving = True
        if self._link is not None:
            self._link.leave()

    def _leave_seat(self, seat: int, code: int, worker: str) -> None:
        """A worker has left a place; it is the next one's."""
        assert self._job is not None
        if code < 0:
            self._bury(worker, f"the process that watched over its worker {deaths.cause(code)}")
        if not 0 < code < SIGNALED:
            return
        if (finished := self._job.store.tally().finished) > self._finished:
            self._finished, self._faults = finished, {}
        self._faults[seat] = self._faults.get(seat, 0) + 1
        if code == CANNOT_START or self._faults[seat] >= STARTS:
            path = _logs(self._job) / f"w{seat}.log"
            raise WorkerError(f"worker w{seat} cannot start: {deaths.last_words(path)[-500:] or 'it says nothing'}")

    def _bury(self, worker: str, reason: str) -> None:
        """Put back what the worker of an actor had that is gone."""
        assert self._job is not None
        store = self._job.store
        for state in store.workers():
            if state.name.startswith(f"{worker}-"):
                store.requeue(0.0, state.name, reason)


@dataclass(frozen=True)
class _Retry:
    """When a connection is tried again.

    Args:
        tries: How often it was tried in vain.
        at: When it is tried next, on the monotonic clock.
    """

    tries: int = 0
    at: float = 0.0

    def is_due(self) -> bool:
        """Whether to try."""
        return time.monotonic() >= self.at

    def next(self) -> _Retry:
        """After one more try in vain."""
        return _Retry(self.tries + 1, time.monotonic() + min(LONGEST_WAIT, 2.0**self.tries))


def _logs(job: Job) -> Path:
    assert job.folder is not None
    return job.folder.absolute() / "logs"


def _digest(job: Job) -> str:
    """Stands for a run: its folder on this machine."""
    assert job.folder is not None
    return hashlib.sha256(f"{socket.gethostname()}:{job.folder.resolve()}".encode()).hexdigest()[:10]


def _folder_of(job: Job) -> str:
    """A folder for a Ray of a run's own, with a short name, as Ray puts sockets there; what a kill left is removed."""
    prefix = f"nw-ray-{_digest(job)}-"
    for left in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        shutil.rmtree(left, ignore_errors=True)
    return tempfile.mkdtemp(prefix=prefix)


plugin = Ray
