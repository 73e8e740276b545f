"""Stores: the table of trials."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

from netwright.core.records import Proposal, Result, Tally, Trial, WorkerState


class Store(Protocol):
    """The table of trials: the only channel between controller and workers. Safe for many threads."""

    @property
    def address(self) -> str:
        """A reference by which another process opens the same table; "" when no other process can."""

    def add(self, proposal: Proposal, key: str, seed: int, result: Result | None = None) -> int:
        """Write a pending row, or, with `result`, one that is finished at once; returns its id.

        The id is the lowest of `missing`, else the next one.
        """

    def claim(self, worker: str) -> Trial | None:
        """Make the oldest pending row `running` for this worker, atomically; None: no row is pending.

        A worker has one row at a time: where one is running in its name, as when it never got to hear of its claim, it
        is given that one again.
        """

    def beat(self, worker: str, activity: str = "", process: tuple[int, str] | None = None) -> None:
        """Note that the worker is alive; called by the process that watches over it, not by the busy one.

        Worker names are unique: a name that is used again would vouch for the rows of a dead namesake.

        Args:
            worker: Its name.
            activity: What it is doing, for people.
            process: Id and birth (`core.liveness`) of the process whose end is the worker's; None: the calling one.
        """

    def finish(self, trial_id: int, result: Result, worker: str | None = None) -> bool:
        """Write a result and say whether it counted: the first finish of a row wins, later ones change nothing.

        With `worker`, who measured it, a row that another worker is running by now is left alone: this one was taken
        for lost. If nobody has the row, its result counts all the same. What counted counts again when the same worker
        says the same, as when it never got to hear of it.
        """

    def finished(self, after: int = 0, most: int | None = None) -> list[Trial]:
        """Rows whose `finish` is greater than `after`, in that order; with `most`, at most so many of them."""

    def unfinished(self) -> list[Trial]:
        """Pending and running rows in order of id."""

    def missing(self) -> list[int]:
        """Ids, in order, of trials that were asked and of which no row is left that could be read: to be asked again.

        The place that such a trial had among the finished ones is kept for it, as is that of a row which went back to
        pending because its result could not be read: until it has finished, `finish` has a gap there.
        """

    def faults(self) -> list[str]:
        """What is damaged or missing, one sentence each; of a table opened for writing, what was and is asked again."""

    def tally(self) -> Tally:
        """What all rows come to, in time and memory that a million rows leave small."""

    def best(self, metric: str, *, is_minimized: bool = False) -> Trial | None:
        """The successful trial with the highest value of a metric, or the lowest; the earliest finished of equals.

        Only trials at the largest budget count at which the metric was measured. None: it never was.
        """

    def requeue(self, lost_for: float, worker: str | None = None, reason: str = "") -> int:
        """Put running rows back to pending whose worker is dead or silent for `lost_for` seconds; returns how many.

        With `worker`, only that worker's rows. A row lost for the fourth time fails as `lost` instead, and its message
        ends with `reason`: what the worker died of, where the caller knows it; else the store says what it saw.
        """

    def put_back(self, worker: str | None = None) -> int:
        """Put running rows (of one worker, or all) back to pending, counting no loss: they were stopped on purpose."""

    def remember(self, name: str, text: str) -> None:
        """Keep a fact about the run (its run file, its elapsed time)."""

    def recall(self, name: str) -> str | None:
        """A fact that was kept before; None: there is none of that name."""

    def exchange(self, name: str, old: str | None, new: str | None) -> bool:
        """Replace a fact if it is `old`, atomically between processes; None: there is none. Whether it was replaced."""

    def workers(self) -> list[WorkerState]:
        """Workers that have given a sign of life and are not known to be dead, in any order, for people who watch."""

    def close(self) -> None:
        """Release files; the store is not used afterwards."""


@runtime_checkable
class CommitsTogether(Protocol):
    """A store that can write what several callers wait for at once."""

    def together(self) -> AbstractContextManager[None]:
        """A block of this thread's calls that become durable together, at its end, where StoreError may be raised.

        Each call stands or falls by itself: one that raises undoes none of the others. Other threads wait meanwhile.
        """
