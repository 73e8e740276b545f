"""Playing a timed run: measured, planned, searched, decided in a contest, exported and reported within its hours.

Each stage leaves what the next one needs in the run's folder, so that the same command goes on from wherever it was
stopped: the timetable, the seconds used, the table of the search, those of the contest, the export.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Protocol, get_type_hints

import torch

from netwright.core import files, reading, refs, remembered, room, run_file, timetable
from netwright.core.errors import BadRunFile, NetwrightError, StoreError
from netwright.core.finals import Final as Finalist
from netwright.core.objectives import Objective
from netwright.core.reading import BadText
from netwright.core.records import IO
from netwright.core.refs import Reference
from netwright.core.run_file import RunFile
from netwright.core.shapes import Classes, Image
from netwright.core.timetable import Timetable
from netwright.data.by_class import default_objective
from netwright.data.images import ImageClassification
from netwright.runs import run_folder
from netwright.runs.display import clock
from netwright.runs.run import Run
from netwright.runs.session import Session, short
from netwright.runs.timed import probe
from netwright.runs.timed import timetable as plans
from netwright.runs.timed.defaults import HOURS, WORKER_MB, Defaults
from netwright.runs.timed.probe import Patience
from netwright.runs.timed.stopwatch import FILE as USED
from netwright.runs.timed.stopwatch import Stopwatch
from netwright.runs.timed.timetable import Circumstances, Speed

RESULT: Final = "result.json"  # in the folder of a run that is over: what --json prints
EXPORT: Final = "export"
NO_SETTINGS: Final = "none"  # of --space.with: the network alone is searched
GRACE: Final = 15.0  # seconds that a contest gets at least, when the hours are over before it
SIZE: Final = "size"  # option of tasks that bring images to any size, see `ImageClassification.candidate_sizes`

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
Measure = Callable[[ImageClassification, Sequence[int], int, int, Patience], Sequence[Speed]]


@dataclass(frozen=True)
class Wish:
    """What a user asked for; None and empty: as the defaults have it, or the run that is to go on.

    Args:
        folder: Folder of the run.
        task: The task.
        taken: A sentence on what the task was taken from.
        hours: Hours of the whole.
        workers: Trainings that run side by side.
        given: Further settings of a run file, by the names of `Run`: space, strategy, evaluator, executor, seed,
            constraints, objectives.
        changes: Options by part.
        reference: A network in place of the plain one.
        timetable: File of a timetable in place of a plan.
        trust: Whether plug-ins that a folder names are loaded, whoever wrote them.
    """

    folder: Path
    task: Reference | None = None
    taken: str = ""
    hours: float | None = None
    workers: int | None = None
    given: Mapping[str, Any] = field(default_factory=dict)
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    reference: str | None = None
    timetable: Path | None = None
    trust: bool = False


def is_for(task: Reference) -> bool:
    """Whether timed runs play a task: whether it is of images and classes, by what its plug-in says that it makes.

    Raises:
        BadReference: There is no such task.
    """
    plugin = refs.locate("task", task.name)
    made = plugin if isinstance(plugin, type) else get_type_hints(plugin).get("return")
    return isinstance(made, type) and issubclass(made, ImageClassification)


def is_timed(wish: Wish, trials: int | None, *, is_recipe: bool) -> bool:
    """Whether what was asked for is a timed run; else it is a search alone.

    It is, where the folder holds one that goes on; and where data of images is given, and neither a run file nor
    another limit than hours, nor an evaluator that trains nothing.

    Raises:
        BadRunFile: It is, and more is given than goes with one.
        BadReference: There is no such task.
    """
    limits = wish.changes.get("limits", {})
    is_counted = trials is not None or "trials" in limits or "table_seconds" in limits
    evaluator = _reference(wish.given, "evaluator")
    if holds_timed(wish.folder):
        if is_counted or is_recipe:
            raise BadRunFile(
                f"{wish.folder} holds a run that ends by its hours; go on with it by `netwright search --out "
                f"{wish.folder}`, or give another folder with --out"
            )
    elif (
        is_recipe
        or is_counted
        or wish.task is None
        or run_folder.holds_run(wish.folder)
        or (evaluator is not None and evaluator.name != "training")
        or not is_for(wish.task)
    ):
        return False
    if "final" in wish.changes:
        raise BadRunFile(
            "--final.OPTION goes with a run file or --trials: a run with hours trains in full by its own plan"
        )
    return True


def holds_timed(folder: Path) -> bool:
    """Whether a folder holds a timed run that has begun."""
    return run_folder.holds_run(folder) and (folder / timetable.FILE).exists()


def play(
    wish: Wish,
    session: Session,
    watch: Stopwatch,
    contest: Contest,
    check_reference: Callable[[str, IO], None],
    defaults: Defaults = Defaults(),
    measure: Measure = probe.speeds,
) -> dict[str, Any]:
    """Play a timed run to its end: a new one, or what is left of the one that the folder holds.

    Args:
        wish: What was asked for.
        session: Says and shows what happens.
        watch: Counts the time.
        contest: Plays the contest.
        check_reference: Refuses a reference that could not be trained.
        defaults: What is played where nobody says otherwise.
        measure: Measures how fast this machine trains.

    Returns:
        The facts that --json prints.

    Raises:
        Drained: It was stopped; the same call goes on.
        NetwrightError: Settings or data cannot be used, or the hours do not suffice; raised before anything is written.
    """
    folder = wish.folder.absolute()
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
        with watch.noting(folder):
            plan = _searched(run, plan, watch)
            found = _decided(run, plan, session, watch, contest, wish.reference)
            return _shipped(run, found, session, watch)
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
    if wish.timetable is not None and replace(timetable.read(wish.timetable), played={}) != replace(plan, played={}):
        raise BadRunFile(
            f"{short(wish.folder.absolute())} holds a run with another timetable than {wish.timetable}; give another "
            "folder with --out"
        )
    watch.recall(wish.folder)
    watch.total = 3600 * plan.hours
    watch.then = PAUSED
    stored = run_folder.settings_in(wish.folder)
    changes = _changes(wish)
    given = dict(wish.given)
    for part in run_file.PARTS:
        typed = wish.task if part == "task" else _reference(wish.given, part)
        if typed is None or stored is None:
            continue
        if typed.name == getattr(stored, part).name:  # what the plan added to it stays
            given.pop(part, None)
            changes[part] = {"ref": typed.name, **typed.options, **changes.get(part, {})}
        else:
            given[part] = str(typed)
    run = Run(wish.folder, **given, workers=wish.workers, changes=changes, trust=wish.trust, session=session)
    run_folder.refuse_other(run.folder, run.settings)
    return run, plan


def _begun(
    wish: Wish,
    session: Session,
    watch: Stopwatch,
    check_reference: Callable[[str, IO], None],
    defaults: Defaults,
    measure: Measure,
) -> tuple[Run, Timetable]:
    """A new run, planned and checked."""
    given = timetable.read(wish.timetable) if wish.timetable else None
    if wish.task is None:
        raise BadRunFile("a timed run needs data; give a folder of images, an array file (.npz) or --task")
    if given is not None and wish.hours is not None and abs(wish.hours - given.hours) > 1e-9:
        raise BadRunFile(f"--hours is {wish.hours:g}, but the timetable given is for {given.hours:g}; leave one out")
    hours = given.hours if given else HOURS if wish.hours is None else wish.hours
    if not 0 < hours <= timetable.MOST_HOURS:
        raise BadRunFile(f"--hours is {hours:g}; it must be above 0 and at most {timetable.MOST_HOURS:,.0f}")
    watch.total = 3600 * hours
    changes = _changes(wish)
    named = Reference(wish.task.name, {**wish.task.options, **changes.pop("task", {})})
    named = Reference(named.name, run_file.with_absolute_path(named.options))
    if wish.taken:
        session.say(wish.taken)
    if wish.hours is None and given is None:
        session.say(f"no --hours are given: {60 * HOURS:.0f} minutes, the default")
    task = _task(named)
    check_objectives(wish.given.get("objectives"), task)
    if wish.reference is not None:
        check_reference(wish.reference, task.io)
    workers = wish.workers or changes.get("executor", {}).get("workers") or (given.workers if given else _workers())
    if given is None:
        named, task, plan = _planned(named, task, hours, workers, session, watch, measure)
    else:
        named = _sized(named, given.side)
        task, plan = _task(named), replace(given, workers=workers)
        session.prepare(named, task)
    images = task.examples("train")
    tables = defaults.tables(plan, images, *(_reference(wish.given, part) for part in ("space", "strategy")))
    tables["task"] = {"ref": named.name, **named.options}
    if _has_no_settings(wish):
        tables["space"].pop("with", None)
    if executor := _reference(wish.given, "executor"):
        tables["executor"] = {"ref": executor.name, **executor.options}
    if evaluator := _reference(wish.given, "evaluator"):
        tables["evaluator"] |= evaluator.options
    played = plan.played.get("trials")
    tables["limits"] = {"trials": played} if played else {"hours": plan.search_seconds / 3600}
    tables["objectives"] = [default_objective(task.class_counts("train"))]
    own = {name: value for name, value in wish.given.items() if name not in run_file.PARTS}
    for part in run_file.PARTS:
        typed = named if part == "task" else _reference(wish.given, part)
        if typed is not None:
            changes[part] = {"ref": typed.name, **changes.get(part, {})}  # what the user typed is trusted
    run = Run(wish.folder, tables, **own, changes=changes, trust=wish.trust, session=session)
    session.say(f"the plan, whose numbers stand in {short(run.folder / timetable.FILE)}:")
    for name, text in plans.lines(plan).items():
        session.say(f"  {name:<10}{text}")
    return run, replace(plan, played={})


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
        named, task = sized, _task(sized)
    session.prepare(named, task)
    given = Circumstances(hours, watch.used, workers, threads, task.examples("train"), task.examples("valid"))
    return named, task, plans.planned(given, speed)


def _searched(run: Run, plan: Timetable, watch: Stopwatch) -> Timetable:
    """Play the search, unless it is over; returns the timetable with what was played."""
    place = run.folder / timetable.FILE
    if "trials" in plan.played:
        return plan
    if not run_folder.holds_run(run.folder):
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
    place = run.export(run.folder / EXPORT)
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
        "export": str(place),
        "report": str(report),
        "verdict": found.verdict,
    }
    files.write(run.folder / RESULT, (json.dumps(facts) + "\n").encode())
    session.say(found.verdict)
    beside = f", {other.objective.text(other.mean)} of the reference" if other else ""
    ships = "the searched network" if found.shipped == "searched" else "the reference itself"
    session.say(f"{own.objective.label} {own.objective.text(own.mean)} of what ships, {ships}{beside}")
    session.say(f"export: {short(place)}")
    session.say(f"report: {short(report)}")
    session.say(f"done in {clock(watch.used)} of {clock(watch.total)}")
    return facts


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


def check_objectives(given: Sequence[str] | None, task: ImageClassification) -> None:
    """Raise BadRunFile for objectives that no timed run plays; says what it plays."""
    if given is None:
        return
    offered = [each.on("valid") for each in (*task.measures, *task.offered)]
    known = ", ".join(dict.fromkeys(map(str, offered)))
    bound = "bound params or multiply_adds with --constraint, as in 'params <= 50000'"
    if len(given) > 1:
        raise BadRunFile(
            f"--objectives names {len(given)}, and a timed run ships one network by one of them; give one of {known}, "
            f"and {bound}"
        )
    if Objective.read(given[0]).name not in {each.name for each in offered}:
        raise BadRunFile(
            f"--objectives is {reading.shown(given[0])}, by which a timed run cannot choose what ships; give one of "
            f"{known}, and {bound}"
        )


def _task(reference: Reference) -> ImageClassification:
    """The task of a reference. Raises BadRunFile where it is not of images and classes."""
    task = run_file.load_task(reference)
    if isinstance(task, ImageClassification) and isinstance(task.io.output, Classes):
        return task
    raise BadRunFile(
        f"a timed run is of images and their classes, which the task {reference.name} is not; give --trials, and a "
        "space for such a task with --space"
    )


def _sized(named: Reference, side: int) -> Reference:
    """The task with images of this size, where it has them made to size and nobody says how large."""
    if SIZE in named.options or SIZE not in refs.options_of(refs.locate("task", named.name)):
        return named
    return Reference(named.name, {**named.options, SIZE: side})


def _changes(wish: Wish) -> dict[str, dict[str, Any]]:
    """Options by part that a run file can hold."""
    changes = {part: dict(options) for part, options in wish.changes.items()}
    if _has_no_settings(wish):
        del changes["space"]["with"]
    return changes


def _has_no_settings(wish: Wish) -> bool:
    """Whether no settings of training are to be searched."""
    return bool(wish.changes.get("space", {}).get("with") == NO_SETTINGS)


def _reference(given: Mapping[str, Any], part: str) -> Reference | None:
    return refs.parse(given[part]) if given.get(part) else None


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
