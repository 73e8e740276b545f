"""Evaluates in the calling process, one trial at a time: for scripts, tables, tests and debuggers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from netwright import worker
from netwright.core.errors import PutBack
from netwright.core.protocols import STOP_SECONDS, Evaluator, Job, MakesReady
from netwright.core.records import Trial
from netwright.core.resources import Resources


@dataclass
class Inline:
    """One worker, the caller itself. `poll` evaluates one trial, however long it takes.

    There is nobody beside it: trials have no limits of time, a fault of native code ends the search (the same command
    goes on), and what a trial starts is not ended with it.

    Args:
        evaluator: Evaluator that measures the trials.
        stop_seconds: Seconds that a trial has for writing down where it stands when the search is stopped by a signal.
    """

    evaluator: Evaluator
    stop_seconds: float = STOP_SECONDS
    workers: int = field(default=1, init=False)
    _job: Job | None = field(default=None, init=False, repr=False)
    _draining: bool = field(default=False, init=False, repr=False)
    _resources: Resources | None = field(default=None, init=False, repr=False)
    _temporary: TemporaryDirectory[str] | None = field(default=None, init=False, repr=False)

    def start(self, job: Job) -> None:
        """Take the job, whose table holds the trials."""
        self._job, self._draining = job, False
        self._resources = Resources.of(self.evaluator, 0, job.folder, job.should_stop)
        job.store.beat("inline")

    def poll(self, seconds: float) -> None:  # noqa: ARG002 - nothing to wait for
        """Evaluate the oldest pending trial, if there is one; one that is asked to stop is put back."""
        if self._job is not None and not self._draining:
            job = self._job
            try:
                lent = self._resources
                worker.run_once(job.store, self.evaluator, "inline", self._context, keep=job.keep, resources=lent)
            except PutBack:
                self._draining = True

    def drain(self) -> None:
        """Evaluate no further trial."""
        self._draining = True

    def halt(self) -> None:
        """Evaluate no further trial: the one at hand asks the job itself whether to stop."""
        self._draining = True

    def is_idle(self) -> bool:
        """Always idle: nothing runs between polls."""
        return True

    def stop(self) -> None:
        """Forget the job; nothing is running."""
        self._job = None
        if self._resources is not None:
            self._resources.close()
            self._resources = None
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = None

    def _context(self, trial: Trial) -> worker.WorkerContext:
        job = self._job
        assert job is not None
        trials_folder = job.folder / "trials" if job.folder else None

        def on_report(step: int, metrics: Mapping[str, float]) -> bool:
            job.on_report(trial.id, step, metrics)
            return True

        return worker.WorkerContext(
            job.store,
            trials_folder,
            trial.id,
            job.threads,
            on_report=on_report,
            on_look=job.should_stop,
            shared_folder=self._shared() if trials_folder is None else None,
        )

    def _shared(self) -> Path | None:
        """A folder of what trials share that have no run's folder, if there may be any; it goes with the job."""
        if not isinstance(self.evaluator, MakesReady):
            return None
        self._temporary = self._temporary or TemporaryDirectory(prefix="netwright-shared-")
        return Path(self._temporary.name)


plugin = Inline
