"""`netwright.search`: what the command of that name does, for data that a program holds or that lies on the disk."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from netwright.core import refs
from netwright.core.errors import BadRunFile
from netwright.core.protocols import Observer
from netwright.data.given import Given
from netwright.runs import observing
from netwright.runs.observing import OnStep, OnTrial
from netwright.runs.retraining import Changes
from netwright.runs.run import Run
from netwright.runs.session import Attended, Session
from netwright.runs.timed import contest, play, recognized
from netwright.runs.timed.recognized import Recognized
from netwright.runs.timed.reference import check_reference
from netwright.runs.timed.stopwatch import Stopwatch
from netwright.runs.timed.wish import ALONE, Wish, is_timed

OUT = Path("runs", "search")  # of data that has no name


def search(
    data: Any = None,
    labels: Any = None,
    *,
    valid: Any = None,
    test: Any = None,
    classes: Sequence[str] | None = None,
    columns: tuple[str, str] | None = None,
    size: int | None = None,
    hours: float | None = None,
    trials: int | None = None,
    out: str | Path | None = None,
    space: str | None = None,
    strategy: str | None = None,
    evaluator: str | None = None,
    executor: str | None = None,
    seed: int | None = None,
    workers: int | None = None,
    constraints: Sequence[str] | None = None,
    objectives: Sequence[str] | None = None,
    metrics: Sequence[str] | None = None,
    changes: Changes | None = None,
    reference: str | None = None,
    timetable: str | Path | None = None,
    trust: bool = False,
    observers: Sequence[str | Observer] = (),
    on_trial: OnTrial | None = None,
    on_step: OnStep | None = None,
    console: Console | None = None,
    attended: Attended = lambda _controller, _say: nullcontext(),
) -> Run:
    """From images to a tested and exported network within `hours`; with `trials`, the search alone.

    The same call goes on where it was stopped. Images held in memory are written to `out` first, as workers and later
    commands need a file; see `docs/python.md` for what they may be.

    Args:
        data: Images, with `labels` beside them; a data set of torch or Hugging Face; a mapping of train, valid and test
            to such or to (images, labels); or, as text, what the command takes: a folder, a file, a task by name.
            None: the run in `out` goes on.
        labels: A whole number or a name for each image.
        valid: What validates, (images, labels) or a data set; None: part of the training images.
        test: What tests, likewise.
        classes: Names of the classes in order of the labels; None: those that the data states.
        columns: Columns of images and labels of a Hugging Face data set; None: known by their features.
        size: Side in pixels to which images are cut and scaled; None: of images in memory, the one that all have.
        hours: Wall-clock hours from the call to the report; None: 30 minutes.
        trials: Number of finished trials after which a search alone ends.
        out: Folder of the run; None: in `runs`, by the name of the data, or `runs/search`.
        space: Reference of the space, as in "flat(nodes=7)".
        strategy: Reference of the strategy.
        evaluator: Reference of the evaluator.
        executor: Reference of the executor.
        seed: Seed of everything that is drawn.
        workers: Number of trainings side by side.
        constraints: Conditions on networks, such as "params <= 1e6".
        objectives: Metrics to search by; a timed run takes one.
        metrics: Metrics to report beside them.
        changes: Options by part, put over everything else: {"evaluator": {"lr": 0.1}}.
        reference: A network of yours to beat; None: a plain one.
        timetable: The timetable of another run, to be played again.
        trust: Whether plug-ins that the folder names are loaded, whoever wrote them.
        observers: Who is told how the search goes: references, as "csv", or objects (`core.protocols.Observer`).
        on_trial: Is called with each trial of the search that has finished.
        on_step: Is called as trials go on: (trial's number, step, steps planned or None, values).
        console: Where progress is shown; None: standard output.
        attended: Lends each controller to someone who may stop it, such as a handler of signals.

    Returns:
        The run: `verdict`, `best`, `trials`, `trials_frame`, `export`, `report`; a notebook shows it as a page.

    Raises:
        Drained: It was stopped; the same call goes on.
        NetwrightError: Settings or data cannot be used, or the hours do not suffice.
    """
    watch = Stopwatch()
    watching = observing.loaded(observers, on_trial, on_step)
    console = console or Console()
    named = _named(data, labels, valid, test)
    if named is not None and named.task is None:
        raise BadRunFile(f"{named.word} is a run file; give it to netwright.Run(folder, {named.word!r}).search()")
    folder = Path(out) if out is not None else Path("runs", named.name) if named else OUT
    merged = {part: dict(options) for part, options in (changes or {}).items()}
    if named is not None:
        holding: AbstractContextManager[str] = nullcontext(named.sentence)
        task = named.task
        if size is not None:
            merged.setdefault("task", {})["size"] = size
        if classes is not None or columns is not None:
            raise BadRunFile("classes and columns go with data in memory; data on the disk says itself what it is")
    elif data is not None:
        parts = _parts(data, labels, valid, test)
        fit = merged.get("task", {}).get("fit", "crop")
        own = Given(folder.absolute(), parts, classes=classes, columns=columns, size=size, fit=fit)
        holding, task = own.written(), refs.Reference("arrays", {"path": str(own.path)})
    else:
        holding, task = nullcontext(""), None
    settings: dict[str, Any] = {
        "space": space,
        "strategy": strategy,
        "evaluator": evaluator,
        "executor": executor,
        "seed": seed,
        "constraints": tuple(constraints) if constraints else None,
        "objectives": tuple(objectives) if objectives else None,
        "metrics": tuple(metrics) if metrics else None,
    }
    settings = {name: value for name, value in settings.items() if value is not None}
    wish = Wish(
        folder=folder,
        task=task,
        hours=hours,
        workers=workers,
        given=settings,
        changes=merged,
        reference=reference,
        timetable=Path(timetable) if timetable is not None else None,
        trust=trust,
    )
    with holding as taken:
        if is_timed(wish, trials, is_recipe=False):
            session = Session(console, attended, "", watch.outlook, watching)
            play.play(replace(wish, taken=taken), session, watch, contest.play, check_reference)
            return Run(folder, trust=trust, reference=reference, session=Session(console, attended, ""))
        if reference is not None or timetable is not None:
            raise BadRunFile("reference and timetable go with a run on images that is given hours, and no trials")
        session = Session(console, attended, "", observers=watching)
        if taken:
            session.say(taken)
        if task is not None and hours is not None and trials is None:
            session.say(ALONE)
        limits: dict[str, Any] = {"trials": trials, "hours": hours, "workers": workers}
        run = Run(
            folder,
            task=None if task is None else str(task),
            **limits,
            changes=merged,
            trust=trust,
            session=session,
            **settings,
        )
        run.search()
    return run


def _named(data: Any, labels: Any, valid: Any, test: Any) -> Recognized | None:
    """What a text or a path was taken for; None: the data is given itself, or none is."""
    if not isinstance(data, str | os.PathLike):
        return None
    if labels is not None or valid is not None or test is not None:
        raise BadRunFile(f"data is {str(data)!r}, which says itself what its labels are; leave labels, valid, test out")
    return recognized.recognized(os.fspath(data))


def _parts(data: Any, labels: Any, valid: Any, test: Any) -> Any:
    """The data as one value, see `given.write`."""
    own = data if labels is None else (data, labels)
    if valid is None and test is None:
        return own
    if isinstance(own, Mapping):
        raise BadRunFile("data is a mapping of parts and valid or test is given beside it; put them into the mapping")
    beside = {"train": own, "valid": valid, "test": test}
    return {split: part for split, part in beside.items() if part is not None}
