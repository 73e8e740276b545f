"""Several processes for one training: started by the worker on its own machine, or by `torchrun` on several.

    netwright train runs/x --evaluator.processes 2
    torchrun --nnodes 2 --nproc-per-node 8 --rdzv-backend c10d --rdzv-endpoint first:29500 \\
        -m netwright.training.ranks train runs/x --workers 1

The second command is given on every machine. Its first process runs `netwright train runs/x`, whose worker is then
the first of all 16; the others need the data at the same path, but no shared folder. Without torchrun, `RANK`,
`LOCAL_RANK`, `LOCAL_WORLD_SIZE`, `WORLD_SIZE`, `MASTER_ADDR` and `MASTER_PORT` may be set for each process by hand.

The first process of a training leaves what is to be done at a store of keys and values, as JSON: the run file, from
which the others build the same evaluator, and how far the training is. Nothing is pickled. The others end with the
process that started them.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from itertools import count
from subprocess import Popen
from tempfile import TemporaryDirectory
from typing import Any, Protocol, runtime_checkable

import torch
import torch.distributed as dist

from netwright.core import building, room, run_file
from netwright.core.errors import NetwrightError, WorkerError
from netwright.core.protocols import Context
from netwright.training import memory, parallel
from netwright.training.parallel import Team

MEETING = "NETWRIGHT_MEETING"  # environment variable: where, under torchrun, the other processes wait
WAIT = timedelta(days=365)  # how long processes under torchrun wait for the next training
LEAVE_SECONDS = 30.0


@runtime_checkable
class Follows(Protocol):
    """An evaluator whose work several processes can share."""

    def device_of(self, index: int) -> torch.device:
        """The device of process `index` of this machine."""

    def follow(self, job: Mapping[str, Any], team: Team) -> None:
        """Do the part of a process that is not the first one."""


@dataclass(frozen=True)
class Meeting:
    """Where processes meet.

    Args:
        size: Number of processes, over all machines.
        local: Number of processes on this machine.
        path: Path of the store where it is a file, at which processes of one machine meet: no port is open for them.
        host: Host of the store where it is no file.
        port: Port of the store where it is no file.
        attempt: Number of torchrun's attempt, so that what a failed attempt left at its store is not met again.
    """

    size: int
    local: int
    path: str = ""
    host: str = ""
    port: int = 0
    attempt: int = 0

    def store(self, *, is_master: bool = False) -> dist.Store:
        """The store of the meeting; where it is no file, it lives in the process of the master."""
        if self.path:
            return dist.FileStore(self.path)
        store = dist.TCPStore(self.host, self.port, is_master=is_master, wait_for_workers=False, timeout=WAIT)
        return dist.PrefixStore(f"netwright{self.attempt}", store)


def size(processes: int) -> int:
    """Number of processes of a training that asks for `processes`: under torchrun, all that wait."""
    said = os.environ.get(MEETING)
    return Meeting(**json.loads(said)).size if said else processes


def check_workers(workers: int) -> None:
    """Raise WorkerError for several workers under torchrun, whose processes follow one."""
    if workers > 1 and MEETING in os.environ:
        raise WorkerError("under torchrun, trainings run one after another; give --workers 1")


@contextmanager
def gathered(processes: int, device: torch.device, job: Mapping[str, Any], context: Context) -> Iterator[Team]:
    """Have further processes follow the work done within, of which this process is the first.

    Args:
        processes: Number of processes in all, started here; under torchrun, those that it has started are used instead.
        device: Device of this process.
        job: What `Follows.follow` is given, as JSON.
        context: Context of the trial, whose run file tells the other processes what evaluator to build.

    Raises:
        WorkerError: The evaluation belongs to no run, or a process has died.
    """
    said = os.environ.get(MEETING)
    if said is None and processes == 1:
        yield Team(device=device)
        return
    text = json.dumps({"run": _run_of(context), "worker_index": context.worker_index, "job": job})
    if said is not None:
        check_workers(context.worker_index + 1)
        meeting = Meeting(**json.loads(said))
        with _meet(meeting.store(), meeting, text, device) as team:
            yield team
        return
    with TemporaryDirectory(prefix="netwright-") as folder:  # which only this user may enter
        room.refuse_crowd("evaluator.processes", processes, processes, memory.PROCESS_MB)
        meeting = Meeting(processes, processes, path=os.path.join(folder, "store"))
        store = meeting.store()
        helpers = [_start(meeting, rank) for rank in range(1, processes)]
        try:
            _await(store, helpers)
            with _meet(store, meeting, text, device) as team, _blaming(helpers), _watching(helpers):
                yield team
            dismiss(store)
            for helper in helpers:
                helper.wait(LEAVE_SECONDS)
        finally:
            for helper in helpers:
                helper.kill()
                helper.wait()


def dismiss(store: dist.Store) -> None:
    """Tell the processes that wait at the store that there is no more to do."""
    store.set(_job(store.add("jobs", 1)), "")


def follow(meeting: Meeting, store: dist.Store, rank: int, local_rank: int) -> None:
    """Take part in one training after another, until dismissed."""
    store.set(f"ready{rank}", "")
    for number in count(1):
        store.wait([_job(number)], WAIT)
        text = store.get(_job(number)).decode()
        if not text:
            return
        told = json.loads(text)
        evaluator = building.build_evaluator(run_file.from_toml(told["run"]))
        assert isinstance(evaluator, Follows)  # it has called `gathered`
        device = evaluator.device_of(told["worker_index"] * meeting.local + local_rank)
        with parallel.joined(dist.PrefixStore(_job(number), store), rank, meeting.size, device, meeting.local) as team:
            evaluator.follow(told["job"], team)


def main() -> None:
    """Entry point of a process that a worker started, by `--helper MEETING RANK`, or that torchrun did."""
    try:
        if sys.argv[1:2] == ["--helper"]:
            _help(Meeting(**json.loads(sys.argv[2])), int(sys.argv[3]))
            return
        sys.exit(_launched(sys.argv[1:]))
    except NetwrightError as error:
        sys.exit(str(error))


def _help(meeting: Meeting, rank: int) -> None:
    _leave_stopping_to_the_first()
    threading.Thread(target=_watch, daemon=True).start()
    follow(meeting, meeting.store(), rank, rank)


def _leave_stopping_to_the_first() -> None:
    """Whoever signals all processes at once, as schedulers do, stops the first one, which stops the others in order."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _launched(words: list[str]) -> int:
    """Do the part of a process that torchrun, or a user who sets its variables, started; returns an exit code."""
    names = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    if missing := [name for name in names if name not in os.environ]:
        raise WorkerError(f"{missing[0]} is not set; start this module with torchrun, or set {', '.join(names)}")
    rank, size, port = (_number(name) for name in ("RANK", "WORLD_SIZE", "MASTER_PORT"))
    local, attempt = _number("LOCAL_WORLD_SIZE", 1), _number("TORCHELASTIC_RESTART_COUNT", 0)
    meeting = Meeting(size, local, host=os.environ["MASTER_ADDR"], port=port, attempt=attempt)
    has_store = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"  # torchrun keeps one itself
    store = meeting.store(is_master=rank == 0 and not has_store)
    if rank > 0:
        _leave_stopping_to_the_first()
        follow(meeting, store, rank, _number("LOCAL_RANK", 0))
        return 0
    command = [sys.executable, "-m", "netwright.cli.main", *words]
    run = Popen(command, env={**os.environ, MEETING: json.dumps(asdict(meeting))})
    for number in (signal.SIGINT, signal.SIGTERM):  # as torchrun stops what it started
        signal.signal(number, lambda number, _frame: run.send_signal(number))
    code = run.wait()
    dismiss(store)
    time.sleep(1.0 if not has_store else 0.0)  # the others read the store, which ends with this process
    return code


def _number(name: str, default: int = 0) -> int:
    """The whole number in an environment variable."""
    text = os.environ.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise WorkerError(f"{name} is {text[:80]!r}; torchrun sets it to a whole number")
    return int(text)


def _run_of(context: Context) -> str:
    """The run file of the run that a trial belongs to, as text."""
    if context.run is None:
        raise WorkerError(
            "several processes learn what to train from the folder of a run, and this evaluation has none; give it "
            "one, or one process"
        )
    return context.run


@contextmanager
def _meet(store: dist.Store, meeting: Meeting, text: str, device: torch.device) -> Iterator[Team]:
    name = _job(store.add("jobs", 1))
    store.set(name, text)
    with parallel.joined(dist.PrefixStore(name, store), 0, meeting.size, device, meeting.local) as team:
        yield team


def _job(number: int) -> str:
    return f"job{number}"


def _start(meeting: Meeting, rank: int) -> Popen[bytes]:
    """A process in the worker's own group, which is killed as a whole; it also ends with its standard input."""
    command = [sys.executable, "-m", "netwright.training.ranks", "--helper", json.dumps(asdict(meeting)), str(rank)]
    return Popen(command, stdin=subprocess.PIPE)


def _await(store: dist.Store, helpers: list[Popen[bytes]]) -> None:
    """Wait until all helpers have come. Raises WorkerError for one that has died instead."""
    while not store.check([f"ready{rank}" for rank in range(1, len(helpers) + 1)]):
        _refuse_dead(helpers)
        time.sleep(0.05)


@contextmanager
def _blaming(helpers: list[Popen[bytes]]) -> Iterator[None]:
    """When an exchange fails because a process has died, say that instead."""
    try:
        yield
    except RuntimeError:
        time.sleep(0.5)  # its end may be seen a little later than its silence
        _refuse_dead(helpers)
        raise


@contextmanager
def _watching(helpers: list[Popen[bytes]]) -> Iterator[None]:
    """Where processes speak by NCCL, whose exchanges wait for ever for one that has died, end with it.

    Nothing but the end of this process ends such an exchange. Its row is then put back, as of any worker that dies.
    """
    if dist.get_backend() != "nccl":
        yield  # gloo's exchanges fail
        return
    over = threading.Event()

    def watch() -> None:
        while not over.wait(1.0):
            try:
                _refuse_dead(helpers)
            except WorkerError as error:
                if not over.wait(LEAVE_SECONDS):  # an error of this process's own would be known better
                    print(error, file=sys.stderr, flush=True)
                    os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _refuse_dead(helpers: list[Popen[bytes]]) -> None:
    for rank, helper in enumerate(helpers, start=1):
        if helper.poll():
            raise WorkerError(
                f"process {rank} of the training's {len(helpers) + 1} ended with code {helper.returncode}; see the log "
                f"of its worker, and give fewer evaluator.processes if memory ran out"
            )


def _watch() -> None:
    while os.read(sys.stdin.fileno(), 1024):
        continue
    os._exit(1)  # the process that started this one is gone


if __name__ == "__main__":
    main()
