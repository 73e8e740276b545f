"""A short training of a network alone, from the weights that it shares on, before it is scored.

All networks of a round see the same batches with the same rates and lose the same at random, so that what tells their
scores apart is the networks. The shared weights stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from itertools import count, islice

import torch
from torch import nn

from netwright.core import seeds
from netwright.core.errors import PutBack
from netwright.core.protocols import Context, Split, Task
from netwright.core.records import Genotype
from netwright.core.shapes import Shape, Tokens, dimensions
from netwright.plans.network import Network
from netwright.training import layout, loop, schedules
from netwright.training import settings as step_settings
from netwright.training.descent import Descent
from netwright.training.feeding import Batch, BatchesBy, fed
from netwright.training.loop import Schedule, Stopped
from netwright.training.reports import Alarm
from netwright.training.settings import StepSettings
from netwright.training.shared_programs import SharedProgram
from netwright.training.supernet import SharedWeights

REPORT_EVERY = 5.0  # seconds


def settings_of(program: SharedProgram) -> StepSettings:
    """Settings of a step: the program's, with a rate of its own, and Nesterov's momentum where there is one."""
    steps = program.steps
    is_nesterov = steps.optimizer == "sgd" and steps.momentum > 0
    return replace(steps, lr=program.tuning_lr, nesterov=is_nesterov, schedule="cosine", period=0, floor=0, warmup=0)


def batches_bytes(program: SharedProgram, shape: Shape) -> int:
    """Memory of the batches that are kept, of inputs of a shape."""
    numbers = math.prod(dimensions(shape))
    return program.tuning_steps * program.steps.batch * numbers * (8 if isinstance(shape, Tokens) else 4)


class Tuning:
    """Trains networks of one round alone, each for as many steps.

    Args:
        task: The task.
        program: Says how many steps they are, and of which kind.
        seed: Source of batches and of what is dropped, for all networks alike.
        place: The device, on which the batches are kept.
        channels_last: Memory format, see `training.layout`.
        batches_by: What makes the batches, see `feeding.fed`.
    """

    def __init__(
        self,
        task: Task,
        program: SharedProgram,
        seed: int,
        place: torch.device,
        channels_last: layout.Wanted = "auto",
        batches_by: BatchesBy = "auto",
    ) -> None:
        self._task, self._settings, self._seed = task, settings_of(program), seed
        self._place, self._channels_last = place, channels_last
        self._passes = _Kept(self._settings.batch, self._made(program.tuning_steps, batches_by))
        self._schedule = Schedule(program.tuning_steps, lambda step: schedules.cosine(step, program.tuning_steps))

    def tuned(self, weights: SharedWeights, genotype: Genotype, context: Context, *, averages: bool = False) -> Network:
        """A network with weights of its own, trained.

        Args:
            weights: The shared weights to begin with.
            genotype: The network.
            context: What is told, and asked whether to stop.
            averages: Whether its normalizations average statistics, as in `SharedWeights.child`. They begin anew after
                the last step.

        Raises:
            PutBack: The worker asked to stop; nothing is kept.
            Stopped: The result is no longer wanted.
            Diverged: The loss is not finite.
        """
        network = weights.child(genotype, averages=averages, alone=True)
        memory_format = layout.of(self._channels_last, network, self._place, self._settings.precision_on(self._place))
        network.to(memory_format=memory_format)
        descent = Descent(
            network,
            self._task,
            step_settings.optimizer(self._settings, network),
            self._settings,
            steps=self._schedule.steps,
            memory_format=memory_format,
            seed=self._seed,
        )
        to_report = Alarm(REPORT_EVERY)
        for at in loop.steps(self._passes, descent, self._schedule):
            if context.should_stop():
                raise PutBack(f"stopped at step {at.step} of the training of a network before it is scored")
            if at.is_look and to_report.rings() and not context.report(at.step, {"train_loss": at.loss}):
                raise Stopped(f"stopped at step {at.step} of the training of a network before it is scored")
        for module in network.modules():
            if isinstance(module, nn.modules.batchnorm._NormBase) and module.running_mean is not None:
                module.reset_running_stats()
        return network

    def _made(self, steps: int, batches_by: BatchesBy) -> tuple[tuple[Batch, ...], ...]:
        """The batches of so many steps, by pass."""
        found: list[tuple[Batch, ...]] = []
        for epoch in count():
            left = steps - sum(map(len, found))
            if not left:
                return tuple(found)
            rng = seeds.rng_for(self._seed, seeds.TRAIN, epoch)
            with fed(self._task, "train", self._settings.batch, rng, self._place, batches_by=batches_by) as coming:
                made = [(x.to(self._place), y.to(self._place), size) for x, y, size in islice(coming, left)]
            if not made:
                raise ValueError(f"the split 'train' gave no batch of {self._settings.batch} examples")
            found.append(tuple(made))
        raise AssertionError


@dataclass(frozen=True)
class _Kept:
    """Batches that are there, by pass: what `loop.steps` takes instead of passes over the data."""

    batch: int
    passes: tuple[tuple[Batch, ...], ...]
    split: Split = "train"

    def batches(self, epoch: int, start: int, _device: torch.device) -> AbstractContextManager[Iterator[Batch]]:
        return nullcontext(islice(self.passes[epoch], start, None))
