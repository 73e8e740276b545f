"""The steps of a training, yielded one after another, and the measurement of a network."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from netwright.core import seeds
from netwright.core.protocols import Gathers, Split, Task
from netwright.core.shapes import IO, positions
from netwright.training import carrying, device, summing
from netwright.training.captured import graphs_of
from netwright.training.descent import Descent, to_device
from netwright.training.feeding import Batch, BatchesBy, fed
from netwright.training.parallel import ALONE, Team

LOOK_EVERY = 20  # steps between looks at the loss: a look waits for the device
EVALUATION_BATCH = 500  # images of 32x32; of larger ones fewer


class Diverged(Exception):
    """The loss is no longer finite; the message names the step and the learning rate.

    Attributes:
        at: The moment at which that was found.
    """

    def __init__(self, message: str, at: At) -> None:
        super().__init__(message)
        self.at = at


class Stopped(Exception):
    """The worker asked the training to stop."""


@dataclass(frozen=True)
class Progress:
    """Where a training stands, between two steps, in plain numbers.

    Args:
        step: Number of optimizer steps done.
        epoch: Number of the pass over the data, from 0.
        batches: Number of steps done in that pass.
        total: Sum of the losses of those steps.
        examples: Number of examples seen so far.
        seconds: Wall-clock seconds so far, without what was done between passes.
    """

    step: int = 0
    epoch: int = 0
    batches: int = 0
    total: float = 0.0
    examples: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Passes:
    """The passes over the data that a training makes.

    Args:
        task: The task, which gives the batches.
        split: Split to train on.
        batch: Examples per step.
        rng_of_epoch: Gives the generator that shuffles and augments pass 0, 1, ...
        team: The processes that train together.
        accumulate: Number of parts in which a batch is worked through.
        batches_by: What makes the batches; see `feeding.fed`.
    """

    task: Task
    split: Split
    batch: int
    rng_of_epoch: Callable[[int], np.random.Generator]
    team: Team = ALONE
    accumulate: int = 1
    batches_by: BatchesBy = "auto"

    def batches(self, epoch: int, start: int, device: torch.device) -> AbstractContextManager[Iterator[Batch]]:
        """This process's part of each batch of a pass, from batch `start` on, within a block; see `feeding.fed`."""
        return fed(
            self.task,
            self.split,
            self.batch,
            self.rng_of_epoch(epoch),
            device,
            batches_by=self.batches_by,
            team=self.team,
            accumulate=self.accumulate,
            start=start,
        )


@dataclass(frozen=True)
class Schedule:
    """Length of a training, and its learning rates.

    Args:
        steps: Number of optimizer steps.
        factor: Gives the factor on the initial learning rate at each step, from 0.
    """

    steps: int
    factor: Callable[[int], float] = lambda _step: 1.0


class GivesBatches(Protocol):
    """What `steps` takes its batches from: `Passes` over the data, or batches that were made before."""

    @property
    def split(self) -> Split:
        """Split to train on."""

    @property
    def batch(self) -> int:
        """Examples per step."""

    def batches(self, epoch: int, start: int, device: torch.device) -> AbstractContextManager[Iterator[Batch]]:
        """The batches of a pass, from batch `start` on, within a block."""


class Rates(Protocol):
    """What `steps` asks before each step: as a `Schedule` says it, or one that changes on the way."""

    @property
    def steps(self) -> int:
        """Number of optimizer steps."""

    def factor(self, step: int, /) -> float:
        """The factor on the initial learning rate at a step, from 0."""


class At(NamedTuple):  # made at every step, and faster than a frozen dataclass
    """A moment of a training: after a step, and once more where a pass ends.

    Args:
        step: Number of optimizer steps done.
        epoch: Number of the pass, from 0.
        batches: Number of steps done in that pass.
        total: Sum of the losses of those steps, shape (); reading it waits for the device.
        examples: Number of examples seen so far.
        seconds: Wall-clock seconds so far, without what was done between passes.
        is_look: Whether the loss was found to be finite: every few steps, at the last one, and where a pass ends.
        ends_pass: Whether a pass has just ended: nothing was trained since the moment before. What is done now does not
            count in `seconds`.
    """

    step: int
    epoch: int
    batches: int
    total: Tensor
    examples: int
    seconds: float
    is_look: bool
    ends_pass: bool = False

    @property
    def loss(self) -> float:
        """Mean loss of the pass so far."""
        return float(self.total) / self.batches

    @property
    def progress(self) -> Progress:
        """The same moment in plain numbers."""
        return Progress(self.step, self.epoch, self.batches, float(self.total), self.examples, self.seconds)


def steps(passes: GivesBatches, descent: Descent, schedule: Rates, start: Progress = Progress()) -> Iterator[At]:
    """Train, one optimizer step for each moment that is asked for, up to the end of the schedule.

    The end of a pass is a moment of its own, so that a training that is resumed after the last step of a pass meets it
    again.

    Args:
        passes: The passes over the data, which give the batches.
        descent: What takes the steps.
        schedule: Number of steps, and the learning rate of each.
        start: Where an interrupted training stood when network and optimizer were in their present state; what follows
            is what would have followed, bit for bit.

    Raises:
        Diverged: The loss became infinite or NaN.
        ValueError: The split is too small for a batch.
    """
    try:
        yield from _steps(passes, descent, schedule, start)
    finally:
        descent.release()


def train(
    network: nn.Module,
    task: Task,
    optimizer: torch.optim.Optimizer,
    schedule: Schedule,
    *,
    batch: int,
    seed: int = 0,
    memory_format: torch.memory_format = torch.contiguous_format,
) -> At:
    """Train a bare network on the training split, in one process, with nothing besides.

    Args:
        network: The network to train, on its device.
        task: The task, which gives batches and the loss.
        optimizer: The optimizer of the network's parameters, at the initial learning rate.
        schedule: Number of steps, and the learning rate of each.
        batch: Examples per step.
        seed: Seed of shuffling and augmentation.
        memory_format: Memory format of images on the device.

    Returns:
        The last moment: the mean loss of the last pass, the examples seen, the time it took.

    Raises:
        Diverged: The loss became infinite or NaN.
    """
    passes = Passes(task, "train", batch, lambda epoch: seeds.rng_for(seed, seeds.TRAIN, epoch))
    graphs = graphs_of(next(network.parameters()).device)
    descent = Descent(network, task, optimizer, steps=schedule.steps, memory_format=memory_format, graphs=graphs)
    for at in steps(passes, descent, schedule):
        last = at
    return last


def measure(
    network: nn.Module,
    task: Task,
    split: Split,
    memory_format: torch.memory_format = torch.contiguous_format,
    watch: Callable[[Tensor, Tensor], object] = lambda _outputs, _targets: None,
    batches_by: BatchesBy = "auto",
) -> dict[str, float]:
    """The task's metrics over a split, without augmentation; `watch` sees outputs and targets of each batch.

    On a GPU it computes in single precision without TF32, so that what is measured there is found on any device. A
    state that the network carries is the same afterwards as before. What makes the batches, `feeding.fed` says.
    """
    place = next(network.parameters()).device
    network.eval()
    with fed(task, split, evaluation_batch(task.io), None, place, batches_by=batches_by) as coming:
        return measured(network, task, coming, memory_format, watch)


def measured(
    network: nn.Module,
    task: Task,
    batches: Iterable[Batch],
    memory_format: torch.memory_format = torch.contiguous_format,
    watch: Callable[[Tensor, Tensor], object] = lambda _outputs, _targets: None,
) -> dict[str, float]:
    """The task's metrics over some batches, of the network in the mode in which it is; see `measure`."""
    place = next(network.parameters()).device
    sums: dict[str, Tensor] = {}  # read at the end: reading waits for the device
    counts: dict[str, int] = {}
    gathering = task.gathering() if isinstance(task, Gathers) else None
    with carrying.left_as_found(network), torch.inference_mode(), device.in_single_precision(place):
        for inputs, targets, _ in batches:
            outputs, targets = network(to_device(inputs, place, memory_format)), targets.to(place)
            watch(outputs, targets)
            if gathering is not None:
                gathering.add(outputs, targets)
            for name, values in task.metrics(outputs, targets).items():
                sums[name] = sums.get(name, 0.0) + values.double().sum()
                counts[name] = counts.get(name, 0) + values.numel()
    found = summing.summarized(task, {name: float(total) for name, total in sums.items()}, counts)
    return found if gathering is None else found | gathering.metrics()


def evaluation_batch(io: IO) -> int:
    """Number of examples measured at a time, 16 to 500: about as many pixels or tokens as in 500 images of 32x32."""
    return min(EVALUATION_BATCH, max(16, EVALUATION_BATCH * 32 * 32 // positions(io.input)))


def _steps(passes: GivesBatches, descent: Descent, schedule: Rates, start: Progress) -> Iterator[At]:
    step, examples, seconds = start.step, start.examples, start.seconds
    for epoch in count(start.epoch):
        begun = time.perf_counter()
        done = start.batches if epoch == start.epoch else 0
        total = torch.full((), start.total if done else 0.0, device=descent.device)
        descent.network.train()
        if not done:
            carrying.begin_anew(descent.network)
        with passes.batches(epoch, done, descent.device) as coming:
            for inputs, targets, size in coming:
                if step == schedule.steps:
                    break
                descent.set_rate(schedule.factor(step), inputs)
                total = total + descent(inputs, targets, step, size)
                step, examples, done = step + 1, examples + size, done + 1
                is_look = step % LOOK_EVERY == 0 or step == schedule.steps
                is_finite = not is_look or _is_finite(total)
                at = At(step, epoch, done, total, examples, seconds + time.perf_counter() - begun, is_look)
                if not is_finite:
                    raise _diverged(at, descent)
                yield at
        if not done:
            raise ValueError(
                f"the split {passes.split!r} gave no batch of {passes.batch} examples; give a smaller batch"
            )
        is_finite = _is_finite(total)
        seconds += time.perf_counter() - begun
        at = At(step, epoch, done, total, examples, seconds, is_look=True, ends_pass=True)
        if not is_finite:
            raise _diverged(at, descent)
        yield at
        if step == schedule.steps:
            return


def _is_finite(total: Tensor) -> bool:
    """Whether a sum of losses is finite; this waits for the device."""
    return math.isfinite(float(total))


def _diverged(at: At, descent: Descent) -> Diverged:
    return Diverged(f"the loss is {float(at.total)} at step {at.step}, learning rate {descent.rate:.4g}", at)
