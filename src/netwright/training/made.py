"""The network of a training as it is before its first step, with what takes the steps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from netwright.core import seeds
from netwright.core.protocols import SearchSpace, Task, of_seed
from netwright.core.records import Trial
from netwright.training import captured, compiling, distillation, layout
from netwright.training import settings as step_settings
from netwright.training.descent import Descent
from netwright.training.lengths import Length
from netwright.training.options import Options
from netwright.training.parallel import Team
from netwright.training.resizing import Resizing


def descent(
    options: Options,
    space: SearchSpace,
    task: Task,
    trial: Trial,
    repeat: int,
    length: Length,
    updates: Callable[[int], int],
    team: Team,
    teachers: Path | None,
    resizing: Resizing | None,
) -> Descent:
    """The network of a trial, made anew for one of its trainings.

    Args:
        options: The options, with the settings that the genotype holds.
        space: Builds the network.
        task: The task.
        trial: The trial, whose seed all is drawn from.
        repeat: Which of its trainings, from 0.
        length: How many steps it takes, and how many the schedule spans.
        updates: Gives the number of steps that weights are averaged over, see `course.FlexibleSchedule.updates`.
        team: The processes that train together.
        teachers: Folder of the networks that it learns from besides; None: there are none.
        resizing: Which steps see smaller images; None: none does.
    """
    rng = seeds.rng_for(trial.seed, seeds.BUILD, attempt=repeat)
    network = of_seed(space, trial.seed).build(trial.proposal.genotype, task.io, rng)
    memory_format = layout.of(options.channels_last, network, team.device, options.precision_on(team.device))
    network = network.to(team.device, memory_format=memory_format)
    teacher = None
    if teachers is not None:
        known = distillation.read(teachers, space, task.io, memory_format).to(team.device)
        teacher = distillation.Teacher(known, options.distill)
    return Descent(
        network,
        task,
        step_settings.optimizer(options, network),
        options,
        steps=length.span,
        memory_format=memory_format,
        seed=seeds.trial_seed(trial.seed, "masks", repeat),
        team=team,
        teacher=teacher,
        updates=updates,
        resizing=resizing,
        graphs=captured.graphs_of(team.device, options.graphs),
        keeps_best=options.keeps_weights,
        compile=compiling.pays(options.compile, team.device, length.steps, is_paced=bool(options.pace)),
    )
