"""A worker: claims a trial, evaluates it, writes the result, and turns whatever goes wrong into a failed row.

The only place that catches every exception of an evaluation, as `comparison/player.py` does of a whole search.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from netwright.core import disk, memory, retries, returned, trial_folders
from netwright.core.attempts import Attempt
from netwright.core.errors import DeviceLost, NoRoom, PutBack, Terminated, TooEarly
from netwright.core.latency import LATENCY
from netwright.core.protocols import (
    Evaluator,
    MakesReady,
    Store,
    UsesCards,
)
from netwright.core.records import Failure, Result, Trial
from netwright.core.resources import Resources
from netwright.core.round_plan import MEMBERS
from netwright.core.trained_rounds import SHARED
from netwright.core.trial_folders import Carries


@dataclass
class WorkerContext:
    """What a worker lends an evaluator for one trial.

    Args:
        store: Store that `members` and `run` read.
        trials_folder: Folder in which trial folders are made; None: there is none, and `folder` is refused.
        trial_id: Id of the trial that is evaluated.
        threads: Number of threads that the evaluation uses.
        worker_index: Number of the worker among those of this machine, from 0.
        on_report: Is given (step, metrics) at each report, and answers whether to go on.
        on_look: Answers whether the evaluation is to stop now and keep what it did; not asked where there is no folder.
        shared_folder: Folder of what trials share; None: it lies beside that of the trial folders.
        on_making: Is told whether what is done from now on is `make_ready`, and no part of the trial itself.
    """

    store: Store
    trials_folder: Path | None
    trial_id: int
    threads: int = 1
    worker_index: int = 0
    on_report: Callable[[int, Mapping[str, float]], bool] = field(default=lambda _step, _metrics: True)
    on_look: Callable[[], bool] = field(default=lambda: False)
    shared_folder: Path | None = None
    on_making: Callable[[bool], None] = field(default=lambda _is_making: None)

    @property
    def folder(self) -> Path:
        """This trial's own folder, made when first asked for."""
        if self.trials_folder is None:
            raise RuntimeError("this search has no folder; give the executor's job one to let trials write files")
        folder = self._folder_of(self.trial_id)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def run(self) -> str | None:
        """The run file that the table holds; None: it holds none."""
        return self.store.recall("run")

    def report(self, step: int, metrics: Mapping[str, float]) -> bool:
        """Report that the trial goes on; False: it is to stop now. Raises TypeError for what is no report."""
        return self.on_report(*returned.reported(step, metrics))

    def should_stop(self) -> bool:
        """Whether to stop now and keep what was done, which takes a folder."""
        return self.trials_folder is not None and self.on_look()

    def checkpoint_of(self, trial_id: int) -> Path | None:
        """The folder that another trial left behind, or None."""
        folder = self._folder_of(trial_id) if self.trials_folder else None
        return folder if folder and folder.is_dir() else None

    @property
    def shared(self) -> Path:
        """The folder of what all trials of the run share, made when first asked for."""
        folder = self.shared_folder or (self.trials_folder and self.trials_folder.parent / SHARED)
        if folder is None:
            raise RuntimeError("this search has no folder; give the executor's job one to let trials share files")
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def members(self, budget: int) -> Sequence[Trial]:
        """All rows of a round, in order of id. Raises TooEarly until all of them are in the table."""
        unfinished = self.store.unfinished()  # first: a row that finishes meanwhile is then seen twice, and not missed
        rows = {row.id: row for row in (*unfinished, *self.store.finished()) if row.proposal.budget == budget}
        found = [rows[trial_id] for trial_id in sorted(rows)]
        wanted = int(found[0].proposal.notes.get(MEMBERS, 0)) if found else 1
        if len(found) < wanted:
            raise TooEarly(f"the round at budget {budget} has {len(found)} of its {wanted} rows so far")
        return found

    def _folder_of(self, trial_id: int) -> Path:
        assert self.trials_folder is not None
        return trial_folders.folder_of(self.trials_folder, trial_id)


def run_once(
    store: Store,
    evaluator: Evaluator,
    name: str,
    context: Callable[[Trial], WorkerContext],
    *,
    keep: bool = False,
    resources: Resources | None = None,
    carrier: Carries | None = None,
) -> Result | None:
    """Claim the oldest pending trial, evaluate it, finish it. None: there is none, or it was too early for it.

    Where memory ran out, of a card or of the machine, the row is put back instead, as often as `core.attempts` says;
    the result that is returned then says so, and is in no table.

    Args:
        store: The table.
        evaluator: What evaluates.
        name: Name of the worker in the table.
        context: Makes what is lent for a trial, once its turn has come.
        keep: Whether to leave all folders; else `clear` removes those not needed once the result is in the table.
        resources: What the trials share and can run out of; None: nobody else works here.
        carrier: Carries folders of trials between the run's own and those of `context`; None: these are the run's own.

    Raises:
        PutBack: The evaluation was asked to stop and has kept what it did, or the worker stops before the trial's turn
            has come; its row is pending again, with its folder.
        NoRoom: No space is left where it writes; its row is pending again.
        DeviceLost: This process can evaluate no more; its row is pending again, or failed as `lost` after too many.
    """
    trial = store.claim(name)
    if trial is None:
        return None
    resources = resources or Resources()
    attempt = resources.attempt(store, trial.id)
    with resources.taken(attempt) as has_come:
        if not has_come:
            store.put_back(name)
            raise PutBack("stopped while it waited for its turn")
        try:
            return _run(store, evaluator, name, trial, context(trial), keep, attempt, resources, carrier)
        finally:
            if resources.cards and isinstance(evaluator, UsesCards):
                evaluator.leave_cards()


def _run(
    store: Store,
    evaluator: Evaluator,
    name: str,
    trial: Trial,
    lent: WorkerContext,
    keep: bool,
    attempt: Attempt,
    resources: Resources,
    carrier: Carries | None,
) -> Result | None:
    """Evaluate a trial that was claimed, and finish it or put it back. None: it was too early."""
    if carrier is not None:
        carrier.bring(trial)
    try:
        result, is_machine = _evaluated(retries.in_parts(evaluator, trial, attempt), trial, lent)
    except TooEarly:
        store.put_back(name)
        return None
    except PutBack:
        if carrier is not None:
            carrier.send(trial.id)
        store.put_back(name)
        raise
    except DeviceLost as error:
        store.requeue(0.0, name, str(error))
        raise
    except NoRoom:
        store.put_back(name)
        raise
    except retries.Indivisible as error:
        before = Attempt(1, attempt.place)
        message = before.failed(attempt.sizes, attempt.place, retries.estimate(evaluator, trial), str(error))
        result, is_machine = Result(failure="out_of_memory", message=message), False
    else:
        if result.failure == "out_of_memory":
            place, estimate = resources.place(is_machine=is_machine), retries.estimate(evaluator, trial)
            following, refusal = retries.following(evaluator, trial, attempt, place, result.message, estimate)
            if following is not None:
                resources.note(store, trial.id, following)  # first: a kill in between repeats the new attempt
                store.put_back(name)
                return result
            result = replace(result, message=attempt.failed(result.message, place, estimate, refusal))
        elif attempt.ran_out:
            result = replace(result, message=attempt.noted(result.message))
    # first: with the result, another trial may be asked that continues this one
    if carrier is not None:
        is_left = keep or trial_folders.leaves_state(trial, result, evaluator)
        if is_left and not carrier.send(trial.id):
            return result  # without what it has left, which is another worker's by now, it must not count
    # a straggler, whose row another worker has finished, must not clear what the promotion of that trial needs
    counts = store.finish(trial.id, result, name)
    if counts and not keep and lent.trials_folder is not None:
        trial_folders.clear(lent.trials_folder, trial, result, evaluator, carrier)
    return result


def evaluate(evaluator: Evaluator, trial: Trial, context: WorkerContext) -> Result:
    """The evaluator's result; an exception, or a metric that is no finite number, becomes a failure.

    What the evaluator makes ready before it counts for nothing in the result's seconds.

    Raises:
        PutBack: The evaluation was asked to stop and has kept what it did; as TooEarly: it cannot begin yet.
        DeviceLost: The device that it used answers no more.
        NoRoom: No space is left where it writes.
    """
    return _evaluated(evaluator, trial, context)[0]


def _evaluated(evaluator: Evaluator, trial: Trial, context: WorkerContext) -> tuple[Result, bool]:
    """As `evaluate`, and whether it failed because the memory of this machine ran out."""
    start: float | None = None
    try:
        if isinstance(evaluator, MakesReady):
            context.on_making(True)
            evaluator.make_ready(trial, context)
            context.on_making(False)
        start = time.perf_counter()
        result = evaluator.evaluate(trial, context)
        return _with_latency(returned.checked(result, time.perf_counter() - start), trial), False
    except (Terminated, DeviceLost):
        raise
    except (Exception, SystemExit) as error:  # any fault of an evaluator is a result, and so is sys.exit in it
        # unasked, it would be put back again and again
        if isinstance(error, TooEarly) or (isinstance(error, PutBack) and context.should_stop()):
            raise
        if disk.is_full(error):  # no trial's fault: all that come would fail
            full = disk.why_full(context.trials_folder or Path())
            raise NoRoom(
                f"trial {trial.id} could not write: {full} ({returned.short(str(error))}); it is put back; make room "
                "and give the same command again"
            ) from error
        is_machine = _is_of_machine(error)
        sizes = memory.told() if is_machine else ""  # while it holds what it has taken
        text = returned.storable("\n".join(filter(None, (traceback.format_exc(limit=-20).rstrip(), sizes))))
        seconds = 0.0 if start is None else time.perf_counter() - start
        return Result(seconds=seconds, failure=_failure_of(error), message=text), is_machine


def _with_latency(result: Result, trial: Trial) -> Result:
    """The result with the latency that the controller estimated when it asked for the trial, if it did."""
    estimate = trial.proposal.notes.get(LATENCY.name)
    if estimate is None or not result.metrics:
        return result
    return replace(result, metrics={**result.metrics, LATENCY.name: estimate})


def _failure_of(error: BaseException) -> Failure:
    is_card = type(error).__name__ == "OutOfMemoryError"
    return "out_of_memory" if is_card or _is_of_machine(error) else "error"


def _is_of_machine(error: BaseException) -> bool:
    """Whether the memory of this machine ran out, or what this process may have of it."""
    # torch's CPU allocator raises a plain RuntimeError
    return isinstance(error, MemoryError) or "can't allocate memory" in str(error)
