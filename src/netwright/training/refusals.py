"""What no training can be made of, refused before one begins."""

from __future__ import annotations

import torch

from netwright.core import room, seeds
from netwright.core.errors import BadReference, MissingCapability
from netwright.core.protocols import Resplits, StreamsBatches, Task
from netwright.core.shapes import Classes, Tokens, plural
from netwright.plans.plan import Plan
from netwright.training import device, distillation, memory, mixing, parallel, ranks, resizing
from netwright.training import settings as step_settings
from netwright.training.options import Options


def check_task(options: Options, task: Task) -> None:
    """Refuse options that do not go with a task. Raises BadReference or MissingCapability."""
    parallel.check_divides(options.batch, options.processes, options.accumulate, called=plural(task.io.input))
    if options.label_smoothing and not isinstance(task.io.output, Classes | Tokens):
        raise BadReference(f"evaluator.label_smoothing is {options.label_smoothing}, but the task has no classes")
    if options.rate_by_length and not isinstance(task.io.input, Tokens):
        raise BadReference(
            f"evaluator.rate_by_length is true, but {plural(task.io.input)} all have as many steps; leave it out"
        )
    if options.splits > 1 and not isinstance(task, Resplits):
        raise MissingCapability(
            f"evaluator.splits is {options.splits}, but the task cannot divide its examples in other ways; set it to "
            "1, and give evaluator.repeats for trainings from several seeds"
        )
    mixing.check(options.mixing, options.batch, options.processes * options.accumulate, task.io)
    distillation.check(options.teachers, options.distill, options.processes, task.io)
    resizing.check(
        options.early_size,
        options.schedule,
        task.io,
        validates=options.validates,
        ends_whole=options.split != "test" or options.cooldown > 0,
    )


def check_machine(options: Options, own: torch.device, budget: int | None) -> None:
    """Refuse options that this machine, or a strategy with that largest budget, cannot have.

    Args:
        options: The options.
        own: The device that they pick.
        budget: The largest budget; None: proposals name none.

    Raises:
        WorkerError: The machine's memory does not hold the processes.
        BadReference: The device lacks the precision, or the schedule does not end at the largest budget.
    """
    device.check_has(own, options.precision_on(own))
    room.refuse_crowd("evaluator.processes", options.processes, options.processes, memory.PROCESS_MB)
    is_to_go_on = options.schedule == "constant" and budget is not None and budget < (options.horizon or 0)
    if budget is not None and options.horizon not in (None, budget) and not is_to_go_on:
        raise BadReference(
            f"evaluator.horizon is {options.horizon}, but the largest budget of the strategy is {budget}: schedules "
            f"must end where the last promotions do; give --evaluator.horizon {budget}"
        )


def check_network(options: Options, task: Task, plan: Plan | None, *, with_data: bool) -> None:
    """Refuse what cannot be trained: a network without a place for a setting, a batch that cannot be divided.

    Args:
        options: The options, with the settings that the network's genotype holds.
        task: The task.
        plan: Layers of the network; None: they are not known.
        with_data: Whether the number of examples is known.

    Raises:
        BadReference: The batch cannot be divided, or is too large for a text, or several processes share it where only
            one can measure, or has teachers.
        MissingCapability: The network has no place for drop path, dropout or an auxiliary loss.
    """
    if plan is not None:
        step_settings.check_places(options, plan)
    processes = ranks.size(options.processes)
    if options.validates and processes > 1:
        raise BadReference(
            f"evaluator.keep_best, reloads and non_monotone are for one process, but {processes} share the training; "
            "leave them out, or set evaluator.processes to 1"
        )
    distillation.check(options.teachers, options.distill, processes, task.io)
    if with_data:
        examples = task.examples(options.trained_on)
        if isinstance(task, StreamsBatches):
            examples = options.batch  # there are as many rows as asked for, if the text is long enough
            task.lengths(options.trained_on, options.batch, seeds.rng_for(0, seeds.TRAIN))
        mixing.check(options.mixing, min(options.batch, examples), processes * options.accumulate, task.io)
        parallel.check_divides(
            options.batch,
            processes,
            options.accumulate,
            examples=examples,
            needs_two=plan is not None and step_settings.needs_two(options, plan),
            called=plural(task.io.input),
        )
