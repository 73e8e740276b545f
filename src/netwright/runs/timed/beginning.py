"""Beginning a timed run: its data made ready, the machine measured, the whole planned and checked.

Nothing of the run is written yet: only the cache of its data is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import torch

from netwright.core import reading, refs, room, run_file, timetable
from netwright.core.errors import BadRunFile
from netwright.core.records import IO
from netwright.core.refs import Reference
from netwright.core.shapes import Image
from netwright.core.timetable import Timetable
from netwright.data.by_class import default_objective
from netwright.data.images import ImageClassification
from netwright.runs.display import clock
from netwright.runs.run import Run
from netwright.runs.session import Session, short
from netwright.runs.timed import probe
from netwright.runs.timed import timetable as plans
from netwright.runs.timed.defaults import HOURS, WORKER_MB, Defaults
from netwright.runs.timed.probe import Patience
from netwright.runs.timed.stopwatch import Stopwatch
from netwright.runs.timed.timetable import Circumstances, Speed
from netwright.runs.timed.wish import (
    Wish,
    changes_of,
    check_objectives,
    has_no_settings,
    image_task_of,
    typed_of,
)

SIZE: Final = "size"  # option of tasks that bring images to any size, see `ImageClassification.candidate_sizes`
MIRROR, COLORS = "flip", 3  # option of tasks of images; channels of an image in color

CheckReference = Callable[[str, IO, tuple[str, ...]], None]
Measure = Callable[[ImageClassification, Sequence[int], int, int, Patience], Sequence[Speed]]


def begun(
    wish: Wish,
    session: Session,
    watch: Stopwatch,
    check_reference: CheckReference,
    defaults: Defaults,
    measure: Measure,
) -> tuple[Run, Timetable]:
    """A new run, planned and checked.

    Args:
        wish: What was asked for.
        session: Says what happens.
        watch: Counts the time, of which it is told the whole.
        check_reference: Refuses a reference that could not be trained, or is beyond the constraints.
        defaults: What is played where nobody says otherwise.
        measure: Measures how fast this machine trains.

    Returns:
        The run, and its timetable, of which nothing was played.

    Raises:
        NetwrightError: Settings or data cannot be used, or the hours do not suffice.
    """
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


def _workers() -> int:
    """One training per GPU, else per core, fewer where memory does not hold as many."""
    return torch.cuda.device_count() or max(1, min(_cores(), room.held(WORKER_MB)))


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
