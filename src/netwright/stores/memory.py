"""A table in this process's memory: for tabular benchmarks, tests and scripts that need no resume."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import replace

from netwright.core.records import MAX_LOSSES, Proposal, Result, Status, Tally, Trial, WorkerState, lost_message


class MemoryStore:
    """Keeps rows in lists, as long as the process lives."""

    address = ""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: list[Trial] = []
        self._pending: deque[int] = deque()
        self._running: dict[int, str] = {}
        self._claimed: dict[str, int] = {}  # the last row of each worker
        self._losses: dict[int, int] = {}
        self._measured: dict[int, str] = {}  # by whom, of finished rows
        self._finished: list[int] = []
        self._beats: dict[str, tuple[float, str]] = {}
        self._facts: dict[str, str] = {}

    def add(self, proposal: Proposal, key: str, seed: int, result: Result | None = None) -> int:
        """Write a pending row, or, with `result`, one that is finished at once; returns its id."""
        with self._lock:
            trial_id = len(self._rows) + 1
            self._rows.append(Trial(trial_id, proposal, key, seed, "pending"))
            if result is None:
                self._pending.append(trial_id)
            else:
                self._finish(trial_id, result)
            return trial_id

    def claim(self, worker: str) -> Trial | None:
        """Make the oldest pending row `running` for this worker, or give the one that it is running again."""
        with self._lock:
            held = self._claimed.get(worker, 0)
            if self._running.get(held) == worker:
                return self._rows[held - 1]
            if not self._pending:
                return None
            trial_id = self._pending.popleft()
            old = self._rows[trial_id - 1]
            trial = Trial(trial_id, old.proposal, old.key, old.seed, "running")
            self._rows[trial_id - 1] = trial
            self._running[trial_id], self._claimed[worker] = worker, trial_id
            self._beats[worker] = (time.monotonic(), "")
            return trial

    def beat(self, worker: str, activity: str = "", process: tuple[int, str] | None = None) -> None:  # noqa: ARG002
        """Note that the worker is alive; silence alone tells here that one is not."""
        with self._lock:
            self._beats[worker] = (time.monotonic(), activity)

    def finish(self, trial_id: int, result: Result, worker: str | None = None) -> bool:
        """Write a result; the first finish of a row wins. Returns whether this one did."""
        with self._lock:
            if worker is not None and self._running.get(trial_id, worker) != worker:
                return False
            counts = self._finish(trial_id, result)
            if counts and worker is not None:
                self._measured[trial_id] = worker
            return counts or (
                worker is not None
                and self._measured.get(trial_id) == worker
                and self._rows[trial_id - 1].result == result
            )

    def finished(self, after: int = 0, most: int | None = None) -> list[Trial]:
        """Rows whose `finish` is greater than `after`, in that order; with `most`, at most so many of them."""
        with self._lock:
            end = None if most is None else after + most
            return [self._rows[trial_id - 1] for trial_id in self._finished[after:end]]

    def unfinished(self) -> list[Trial]:
        """Pending and running rows in order of id."""
        with self._lock:
            return [self._rows[trial_id - 1] for trial_id in sorted((*self._pending, *self._running))]

    def missing(self) -> list[int]:
        """None: memory is not damaged."""
        return []

    def faults(self) -> list[str]:
        """None: memory is not damaged."""
        return []

    def tally(self) -> Tally:
        """What all rows come to."""
        with self._lock:
            rows = [self._rows[trial_id - 1] for trial_id in self._finished]
            results = [row.result for row in rows if row.result is not None]
            failed = sum(row.status == "failed" for row in rows)
            return Tally(
                len(self._pending),
                len(self._running),
                len(rows) - failed,
                failed,
                sum(result.reused is not None for result in results),
                sum(result.seconds for result in results if result.reused is None),
                sum(row.proposal.continues is not None for row in rows),
                sum(bool(row.proposal.notes) for row in rows),
            )

    def best(self, metric: str, *, is_minimized: bool = False) -> Trial | None:
        """The trial with the best value of a metric at the largest budget that has one, the earliest of equals."""
        best, most = None, (-1, 0.0)
        for row in self.finished():
            if row.status == "done" and row.result is not None and metric in row.result.metrics:
                value = row.result.metrics[metric]
                rank = (row.proposal.budget or 0, -value if is_minimized else value)
                if best is None or rank > most:
                    best, most = row, rank
        return best

    def requeue(self, lost_for: float, worker: str | None = None, reason: str = "") -> int:
        """Put rows of silent workers back to pending; fail those lost too often."""
        with self._lock:
            now = time.monotonic()
            lost = [
                trial_id
                for trial_id, name in self._running.items()
                if worker in (None, name) and now - self._beats[name][0] >= lost_for
            ]
            for trial_id in lost:
                self._losses[trial_id] = self._losses.get(trial_id, 0) + 1
                if self._losses[trial_id] > MAX_LOSSES:
                    self._finish(trial_id, Result(failure="lost", message=lost_message(reason)))
                else:
                    self._back(trial_id)
            return len(lost)

    def put_back(self, worker: str | None = None) -> int:
        """Put running rows (of one worker, or all) back to pending without counting a loss."""
        with self._lock:
            running = [trial_id for trial_id, name in self._running.items() if worker in (None, name)]
            for trial_id in running:
                self._back(trial_id)
            return len(running)

    def remember(self, name: str, text: str) -> None:
        """Keep a fact about the run."""
        with self._lock:
            self._facts[name] = text

    def recall(self, name: str) -> str | None:
        """A fact that was kept before; None: there is none of this name."""
        with self._lock:
            return self._facts.get(name)

    def exchange(self, name: str, old: str | None, new: str | None) -> bool:
        """Replace a fact if it is `old`, atomically; None: there is none. Returns whether it was replaced."""
        with self._lock:
            if self._facts.get(name) != old:
                return False
            if new is None:
                self._facts.pop(name, None)
            else:
                self._facts[name] = new
            return True

    def workers(self) -> list[WorkerState]:
        """Workers that have beaten or claimed."""
        with self._lock:
            now = time.monotonic()
            doing = {name: trial_id for trial_id, name in self._running.items()}
            return [
                WorkerState(name, doing.get(name), activity, now - beat)
                for name, (beat, activity) in self._beats.items()
            ]

    def close(self) -> None:
        """Do nothing, as there is nothing to release."""

    def _finish(self, trial_id: int, result: Result) -> bool:
        old = self._rows[trial_id - 1]
        if old.status in ("done", "failed"):
            return False
        if old.status == "running":
            del self._running[trial_id]
        elif trial_id in self._pending:  # a late result of a row that was put back
            self._pending.remove(trial_id)
        self._finished.append(trial_id)
        status: Status = "failed" if result.failure else "done"
        place = len(self._finished)
        self._rows[trial_id - 1] = Trial(trial_id, old.proposal, old.key, old.seed, status, result, finish=place)
        return True

    def _back(self, trial_id: int) -> None:
        del self._running[trial_id]
        self._rows[trial_id - 1] = replace(self._rows[trial_id - 1], status="pending")
        self._pending = deque(sorted((*self._pending, trial_id)))


plugin = MemoryStore
