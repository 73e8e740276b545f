"""The program of a shared training with what is given beside it; what does nothing there is refused."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, Final

from netwright.core.errors import BadReference
from netwright.core.protocols import SearchSpace, Task
from netwright.core.shapes import Tokens, plural
from netwright.training import few_shot, parallel
from netwright.training.settings import StepSettings
from netwright.training.shared_programs import PROGRAMS, UNNAMED, ProgramName, SharedProgram

_OF_ROUNDS: Final = {
    "round_count": "number",
    **{name: name for name in ("pool", "new", "fresh", "keeps", "trains")},
}
_AT_LEAST: Final = {
    **dict.fromkeys(("epochs", "steps", "paths", "valid_batch", "batches", "recalibration", "supernets"), 1),
    "tuning_steps": 0,
}


def resolved(name: ProgramName | None, options: Mapping[str, Any], space: SearchSpace, task: Task) -> SharedProgram:
    """A program with the options that were given, by the names that they have in the evaluator.

    Args:
        name: The program; None: the package's own.
        options: What replaces its numbers.
        space: The space.
        task: The task.

    Raises:
        BadReference: They make no training, some have no effect, or the program is for other data.
    """
    program, given = UNNAMED if name is None else PROGRAMS[name], dict(options)
    _check_kind(name, program, task)
    if "epochs" in given and "steps" in given:
        raise BadReference("evaluator.epochs and evaluator.steps are both given; give one of them")
    for option, least in _AT_LEAST.items():
        if given.get(option, least) < least:
            raise BadReference(f"evaluator.{option} is {given[option]}; it must be at least {least}")
    rounds = {ours: given.pop(option) for option, ours in _OF_ROUNDS.items() if option in given}
    length = {"epochs": given.pop("epochs"), "length": 0} if "epochs" in given else {}
    length |= {"length": given.pop("steps"), "epochs": 0} if "steps" in given else {}
    of_steps = {each.name for each in fields(StepSettings)}
    steps = {option: given.pop(option) for option in tuple(given) if option in of_steps}
    if length and program.steps.period and not steps.keys() & {"period", "schedule"}:
        steps["period"] = _period(name, program, length)
    found = replace(
        program,
        steps=replace(program.steps, **steps),
        rounds=replace(program.rounds, **rounds),
        **{**length, **given},
    )
    _check(found, options, space, task)
    return found


def _check(found: SharedProgram, given: Mapping[str, Any], space: SearchSpace, task: Task) -> None:
    """Raise BadReference for what makes no training, and for options without effect."""
    if found.sampling == "sandwich" and found.paths < 2:
        raise BadReference(
            f"evaluator.paths is {found.paths}, but evaluator.sampling 'sandwich' trains the largest and the "
            "smallest network in each step; give at least 2"
        )
    if not 0 < found.tuning_lr < math.inf:
        raise BadReference(f"evaluator.tuning_lr is {found.tuning_lr}; it must be greater than 0, and finite")
    if not 0 <= found.joint_share < 1:
        raise BadReference(f"evaluator.joint_share is {found.joint_share}; it must be at least 0, and below 1")
    for option, why in _idle(found, task).items():
        if option in given:
            raise BadReference(f"evaluator.{option} is {given[option]}, but {why}, or leave it out")
    if found.supernets > 1:
        few_shot.of(space, found.supernets, found.split_gene)
    parallel.check_divides(found.steps.batch, 1, found.paths, called=plural(task.io.input))


def _idle(found: SharedProgram, task: Task) -> dict[str, str]:
    """Options that do nothing beside the others, with why, and what would give them an effect."""
    idle: dict[str, str] = {}
    if isinstance(task.io.input, Tokens):
        said = "the networks of a text have no statistics of batches; give another task"
        idle |= {"statistics": said, "recalibration": said}
        idle["valid_batch"] = "a text is validated on by rows; give task.valid_rows"
    else:
        idle["rate_by_length"] = f"{plural(task.io.input)} all have as many steps; give a text"
    if found.statistics == "batch":
        idle.setdefault(
            "recalibration", "networks compute by each batch's statistics; give evaluator.statistics 'recalibrated'"
        )
    if not found.tuning_steps:
        idle["tuning_lr"] = "networks are scored as they are; give evaluator.tuning_steps"
    if found.supernets == 1:
        said = "all networks share one set of weights; give more evaluator.supernets"
        idle |= {"split_gene": said, "joint_share": said}
    if found.steps.schedule not in ("restarts", "cosine"):
        idle["period"] = f"the schedule is {found.steps.schedule!r}; give evaluator.schedule 'restarts'"
    if found.steps.schedule != "restarts" or not found.steps.period:
        idle["growth"] = "the rate falls once; give evaluator.schedule 'restarts' with an evaluator.period"
    return idle


def _period(name: ProgramName | None, program: SharedProgram, length: Mapping[str, int]) -> float:
    """The period of a program's rate where its rounds have another length. Raises BadReference for one in steps."""
    if not length["epochs"]:
        raise BadReference(
            f"evaluator.steps is {length['length']}, but the rate of the program {name!r} begins anew by epochs; "
            "give evaluator.epochs instead, or evaluator.period, in epochs, as well"
        )
    return program.steps.period * length["epochs"] / program.epochs


def _check_kind(name: ProgramName | None, program: SharedProgram, task: Task) -> None:
    """Raise BadReference for a program that is for other data."""
    is_text, wanted = isinstance(task.io.input, Tokens), program.task
    if wanted and is_text != (wanted == "texts"):
        other = "'tf-ws-rnn'" if is_text else "'pt1', 'pt2' or 'tf-ws'"
        raise BadReference(
            f"evaluator.program is {name!r}, whose networks are for {wanted}, but the task gives "
            f"{plural(task.io.input)}; give {other}"
        )
