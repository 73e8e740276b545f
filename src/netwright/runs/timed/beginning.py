"""Beginning a timed run: its data made ready, the machine measured, the whole planned and checked.

Nothing of the run is written yet: only the cache of its data is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from netwright.core import cards, reading, run_file, timetable, trust
from netwright.core.constraints import parse
from netwright.core.errors import BadReference, BadRunFile
from netwright.core.latency import LATENCY, is_named
from netwright.core.records import IO
from netwright.core.refs import Reference
from netwright.core.shapes import Image
from netwright.core.timetable import Timetable
from netwright.data.by_class import default_objective
from netwright.data.images import ImageClassification
from netwright.runs.display import clock
from netwright.runs.run import Run
from netwright.runs.session import Session, short
from netwright.runs.timed import crew, probe, suited
from netwright.runs.timed import timetable as plans
from netwright.runs.timed.beside import SharedTraining
from netwright.runs.timed.crew import Crew
from netwright.runs.timed.defaults import HOURS, Defaults, size_in, sizes_beside
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
from netwright.training import resizing

CheckReference = Callable[[str, IO, tuple[str, ...]], None]
Measure = Callable[[ImageClassification, Sequence[int], int, int, Patience, str], Sequence[Speed]]
Share = Callable[[ImageClassification, int, SharedTraining, int], Mapping[int, float]]


def begun(
    wish: Wish,
    session: Session,
    watch: Stopwatch,
    check_reference: CheckReference,
    defaults: Defaults,
    measure: Measure,
    share: Share,
) -> tuple[Run, Timetable]:
    """A new run, planned and checked.

    Args:
        wish: What was asked for.
        session: Says what happens.
        watch: Counts the time, of which it is told the whole.
        check_reference: Refuses a reference that could not be trained, or is beyond the constraints.
        defaults: What is played where nobody says otherwise.
        measure: Measures how fast this machine trains.
        share: Measures how fast a GPU trains several networks side by side.

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
    check_objectives(wish.given.get("objectives"), task)
    constraints = tuple(wish.given.get("constraints") or ())
    if is_named((), constraints):
        raise BadRunFile(
            f"{LATENCY.name} cannot be a constraint of a run by the clock; give --trials, or bound multiply_adds"
        )
    for text in constraints:  # at once, not when all is measured and decoded
        parse(text)
    rival = wish.reference if wish.reference is not None or given is None else reference_of(wish, given)
    if rival is not None:
        sides = _sides(named, task) if given is None else (given.side,)
        _refuse_reference(check_reference, rival, [probe.sized(task, side) for side in sides], constraints)
    workers = crew.of(wish, given)
    asked = crew.asked_of_trainings(wish)
    if given is None:
        named, task, plan, workers = _planned(named, task, hours, workers, session, watch, measure, share, asked)
    else:
        named = suited.sized(named, task, given.side)
        task, plan = image_task_of(named), replace(given, workers=workers.workers)
        session.prepare(named, task)
    objective = (wish.given.get("objectives") or [default_objective(task.class_counts("train"))])[0]
    images = task.examples("train") + task.examples("valid")
    tables = defaults.tables(plan, task.examples("train"), *(typed_of(wish, part) for part in ("space", "strategy")))
    tables["evaluator"] |= sizes_beside(asked) if "early_size" in tables["evaluator"] else {}
    size = size_in({**tables["evaluator"], **asked})
    passes = plans.passes(plan, probe.pass_seconds(task.io, plan.pace, plan.batch, images, size))
    named, task = suited.suited(named, task, objective, session.say, passes)
    session.has_prepared(named)
    if rival is not None:
        check_reference(rival, task.io, constraints)
    tables["task"] = {"ref": named.name, **named.options}
    if has_no_settings(wish):
        tables["space"].pop("with", None)
    played = workers.executor or Reference(tables["executor"]["ref"])
    tables["executor"] = {"ref": played.name, **workers.options(played)}
    if evaluator := typed_of(wish, "evaluator"):
        tables["evaluator"] |= evaluator.options
    trials = plan.played.get("trials")
    tables["limits"] = {"trials": trials} if trials else {"hours": plan.search_seconds / 3600}
    tables["objectives"] = [objective]
    own = {name: value for name, value in wish.given.items() if name not in run_file.PARTS}
    for part in run_file.PARTS:
        ref = named if part == "task" else typed_of(wish, part)
        if ref is not None:
            changes[part] = {"ref": ref.name, **changes.get(part, {})}  # what the user typed is trusted
    own |= {"trust": wish.trust, "session": session, "reference": rival}
    run = Run(wish.folder, tables, **own, changes=changes)
    session.say(f"the plan, whose numbers stand in {short(run.folder / timetable.FILE)}:")
    early = probe.side_of(resizing.early(task.io, size)) if size < 1 else None
    for name, text in plans.lines(plan, early).items():
        session.say(f"  {name:<10}{text}")
    return run, replace(plan, played={}, reference=rival or "")  # the heats are to be repeated


def reference_of(wish: Wish, plan: Timetable) -> str | None:
    """The reference that a timetable notes, or, where it notes nothing, that is asked for; None: the plain network.

    Raises:
        BadReference: It is code of somebody that nobody has said to trust.
    """
    if plan.reference is None:
        return wish.reference
    typed = trust.of_typed(wish.reference, trust=wish.trust)
    typed.check({"reference": plan.reference}, f"the timetable {reading.line(str(wish.timetable or wish.folder))}")
    return plan.reference or None


def _sides(named: Reference, task: ImageClassification) -> tuple[int, ...]:
    """Sides that the images may be brought to, ascending."""
    image = task.io.input
    assert isinstance(image, Image)
    return (max(image.height, image.width),) if suited.SIZE in named.options else task.candidate_sizes()


def _refuse_reference(
    check_reference: CheckReference, text: str, inputs: Sequence[IO], constraints: tuple[str, ...]
) -> None:
    """Refuse at once what could be no reference whatever size of images is chosen.

    Raises:
        BadReference: What is wrong with it where images are smallest.
    """
    refusals = []
    for io in inputs:
        try:
            check_reference(text, io, constraints)
        except BadReference as refusal:
            refusals.append(refusal)
        else:
            return
    raise refusals[0]


def _planned(
    named: Reference,
    task: ImageClassification,
    hours: float,
    workers: Crew,
    session: Session,
    watch: Stopwatch,
    measure: Measure,
    share: Share,
    asked: Mapping[str, Any],
) -> tuple[Reference, ImageClassification, Timetable, Crew]:
    """The task at the size that fits, its data made ready, the timetable, and the workers that it is for."""
    threads, device = max(1, crew.cores() // workers.workers), crew.device_in(asked)
    sides = _sides(named, task)
    train, valid = (sum(task.expected_counts(split)) for split in ("train", "valid"))
    seconds = plans.probe_seconds(hours)
    batch = plans.batch_for(train)

    def chosen(speeds: Sequence[Speed]) -> Speed:
        return plans.chosen_speed(speeds, hours, workers.workers, train, valid, is_divisible=task.is_divisible)

    if not task.is_divisible and train + valid < plans.RESPLIT_BELOW:
        session.say("the validation images were given: every training is on this division of the images alone")
    session.say(f"measuring how fast this machine trains, for at most {clock(seconds)}")
    speeds = measure(suited.distorted(named, task), sides, batch, threads, Patience(seconds, watch.now), device)
    if "early_size" in (own := {**sizes_beside(asked), **asked}):
        speeds = [probe.with_share(task, each, batch, size_in(own)) for each in speeds]
    speed = chosen(speeds)
    if workers.most_on_a_card > 1 and hours >= crew.SHARED_HOURS:
        session.say("measuring how many trainings a GPU takes at a time")
        told = SharedTraining(run_file.write_io(probe.sized(task, speed.side)), batch, speed.precision, 1, device)
        rates = share(task, speed.side, told, workers.most_on_a_card)
        if rates:
            each = cards.best(rates)
            workers, speeds = workers.sharing(each), crew.slower(speeds, cards.slowdown(rates, each))
            session.say(f"{each} at a time on each; steps a second by their number: {cards.rates_text(rates)}")
            threads = max(1, crew.cores() // workers.workers)
            speed = chosen(speeds)
    if (sized := suited.sized(named, task, speed.side)) != named:
        named, task = sized, image_task_of(sized)
    if workers.executor is None and not workers.cards and (cores := crew.cores()) < workers.workers:
        session.say(
            f"--workers is {workers.workers}, and this machine has {cores} core{'s' * (cores > 1)}: each training will "
            f"have fewer steps than planned; --workers {cores} does as much"
        )
    given = Circumstances(hours, watch.used, workers.workers, threads, train, valid, task.is_divisible)
    _refuse_too_few(given, speed)
    session.prepare(named, task)
    examples = task.examples("train"), task.examples("valid")
    given = replace(given, spent=watch.used, train=examples[0], valid=examples[1])
    return named, task, plans.planned(given, speed), workers


def _refuse_too_few(given: Circumstances, speed: Speed) -> None:
    """Refuse hours that are far too few before all images are decoded, of which some may turn out to be of no use.

    Raises:
        BadRunFile: They are too few even for a machine that is twice as fast.
    """
    try:
        plans.planned(given, replace(speed, image_seconds=speed.image_seconds / 2))
    except BadRunFile:
        plans.planned(given, speed)
