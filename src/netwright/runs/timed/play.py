"""Playing a timed run: measured, planned, searched, decided in a contest, exported and reported within its hours.

Each stage leaves what the next one needs in the run's folder, so that the same command goes on from wherever it was
stopped: the timetable, the seconds used, the table of the search, those of the contest, the export.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Protocol

import torch

from netwright.core import files, reading, refs, remembered, room, run_file, timetable
from netwright.core.errors import BadRunFile, MissingCapability, NetwrightError, StoreError
from netwright.core.finals import Final as Finalist
from netwright.core.reading import BadText
from netwright.core.records import IO
from netwright.core.refs import Reference
from netwright.core.run_file import RunFile
from netwright.core.shapes import Image
from netwright.core.timetable import Timetable
from netwright.data.by_class import default_objective
from netwright.data.images import ImageClassification
from netwright.runs import run_folder
from netwright.runs.display import clock
from netwright.runs.run import Run
from netwright.runs.session import Drained, Session, short
from netwright.runs.timed import probe
from netwright.runs.timed import timetable as plans
from netwright.runs.timed.defaults import HOURS, WORKER_MB, Defaults
from netwright.runs.timed.probe import Patience
from netwright.runs.timed.stopwatch import FILE as USED
from netwright.runs.timed.stopwatch import Stopwatch
from netwright.runs.timed.timetable import Circumstances, Speed
from netwright.runs.timed.wish import (
    Wish,
    changes_of,
    check_objectives,
    has_no_settings,
    holds_timed,
    image_task_of,
    typed_of,
)

RESULT: Final = "result.json"  # in the folder of a run that is over: what --json prints
EXPORT: Final = "export"
GRACE: Final = 15.0  # seconds that a contest gets at least, when the hours are over before it
SIZE: Final = "size"  # option of tasks that bring images to any size, see `ImageClassification.candidate_sizes`
MIRROR, COLORS = "flip", 3  # option of tasks of images; channels of an image in color

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


Contest = Callable[[Session, Path, RunFile, Timetable, float, str | None], Contested]
CheckReference = Callable[[str, IO, tuple[str, ...]], None]
Measure = Callable[[ImageClassification, Sequence[int], int, int, Patience], Sequence[Speed]]


def play(
    wish: Wish,
    session: Session,
    watch: Stopwatch,
    contest: Contest,
    check_reference: CheckReference,
    defaults: Defaults = Defaults(),
    measure: Measure = probe.speeds,
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
    if holds_timed(folder):
        run, plan = _continued(wish, session, watch)
        if (folder / RESULT).exists():
            return _known(folder, session)
        session.say(f"going on after {clock(watch.used)} of {clock(watch.total)}")
    else:
        run, plan = _begun(wish, session, watch, check_reference, defaults, measure)
    watch.total = 3600 * plan.hours
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with session.observing.until_over(Drained), watch.noting(folder):
            plan = _searched(run, plan, watch)
            found = _decided(run, plan, session, watch, contest, wish.reference)
            facts = _shipped(run, found, session, watch)
            session.observing.facts |= facts
            return facts
    except Drained:  # it may name a folder of trainings within
        raise Drained(short(folder)) from None
    except NetwrightError:
        _leave_nothing(folder)
        raise


def _continued(wish: Wish, session: Session, watch: Stopwatch) -> tuple[Run, Timetable]:
    """The run that the folder holds. Raises BadRunFile where another one is asked for."""
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
    watch.recall(wish.folder)
    watch.total = 3600 * plan.hours
    watch.then = PAUSED
    stored = run_folder.settings_in(wish.folder)
    changes = changes_of(wish)
    given = dict(wish.given)
    for part in run_file.PARTS:
        typed = wish.task if part == "task" else typed_of(wish, part)
        if typed is None or stored is None:
            continue
        if typed.name == getattr(stored, part).name:  # what the plan added to it stays
            given.pop(part, None)
            changes[part] = {"ref": typed.name, **typed.options, **changes.get(part, {})}
        else:
            given[part] = str(typed)
    own: dict[str, Any] = {"trust": wish.trust, "session": session, "reference": wish.reference}
    run = Run(wish.folder, **given, workers=wish.workers, changes=changes, **own)
    run_folder.refuse_other(run.folder, run.settings)
    return run, plan


def _is_same(given: Timetable, plan: Timetable) -> bool:
    """Whether a plan is that of a timetable which was given to be played, maybe by other workers."""
    return replace(given, played={}, workers=plan.workers) == replace(plan, played={})


def _begun(
    wish: Wish,
    session: Session,
    watch: Stopwatch,
    check_reference: CheckReference,
    defaults: Defaults,
    measure: Measure,
) -> tuple[Run, Timetable]:
    """A new run, planned and checked."""
    if wish.timetable is not None and wish.timetable.absolute() == wish.folder.absolute() / timetable.FILE:
        raise BadRunFile(
            f"--timetable {wish.timetable} lies where the run writes its own; give another folder with --out"
        )
    given = timetable.read(wish.timetable) if wish.timetable else None
    if wish.task is None:
        raise BadRunFile("a timed run needs data; give a folder of images, an array file (.npz) or --task")
    if given is not None and wish.hours is not None and abs(wish.hours - given.hours) > 1e-9:
        raise BadRunFile(f"--hours is {wish.hours:g}, but the timetable given is for {given.hours:g}; leave one out")
    hours = given.hours if given else HOURS if wish.hours is None else wish.hours
    if not 0 < hours <= timetable.MOST_HOURS:
        raise BadRunFile(f"--hours is {hours:g}; it must be above 0 and at most {timetable.MOST_HOURS:,.0f}")
    watch.total = 3600 * hours
    changes = changes_of(wish)
    named = Reference(wish.task.name, {**wish.task.options, **changes.pop("task", {})})
    named = Reference(named.name, run_file.with_absolute_path(named.options))
    if wish.taken:
        session.say(wish.taken)
    if wish.hours is None and given is None:
        session.say(f"no --hours are given: {60 * HOURS:.0f} minutes, the default")
    task = image_task_of(named)
    if (oriented := _mirrored(named, task, session)) != named:
        named, task = oriented, image_task_of(oriented)
    check_objectives(wish.given.get("objectives"), task)
    if wish.reference is not None:
        check_reference(wish.reference, task.io, tuple(wish.given.get("constraints") or ()))
    executor, workers = _crew(wish, given)
    if given is None:
        named, task, plan = _planned(named, task, hours, workers, session, watch, measure)
    else:
        named = _sized(named, given.side)
        task, plan = image_task_of(named), replace(given, workers=workers)
        session.prepare(named, task)
    images = task.examples("train")
    tables = defaults.tables(plan, images, *(typed_of(wish, part) for part in ("space", "strategy")))
    tables["task"] = {"ref": named.name, **named.options}
    if has_no_settings(wish):
        tables["space"].pop("with", None)
    if executor is not None:
        tables["executor"] = {"ref": executor.name, **executor.options}
    if evaluator := typed_of(wish, "evaluator"):
        tables["evaluator"] |= evaluator.options
    played = plan.played.get("trials")
    tables["limits"] = {"trials": played} if played else {"hours": plan.search_seconds / 3600}
    tables["objectives"] = [default_objective(task.class_counts("train"))]
    own = {name: value for name, value in wish.given.items() if name not in run_file.PARTS}
    for part in run_file.PARTS:
        typed = named if part == "task" else typed_of(wish, part)
        if typed is not None:
            changes[part] = {"ref": typed.name, **changes.get(part, {})}  # what the user typed is trusted
    own |= {"trust": wish.trust, "session": session, "reference": wish.reference}
    run = Run(wish.folder, tables, **own, changes=changes)
    session.say(f"the plan, whose numbers stand in {short(run.folder / timetable.FILE)}:")
    for name, text in plans.lines(plan).items():
        session.say(f"  {name:<10}{text}")
    return run, replace(plan, played={})


def _crew(wish: Wish, given: Timetable | None) -> tuple[Reference | None, int]:
    """The executor that was typed, with the workers that it has, and their number; None: none was typed.

    Raises:
        BadRunFile: There can be no such number of them.
    """
    typed, changes = typed_of(wish, "executor"), wish.changes.get("executor", {})
    options = {**(typed.options if typed else {}), **changes}
    asked = options.get("workers") if wish.workers is None else wish.workers
    if asked is not None and (type(asked) is not int or asked < 1):
        raise BadRunFile(f"workers is {reading.shown(asked)}; it must be a whole number of at least 1")
    if typed is None or "workers" in refs.options_of(refs.locate("executor", typed.name)):
        count = asked or (given.workers if given else _workers())
        return typed and Reference(typed.name, {**typed.options, "workers": count}), count
    if asked is not None:
        raise BadRunFile(f"workers is {asked}, but executor {typed.name!r} has no such option; leave one of them out")
    return typed, 1


def _planned(
    named: Reference,
    task: ImageClassification,
    hours: float,
    workers: int,
    session: Session,
    watch: Stopwatch,
    measure: Measure,
) -> tuple[Reference, ImageClassification, Timetable]:
    """The task at the size that fits, its data made ready, and the timetable."""
    threads = max(1, _cores() // workers)
    image = task.io.input
    assert isinstance(image, Image)
    is_sized = SIZE in named.options
    sides = (max(image.height, image.width),) if is_sized else task.candidate_sizes()
    count = sum(task.expected_counts("train+valid"))
    seconds = min(probe.MOST_SECONDS, probe.SHARE * 3600 * hours)
    session.say(f"measuring how fast this machine trains, for at most {clock(seconds)}")
    speeds = measure(task, sides, plans.batch_for(count), threads, Patience(seconds, watch.now))
    speed = plans.chosen_speed(speeds, hours, workers, count)
    if (sized := _sized(named, speed.side)) != named:
        named, task = sized, image_task_of(sized)
    session.prepare(named, task)
    given = Circumstances(hours, watch.used, workers, threads, task.examples("train"), task.examples("valid"))
    return named, task, plans.planned(given, speed)


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
    return contest(session, run.folder, run.settings, plan, watch.now() + left, reference)


def _shipped(run: Run, found: Contested, session: Session, watch: Stopwatch) -> dict[str, Any]:
    """Export what ships, write the report, and say how it came out."""
    watch.then = CLOSING
    watch.enter("export and report")
    place = _exported(run, session)
    report = run.report()
    own, other = found.winner, found.reference
    facts = {
        "folder": str(run.folder),
        "seconds": round(watch.used, 1),
        "shipped": found.shipped,
        "metric": found.metric,
        "test_accuracy": own.mean,
        "reference_test_accuracy": other.mean if other else None,
        "params": own.params,
        "export": str(place) if place else None,
        "report": str(report),
        "verdict": found.verdict,
    }
    files.write(run.folder / RESULT, (json.dumps(facts) + "\n").encode())
    session.say(found.verdict)
    beside = f", {other.objective.text(other.mean)} of the reference" if other else ""
    ships = "the searched network" if found.shipped == "searched" else "the reference itself"
    session.say(f"{own.objective.label} {own.objective.text(own.mean)} of what ships, {ships}{beside}")
    if place:
        session.say(f"export: {short(place)}")
    session.say(f"report: {short(report)}")
    session.say(f"done in {clock(watch.used)} of {clock(watch.total)}")
    return facts


def _exported(run: Run, session: Session) -> Path | None:
    """The folder of the export; None, which is said: what ships is a network that cannot be exported."""
    try:
        return run.export(run.folder / EXPORT)
    except MissingCapability as error:
        session.say(f"nothing is exported: {error}")
        return None


def _known(folder: Path, session: Session) -> dict[str, Any]:
    """The facts of a run that is over. Raises StoreError where they cannot be read."""
    try:
        facts = reading.json_value(reading.file(folder / RESULT))
    except BadText as error:
        raise StoreError(f"{folder / RESULT} {error}; remove it, and the same command writes it again") from None
    if not isinstance(facts, dict):
        raise StoreError(f"{folder / RESULT} holds no facts; remove it, and the same command writes it again")
    session.say(str(facts.get("verdict", "")))
    session.say("This run was done before. Another one: give another folder with --out.")
    return facts


def _sized(named: Reference, side: int) -> Reference:
    """The task with images of this size, where it has them made to size and nobody says how large."""
    if SIZE in named.options or SIZE not in refs.options_of(refs.locate("task", named.name)):
        return named
    return Reference(named.name, {**named.options, SIZE: side})


def _mirrored(named: Reference, task: ImageClassification, session: Session) -> Reference:
    """The task with mirrored training images or without, where nobody says: a gray image may be a letter or a digit."""
    if MIRROR in named.options or MIRROR not in refs.options_of(refs.locate("task", named.name)):
        return named
    is_mirrored = task.io.channels == COLORS
    if is_mirrored == task.augmentation.flip:
        return named
    why = "in color, and so half of the training images are" if is_mirrored else "gray, and so none is"
    other = "false" if is_mirrored else "true"
    session.say(f"images are {why} mirrored at first; the search tries both (--task.{MIRROR} {other} begins with that)")
    return Reference(named.name, {**named.options, MIRROR: is_mirrored})


def _searched_seconds(folder: Path) -> float:
    """Seconds that the search took in earlier sessions."""
    if not run_folder.holds_run(folder):
        return 0.0
    with closing(run_folder.open_table(folder, "inspect")) as store:
        return 3600 * (remembered.number(store, "hours") or 0.0)


def _workers() -> int:
    """One training per GPU, else per core, fewer where memory does not hold as many."""
    return torch.cuda.device_count() or max(1, min(_cores(), room.held(WORKER_MB)))


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _leave_nothing(folder: Path) -> None:
    """Take away what was written for a run that did not begin."""
    if run_folder.holds_run(folder) or run_folder.had_run(folder):
        return
    for name in (timetable.FILE, USED):
        (folder / name).unlink(missing_ok=True)
    with suppress(OSError):  # it holds something else
        folder.rmdir()
