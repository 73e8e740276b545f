"""The controller: asks the strategy, writes rows, lets workers work, tells the strategy what finished.

Everything it knows is in the table; a new controller that replays the table is the old one.
"""

from __future__ import annotations

import math
import statistics
import time
from array import array
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from netwright.core import remembered, seeds
from netwright.core.errors import ControlLost, InvalidGenotype, StoreError, WorkerError
from netwright.core.latency import LATENCY, EstimatesLatency
from netwright.core.objectives import scorer
from netwright.core.protocols import (
    STOP_SECONDS,
    AsksTogether,
    Caches,
    Executor,
    Generates,
    Halts,
    Job,
    KeepsTime,
    LearnsAside,
    SearchSpace,
    Store,
    Strategy,
    Watcher,
    WorksElsewhere,
    of_seed,
    unwrap,
)
from netwright.core.protocols.executor import OnReport
from netwright.core.records import IO, Proposal, Trial
from netwright.core.run_file import Limits, Reuse

Ending = Literal["trials", "hours", "table_seconds", "exhausted", "drained"]

ATTEMPTS = 100  # proposals of one ask that `check` may refuse
LOST_FOR = 60.0  # seconds of silence after which a living worker counts as lost
PRESENT_FOR = 10.0  # seconds after its last beat for which a worker counts as waiting for rows
LOOK_EVERY = 0.02  # seconds between looks at the table, and at a strategy that learns
LOOK_SOON = 0.001  # seconds until the next look where the last one found a result; then twice as many each time
RECENT = 101  # trials of whose durations the median is noted, for workers whose time is limited
PAGE = 10_000  # rows read from the table at once
ASLEEP_FOR = 45.0  # seconds without a look, in which this process may have been stopped and heard nobody
HOUSEKEEPING = 1.0  # seconds between looks for lost workers and notes of the elapsed time


@dataclass(frozen=True)
class Watchers:
    """Passes every event on to several watchers."""

    watchers: tuple[Watcher, ...] = ()

    def asked(self, trial: Trial) -> None:
        """A row was added."""
        for watcher in self.watchers:
            watcher.asked(trial)

    def told(self, trial: Trial) -> None:
        """The strategy was told a finished trial."""
        for watcher in self.watchers:
            watcher.told(trial)

    def tick(self) -> None:
        """The loop of the search went round once more."""
        for watcher in self.watchers:
            watcher.tick()


@dataclass
class Search:
    """A search over `space` with `strategy`, resumed from whatever `store` holds.

    Args:
        objectives: Objectives as a run file writes them; None: the first metric of the results, the higher the better.
        limits: Limits at which the search ends.
        seed: Seed of everything that is drawn.
        reuse: What is answered from the table where it was measured before at the same budget: identical genotypes,
            equal networks (by the space's key), or nothing.
        folder: The run's own folder, for trial folders; None: trials cannot write files.
        threads: Threads per trial.
        keep: Whether to leave the folders of finished trials.
        io: Inputs and outputs of the task, where they are known: networks of generators must also fit them.
        prefetch: Pending rows beyond the number of workers. None: 0 with one worker, so that a resumed run repeats the
            undisturbed one; else 1, so that no worker waits for the controller. More where a strategy's proposals
            belong together (`AsksTogether`).
        watchers: Watchers, which are told about every row.
        latency: Estimates the latency of each network that is asked for, which is noted with its proposal and becomes a
            metric of its result; None: nobody asks for it.
        on_report: Is told what evaluations in this process report: trial, step and metrics.
        say: Shows the user a sentence of the executor's.
    """

    space: SearchSpace
    strategy: Strategy
    store: Store
    executor: Executor
    objectives: tuple[str, ...] | None = None
    limits: Limits = field(default_factory=Limits)
    seed: int = 0
    reuse: Reuse = False
    folder: Path | None = None
    threads: int = 1
    keep: bool = False
    io: IO | None = None
    prefetch: int | None = None
    watchers: Sequence[Watcher] = ()
    latency: EstimatesLatency | None = None
    on_report: OnReport = lambda _trial_id, _step, _metrics: None
    say: Callable[[str], None] = lambda _sentence: None

    def __post_init__(self) -> None:
        if self.folder is not None and isinstance(self.strategy, Caches):
            self.strategy.cache_in(self.folder / "strategy")
        # asked here once, as it takes longer than all else that is done for a row
        self._learner = self.strategy if isinstance(self.strategy, LearnsAside) else None
        self._elsewhere = self.executor if isinstance(self.executor, WorksElsewhere) else None
        self._together = self.strategy.together if isinstance(self.strategy, AsksTogether) else 0
        self._score = scorer(self.objectives)
        self._streams = seeds.Streams(self.seed)
        self._generates = unwrap(self.space, Generates) is not None
        self._watchers = Watchers(tuple(self.watchers))
        self._pending: dict[int, Trial] = {}  # unfinished rows by id
        self._waiting: tuple[Trial, ...] | None = ()  # the same as a sequence; None: to be made anew
        self._asked = 0
        self._told = 0
        self._missing: list[int] = []  # trials that were asked and are gone from the table: asked again by their number
        self._is_behind = False  # a trial that finished before others must be measured again before these are told
        self._times: dict[str, int] = {}  # how often each key was asked
        self._seed_of = array("Q")  # of the trial with each number, for those that continue it
        self._measured: dict[tuple[Hashable, int | None], Trial] = {}  # what `reuse` answers from
        self._seconds = 0.0  # what all finished rows took together
        self._took: deque[float] = deque(maxlen=RECENT)  # seconds of the last of them that were measured
        self._median = 0.0  # of these, as noted last
        self._failures = 0  # in a row, in this session
        self._last_failure = ""
        self._present = 0  # workers seen at the table, those that joined from elsewhere among them
        self._draining = False
        self._stopping = False
        self._exhausted = False
        self._earlier_hours = 0.0
        self._start = self._tidied = self._there_since = time.monotonic()

    def run(self) -> Ending:
        """Search until a limit is met, and say which.

        Raises:
            WorkerError: Too many failures in a row, or workers that cannot start.
            ControlLost: A watcher has found that another process searches now.
            KeyboardInterrupt: It was raised during the search; running trials are put back first, as by `stop`, or at
                once where that was under way.
        """
        self.store.requeue(LOST_FOR)
        self.replay()
        self._start = self._tidied = self._there_since = time.monotonic()
        if self._is_complete():
            return "trials"
        if self._draining:
            return "drained"
        if (used_up := self._used_up()) is not None:  # in an earlier session, which may have put trials back
            return used_up
        is_ours = True
        try:
            given = (self.store, self.folder, self.threads, self.keep, self._must_stop, self.on_report, self.say)
            self.executor.start(Job(*given))
            pause = LOOK_EVERY
            while (ending := self._ending()) is None:
                self._top_up()
                before = self._told
                self.executor.poll(pause)
                self._take_finished()
                pause = LOOK_SOON if self._told > before else min(2 * pause, LOOK_EVERY)
                self._keep_house()
            return ending
        except ControlLost:
            is_ours = False
            raise
        except KeyboardInterrupt:
            if not self._stopping:
                self.stop()
                while not self._has_halted():
                    self.executor.poll(LOOK_EVERY)
            raise
        finally:
            self.executor.stop()
            if is_ours:
                self.store.put_back()
                self._note_hours()

    def drain(self) -> None:
        """Ask nothing more and let what runs finish; `run` then returns "drained". Safe in a signal handler."""
        self._draining = True

    @property
    def is_draining(self) -> bool:
        """Whether it was told to end, even if all of its trials have finished since."""
        return self._draining

    def stop(self) -> None:
        """Ask nothing more; what runs writes down where it stands and is put back. `run` then returns "drained".

        What cannot write it down within `stop_seconds` is ended, where the executor can. Safe in a signal handler.
        """
        self._draining = self._stopping = True

    @property
    def stop_seconds(self) -> float:
        """How long evaluations may take for writing down where they stand, once the search is stopped."""
        return self.executor.stop_seconds if isinstance(self.executor, Halts) else STOP_SECONDS

    def replay(self) -> None:
        """Tell the strategy every finished trial of the table, in order, and take up the unfinished ones."""
        self._earlier_hours = remembered.number(self.store, "hours") or 0.0
        self._missing = self.store.missing()
        for trial in self.store.unfinished():
            self._note_asked(trial)
        self._take_finished(is_replay=True)
        self._failures = 0

    def _ending(self) -> Ending | None:
        """The limit that is met, once nothing is left to wait for."""
        limits = self.limits
        if limits.failures_in_a_row and self._failures >= limits.failures_in_a_row:
            raise WorkerError(
                f"{self._failures} trials failed one after another; the last: {self._last_failure.strip()}"
            )
        if self._is_complete():
            return "trials"
        if self._exhausted and self._is_behind:
            raise StoreError(
                f"the trial that finished as number {self._told + 1} was damaged, and the strategy does not ask "
                "for it again, so that later ones cannot be told; restore a copy, or begin in another folder"
            )
        if self._exhausted and not self._pending:
            return "exhausted"
        used_up = self._used_up()
        if not (used_up or self._draining):
            return None
        if self._must_stop():
            has_ended = self._has_halted()
        else:
            self.executor.drain()
            has_ended = self.executor.is_idle()
        if not has_ended:
            return None
        self._take_finished()
        return "drained" if self._draining else used_up

    def _must_stop(self) -> bool:
        """Whether trials are to stop where they stand: on demand, or as the hours are over, which are kept exactly."""
        hours = self.limits.hours
        return self._stopping or (hours is not None and self._hours() >= hours)

    def _has_halted(self) -> bool:
        """Have running trials stopped and kept; whether none runs. An executor that cannot keep any stops at once."""
        if not isinstance(self.executor, Halts):
            return True
        self.executor.halt()
        return self.executor.is_idle()

    def _is_complete(self) -> bool:
        return not self._pending and self.limits.trials is not None and self._told >= self.limits.trials

    def _used_up(self) -> Ending | None:
        """The limit of time that is met: nothing more is asked."""
        limits = self.limits
        if limits.hours is not None and self._hours() >= limits.hours:
            return "hours"
        if limits.table_seconds is not None and self._seconds >= limits.table_seconds:
            return "table_seconds"
        return None

    def _top_up(self) -> None:
        asked_for = self.executor.workers if self._elsewhere is None else max(1, self._elsewhere.present)
        workers = max(asked_for, self._present)
        ahead = max(self._together, (workers > 1) if self.prefetch is None else self.prefetch)
        last = self.limits.trials
        if self._is_behind:  # what comes next depends on what is measured again
            self._ask_missing()
            return
        while len(self._pending) < workers + ahead and (self._missing or last is None or self._asked < last):
            if self._draining or self._used_up():  # checked each time: reused rows could go on for ever
                return
            if not self._is_strategy_ready():
                return
            asked = self._ask()
            if asked is None:
                self._exhausted = not self._pending
                return
            self._add(*asked)

    def _ask_missing(self) -> None:
        """Ask for the first of the missing trials anew, once all else that is to be measured again has been."""
        if self._draining or self._used_up() or not self._is_strategy_ready() or self.store.unfinished():
            return
        asked = self._ask() if self._missing else None
        if asked is None:
            self._take_finished()  # it may have finished since the last look
            self._exhausted = self._is_behind
            return
        self._add(*asked)

    def _ask(self) -> tuple[Proposal, str, int] | None:
        """What the strategy proposes, its key and its seed; a proposal that the space refuses costs an attempt."""
        if self._waiting is None:
            self._waiting = tuple(self._pending.values())
        number = self._missing[0] if self._missing else self._asked + 1
        waiting = self._waiting if not self._is_behind else (*self._waiting, *self._untold(number))
        fault = ""
        for attempt in range(ATTEMPTS):
            rng = self._streams.rng(seeds.ASK, number, attempt)
            proposal = self.strategy.ask(rng, waiting)
            if proposal is None:
                return None
            try:
                return self._checked(proposal, attempt)
            except InvalidGenotype as error:
                fault = str(error)
        raise InvalidGenotype(
            f"the strategy proposed {ATTEMPTS} genotypes that do not fit the space; the last: {fault}"
        )

    def _untold(self, before: int) -> list[Trial]:
        """Trials asked before a missing one that have finished, and of which the strategy has not heard yet."""
        found, after = [], self._told
        while rows := self.store.finished(after, PAGE):
            earlier = (row for row in rows if row.id < before and row.id not in self._pending)
            found += [replace(row, status="running", result=None, finish=None) for row in earlier]
            after = rows[-1].finish or after
        return found

    def _checked(self, proposal: Proposal, attempt: int) -> tuple[Proposal, str, int]:
        """A proposal with its key and seed. Raises InvalidGenotype when the network of that seed does not fit.

        Each attempt draws another network of a generator, so that one that does not fit does not end a list of repeats.
        """
        genotype = proposal.genotype
        if not self._generates:
            self.space.check(genotype)
            key = self.space.key(genotype)
            return self._estimated(proposal, self.space), key, self._seed(proposal, key)
        key = self.space.key(genotype)
        seed = self._seed(proposal, key, attempt)
        space = of_seed(self.space, seed)
        space.check(genotype)
        if self.io is not None:
            space.count(genotype, self.io)
        return self._estimated(proposal, space), key, seed

    def _estimated(self, proposal: Proposal, space: SearchSpace) -> Proposal:
        """The proposal with the latency of its network among its notes, where that is asked for."""
        if self.latency is None:
            return proposal
        found = self.latency.latency_ms(space, proposal.genotype)
        return replace(proposal, notes={**proposal.notes, LATENCY.name: found})

    def _seed(self, proposal: Proposal, key: str, attempt: int = 0) -> int:
        """The seed of a new trial; a promotion takes that of the trial it continues, a reused row its origin's."""
        if proposal.continues is not None:
            return self._seed_of[proposal.continues]
        known = self._known(proposal, key)
        if known is not None:
            return known.seed
        return seeds.trial_seed(self.seed, f"{key}:{attempt}" if attempt else key, self._times.get(key, 0))

    def _known(self, proposal: Proposal, key: str) -> Trial | None:
        """The trial of the table that answers a proposal; None: it is to be measured."""
        if not self.reuse or proposal.continues is not None:
            return None
        return self._measured.get((self._identity(proposal, key), proposal.budget))

    def _identity(self, proposal: Proposal, key: str) -> Hashable:
        """What is equal where one measurement answers for both, by `reuse`."""
        return proposal.genotype if self.reuse == "genotype" else key

    def _add(self, proposal: Proposal, key: str, seed: int) -> None:
        known = self._known(proposal, key)
        del self._missing[:1]
        if known is None or known.result is None:
            trial_id = self.store.add(proposal, key, seed)
            self._note_asked(Trial(trial_id, proposal, key, seed, "pending"))
            return
        result = replace(known.result, seconds=0.0, reused=known.result.reused or known.id)
        trial_id = self.store.add(proposal, key, seed, result)
        self._note_asked(Trial(trial_id, proposal, key, seed, "running"))
        self._take_finished()
        self._keep_house()

    def _note_asked(self, trial: Trial) -> None:
        self._asked += 1
        self._times[trial.key] = self._times.get(trial.key, 0) + 1
        if len(self._seed_of) <= trial.id:
            self._seed_of.extend([0] * (trial.id + 1 - len(self._seed_of)))
        self._seed_of[trial.id] = trial.seed
        self._pending[trial.id] = trial
        self._waiting = None
        self._watchers.asked(trial)

    def _take_finished(self, is_replay: bool = False) -> None:
        """Tell the strategy what has finished, in order, up to the first place that is not there (`Store.missing`)."""
        is_more = True
        while is_more:
            most = 1 if self._is_behind else PAGE
            rows = self.store.finished(self._told, most)
            is_more = len(rows) == most
            for row in rows:
                assert row.finish is not None
                self._is_behind = row.finish > self._told + 1
                if self._is_behind or not self._is_strategy_ready():
                    return  # the row is in the table: the controller that resumes the run tells it
                self._tell(row, row.finish, is_replay)

    def _tell(self, row: Trial, finish: int, is_replay: bool) -> None:
        if row.id not in self._pending:  # finished before this controller started
            is_replay = True
            self._note_asked(row)
        assert row.result is not None
        scores = self._score(row.result)
        trial = Trial(row.id, row.proposal, row.key, row.seed, row.status, row.result, scores, finish)
        self.strategy.tell(trial, self._streams.rng(seeds.TELL, finish))
        self._told = finish
        del self._pending[trial.id]
        self._waiting = None
        self._learn(trial)
        if not is_replay:
            self._watchers.told(trial)

    def _is_strategy_ready(self) -> bool:
        """Wait for a strategy that still learns; False: it is not ready, and the search is about to end."""
        if self._learner is None:
            return True
        # polling replaces workers that die meanwhile. Not polled are a simulated clock, which stands still while the
        # strategy learns, and a lone worker: where it is the caller itself, what it did would depend on that time
        keeps_on = self.executor.workers > 1 and not isinstance(self.executor, KeepsTime)
        while not self._learner.is_ready():
            if self._draining or self._used_up():
                return False
            time.sleep(LOOK_EVERY)
            if keeps_on:
                self.executor.poll(0.0)
            self._keep_house()
        return True

    def _learn(self, trial: Trial) -> None:
        result = trial.result
        assert result is not None
        self._seconds += result.seconds
        if result.seconds and not result.failure:
            self._took.append(result.seconds)
        if result.failure:
            self._failures += 1
            self._last_failure = result.message.strip().rpartition("\n")[2] or result.failure
            return
        self._failures = 0
        if self.reuse:
            self._measured.setdefault((self._identity(trial.proposal, trial.key), trial.proposal.budget), trial)

    def _keep_house(self) -> None:
        self._watchers.tick()
        now = time.monotonic()
        if now - self._tidied < HOUSEKEEPING:
            return
        if now - self._tidied >= ASLEEP_FOR:
            self._there_since = now
        self._tidied = now
        self._note_hours()
        if self._took and (median := statistics.median(self._took)) != self._median:
            self._median = median
            self.store.remember(remembered.MEDIAN_SECONDS, f"{median:.6g}")
        # workers on other hosts could not be heard while no controller was there, or this one was stopped
        self.store.requeue(LOST_FOR if now - self._there_since >= LOST_FOR else math.inf)
        self._present = sum(worker.silent_seconds < PRESENT_FOR for worker in self.store.workers())

    def _hours(self) -> float:
        return self._earlier_hours + (time.monotonic() - self._start) / 3600

    def _note_hours(self) -> None:
        self.store.remember("hours", repr(self._hours()))
