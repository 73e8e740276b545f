"""The worker process itself: builds the evaluator of the run it finds in the table, then claims trial after trial.

Started by `supervisor`; it dies with its parent, and takes along what it has started.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import stat
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType

from netwright import worker
from netwright.core import activity, building, refs, remembered, run_file
from netwright.core.errors import NetwrightError, NoRoom, PutBack
from netwright.core.protocols import Store
from netwright.core.records import Trial
from netwright.core.resources import Resources
from netwright.executors import carrying, descendants, here, lines, orders
from netwright.executors.post import DOWN, ENOUGH, NO_ROOM, Post
from netwright.stores.remote import TOKEN

SHORTEST_WAIT, LONGEST_WAIT = 0.001, 0.1  # seconds between looks at an empty table


class Line:
    """The two pipes to the parent."""

    def __init__(self, down: int, up: int, mark: str) -> None:
        os.set_inheritable(down, False)
        os.set_inheritable(up, False)
        self._down, self._up, self._mark = down, up, mark
        # plain, so that a handler of signals may set them
        self.is_draining = self.is_stopping = self.is_terminated = False
        threading.Thread(target=self._watch, daemon=True).start()

    def say(self, word: str, **values: str | int) -> None:
        """One message to the parent, without which the worker ends."""
        try:
            os.write(self._up, lines.encode(word, **values))
        except OSError:
            self._end()

    def stop_on_sigterm(self, seconds: float) -> None:
        """Take SIGTERM for "stop"; end when `seconds` have passed since, as the parent does after its own.

        So with SIGUSR1, by which schedulers announce the end, to all processes of a job.
        """

        def stop(number: int, _frame: FrameType | None) -> None:
            if self.is_terminated:
                return
            self.is_terminated = self.is_draining = self.is_stopping = True
            timer = threading.Timer(seconds, self._overstay, [signal.Signals(number).name, seconds])
            timer.daemon = True
            timer.start()

        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, stop)

    def _overstay(self, name: str, seconds: float) -> None:
        print(f"{name} came {seconds:g} s ago, and the trial has not stopped", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

    def _watch(self) -> None:
        orders = lines.Reader(DOWN)
        while piece := os.read(self._down, 1024):
            for order in orders.take(piece):
                self.is_draining = True
                if order["say"] == "stop":
                    self.is_stopping = True
        self._end()

    def _end(self) -> None:
        """The parent is gone: end what was started, in whatever session, and then the whole group."""
        descendants.end_all()
        descendants.end_marked(self._mark)
        os.killpg(os.getpgrp(), signal.SIGKILL)


def work(post: Post, line: Line) -> None:
    """Evaluate until drained or stopped, until it is enough, or until memory ran out (a fresh process takes over)."""
    store: Store = refs.load("store", refs.parse(post.address))
    os.environ.pop(TOKEN, None)  # which what trials start has no need of
    text = store.recall("run")
    if text is None:
        raise NetwrightError(f"{post.address} holds no run file; start the search before its workers")
    run = run_file.from_toml(text)
    if post.served:
        run = here.made_ready(run, post.task, store.recall("data"))
    evaluator = building.build_evaluator(run)
    trials_folder = Path(post.folder) / "trials"
    carrier = carrying.Carrier(orders.server_of(store).call, post.name, trials_folder) if post.carries else None
    line.say("ready")

    def on_report(step: int, metrics: Mapping[str, float]) -> bool:
        line.say("report", text=activity.written(activity.of_report(step, metrics)))
        return True

    begun: list[int] = []  # the trial that the parent was told of, if any

    def context(trial: Trial) -> worker.WorkerContext:
        def on_making(is_making: bool) -> None:
            if is_making:
                line.say("making")
                if carrier:
                    carrier.bring_shared()
            else:
                if carrier:
                    carrier.send_shared()
                line.say("start", trial=trial.id, log=_log_size())

        begun.append(trial.id)
        line.say("start", trial=trial.id, log=_log_size())
        return worker.WorkerContext(
            store,
            trials_folder,
            trial.id,
            post.threads,
            post.index,
            on_report,
            lambda: line.is_stopping,
            on_making=on_making,
        )

    # cards and memory are this machine's, whatever folders it shares with others
    place = here.place() if post.served else Path(post.folder)
    resources = Resources.of(evaluator, post.index, Path(post.folder), lambda: line.is_stopping, place)
    wait, done = SHORTEST_WAIT, 0
    while not line.is_draining:
        if _is_enough(store, post, done):
            line.say("leave", code=ENOUGH)
            return
        begun.clear()
        try:
            result = worker.run_once(
                store, evaluator, post.name, context, keep=post.keep, resources=resources, carrier=carrier
            )
        except PutBack:
            line.say("end", done=0)
            return
        except NoRoom as error:
            with suppress(OSError):  # the log may lie on that disk
                print(f"netwright: {error}", file=sys.stderr, flush=True)
            line.say("leave", code=NO_ROOM)
            return
        if result is None:
            if begun:  # it was too early
                line.say("end", done=0)
            elif post.served and orders.heard(store, post.name):  # sooner than with the next beat
                line.say("leave", code=0)
                return
            time.sleep(wait)
            # a claim of a served table waits there, but a row that it was too early for is there at once
            wait = min(2 * wait, SHORTEST_WAIT if post.served and not begun else LONGEST_WAIT)
            continue
        wait, done = SHORTEST_WAIT, done + 1
        line.say("end", done=int(result.failure != "out_of_memory"))  # which may have been put back
        if result.failure == "out_of_memory":
            return


def _is_enough(store: Store, post: Post, done: int) -> bool:
    """Whether a worker claims nothing more: it has done its trials, or none would end in time."""
    if post.trials and done >= post.trials:
        return True
    if not post.until:
        return False
    return time.monotonic() + (remembered.number(store, remembered.MEDIAN_SECONDS) or 0.0) > post.until


def _log_size() -> int:
    """Length so far of the file that this process prints to, in bytes; -1: it prints to no file."""
    try:
        printed = os.fstat(sys.__stderr__.fileno()) if sys.__stderr__ else None
    except (OSError, ValueError):
        return -1
    return printed.st_size if printed and stat.S_ISREG(printed.st_mode) else -1


def main() -> None:
    """Entry point of the worker process."""
    faulthandler.enable()  # a fault of native code says where
    post = Post.from_json(sys.argv[1])
    line = Line(int(sys.argv[2]), int(sys.argv[3]), post.mark)
    line.stop_on_sigterm(post.stop_seconds)
    try:
        work(post, line)
    except NetwrightError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
