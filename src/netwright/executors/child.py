"""The worker process itself: builds the evaluator of the run it finds in the table, then claims trial after trial.

Started by `supervisor`; it dies with its parent, and takes its process group along.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from netwright import worker
from netwright.core import refs, run_file
from netwright.core.errors import NetwrightError
from netwright.core.protocols import Store
from netwright.core.records import Trial
from netwright.executors.supervisor import Post

SHORTEST_WAIT, LONGEST_WAIT = 0.005, 0.1  # seconds between looks at an empty table


class Line:
    """The two pipes to the parent."""

    def __init__(self, down: int, up: int) -> None:
        os.set_inheritable(down, False)
        os.set_inheritable(up, False)
        self._down, self._up = down, up
        self.is_draining = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def say(self, text: str) -> None:
        """One line to the parent."""
        os.write(self._up, f"{text}\n".encode())

    def _watch(self) -> None:
        while os.read(self._down, 1024):
            self.is_draining.set()
        os.killpg(os.getpgrp(), signal.SIGKILL)  # the parent is gone


def work(post: Post, line: Line) -> None:
    """Evaluate until drained, or until memory ran out (a fresh process then takes over)."""
    store: Store = refs.load("store", refs.parse(post.address))
    text = store.recall("run")
    if text is None:
        raise NetwrightError(f"{post.address} holds no run file; start the search before its workers")
    evaluator = run_file.build_evaluator(run_file.from_toml(text))
    line.say("ready")

    def on_report(step: int, metrics: Mapping[str, float]) -> bool:
        measured = "".join(f", {name} {value:.4g}" for name, value in list(metrics.items())[:1])
        line.say(f"report step {step}{measured}")
        return True

    def context(trial: Trial) -> worker.WorkerContext:
        line.say(f"start {trial.id}")
        trials = Path(post.folder) / "trials"
        return worker.WorkerContext(store, trials, trial.id, post.threads, post.index, on_report)

    wait = SHORTEST_WAIT
    while not line.is_draining.is_set():
        result = worker.run_once(store, evaluator, post.name, context, keep=post.keep)
        if result is None:
            time.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)
            continue
        wait = SHORTEST_WAIT
        line.say("end")
        if result.failure == "out_of_memory":
            return


def main() -> None:
    """Entry point of the worker process."""
    line = Line(int(sys.argv[2]), int(sys.argv[3]))
    try:
        work(Post.from_json(sys.argv[1]), line)
    except NetwrightError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
