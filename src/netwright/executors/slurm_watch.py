"""The jobs of a run in Slurm's queue: submitted, looked after, replaced and cancelled.

The name of the jobs is noted in the run's table before there is any, and says all that they were made of. So a
controller that was started again finds those of the one before, whatever that one could still note: jobs of the same
name go on, as they find the new controller by the run's folder; others are cancelled.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

from netwright.core import reading
from netwright.core.errors import WorkerError
from netwright.core.protocols import Job
from netwright.core.reading import BadText
from netwright.executors import deaths, slurm_job, slurm_roster
from netwright.executors.slurm_job import JobSpec
from netwright.executors.slurm_queue import MAX_ARRAY, ArrayTask, Queue, SlurmError, SlurmSilent
from netwright.executors.slurm_roster import Roster, sizes
from netwright.executors.table_service import PRESENT_FOR, Serving

FACT: Final = "slurm"  # of the table: name of the jobs, the folder that they work for, numbers of their arrays
REFUSALS: Final = 3  # submissions in a row that are refused while no job is there, after which the search ends
LEAVING: Final = 12.0  # seconds in which workers that were told to leave have left
ENDING: Final = 60.0  # seconds for which the end of cancelled jobs is waited for
END_LOOK: Final = 0.5  # seconds between looks meanwhile
PENDING: Final = "--state=PENDING"


class QueueWatch:
    """Looks at the queue in a thread of its own, since Slurm may take its time, and fills the places of ended jobs.

    Args:
        job: What the jobs work for.
        spec: What a job is.
        queue: The queue of their name.
        wanted: How many there are to be.
        every: Seconds between two looks.
        serving: The table that they are to come to.
    """

    def __init__(self, job: Job, spec: JobSpec, queue: Queue, wanted: int, every: float, serving: Serving) -> None:
        self._job, self._spec, self._queue, self._wanted, self._every = job, spec, queue, wanted, every
        self._serving, self._log = serving, spec.watch_log
        self._roster = Roster(slurm_roster.quick(spec.minutes))
        self._most = MAX_ARRAY
        self._arrays: list[int] = []
        self._dismissed: set[str] = set()  # tasks that were cancelled, and may take a while to end
        self._refused = 0
        self._counts = ""
        self._is_silent = False
        self._may_have_jobs = False
        self._round: threading.Thread | None = None
        self._fault: Exception | None = None
        self._next = self._signed = 0.0
        self.fills = True  # places of jobs that have ended

    def begin(self) -> None:
        """Submit the jobs, as far as those of an earlier controller are not there. Raises SlurmError."""
        self._most = self._queue.max_array()
        earlier = self._earlier()
        if earlier is not None and earlier != self._queue.name:
            self._may_have_jobs = True
            Queue(earlier).cancel()
            self._note(f"cancelled the jobs of an earlier controller, which had other options: {earlier}")
        self._remember()
        if self._adopted(self._queue.look()):
            self._roster.meet(self._roster.members)  # whether they came to the earlier table cannot be known
            self._may_have_jobs = True
            self._say(f"Slurm: goes on with {len(self._roster.members)} jobs of array {self._listed()}")
        self._submit(self._roster.needed(self._wanted, time.monotonic()))
        self._next = time.monotonic() + self._every

    def go_on(self) -> None:
        """Begin a look when it is time. Raises what the last one has come to."""
        self._sign()
        if self._round is not None and self._round.is_alive():
            return
        if self._round is not None:
            self._round, self._next = None, time.monotonic() + self._every
        if self._fault is not None:
            raise self._fault
        if time.monotonic() >= self._next:
            self._round = threading.Thread(target=self._look, daemon=True)
            self._round.start()

    def end(self) -> None:
        """Cancel all jobs but those that leave in time by themselves; say so where their end cannot be seen."""
        self.fills = False
        if self._round is not None:
            self._round.join()
        if not self._may_have_jobs:
            return
        try:
            self._await_end()
        except BaseException:  # Ctrl-C, say: nobody waits for those that would leave by themselves
            with suppress(SlurmError):
                self._queue.cancel()
            raise

    def _await_end(self) -> None:
        begun, fault = time.monotonic(), ""
        is_told = is_cancelled = False
        while (spent := time.monotonic() - begun) < ENDING:
            try:
                if not is_told:
                    self._queue.cancel(PENDING)
                    is_told = True
                if spent > LEAVING and not is_cancelled:
                    self._queue.cancel()
                    is_cancelled = True
                if not (left := [task for task in self._queue.look() if task.is_live]):
                    self._note("no job is left")
                    return
                fault = f"{len(left)} have not ended yet"
            except SlurmError as error:
                fault = str(error)
            time.sleep(END_LOOK)
        print(
            f"netwright: jobs of this search may be left in Slurm's queue ({fault}); they leave by themselves, or by: "
            f"scancel --name={self._queue.name}",
            file=sys.stderr,
        )

    def _look(self) -> None:
        try:
            self._fill()
        except Exception as fault:  # for `go_on`
            self._fault = fault

    def _fill(self) -> None:
        """One look at the queue, and what follows from it."""
        try:
            if not self.fills:  # what has not begun need not
                self._queue.cancel(PENDING)
            listed = self._queue.look()
        except SlurmError as error:  # Slurm's own controller restarts, say: the workers do not depend on it
            if not self._is_silent:
                self._say(f"Slurm does not answer ({error}); its jobs go on, and are looked at again")
            self._is_silent = True
            return
        self._is_silent = False
        store, now = self._job.store, time.monotonic()
        self._roster.meet(filter(None, map(slurm_job.task_of, self._serving.heard())))
        lost = self._roster.look(listed, store.tally().finished, now)
        self._note_changes(lost)
        self._requeue(listed)
        if not self.fills:
            return
        with suppress(SlurmError):  # what could not be cancelled is tried again
            if number := self._adopted(listed):
                self._note(f"{number} jobs are there of which Slurm had not answered that it took them")
        if self._roster.is_hopeless():
            raise WorkerError(self._hopeless())
        if self._roster.was_cancelled and not self._roster.members:
            raise WorkerError(
                "somebody else has cancelled all jobs of this search (scancel); the same command goes on with new ones"
            )
        rows = len(store.unfinished())
        self._replace(self._roster.needed(min(self._wanted, rows), now))

    def _adopted(self, listed: Iterable[ArrayTask]) -> int:
        """Take in jobs that are not known and cancel those too many; returns how many were taken in.

        They are an earlier controller's, or sbatch was not answered and they were submitted all the same.
        """
        before = len(self._roster.members)
        many = self._roster.adopt([task for task in listed if str(task) not in self._dismissed], self._wanted)
        if adopted := len(self._roster.members) - before:
            self._arrays = sorted({*self._arrays, *(array for array, _ in self._roster.members)})
            self._remember()
        self._queue.cancel_tasks(many)
        self._dismissed.update(map(str, many))
        return adopted

    def _replace(self, number: int) -> None:
        """Submit further jobs. A refusal is no end of a search that has others, nor is a Slurm that does not answer."""
        try:
            self._submit(number)
            self._refused = 0
        except SlurmSilent as error:
            self._note(f"no job was submitted: {error}")
        except SlurmError as error:
            self._refused += 1
            self._note(f"no job was submitted: {error}")
            if self._refused >= REFUSALS and not self._roster.members:
                raise

    def _submit(self, number: int) -> None:
        for size in sizes(number, self._most):
            self._may_have_jobs = True
            array = self._queue.submit(self._spec.arguments(), self._spec.script(), size)
            self._roster.add(array, size)
            self._arrays = [*self._arrays, array]
            self._remember()
            jobs = f"{size} job{'s' if size > 1 else ''}"
            self._say(f"Slurm: {jobs} submitted as array {array}; what they print is in {self._log.parent}")

    def _requeue(self, listed: Iterable[ArrayTask]) -> None:
        """Put back what silent workers were at whose jobs do not run any more."""
        running = {(task.array, task.index) for task in listed if task.is_running}
        known = {(task.array, task.index): task for task in listed}
        for worker in self._job.store.workers():
            place = slurm_job.task_of(worker.name)
            if place is None or place in running or worker.silent_seconds < PRESENT_FOR:
                continue
            task = known.get(place) or ArrayTask(*place, "gone from the queue")
            self._job.store.requeue(PRESENT_FOR, worker.name, f"its Slurm job {task} was {told(task)}")

    def _hopeless(self) -> str:
        task = self._roster.gone
        assert task is not None
        log = self._spec.log_of(task.array, task.index)
        words = [line for line in deaths.last_words(log).splitlines() if any(map(str.isalnum, line))]
        said = f"{words[-1]} (all of it in {log})" if words else f"they have left no log {log}; do the nodes see it?"
        last = f"the last, {task} on {task.node or 'no node'}, {told(task)}: {said}"
        if task.seconds >= self._roster.quick:
            return (
                f"{self._roster.strikes} Slurm jobs have ended without having come to the table, which is served at "
                f"{self._serving.address}; let the nodes reach that address and port, or give executor.host and "
                f"executor.port that they reach; {last}"
            )
        return f"{self._roster.strikes} Slurm jobs have ended as soon as they began; {last}"

    def _earlier(self) -> str | None:
        """The name of the jobs that an earlier controller has submitted for this folder; None: there was none."""
        try:
            found: Any = reading.json_value(self._job.store.recall(FACT) or "{}")
        except BadText:
            return None
        # a copy of the folder has the table's facts, but not its jobs
        is_own = isinstance(found, Mapping) and found.get("folder") == str(self._spec.folder)
        name = found.get("name") if is_own else None
        return name if isinstance(name, str) and slurm_job.is_name(name) else None

    def _remember(self) -> None:
        fact = {"name": self._queue.name, "folder": str(self._spec.folder), "arrays": self._arrays[-100:]}
        self._job.store.remember(FACT, json.dumps(fact))

    def _sign(self) -> None:
        """Show jobs that do not reach the table that its controller lives: by the time of its log, which they see."""
        if time.monotonic() - self._signed >= slurm_job.SIGN:
            self._signed = time.monotonic()
            with suppress(OSError):
                os.utime(self._log)

    def _listed(self) -> str:
        return ", ".join(map(str, self._arrays))

    def _say(self, text: str) -> None:
        self._note(text)
        self._job.say(text)

    def _note_changes(self, lost: Iterable[ArrayTask]) -> None:
        for task in lost:
            self._note(f"job {task} on {task.node or 'no node'}: {told(task)} after {task.seconds:.0f} s")
        counts = self._roster.counts()
        if counts != self._counts:
            self._counts = counts
            self._note(counts)

    def _note(self, text: str) -> None:
        with suppress(OSError), self._log.open("a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")


def told(task: ArrayTask) -> str:
    """A task's state and reason, in a sentence."""
    state = task.state.lower().replace("_", " ")
    return state if task.reason in ("", "None") else f"{state} ({task.reason})"
