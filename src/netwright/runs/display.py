"""What a person sees while a search runs: a live table on a terminal or in a notebook, plain lines elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from netwright.core.baselines import Baseline, beside
from netwright.core.objectives import Objective, rank, result_of, results_of, score_of, short
from netwright.core.protocols import Executor, KeepsTime, Store
from netwright.core.records import Tally, Trial, WorkerState
from netwright.runs.notebook import Output
from netwright.runs.watched_front import WatchedFront

REFRESH = 0.5  # seconds between pictures
SETTLED = 5.0  # seconds before which a rate says nothing
BEAT = 30.0  # seconds between plain lines when nothing finishes
SHOWN = 16  # workers
OUTLOOK_BEAT = 60.0  # seconds between plain lines where there is an outlook, whatever finishes behind the first trial
FIRST_BEAT, FIRST = 15.0, 60.0  # seconds between them before that, for so many seconds


def write(console: Console, text: str) -> None:
    """Print a line that stays.

    In a notebook it goes to the standard output: `rich` would make an output of each line, with space around it, that
    does not break.
    """
    if console.is_jupyter:
        print(text)
    else:
        console.print(text, highlight=False, markup=False, soft_wrap=True)


class Display:
    """Watches a search and shows best so far, rate, time left, and what each worker does.

    Args:
        console: Where to show it: a live table on a terminal, one with a bar in a notebook, plain lines elsewhere.
        store: The table of the run, asked what the workers do.
        title: What is searched.
        trials: Limit of finished trials; None: no such limit.
        objective: The first objective, by which the best is chosen.
        baselines: What results are to be compared with.
        outlook: Says what the search is a part of, and when all of it will be over; trials behind the first are then
            no news, and a plain line comes once a minute, more often in the first one. None: the search stands for
            itself.
        front: The front of a search by several objectives, told of every trial before the display is; None: it has one.
    """

    def __init__(
        self,
        console: Console,
        store: Store,
        *,
        title: str,
        trials: int | None,
        objective: Objective,
        baselines: Sequence[Baseline] = (),
        outlook: Callable[[], str] | None = None,
        front: WatchedFront | None = None,
    ) -> None:
        self._console, self._store, self._outlook, self._front = console, store, outlook, front
        self._title, self._trials, self._objective, self._baselines = title, trials, objective, baselines
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        self._panel = Output(title) if console.is_jupyter else None
        self._begun = self._shown = self._drawn = time.monotonic()
        self._finished = self._finished_before = self._failed = self._reused = 0
        self._best: Trial | None = None

    def __enter__(self) -> Display:
        self._context: AbstractContextManager[object] = self._live or nullcontext()
        self._context.__enter__()
        if self._outlook is not None and self._is_plain:
            self.say(self._outlook())
        return self

    def __exit__(self, *error: object) -> None:
        self._context.__exit__(None, None, None)
        if self._panel is not None:
            self._panel.show(self._facts(), self._finished, self._trials)

    def asked(self, trial: Trial) -> None:
        """Nothing to show: what matters is what finishes."""

    def replayed(self, tally: Tally, best: Trial | None) -> None:
        """Take in what earlier sessions finished; call once, before the search goes on."""
        self._finished = self._finished_before = tally.finished
        self._failed, self._reused, self._best = tally.failed, tally.reused, best
        if tally.finished and tally.finished != self._trials:
            self.say(f"going on after {tally.finished} finished trials")

    def told(self, trial: Trial) -> None:
        """Take in a finished trial; on a terminal the next picture shows it, elsewhere a line does."""
        had_best, is_better = self._best is not None, self._take(trial)
        if trial.result and trial.result.failure:
            reason = trial.result.message.strip().rpartition("\n")[2]
            self.say(f"trial {trial.id} failed: {trial.result.failure}: {reason}")
        elif self._is_plain and self._outlook is None and trial.scores is not None:
            is_on_front = self._front is not None and self._front.holds(trial)
            mark = "  best so far" if is_better else "  on the front" if is_on_front else ""
            found = result_of(trial, self._objective) if self._front is None else results_of(trial, self._front.goals)
            again = " (from the table)" if trial.result and trial.result.reused else ""
            if trial.result and trial.result.message:  # such as that it was trained anew; the row says why
                again += f" ({trial.result.message.partition(':')[0]})"
            self.say(f"trial {trial.id}: {found}{again}, {self._progress()}{mark}")
        elif self._is_plain and self._outlook is not None and is_better and not had_best:
            self.say(self._prospect(self._outlook))

    def tick(self) -> None:
        """Show a new picture, or a plain line, when it is time."""
        now = time.monotonic()
        if self._panel is not None and now - self._drawn >= REFRESH:
            self._drawn = now
            self._panel.show(self._facts(), self._finished, self._trials)
        if self._live is not None and now - self._shown >= REFRESH:
            self._shown = now
            self._live.update(self._picture(), refresh=True)
        elif self._is_plain and now - self._shown >= self._beat:
            self.say(f"{self._progress()}; {self._doing()}" if self._outlook is None else self._prospect(self._outlook))

    @property
    def _beat(self) -> float:
        """Seconds between plain lines."""
        if self._outlook is None:
            return BEAT
        is_early = self._best is None and time.monotonic() - self._begun <= FIRST
        return FIRST_BEAT if is_early else OUTLOOK_BEAT

    @property
    def _is_plain(self) -> bool:
        """Whether lines stand in for a picture."""
        return self._live is None and self._panel is None

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self._shown = time.monotonic()
        write(self._console, text)

    def _take(self, trial: Trial) -> bool:
        self._finished += 1
        self._failed += trial.scores is None
        self._reused += bool(trial.result and trial.result.reused)
        if trial.scores is None or (self._best and rank(trial) <= rank(self._best)):
            return False
        self._best = trial
        return True

    def _progress(self) -> str:
        limit = f"/{self._trials}" if self._trials else ""
        return f"{self._finished}{limit} finished{self._rate()}"

    def _rate(self) -> str:
        here, seconds = self._finished - self._finished_before, time.monotonic() - self._begun
        if not here or seconds < SETTLED:
            return ""
        trials = self._trials if self._outlook is None else None  # else the time decides
        left = f", {clock((trials - self._finished) * seconds / here)} left" if trials else ""
        return f", {here / seconds * 60:.3g} a minute{left}"

    def _prospect(self, outlook: Callable[[], str]) -> str:
        best = best_line(self._best, self._objective, self._baselines) if self._best else ""
        return "; ".join(filter(None, (outlook(), self._progress(), f"best: {best}" if best else self._doing())))

    def _doing(self) -> str:
        workers = self._store.workers()
        states = [f"{w.name}: {f'trial {w.trial_id} {w.activity}' if w.trial_id else 'idle'}" for w in workers[:SHOWN]]
        return "; ".join((*states, *_further(workers))) or "no worker yet"

    def _picture(self) -> Group:
        table = Table.grid(padding=(0, 2))
        for name, text in self._facts():
            table.add_row(name, text)
        return Group(Text(self._title, style="bold"), table)

    def _facts(self) -> list[tuple[str, str]]:
        """What a picture shows, by name."""
        facts = [("now", self._outlook())] if self._outlook is not None else []
        facts.append(("finished", self._progress()))
        if self._best is not None:
            facts.append(("best", best_line(self._best, self._objective, self._baselines)))
        if self._front is not None and self._best is not None:
            facts.append(("front", str(self._front)))
        if self._failed or self._reused:
            facts.append(("of them", f"{self._failed} failed, {self._reused} answered from the table"))
        facts.append(("running for", clock(time.monotonic() - self._begun)))
        workers = self._store.workers()
        for worker in workers[:SHOWN]:
            doing = f"trial {worker.trial_id}  {worker.activity}" if worker.trial_id else worker.activity or "idle"
            facts.append((worker.name, doing))
        return [*facts, *(("", text) for text in _further(workers))]


def _further(workers: Sequence[WorkerState]) -> list[str]:
    """What is said of the workers beyond those that are shown, if there are any."""
    busy = sum(worker.trial_id is not None for worker in workers[SHOWN:])
    return [f"{len(workers) - SHOWN} further workers, {busy} of them at a trial"] if len(workers) > SHOWN else []


def best_line(
    best: Trial, objective: Objective, baselines: Sequence[Baseline], metrics: Sequence[Objective] = ()
) -> str:
    """What is said of the best: "trial 3, valid_loss 0.1234 (lower is better)", and what to compare the value with.

    Behind it stand the metrics that are reported besides, where it has them.
    """
    score = score_of(best)
    known = "" if score is None else f" {beside(objective, objective.measured(score), baselines)}"
    measured = best.result.metrics if best.result else {}
    told = "".join(f"; {each.name} {short(measured[each.name])}" for each in metrics if each.name in measured)
    return f"trial {best.id}, {result_of(best, objective)}{known}{told}"


def clock(seconds: float) -> str:
    """A duration for people: 42 s, 3 min 20 s, 5 h 12 min."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def work_done(busy: float, executor: Executor, wall_seconds: float) -> str:
    """A sentence on how busy the workers were, or, where rows took more time than they had, how long these took.

    Args:
        busy: Seconds that evaluations took.
        executor: The workers.
        wall_seconds: Seconds that passed.
    """
    workers = executor.workers
    if isinstance(executor, KeepsTime):
        took = f"simulated: {clock(executor.elapsed_seconds)} on {workers} workers"
        if not executor.elapsed_seconds:
            return f"{took}, as the evaluations state no time; give --executor.seconds"
        whole = busy / (workers * executor.elapsed_seconds)
        share = executor.utilization
        until = "" if math.isnan(share) else f" {share:.1%} of it until the last trial began,"  # all began at once
        return f"{took}; they were busy{until} {whole:.1%} of all of it"
    if busy > workers * wall_seconds:
        return f"evaluations took {clock(busy)} in all"  # a table's seconds, or those of workers that joined
    return f"workers were busy {busy / (wall_seconds * workers):.1%} of the time"
