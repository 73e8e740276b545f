"""Faults done to a real search, and what must hold afterwards: `python -m netwright.testing.chaos`, or `make chaos`.

Each case is one search by the real command in real processes, to which one kind of fault is done again and again, at
instants that a seed draws. A controller that ends by it is started again by the same command, until the budget is
reached. Then every trial has one result, the one that the undisturbed search measures; no worker to which nothing was
done was taken for lost; a strategy that is told the table proposes what was asked; with one worker, the table is the
undisturbed one; and no process, port, lock, claim or temporary file is left.

Another package puts its executor or evaluator through it by `--executor mylab.cluster:Cluster --workers 4`,
`--evaluator mylab:Mine`, or from a test of its own by `play`:

outcome = chaos.play(Case(Signaled("worker", signal.SIGKILL), Subject("mine", executor="mylab:Cluster"), 10), 0, folder)
assert not outcome.wrong
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any, Final

from netwright.testing.faults import remains, truth
from netwright.testing.faults.clocks import ClockJumps
from netwright.testing.faults.contests import Race, Second
from netwright.testing.faults.crowded_disk import Crowded, Unable
from netwright.testing.faults.cut_files import Damaged
from netwright.testing.faults.killing import Mixed, Signaled
from netwright.testing.faults.searching import (
    GRACE,
    PATIENCE,
    Play,
    Scene,
    Started,
    Starter,
    Subject,
    Violated,
    command,
    end_all,
    made,
)
from netwright.testing.faults.warm import Warm
from netwright.testing.faults.wires import Disturbed, Occupied

Fault = Signaled | Mixed | Second | Crowded | ClockJumps | Damaged | Disturbed | Occupied | Race
AFTER: Final = 6  # trials after the last fault
EARLY: Final = 0.4  # share of the sessions to which something may be done before a trial has finished in them
EXTENDED: Final = 8  # times that a search is given more trials, where it ended before all was done to it
STEPPED: Final = "netwright.testing.stepped:SteppedEvaluator(seconds={seconds}, leaves={leaves})"
KILL, TERM, STOP, INT = signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP, signal.SIGINT


@dataclass(frozen=True)
class Case:
    """One search, and what is done to it.

    Args:
        fault: The kind of fault; None: none, to see that nothing is found where nothing was done.
        subject: The search.
        times: How often the fault is done.
        is_warm: Whether commands are played in forks of one process that has imported everything, to be quick.
    """

    fault: Fault | None
    subject: Subject
    times: int
    is_warm: bool = False

    @property
    def name(self) -> str:
        """What is done, in words."""
        return self.fault.name if self.fault else "none"


@dataclass(frozen=True)
class Survived:
    """What a case came to: a row of the table.

    Args:
        fault: What was done.
        setting: Name of the search.
        injected: How often it was done.
        asked: Rows in the table.
        final: Trials with a result.
        doubled: Results and rows beyond one for each trial.
        left: How much was left behind.
        seconds: How long it took.
        wrong: What was not as it must be; a sentence each.
        note: What else there is to say.
    """

    fault: str
    setting: str
    injected: int = 0
    asked: int = 0
    final: int = 0
    doubled: int = 0
    left: int = 0
    seconds: float = 0.0
    wrong: tuple[str, ...] = ()
    note: str = ""


def play(case: Case, seed: int, folder: Path, warm: Warm | None = None) -> Survived:
    """Play a case in a folder that is made and removed.

    Args:
        case: The case.
        seed: Seed of when the fault is done, and to whom.
        folder: Where the search lies.
        warm: Plays commands in forks, where a case is warm or a contest; None: one for this case alone.
    """
    rng = random.Random(f"{seed} {case.name} {case.subject.name}")
    begun = time.monotonic()
    mark = f"{folder.parent.name}/{folder.name}-{rng.getrandbits(32):08x}-{threading.get_native_id()}"
    outcome, reached = Survived(case.name, case.subject.name), [0]
    with made(folder, mark) as place, ExitStack() as held:
        try:
            starter: Starter = command
            if case.is_warm or isinstance(case.fault, Race):
                starter = warm or held.enter_context(Warm())
            if isinstance(case.fault, Race):
                assert isinstance(starter, Warm)
                outcome = _contested(case, case.fault, place, starter, rng, reached)
            else:
                if case.fault is not None:
                    held.enter_context(case.fault.prepared(place))
                outcome = _disturbed(case, place, starter, rng, reached)
        except Unable as reason:
            outcome = replace(outcome, note=f"left out: {reason}")
        except Exception as error:  # a fault of the table is a finding like any other, and so is one of this program
            sentence = str(error) if isinstance(error, Violated) else traceback.format_exc(limit=-4)
            asked, final = place.count("COUNT(*)"), place.count("COUNT(finish)")
            outcome = replace(outcome, asked=asked, final=final, wrong=(sentence,))
    return replace(outcome, injected=reached[0], seconds=time.monotonic() - begun)


def _disturbed(case: Case, place: Scene, starter: Starter, rng: random.Random, reached: list[int]) -> Survived:
    """Play the command until its budget is reached, with faults on the way, which are counted in `reached`."""
    fault, sessions, more = case.fault, 0, 0
    assert not isinstance(fault, Race)
    rows = fault.rows if fault else 1
    trials, due = rows * case.times + AFTER, _drawn(rng, 0, rows, case.times)
    crew: list[Started] = []
    while True:
        before, done = place.count("COUNT(finish)"), reached[0]
        # faults while it starts, and others when it has got on: a controller that never gets on replays nothing
        first = 0 if rng.random() < EARLY else before + 1
        session, sessions = Play(case.subject, place, trials, starter, crew), sessions + 1
        while (code := session.poll()) is None:
            is_due = reached[0] < case.times and session.finished() >= max(first, due[reached[0]])
            if fault is not None and is_due:
                if session.sleep(rng.uniform(0.0, 0.3)):
                    reached[0] += fault.inject(session, rng)
            else:
                session.sleep(0.05)
        if code != 0 and code not in (fault.codes if fault else ()):
            raise Violated(f"the command ended with code {code}: {session.words()!r}")
        if "Traceback" in place.said.read_text(errors="replace"):
            raise Violated(f"the command showed a traceback: {session.words()!r}")
        if fault is not None:
            fault.after(session, code, rng)
        if code == 0 and (missing := case.times - reached[0]) and more < EXTENDED:
            more += 1  # the search was over before all was done to it: the same command with a larger budget goes on
            due = [0.0] * reached[0] + _drawn(rng, trials, rows, missing)
            trials += rows * missing
        elif code == 0 and not (isinstance(fault, Crowded) and reached[0] > done):
            break  # else there may have been no room to write that the run is given back; the same command does it
    noted = f"{sessions} sessions"
    if isinstance(fault, Damaged):
        noted += f", {fault.refused} refused and copied back"
    return _judged(case, place, trials, noted)


def _drawn(rng: random.Random, first: int, rows: int, times: int) -> list[float]:
    """Numbers of finished trials after which something is done, in order."""
    return sorted(first + rng.uniform(0, rows * times) for _ in range(times))


def _contested(case: Case, contest: Race, place: Scene, warm: Warm, rng: random.Random, reached: list[int]) -> Survived:
    """Let two controllers begin at once, again and again, and then one play to the end."""
    for number in range(1, case.times + 1):
        if contest.is_new:
            shutil.rmtree(place.run, ignore_errors=True)
        contest.held(case.subject, place, warm, rng, number)
        reached[0] = number
    trials = place.count("COUNT(*)") + AFTER
    session = Play(case.subject, place, trials, warm)
    while (code := session.poll()) is None:
        session.sleep(0.05)
    if code:
        raise Violated(f"the command ended with code {code} after the contests: {session.words()!r}")
    return _judged(case, place, trials)


def _judged(case: Case, place: Scene, trials: int, note: str = "") -> Survived:
    """What is left of the search, and what its table holds."""
    # workers that were asleep when the search ended look for it, and then their trial has its time to be written down
    left = remains.processes(place, GRACE + 4 * PATIENCE * bool(case.subject.crew))
    left += remains.files(place)
    found = truth.examined(place.run, case.subject, trials)
    wrong = [*(f"left behind: {each}" for each in left), *found.wrong]
    if found.lost and (case.fault is None or isinstance(case.fault, ClockJumps)):
        wrong.append(f"rows of workers that were there all the time were taken for lost {found.lost} times")
    came = {"asked": found.asked, "final": found.final, "doubled": found.doubled, "left": len(left)}
    return Survived(case.name, case.subject.name, **came, wrong=tuple(wrong), note=note)


def _toys(name: str, executor: str, workers: int, seconds: float = 0.1, leaves: int = 0) -> Subject:
    return Subject(name, executor, workers, evaluator=STEPPED.format(seconds=seconds, leaves=leaves))


INLINE: Final = _toys("inline", "inline", 1)
ONE: Final = _toys("processes, 1", "processes", 1, leaves=5)
TWO: Final = _toys("processes, 2", "processes", 2, leaves=5)
SERVED: Final = replace(_toys("served, 2", "served", 2, leaves=5), crew=2)
LASTING: Final = (  # workers are busy beyond the minute of silence after which they are taken for lost
    _toys("processes, 2, long trials", "processes", 2, seconds=30.0),
    replace(_toys("served, 2, long trials", "served", 2, seconds=30.0), crew=2),
)
WORKING: Final = (ONE, TWO, SERVED)
ALL: Final = (INLINE, ONE, TWO, SERVED)
ONES: Final = [Signaled(role, each) for role in ("worker", "parent", "controller") for each in (KILL, TERM, STOP)]
MIXED: Final = Mixed((*ONES, Signaled("above", KILL), Signaled("all", KILL), Second()))


def planned() -> list[Case]:
    """What `make chaos` does: more than 500 faults."""
    signals: list[tuple[str, signal.Signals, tuple[Subject, ...], int]] = [
        ("worker", KILL, WORKING, 20),
        ("worker", TERM, WORKING, 14),
        ("worker", STOP, WORKING, 12),
        ("parent", KILL, WORKING, 14),
        ("parent", TERM, WORKING, 10),
        ("parent", STOP, WORKING, 8),
        ("controller", KILL, ALL, 10),
        ("controller", TERM, ALL, 6),
        ("controller", INT, (INLINE, TWO), 4),
        ("controller", STOP, ALL, 8),
        ("above", KILL, WORKING, 6),
        ("all", KILL, ALL, 6),
    ]
    cases = [Case(None, each, 0) for each in (*ALL, *LASTING)]
    for role, what, whom, times in signals:
        cases += [Case(Signaled(role, what), each, times, is_warm=role != "controller" or each == ONE) for each in whom]
    cases += [Case(MIXED, each, 20, is_warm=True) for each in WORKING]
    long = Signaled("parent", STOP, 64.0, is_long=True, rows=100)  # so that other workers are at work all the time
    slow = (
        _toys("processes, 2", "processes", 2, seconds=1.0),
        replace(SERVED, evaluator=STEPPED.format(seconds=1.0, leaves=0)),
    )
    cases += [Case(long, each, 1, is_warm=True) for each in slow]
    others: list[tuple[Callable[[], Fault], tuple[Subject, ...], int]] = [
        (lambda: Disturbed("lost"), (SERVED,), 10),
        (lambda: Disturbed("late"), (SERVED,), 10),
        (lambda: Disturbed("doubled"), (SERVED,), 10),
        (lambda: Disturbed("asked twice"), (SERVED,), 10),
        (lambda: Disturbed("cut"), (SERVED,), 10),
        (lambda: Occupied(), (SERVED,), 4),
        (lambda: Crowded("room"), ALL, 10),
        (lambda: Crowded("inodes"), (INLINE, TWO), 4),
        (lambda: Crowded("length"), (INLINE, TWO), 6),
        (lambda: Damaged("table", "cut"), (ONE,), 6),
        (lambda: Damaged("table", "bit"), (ONE,), 6),
        (lambda: Damaged("log", "cut"), (INLINE, TWO), 6),
        (lambda: Damaged("log", "bit"), (INLINE, TWO), 6),
        (lambda: Damaged("count", "cut"), (INLINE,), 3),
        (lambda: Damaged("count", "bit"), (INLINE,), 3),
    ]
    cases += [Case(make(), each, times, is_warm=True) for make, whom, times in others for each in whom]
    cases += [Case(ClockJumps(), each, 10) for each in ALL]  # what is warm has imported the clock before
    cases += [Case(Race(is_new=True), INLINE, 40), Case(Race(is_new=False), INLINE, 40)]
    return [*cases, Case(Race(is_new=False), TWO, 20)]


def quick() -> list[Case]:
    """Some 20 faults in seconds."""
    subject = _toys("processes, 1", "processes", 1, seconds=0.03, leaves=5)
    controller = [Signaled("controller", each, seconds=0.1) for each in (KILL, TERM, STOP)]
    workers = [Signaled("worker", KILL), Signaled("parent", KILL), Signaled("worker", STOP, seconds=0.1)]
    return [Case(Mixed((*controller, *workers, Second(), Second(), Second()), rows=1), subject, 20, is_warm=True)]


def table(outcomes: Sequence[Survived]) -> str:
    """Outcomes as a table, and what was wrong below it."""
    head = ("fault", "setting", "injected", "asked", "final", "doubled", "left", "seconds", "")
    rows = [
        (o.fault, o.setting, *map(str, (o.injected, o.asked, o.final, o.doubled, o.left)), f"{o.seconds:.0f}", o.note)
        for o in outcomes
    ]
    sums = [str(sum(getattr(o, name) for o in outcomes)) for name in ("injected", "asked", "final", "doubled", "left")]
    rows.append(("all", "", *sums, f"{sum(o.seconds for o in outcomes):.0f}", ""))
    widths = [max(len(row[n]) for row in (head, *rows)) for n in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        aligned = [
            c.ljust(w) if n in (0, 1, 8) else c.rjust(w) for n, (c, w) in enumerate(zip(cells, widths, strict=True))
        ]
        return "  ".join(aligned).rstrip()

    return "\n".join([line(head), *map(line, rows)])


def main(arguments: Sequence[str] | None = None) -> int:
    """Play what was asked for, print the table, and return the exit code: 1 where anything was not as it must be."""
    asked = _parser().parse_args(arguments)
    cases = quick() if asked.quick else planned()
    if asked.executor or asked.evaluator:
        cases = _of_others(asked, cases)
    cases = [case for case in cases if asked.only in case.name and asked.setting in case.subject.name]
    if asked.times:
        cases = [replace(case, times=asked.times if case.fault else 0) for case in cases]
    if not cases:
        print(f"no fault is called {asked.only!r} with a setting {asked.setting!r}; --list shows them", file=sys.stderr)
        return 2
    if asked.list:
        print("\n".join(f"{case.name}  |  {case.subject.name}  |  {case.times}" for case in cases))
        return 0
    begun = time.monotonic()
    outcomes: list[Survived] = []
    with tempfile.TemporaryDirectory(prefix="netwright-chaos-", dir=asked.folder) as folder, Warm() as warm:

        def played(numbered: tuple[int, Case]) -> Survived:
            number, case = numbered
            outcome = play(case, asked.seed, Path(folder) / f"case-{number}", warm)
            _tell(outcome, asked.seed, asked.quick)
            return outcome

        def stopped(number: int, _frame: FrameType | None) -> None:
            warm.kill()
            end_all(Path(folder))
            os._exit(128 + number)

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stopped)
        with ThreadPoolExecutor(asked.jobs) as pool:
            outcomes = list(pool.map(played, enumerate(cases)))
    print(f"\n{table(outcomes)}\n{time.monotonic() - begun:.0f} s with seed {asked.seed}, {asked.jobs} cases at a time")
    if asked.json:
        Path(asked.json).write_text(json.dumps([asdict(each) for each in outcomes], indent=1) + "\n", encoding="utf-8")
    return int(any(outcome.wrong for outcome in outcomes))


def _tell(outcome: Survived, seed: int, is_quick: bool) -> None:
    """One line on a case that is over; more where something was wrong."""
    print(
        f"{'WRONG' if outcome.wrong else 'right'}: {outcome.fault} | {outcome.setting} | {outcome.injected} times, "
        f"{outcome.seconds:.0f} s",
        flush=True,
    )
    for sentence in outcome.wrong[:8]:
        print(f"    {sentence}", flush=True)
    if outcome.wrong:
        options = "--quick " if is_quick else ""
        print(
            f"    again: python -m netwright.testing.chaos {options}--seed {seed} --only {outcome.fault!r} --setting "
            f"{outcome.setting!r}",
            flush=True,
        )


def _of_others(asked: argparse.Namespace, cases: Sequence[Case]) -> list[Case]:
    """The cases of processes, with another package's executor, evaluator and the rest."""
    named: dict[str, Any] = {
        name: value
        for name in ("executor", "evaluator", "space", "task", "strategy")
        if (value := getattr(asked, name))
    }
    if asked.evaluator:
        named["quick"] = ""
    setting = TWO if asked.workers > 1 else ONE
    mine = replace(setting, name="yours", workers=asked.workers, **named)
    return [replace(case, subject=mine) for case in cases if case.subject.name == setting.name]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m netwright.testing.chaos", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="some 20 faults in seconds")
    parser.add_argument("--seed", type=int, default=0, help="when faults are done, and to whom")
    parser.add_argument("--only", default="", metavar="FAULT", help="faults whose name has this in it")
    parser.add_argument("--setting", default="", help="searches whose name has this in it")
    parser.add_argument("--times", type=int, default=0, help="how often each fault is done")
    parser.add_argument("--jobs", type=int, default=2, help="cases at a time")
    parser.add_argument("--folder", default=None, help="where searches lie meanwhile; by default a temporary folder")
    parser.add_argument("--list", action="store_true", help="list what would be done")
    parser.add_argument("--json", default="", metavar="FILE", help="also write what came of it as JSON")
    for part in ("executor", "evaluator", "space", "task", "strategy"):
        parser.add_argument(f"--{part}", default="", help=f"{part} of yours, as mylab.module:Class")
    parser.add_argument("--workers", type=int, default=2, help="trials at a time, with a plug-in of yours")
    return parser


if __name__ == "__main__":
    sys.exit(main())
