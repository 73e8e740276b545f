"""What a training says of itself before it begins: what it measures, what can be searched of it, on what it runs."""

from __future__ import annotations

from typing import Final

import torch

from netwright.core import directions
from netwright.core.objectives import COUNTED, Objective
from netwright.core.protocols import OffersMetrics, StatesMeasures, Task, Tunes
from netwright.core.records import BROKEN_OFF, CARRIED_STEPS, STEPS_DONE
from netwright.core.settings import Setting
from netwright.core.shapes import Classes, Tokens
from netwright.training import faults, mixing
from netwright.training import settings as step_settings
from netwright.training.options import Options
from netwright.training.settings import StepSettings

OF_ANY_TRAINING: Final = (
    Objective("train_loss", -1),
    *COUNTED,
    *(Objective(name, -1) for name in ("seconds", "peak_memory_mb")),
    Objective("examples_per_second"),
    Objective(CARRIED_STEPS),
)
OF_DEADLINE: Final = (Objective(BROKEN_OFF, -1),)
OF_LENGTH: Final = (Objective(STEPS_DONE, -1),)
OF_PLATEAU: Final = (Objective("stopped_early"),)


def measures(options: Options, task: Task) -> tuple[Objective, ...]:
    """Objectives that the task measures, on the split of the options; empty: the task does not say."""
    stated = task.measures if isinstance(task, StatesMeasures) else ()
    return tuple(measure.on(options.split) for measure in stated)


def sign(task: Task, name: str) -> int:
    """Which way a metric of the task is better, 1: higher, -1: lower: as it states, else as the name tells."""
    stated = {each.name: each.sign for each in task.measures} if isinstance(task, StatesMeasures) else {}
    return stated.get(name) or directions.sign_of(name) or 1


def metrics(options: Options, task: Task) -> tuple[Objective, ...]:
    """What the task measures and what it offers to, on the split of the options, and what any training reports.

    Empty where the task does not say what it measures.
    """
    measured = measures(options, task)
    if not measured:
        return ()
    offered = task.offered if isinstance(task, OffersMetrics) else ()
    named = {each.name: each for each in (*measured, *(offer.on(options.split) for offer in offered))}
    spreads = [Objective(f"{name}_sd", -1) for name in named] if options.trainings > 1 else []
    courses = (*(OF_LENGTH if options.states_length else ()), *(OF_PLATEAU if options.plateau else ()))
    courses += OF_DEADLINE if options.has_deadline else ()
    return (*named.values(), *OF_ANY_TRAINING, *courses, *spreads)


def tunable(options: Options, task: Task) -> dict[str, Setting]:
    """Settings that can be genes: some of the options, and those that the task offers."""
    own = step_settings.tunable(options, options.accumulate * options.processes)
    if not isinstance(task.io.output, Classes | Tokens):
        del own["label_smoothing"]
    if not mixing.is_possible(task.io):
        del own["mixing"]
    return own | dict(task.tunable if isinstance(task, Tunes) else {})


def remarks(settings: StepSettings, own: torch.device, device: str) -> tuple[str, ...]:
    """On what GPU trainings run and in which precision, or why on none; on a CPU there is nothing to say.

    Args:
        settings: Settings of their steps.
        own: The device that is picked.
        device: The one that was asked for.
    """
    if own.type == "cpu" and device == "auto" and (why := faults.why_no_gpu()):
        return (f"trainings run on the CPU: {why}",)
    if own.type != "cuda":
        return ()
    told = f"trainings run on {torch.cuda.get_device_name(own)}, in {settings.precision_on(own)}"
    again = "the same command gives other last bits each time (--evaluator.deterministic true: the same, but slower)"
    return (told if settings.deterministic else f"{told}; {again}",)


def advice(options: Options, largest_budget: int) -> str:
    """What to give for promotions to go on where trials stopped; "" where they do.

    Going on is never chosen for the user: all trials then share the schedule of the largest budget. A score at a
    smaller one is then that of a training stopped on its way, no longer of one planned for it.
    """
    if options.horizon is not None:
        return ""
    return f"promotions begin anew: give --evaluator.horizon {largest_budget} for them to go on"
