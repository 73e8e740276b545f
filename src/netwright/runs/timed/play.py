"""Playing a timed run: begun, searched, decided in a contest, exported and reported within its hours.

Each stage leaves what the next one needs in the run's folder, so that the same command goes on from wherever it was
stopped: the timetable, the seconds used, the table of the search, those of the contest, the export.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Protocol

from netwright.core import disk, files, locks, reading, remembered, run_file, timetable, whereabouts
from netwright.core.errors import BadRunFile, MissingCapability, NetwrightError, StoreError
from netwright.core.finals import Final as Finalist
from netwright.core.objectives import Objective
from netwright.core.reading import BadText
from netwright.core.run_file import RunFile
from netwright.core.timetable import PlayedHeat, Timetable
from netwright.data.by_class import BALANCED
from netwright.runs import ownership, run_folder
from netwright.runs.display import clock
from netwright.runs.run import Run
from netwright.runs.session import Drained, Session, refuse_other_data, short
from netwright.runs.timed import beside, probe, states
from netwright.runs.timed import timetable as plans
from netwright.runs.timed.beginning import CheckReference, Measure, Share, begun, reference_of
from netwright.runs.timed.defaults import Defaults
from netwright.runs.timed.stopwatch import FILE as USED
from netwright.runs.timed.stopwatch import Stopwatch
from netwright.runs.timed.wish import (
    NO_SETTINGS,
    Wish,
    changes_of,
    has_no_settings,
    holds_timed,
    image_task_of,
    typed_of,
)

RESULT: Final = "result.json"  # in the folder of a run that is over: what --json prints
OUTCOME: Final = ("verdict", "metric", "test_accuracy", "reference_test_accuracy", "shipped")  # what is said of it
LOCK: Final = "timed.lock"
ACCURACY: Final = "accuracy"  # as tasks of classes name it
GRACE: Final = 15.0  # seconds that a contest gets at least, when the hours are over before it

PAUSED: Final = "the same command goes on"
UNBEGUN: Final = "nothing was written yet, and the same command begins anew"
CLOSING: Final = "what was trained stays, and the same command exports and reports it"


class Contested(Protocol):
    """How a contest ended; see `runs.timed.contest.Contest`."""

    @property
    def shipped(self) -> str:
        """ "searched" or "reference"."""

    @property
    def winner(self) -> Finalist:
        """What ships, tested."""

    @property
    def reference(self) -> Finalist | None:
        """The network to beat, tested."""

    @property
    def metric(self) -> str:
        """What both were measured by."""

    @property
    def verdict(self) -> str:
        """One beside the other, in a sentence."""

    @property
    def heats(self) -> tuple[PlayedHeat, ...]:
        """What the clock decided, by which it can be repeated."""


Contest = Callable[[Session, Path, RunFile, Timetable, float, str | None, float], Contested]


def play(
    wish: Wish,
    session: Session,
    watch: Stopwatch,
    contest: Contest,
    check_reference: CheckReference,
    defaults: Defaults = Defaults(),
    measure: Measure = probe.speeds,
    share: Share = beside.rates,
) -> dict[str, Any]:
    """Play a timed run to its end: a new one, or what is left of the one that the folder holds.

    Args:
        wish: What was asked for.
        session: Says and shows what happens.
        watch: Counts the time.
        contest: Plays the contest.
        check_reference: Refuses a reference that could not be trained, or is beyond the constraints.
        defaults: What is played where nobody says otherwise.
        measure: Measures how fast this machine trains.
        share: Measures steps a second by the number of trainings on one card.

    Returns:
        The facts that --json prints.

    Raises:
        Drained: It was stopped; the same call goes on.
        NetwrightError: Settings or data cannot be used, or the hours do not suffice; raised before anything is written.
    """
    folder = wish.folder.absolute()
    if wish.hours is not None and type(wish.hours) not in (int, float):
        raise BadRunFile(f"--hours is {reading.shown(wish.hours)}; it must be a number")
    watch.enter("getting ready")
    watch.then = UNBEGUN
    with ExitStack() as stack:
        if holds_timed(folder):
            is_over = (folder / RESULT).exists()
            if not is_over:  # else nothing is written into it
                stack.enter_context(_alone(folder))
            run, plan = _continued(wish, session, watch, is_over=is_over)
            if is_over or (folder / RESULT).exists():  # since another process came to its end
                is_asked_by_data = wish.task is not None or bool(wish.changes.get("task"))
                return _known(run, session, is_asked_by_data=is_asked_by_data)
            session.say(f"going on after {clock(watch.used)} of {clock(watch.total)}")
        else:
            run, plan = begun(wish, session, watch, check_reference, defaults, measure, share)
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(_alone(folder))
        watch.total = 3600 * plan.hours
        try:
            with session.observing.until_over(Drained), watch.noting(folder):
                plan = _searched(run, plan, watch)
                found = _decided(run, plan, session, watch, contest, reference_of(wish, plan))
                facts = _shipped(run, found, session, watch)
                session.observing.facts |= facts
                return facts
        except Drained:  # it may name a folder of trainings within
            raise Drained(short(folder)) from None
        except NetwrightError:
            _leave_nothing(folder)
            raise


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Makes this process the only one that plays the run, and counts its seconds. Raises StoreError where one does."""
    place = folder / LOCK
    with ExitStack() as stack:
        try:
            stack.enter_context(locks.holding(place))
        except locks.Held:
            raise StoreError(
                f"{short(folder)} is played by another process; wait for its end, or give another folder with --out"
            ) from None
        except OSError as error:
            why = disk.reason(error, place)
            raise StoreError(f"{place} cannot be written: {why}; give another folder with --out") from None
        yield


def _continued(wish: Wish, session: Session, watch: Stopwatch, *, is_over: bool) -> tuple[Run, Timetable]:
    """The run that the folder holds; of one that is over nothing is loaded any more.

    Raises:
        BadRunFile: Another one is asked for.
        BadReference: What it names is code of somebody that nobody has said to trust.
    """
    plan = timetable.read(wish.folder / timetable.FILE)
    if wish.hours is not None and abs(wish.hours - plan.hours) > 1e-9:
        raise BadRunFile(
            f"{short(wish.folder.absolute())} holds a run that was planned for {plan.hours:g} hours, not "
            f"{wish.hours:g}; go on with it by --hours {plan.hours:g}, or give another folder with --out"
        )
    if wish.timetable is not None and not _is_same(timetable.read(wish.timetable), plan):
        raise BadRunFile(
            f"{short(wish.folder.absolute())} holds a run with another timetable than {wish.timetable}; give another "
            "folder with --out"
        )
    if wish.reference is not None and plan.reference is not None and wish.reference != plan.reference:
        began = f"with --reference {reading.line(plan.reference)}" if plan.reference else "without --reference"
        raise BadRunFile(
            f"{short(wish.folder.absolute())} holds a run that began {began}; give the same, or another folder with "
            "--out"
        )
    watch.recall(wish.folder)
    watch.total = 3600 * plan.hours
    watch.then = PAUSED
    stored = run_folder.settings_in(wish.folder)
    changes = changes_of(wish)
    given = dict(wish.given)
    if stored is not None and has_no_settings(wish) and stored.space.options.get("with"):
        raise BadRunFile(
            f"{short(wish.folder.absolute())} holds another run: it searches settings of training too, and its "
            f"space.with is not {NO_SETTINGS}; give another folder with --out"
        )
    for part in run_file.PARTS:
        typed = wish.task if part == "task" else typed_of(wish, part)
        if typed is None or stored is None:
            continue
        if typed.name == getattr(stored, part).name:  # what the plan added to it stays
            given.pop(part, None)
            changes[part] = {"ref": typed.name, **typed.options, **changes.get(part, {})}
        else:
            given[part] = str(typed)
    rival = wish.reference if is_over else reference_of(wish, plan)
    own: dict[str, Any] = {"trust": wish.trust, "session": session, "reference": rival}
    run = Run(wish.folder, **given, workers=wish.workers, changes=changes, **own)
    ownership.refuse_other(run.folder, run.settings)
    return run, plan


def _is_same(given: Timetable, plan: Timetable) -> bool:
    """Whether a plan is that of a timetable which was given to be played, maybe by other workers."""
    return replace(given, played={}, heats=(), workers=plan.workers, reference=plan.reference) == replace(
        plan, played={}, heats=()
    )


def _searched(run: Run, plan: Timetable, watch: Stopwatch) -> Timetable:
    """Play the search, unless it is over; returns the timetable with what was played."""
    place = run.folder / timetable.FILE
    if "trials" in plan.played:
        return plan
    if not run_folder.has_begun(run.folder):
        files.write(place, timetable.to_toml(plan).encode())
    watch.enter("search", max(1.0, plan.search_seconds - _searched_seconds(run.folder)))
    watch.then = PAUSED
    found = run.search(is_stage=True)
    came = found.ended.progress
    plan = replace(plan, played={"trials": came.finished, "cut": int(found.ended.ending == "hours")})
    files.write(place, timetable.to_toml(plan).encode())
    return plan


def _decided(
    run: Run, plan: Timetable, session: Session, watch: Stopwatch, contest: Contest, reference: str | None
) -> Contested:
    """Play the contest with the time that is left."""
    left = max(GRACE, watch.left - plans.closing_seconds(plan.hours, watch.start_up))
    watch.then = PAUSED
    watch.enter("contest", left)
    found = contest(session, run.folder, run.settings, plan, watch.now() + left, reference, watch.start_up)
    files.write(run.folder / timetable.FILE, timetable.to_toml(replace(plan, heats=found.heats)).encode())
    return found


def _shipped(run: Run, found: Contested, session: Session, watch: Stopwatch) -> dict[str, Any]:
    """Export what ships, write the report, and say how it came out."""
    watch.then = CLOSING
    watch.enter("export and report")
    place = _exported(run, session)
    report = run.report()
    own, other = found.winner, found.reference
    metric, is_decided_by = _accuracy(own)
    facts = {
        "folder": str(run.folder),
        "seconds": round(watch.used, 1),
        "shipped": found.shipped,
        "metric": metric,
        "test_accuracy": own.mean if is_decided_by else own.accuracy,
        "reference_test_accuracy": (other.mean if is_decided_by else other.accuracy) if other else None,
        "params": own.params,
        "export": str(place) if place else None,
        "report": str(report),
        "verdict": found.verdict,
    }
    states.clear(run.folder)
    files.write(run.folder / RESULT, (json.dumps(facts) + "\n").encode())
    _say_outcome(facts, session)
    if place:
        session.say(f"export: {short(place)}")
    session.say(f"report: {short(report)}")
    session.say(f"done in {clock(watch.used)} of {clock(watch.total)}")
    return facts


def _say_outcome(facts: Mapping[str, Any], session: Session) -> None:
    """Say the verdict of a run, and the accuracies in it."""
    session.say(str(facts["verdict"]))
    measure = Objective(str(facts["metric"]), shown="share")
    own, other = facts["test_accuracy"], facts["reference_test_accuracy"]
    if isinstance(own, float):
        beside = f", {measure.text(other)} of the reference" if isinstance(other, float) else ""
        ships = "the searched network" if facts["shipped"] == "searched" else "the reference itself"
        session.say(f"{measure.label} {measure.text(own)} of what ships, {ships}{beside}")


def _accuracy(final: Finalist) -> tuple[str, bool]:
    """Name of the accuracy that is told of a network, and whether it is what decided; else the plain one is told."""
    if final.objective.bare in (ACCURACY, BALANCED):
        return final.metric, True
    return f"test_{ACCURACY}", False


def _exported(run: Run, session: Session) -> Path | None:
    """The folder of the export; None, which is said: what ships is a network that cannot be exported."""
    try:
        return run.export(run.folder / run_folder.EXPORT, is_stage=True)
    except MissingCapability as error:
        session.say(f"nothing is exported: {error}")
        return None


def _known(run: Run, session: Session, *, is_asked_by_data: bool) -> dict[str, Any]:
    """The facts of a run that is over.

    Args:
        run: The run, with the data that was named.
        session: Says what happens.
        is_asked_by_data: Whether data was named, which must be that of the run; else only the folder was.

    Raises:
        StoreError: They cannot be read; or the data that was named is not that of the run.
    """
    named = run.settings.task
    if is_asked_by_data and whereabouts.is_given(named):
        task = image_task_of(named)
        session.prepare(named, task)
        refuse_other_data(run.folder, task)
    place = run.folder / RESULT
    try:
        facts = reading.json_value(reading.file(place))
    except BadText as error:
        raise StoreError(f"{place} {error}; remove it, and the same command writes it again") from None
    if not isinstance(facts, dict) or not all(name in facts for name in OUTCOME):
        raise StoreError(f"{place} holds no facts; remove it, and the same command writes it again")
    _say_outcome(facts, session)
    session.say("This run was done before. Another one: give another folder with --out.")
    return facts | _places(facts, run.folder)


def _places(facts: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """What of the facts says where things lie, for a folder that may have been moved since."""
    before = Path(str(facts.get("folder", "")))
    named = {name: Path(facts[name]) for name in ("folder", "export", "report") if isinstance(facts.get(name), str)}
    return {
        name: str(folder / place.relative_to(before)) for name, place in named.items() if place.is_relative_to(before)
    }


def _searched_seconds(folder: Path) -> float:
    """Seconds that the search took in earlier sessions."""
    if not run_folder.holds_run(folder):
        return 0.0
    with closing(run_folder.open_table(folder, "inspect")) as store:
        return 3600 * (remembered.number(store, "hours") or 0.0)


def _leave_nothing(folder: Path) -> None:
    """Take away what was written for a run that did not begin."""
    if run_folder.holds_run(folder) or run_folder.had_run(folder):
        return
    for name in (timetable.FILE, USED, LOCK):
        (folder / name).unlink(missing_ok=True)
    with suppress(OSError):  # it holds something else
        folder.rmdir()
