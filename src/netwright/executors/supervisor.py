"""The parent of one worker process: beats for it, enforces its limits, replaces it when it dies.

It imports no torch, so it stays small and answers while the worker is busy, and it outlives whatever the worker does.
Parent and worker speak over two pipes, in lines of JSON (`lines`). Down: "drain", upon which the worker leaves after
the trial it is at; "stop", upon which it has that trial write down where it stands, puts it back and leaves, in a
stated time; and the end of the pipe, at which it kills what it started and itself. Up: "ready", "start", "making",
"report" and "end". SIGTERM says "stop" too, to the parent as to the worker.

From "making" to the next "start" the worker makes something that other trials need too (`MakesReady`): that time is no
part of the trial, whose limit begins with "start"; only silence is limited.

Whatever the worker has started ends with it, at a limit or otherwise: see `descendants`.
"""

from __future__ import annotations

import json
import math
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from subprocess import Popen
from typing import Any, Final

from netwright.core import refs
from netwright.core.claim import Owner, Watch
from netwright.core.errors import OutOfReach
from netwright.core.protocols import STOP_SECONDS, Store
from netwright.core.records import Result
from netwright.executors import deaths, descendants, lines, orders, stop_signals
from netwright.executors.beats import Beats, beating
from netwright.executors.orders import Order
from netwright.executors.stop_signals import StopSignal

CANNOT_START: Final = 3  # exit code: the worker died again and again before its first sign of life
ENOUGH: Final = 4  # exit code: it has done what it was to do, or its time is over; the search may go on
OUT_OF_REACH: Final = 5  # exit code: who serves the table has not answered for as long as it was to be waited for
STARTS: Final = 3  # deaths in a row after which starting is given up
BEAT: Final = 1.0  # seconds between beats
CLOSING: Final = 5.0  # seconds for which a worker that has closed its pipe may go on
DOWN: Final[Mapping[str, Mapping[str, type]]] = {"drain": {}, "stop": {}}
UP: Final[Mapping[str, Mapping[str, type]]] = {
    "ready": {},
    "start": {"trial": int, "log": int},
    "making": {},
    "report": {"text": str},
    "end": {"done": int},
    "leave": {"code": int},
}


@dataclass(frozen=True)
class Post:
    """What a worker is told on its command line, as JSON; the rest it finds in the table.

    Args:
        address: Address of the store.
        folder: Folder of the run.
        name: The worker's name in the table; no two processes may have the same.
        index: Number of the worker among those of this machine, from 0.
        threads: Threads per trial.
        keep: Whether to leave the folders of finished trials.
        trial_seconds: Wall-clock limit of a trial, in seconds; 0: none.
        silent_seconds: Longest time without a report, in seconds; 0: no limit.
        stop_seconds: Time in which a trial that is to stop must have written down where it stands, in seconds.
        controller: Owner of the claim whose end ends the worker, as JSON; "": the end of the standard input does.
        log: Path of the file that the worker prints to; "": a terminal.
        served: Whether the table is a served one, whose orders the worker follows in place of a pipe or a claim.
        leashed: Whether the end of the standard input ends the worker also where it is a served table's.
        trials: How many trials the worker is to do before it leaves; 0: no limit.
        until: When it is told to stop, in seconds of this machine's monotonic clock; 0: never. It claims nothing that
            cannot end by then, going by the median of what was measured so far.
        carries: Whether folders of trials are carried through the served table, as `folder` is none of the run's.
        task: Options of the run's task that are others on this machine, such as where its data lies.
    """

    address: str
    folder: str
    name: str
    index: int = 0
    threads: int = 1
    keep: bool = False
    trial_seconds: float = 0.0
    silent_seconds: float = 0.0
    stop_seconds: float = STOP_SECONDS
    controller: str = ""
    log: str = ""
    served: bool = False
    leashed: bool = False
    trials: int = 0
    until: float = 0.0
    carries: bool = False
    task: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """The post as text for a command line."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Post:
        """Inverse of `to_json`."""
        return Post(**json.loads(text))

    @property
    def mark(self) -> str:
        """What stands in the environment of whatever the worker starts."""
        return f"{self.address}|{self.name}|"


class Worker:
    """A running worker process, its two pipes, and what it last said."""

    def __init__(self, post: Post) -> None:
        down, self._down = os.pipe()
        self._up, up = os.pipe()
        self.process = Popen(
            [sys.executable, "-u", "-m", "netwright.executors.child", post.to_json(), str(down), str(up)],
            stdin=subprocess.DEVNULL,
            pass_fds=(down, up),
            env={**os.environ, descendants.MARK: post.mark},
            start_new_session=True,  # a process group of its own, killed as a whole
        )
        os.close(down)
        os.close(up)
        self._said = lines.Reader(UP)
        self.has_started = False
        self.trial: int | None = None
        self.log_start = 0  # where what the trial prints begins
        self.activity = "starting"
        self.heard = time.monotonic()
        self.begun: float | None = None  # when the trial itself began; None: it has not
        self.done = 0  # trials that it has finished
        self.left: int | None = None  # exit code with which it leaves unasked; None: it does not

    @property
    def up(self) -> int:
        """File descriptor to wait on for news."""
        return self._up

    def listen(self) -> bool:
        """Take in what the worker said; False at the end of the pipe."""
        piece = os.read(self._up, 65536)
        for message in self._said.take(piece):
            self.has_started, self.heard = True, time.monotonic()
            if message["say"] == "start":
                self.trial, self.begun, self.activity = message["trial"], self.heard, ""
                self.log_start = message["log"]
            elif message["say"] == "making":
                self.begun = None
            elif message["say"] == "report":
                self.activity = lines.shown(message["text"])
            elif message["say"] == "leave":
                self.left = message["code"]
            else:
                self.trial, self.activity = None, ""
                self.done += message.get("done", 0)
        return bool(piece)

    def overdue(self, post: Post) -> str:
        """Which limit the trial has passed, in words; "" when none."""
        now = time.monotonic()
        if self.trial is None:
            return ""
        if post.trial_seconds and self.begun is not None and now - self.begun > post.trial_seconds:
            return f"stopped after its limit of {post.trial_seconds:g} s"
        if post.silent_seconds and now - self.heard > post.silent_seconds:
            return f"stopped after {post.silent_seconds:g} s without a report"
        return ""

    def tell(self, order: str) -> None:
        """Tell the worker to "drain" or to "stop"."""
        with suppress(BrokenPipeError):  # it has just died: that is seen elsewhere
            os.write(self._down, lines.encode(order))

    def kill(self) -> None:
        """End the worker and whatever it has started, and close the pipes."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        if left := descendants.end_all():
            print(f"netwright: these processes of the worker could not be ended: {left}", file=sys.stderr, flush=True)
        os.close(self._down)
        os.close(self._up)

    def cause_of_death(self, log: str) -> str:
        """What the worker died of, once it has; before that, what its trial printed last."""
        try:
            what = deaths.cause(self.process.wait(CLOSING))
        except subprocess.TimeoutExpired:
            what = "closed its line to the process that watches over it"
        words = deaths.last_words(Path(log), self.log_start) if log and self.log_start >= 0 else ""
        return f"{words}\nits worker {what}".lstrip("\n")


@dataclass
class _Orders:
    """What the parent was told.

    Args:
        drains: Whether the worker is to leave after the trial it is at.
        stops_at: When a worker that was told to stop is killed, on the monotonic clock; None: it was not.
        code: Exit code of the parent once the worker has left.
        done: Trials that its workers have done.
    """

    drains: bool = False
    stops_at: float | None = None
    code: int = 0
    done: int = 0


def supervise(store: Store, post: Post, signals: StopSignal) -> int:
    """Keep one worker going until the controller is gone, drains or stops, or a signal comes; returns an exit code.

    Where the table is out of reach for longer than the store waits, that is the exit code `OUT_OF_REACH`, after the
    sentence that says so; a trial that is at work then has its time to write down where it stands.
    """
    if not descendants.adopt():
        print("netwright: this system ends a trial's process group; what leaves its session may go on", file=sys.stderr)
    every = orders.BEAT if post.served else BEAT
    try:
        with beating(store, post.name, every, _hearing(store, post)) as beats:
            code = _keep_going(store, post, signals, beats)
            if post.served and beats.is_answered:
                orders.leave(store, post.name)
            return code
    except OutOfReach as error:
        print(f"netwright: {error}", file=sys.stderr, flush=True)
        return OUT_OF_REACH


def _hearing(store: Store, post: Post) -> Callable[[], Order]:
    """What asks, after a beat, what the worker is to do."""
    if post.served:
        return lambda: orders.heard(store, post.name)
    first = Owner.from_json(post.controller)
    if first is None:
        return lambda: ""
    controller = Watch(store, first)
    return lambda: "" if controller.is_there() else "stop"


def _keep_going(store: Store, post: Post, signals: StopSignal, beats: Beats) -> int:
    failed_starts, told = 0, _Orders()
    while not told.drains:
        worker, reason = Worker(replace(post, trials=post.trials and post.trials - told.done)), ""
        try:
            is_wanted = _accompany(store, post, worker, told, signals, beats)
            if is_wanted and worker.trial is not None:
                reason = worker.cause_of_death(post.log)
        finally:
            worker.kill()
        told.done += worker.done
        if beats.fault is not None:
            raise beats.fault
        if not is_wanted:
            if not post.served or beats.is_answered:  # else it is found silent
                store.put_back(post.name)
            return told.code
        store.requeue(0.0, post.name, reason)
        if worker.left is not None:
            return worker.left
        if 0 < post.trials <= told.done:  # the last one was ended at a limit
            return ENOUGH
        # a kill from outside says nothing about the worker itself
        is_own_fault = not worker.has_started and worker.process.returncode not in (
            -signal.SIGKILL,
            -signal.SIGTERM,
        )
        failed_starts = failed_starts + 1 if is_own_fault else 0
        if failed_starts >= STARTS:
            return CANNOT_START
    return told.code


def _accompany(store: Store, post: Post, worker: Worker, told: _Orders, signals: StopSignal, beats: Beats) -> bool:
    """Watch until the worker ends, or is to be ended; returns whether it is still wanted."""
    reaped = 0.0
    said = lines.Reader(DOWN)
    from_above = sys.stdin.fileno() if post.leashed or not (post.controller or post.served) else None
    pipes = [worker.up, signals.line, beats.line, *([] if from_above is None else [from_above])]

    def stop(code: int = 0) -> None:
        if told.stops_at is None:
            told.drains, told.stops_at, told.code = True, time.monotonic() + post.stop_seconds, code
            worker.tell("stop")

    def follow(order: Order) -> None:
        told.drains = told.drains or bool(order)
        if order == "stop":
            stop()
        elif order:
            worker.tell("drain")

    follow(beats.order)
    while True:
        now = time.monotonic()
        if now - reaped >= BEAT:
            reaped = now
            descendants.reap(but=worker.process.pid)
        if now >= (post.until or math.inf):
            stop(ENOUGH)
        wake = min(reaped + BEAT, told.stops_at or post.until or math.inf)
        beats.activity = worker.activity
        ready, _, _ = select.select(pipes, [], [], max(0.0, wake - now))
        if signals.line in ready:
            pipes.remove(signals.line)
            stop()
        if beats.line in ready:
            os.read(beats.line, 1)
            if beats.fault is not None and not post.served:
                return False
            follow("stop" if beats.fault else beats.order)
        if from_above in ready:
            piece = os.read(from_above, 1024)
            if not piece and told.stops_at is None:
                return False
            if not piece:  # the controller has ended meanwhile; what is being written down is worth these seconds
                pipes.remove(from_above)
            for order in said.take(piece):
                follow(order["say"])
        if worker.up in ready and not worker.listen():
            return told.stops_at is None  # the pipe ended: the worker has died or left
        if worker.process.poll() is not None:
            while select.select([worker.up], [], [], 0)[0] and worker.listen():
                continue
            return told.stops_at is None
        if fault := worker.overdue(post):
            assert worker.trial is not None
            with suppress(ProcessLookupError):
                os.killpg(worker.process.pid, signal.SIGKILL)
            seconds = 0.0 if worker.begun is None else time.monotonic() - worker.begun
            store.finish(worker.trial, Result(seconds=seconds, failure="timeout", message=fault), post.name)
            worker.trial = None
            worker.done += 1
            return told.stops_at is None
        # one that is still starting has nothing to write down
        if told.stops_at is not None and (time.monotonic() >= told.stops_at or not worker.has_started):
            return False


def main() -> None:
    """Entry point of the parent process."""
    post = Post.from_json(sys.argv[1])
    # a successor of the same name would beat for the row of this one, should this one be killed
    post = replace(post, name=f"{post.name}-{os.getpid()}")
    store = refs.load("store", refs.parse(post.address))
    try:
        with stop_signals.noting(signal.SIGTERM) as signals:
            code = supervise(store, post, signals)
    finally:
        store.close()
    sys.exit(code)


if __name__ == "__main__":
    main()
