"""A cluster on a simulated clock: hundreds of workers, stragglers and failures, played in seconds with one process.

A discrete-event simulation: controller, strategy and table are the real ones, only the time that an evaluation takes is
made up. A free worker claims a row and has its result at once; the row finishes when the simulated clock gets there.
Everything is drawn from `seed`, the trial's id and the attempt, so that the same search gives the same table, and two
ways of working are compared on the very same durations.

Durations are log-normal around their mean. `synchronous` is what asynchronous evolution is compared to (Liu et al.
2018, section 3.2: workers take the next genotype when they are free; a generation waits for its slowest).
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from typing import Final, NamedTuple

from netwright import worker
from netwright.core import seeds, trial_folders
from netwright.core.errors import PutBack, TooEarly, WorkerError
from netwright.core.protocols import STOP_SECONDS, Context, Evaluator, Job, MakesReady
from netwright.core.records import Result, Trial

DURATION: Final = 64  # purpose of the draws, apart from those of `core.seeds`
STRAGGLING = 10.0  # times as long as it would have taken
BEAT = 5.0  # real seconds between signs of life, for a table that gives silent workers up
SIMULATED_FAILURE = "the simulated cluster failed this trial"


class Spell(NamedTuple):
    """A stretch of work of one worker: it evaluated `trial_id` from `start` to `end`, in simulated seconds.

    `is_lost`: the worker died at `end`, and the row went back to pending.
    """

    worker: int
    trial_id: int
    start: float
    end: float
    is_lost: bool


class _Running(NamedTuple):
    end: float
    number: int  # of evaluations that end together, the one started first comes first
    worker: int
    trial: Trial
    result: Result | None  # None: it will be lost


@dataclass
class _Stated:
    """Notes the seconds that an evaluator states: `worker.evaluate` fills in real ones where it states none."""

    evaluator: Evaluator
    seconds: float = 0.0

    def make_ready(self, trial: Trial, context: Context) -> None:
        if isinstance(self.evaluator, MakesReady):
            self.evaluator.make_ready(trial, context)

    def evaluate(self, trial: Trial, context: Context) -> Result:
        self.seconds = 0.0
        result = self.evaluator.evaluate(trial, context)
        seconds = getattr(result, "seconds", 0.0)  # what is no Result is refused where this returns to
        self.seconds = float(seconds) if math.isfinite(seconds) and seconds > 0 else 0.0
        return result


@dataclass
class Simulated:
    """`workers` workers on a simulated clock; `poll` plays the next event.

    A finished row carries its simulated duration as `Result.seconds`. The clock starts at 0 with this object.

    Args:
        evaluator: Evaluator that measures the trials; best one that answers at once.
        workers: Number of workers.
        seconds: Mean duration of an evaluation, stragglers apart. 0: what the evaluator states (nothing: no time).
        sigma: Standard deviation of the logarithm of durations around that mean; 0: all are equal to the mean.
        straggler_share: Share of evaluations that take ten times as long.
        failure_share: Share of evaluations that fail, at a moment uniform over their duration.
        loss_share: Share of evaluations whose worker dies, at such a moment too; the row is asked again, and a new
            worker is there at once.
        seed: Seed of all durations, failures and losses.
        synchronous: Workers wait until the whole batch is finished and take the next together (a generation). Give the
            search `prefetch=0`, else the first row of a batch is asked before the last batch is told.
        controller_seconds: Simulated time from a finish until the controller has told it and added new rows. What
            finishes meanwhile is told with it; a worker that finds no pending row waits.
    """

    evaluator: Evaluator
    workers: int = 1
    seconds: float = 0.0
    sigma: float = 0.0
    straggler_share: float = 0.0
    failure_share: float = 0.0
    loss_share: float = 0.0
    seed: int = 0
    synchronous: bool = False
    controller_seconds: float = 0.0
    spells: list[Spell] = field(default_factory=list, init=False, repr=False)  # in order of their start
    elapsed_seconds: float = field(default=0.0, init=False)  # the clock at the last event
    _now: float = field(default=0.0, init=False, repr=False)  # the clock when the controller has answered
    _free: list[int] = field(default_factory=list, init=False, repr=False)
    _running: list[_Running] = field(default_factory=list, init=False, repr=False)
    _losses: dict[int, int] = field(default_factory=dict, init=False, repr=False)
    _job: Job | None = field(default=None, init=False, repr=False)
    _draining: bool = field(default=False, init=False, repr=False)
    _beaten: float = field(default=0.0, init=False, repr=False)  # real time

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise WorkerError(f"executor.workers is {self.workers}; it must be at least 1")
        for name in ("seconds", "sigma", "controller_seconds"):
            if not 0 <= getattr(self, name) < math.inf:
                raise WorkerError(f"executor.{name} is {getattr(self, name)}; it must be a number of at least 0")
        for name in ("straggler_share", "failure_share", "loss_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise WorkerError(f"executor.{name} is {getattr(self, name)}; it must be in [0, 1]")
        if self.failure_share + self.loss_share > 1:
            raise WorkerError(
                f"executor.failure_share and loss_share are {self.failure_share} and {self.loss_share}; "
                "together they must be at most 1"
            )
        self._streams = seeds.Streams(self.seed)
        self._stated = _Stated(self.evaluator)

    @property
    def utilization(self) -> float:
        """Share of their time that workers spent on evaluations while there were rows, up to the start of the last one.

        Workers that idle after that have no work left. NaN before the clock has moved. With `elapsed_seconds` instead,
        `utilization(spells, workers, until)` counts the end of the search too.
        """
        last = max((spell.trial_id for spell in self.spells), default=0)
        until = next((spell.start for spell in self.spells if spell.trial_id == last), 0.0)
        return utilization(self.spells, self.workers, until)

    def start(self, job: Job) -> None:
        """Make all workers free; the clock goes on from where it was."""
        self._job, self._draining, self._running = job, False, []
        self._free = list(range(self.workers))
        self._beaten = -math.inf
        self._beat()

    def poll(self, seconds: float) -> None:  # noqa: ARG002 - the clock is simulated
        """Let free workers claim rows, then advance to the next finish; a synchronous cluster to that of the batch."""
        if self._job is None:
            return
        self._beat()
        self._claim()
        if not self._running:
            return
        until = math.inf if self.synchronous else self._running[0].end + self.controller_seconds
        self._advance()
        while self._running and self._running[0].end < until:
            self._advance()
        self._now = self.elapsed_seconds + self.controller_seconds if self.synchronous else until
        self._beat()

    def drain(self) -> None:
        """Claim no further row."""
        self._draining = True

    @property
    def stop_seconds(self) -> float:
        """Seconds that an evaluation, in this process, has for writing down where it stands."""
        return STOP_SECONDS

    def halt(self) -> None:
        """Claim no further row; those whose results are known finish, which takes no time."""
        self._draining = True

    def is_idle(self) -> bool:
        """Whether no worker is at a row."""
        return not self._running

    def stop(self) -> None:
        """Drop what runs; the clock stops."""
        self._job, self._running = None, []

    def _claim(self) -> None:
        """Free workers, the lowest number first, start pending rows."""
        assert self._job is not None
        while self._free and not self._draining:
            trial = self._job.store.claim(_name(self._free[0]))
            if trial is None:
                return
            try:
                self._begin(trial, self._free[0])
            except TooEarly:
                self._job.store.put_back(_name(self._free[0]))
                return
            except PutBack:  # the search is being stopped
                self._job.store.put_back(_name(self._free[0]))
                self._draining = True
                return
            heappop(self._free)

    def _begin(self, trial: Trial, number: int) -> None:
        """Evaluate at once, and draw when the result will be there, or the worker lost."""
        result = worker.evaluate(self._stated, trial, self._context(trial, number))
        rng = self._streams.rng(DURATION, trial.id, self._losses.get(trial.id, 0))
        # always all of them, so that no option changes what another one draws
        normal, fate, moment, straggling = rng.standard_normal(), rng.random(), rng.random(), rng.random()
        # its mean is 1 whatever sigma is
        factor = math.exp(self.sigma * normal - self.sigma**2 / 2)
        duration = (self.seconds or self._stated.seconds) * factor
        if straggling < self.straggler_share:
            duration *= STRAGGLING
        is_lost = fate < self.loss_share
        if is_lost or fate < self.loss_share + self.failure_share:
            duration *= moment
            result = Result(failure="error", message=SIMULATED_FAILURE)
        end = self._now + duration
        finished = None if is_lost else replace(result, seconds=duration)
        heappush(self._running, _Running(end, len(self.spells), number, trial, finished))
        self.spells.append(Spell(number, trial.id, self._now, end, is_lost))

    def _advance(self) -> None:
        """Move the clock to the next end of an evaluation; its worker takes a pending row, unless synchronous."""
        assert self._job is not None
        run = heappop(self._running)
        self._now = self.elapsed_seconds = run.end
        heappush(self._free, run.worker)
        if run.result is None:
            self._losses[run.trial.id] = self._losses.get(run.trial.id, 0) + 1
            self._job.store.requeue(0.0, _name(run.worker))
        else:
            self._job.store.finish(run.trial.id, run.result)
        self._clear(run.trial, run.result)
        if not self.synchronous:
            self._claim()

    def _beat(self) -> None:
        """Sign for all workers now and then: the table's clock is the real one."""
        assert self._job is not None
        now = time.monotonic()
        if now - self._beaten < BEAT:
            return
        self._beaten = now
        for number in range(self.workers):
            self._job.store.beat(_name(number))

    def _clear(self, trial: Trial, result: Result | None) -> None:
        assert self._job is not None
        if self._job.folder is None or self._job.keep:
            return
        trials_folder = self._job.folder / "trials"
        if result is None:
            trial_folders.remove(trials_folder, trial.id)
        else:
            trial_folders.clear(trials_folder, trial, result, self.evaluator)

    def _context(self, trial: Trial, number: int) -> worker.WorkerContext:
        job = self._job
        assert job is not None
        trials_folder = job.folder / "trials" if job.folder else None
        return worker.WorkerContext(job.store, trials_folder, trial.id, job.threads, number, on_look=job.should_stop)


def utilization(spells: Sequence[Spell], workers: int, until: float) -> float:
    """Share of the worker-seconds in [0, until] that were spent on evaluations; NaN for no time.

    Evaluations that failed or were lost kept their worker busy as well.
    """
    if not until > 0:
        return math.nan
    return math.fsum(min(spell.end, until) - spell.start for spell in spells if spell.start < until) / (workers * until)


def busy(spells: Sequence[Spell]) -> list[tuple[float, int]]:
    """Number of busy workers over time: (simulated second, workers) at every change, in order of time."""
    changes = sorted([(spell.start, 1) for spell in spells] + [(spell.end, -1) for spell in spells])
    found: list[tuple[float, int]] = []
    count = 0
    for moment, change in changes:
        count += change
        if found and found[-1][0] == moment:
            found.pop()
        found.append((moment, count))
    return found


def _name(number: int) -> str:
    return f"simulated-{number}"


plugin = Simulated
