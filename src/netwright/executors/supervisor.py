"""The parent of one worker process: beats for it, enforces its limits, replaces it when it dies.

It imports no torch, so it stays small and answers while the worker is busy, and it outlives whatever the worker does.
SIGTERM says "stop" (`post`) to it as to the worker.
"""

from __future__ import annotations

import math
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from netwright.core import attempts, refs, resources
from netwright.core.claim import Owner, Watch
from netwright.core.errors import OutOfReach
from netwright.core.protocols import Store
from netwright.core.records import Result
from netwright.executors import descendants, lines, orders, stop_signals
from netwright.executors.beats import Beats, beating
from netwright.executors.orders import Order
from netwright.executors.post import CANNOT_START, DOWN, ENOUGH, OUT_OF_REACH, Post
from netwright.executors.stop_signals import StopSignal
from netwright.executors.worker_process import WorkerProcess

STARTS: Final = 3  # deaths in a row after which starting is given up
BEAT: Final = 1.0  # seconds between beats


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
        worker, reason = WorkerProcess(replace(post, trials=post.trials and post.trials - told.done)), ""
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
        if worker.trial is not None and (sizes := worker.out_of_memory(reason)):
            _ran_out(store, post, worker, worker.trial, sizes)
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


def _ran_out(store: Store, post: Post, worker: WorkerProcess, trial_id: int, sizes: str) -> None:
    """Put the trial of a worker that died for want of memory back, to be tried otherwise, or fail it."""
    made = attempts.of(store, trial_id)
    following = made.next("machine", sizes)
    if following is None:
        seconds = 0.0 if worker.begun is None else time.monotonic() - worker.begun
        message = made.failed(sizes, "machine")
        store.finish(trial_id, Result(seconds=seconds, failure="out_of_memory", message=message), post.name)
        worker.done += 1
        return
    attempts.note(store, trial_id, following)
    resources.mark(Path(post.folder))
    store.put_back(post.name)


def _accompany(
    store: Store, post: Post, worker: WorkerProcess, told: _Orders, signals: StopSignal, beats: Beats
) -> bool:
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
            worker.look()
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
    try:
        store = refs.load("store", refs.parse(post.address))
    except OutOfReach as error:
        print(f"netwright: {error}", file=sys.stderr, flush=True)
        sys.exit(OUT_OF_REACH)
    try:
        with stop_signals.noting(signal.SIGTERM) as signals:
            code = supervise(store, post, signals)
    finally:
        store.close()
    sys.exit(code)


if __name__ == "__main__":
    main()
