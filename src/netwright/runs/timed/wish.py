"""What a user asked of a timed run, and what does not go together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, get_type_hints

from netwright.core import building, reading, refs, timetable
from netwright.core.errors import BadRunFile
from netwright.core.objectives import Objective
from netwright.core.refs import Reference
from netwright.core.shapes import Classes
from netwright.data.images import ImageClassification
from netwright.runs import run_folder

NO_SETTINGS: Final = "none"  # of --space.with: the network alone is searched


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


ALONE: Final = (  # what hours are with data of which there is no timed run, for people
    "the hours are those of the search alone; `netwright train` and `netwright export`, with the folder of the run, "
    "train the best network in full and export it"
)


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
    evaluator = typed_of(wish, "evaluator")
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
        or run_folder.has_begun(wish.folder)
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
    return (folder / timetable.FILE).exists() and run_folder.has_begun(folder)


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


def image_task_of(reference: Reference) -> ImageClassification:
    """The task of a reference. Raises BadRunFile where it is not of images and classes."""
    task = building.load_task(reference)
    if isinstance(task, ImageClassification) and isinstance(task.io.output, Classes):
        return task
    raise BadRunFile(
        f"a timed run is of images and their classes, which the task {reference.name} is not; give --trials, and a "
        "space for such a task with --space"
    )


def changes_of(wish: Wish) -> dict[str, dict[str, Any]]:
    """Options by part that a run file can hold; the hours are those of the whole, of which the search has a part."""
    changes = {part: dict(options) for part, options in wish.changes.items()}
    changes.get("limits", {}).pop("hours", None)
    if has_no_settings(wish):
        del changes["space"]["with"]
    return changes


def has_no_settings(wish: Wish) -> bool:
    """Whether no settings of training are to be searched."""
    return bool(wish.changes.get("space", {}).get("with") == NO_SETTINGS)


def typed_of(wish: Wish, part: str) -> Reference | None:
    """The reference that was typed for a part of the run; None: none was. Raises BadReference where it is none."""
    return refs.parse(wish.given[part]) if wish.given.get(part) else None
