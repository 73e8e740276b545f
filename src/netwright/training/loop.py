"""One readable loop that trains a network on a task, and one that measures it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import count, islice

import numpy as np
import torch
from torch import Tensor, nn

from netwright.core.protocols import Split, Task
from netwright.core.records import IO
from netwright.core.shapes import positions
from netwright.training.ahead import ahead
from netwright.training.descent import Descent, to_device
from netwright.training.parallel import ALONE, Team
from netwright.training.summing import summarized

LOOK_EVERY = 20  # steps between looks at the loss: a look waits for the device
EVALUATION_BATCH = 500  # of 32x32 pixels, fewer of larger ones


class Diverged(Exception):
    """The loss is not finite any more: says the step and the learning rate."""


class Stopped(Exception):
    """Whoever watches asked to stop."""


@dataclass(frozen=True)
class Progress:
    """Where a training stands, between two steps.

    Args:
        step: Optimizer steps done.
        epoch: The pass over the data, from 0.
        batches: Steps done of that pass.
        total: Sum of their losses.
        images: Seen so far.
        seconds: Wall clock so far, without `on_epoch`.
    """

    step: int = 0
    epoch: int = 0
    batches: int = 0
    total: float = 0.0
    images: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Trained:
    """What training tells: mean loss of the last pass, images seen, seconds of wall clock without `on_epoch`."""

    train_loss: float
    images: int
    seconds: float


def train(
    network: nn.Module,
    task: Task,
    optimizer: torch.optim.Optimizer,
    *,
    split: Split,
    steps: int,
    batch: int,
    factor: Callable[[int], float],
    rng_of_epoch: Callable[[int], np.random.Generator],
    on_epoch: Callable[[int, float], bool],
    memory_format: torch.memory_format = torch.contiguous_format,
    descent: Callable[[Tensor, Tensor, int, int], Tensor] | None = None,
    team: Team = ALONE,
    accumulate: int = 1,
    on_look: Callable[[int, float], bool] = lambda _step, _loss: True,
    start: Progress = Progress(),
    is_due: Callable[[int], bool] = lambda _step: False,
    save: Callable[[Progress], None] = lambda _progress: None,
) -> Trained:
    """Train for `steps` steps.

    Args:
        network: On the device to train on.
        task: Gives batches and the loss.
        optimizer: Over the network's parameters, at the initial learning rate.
        split: To train on.
        steps: Of the optimizer.
        batch: Examples per step.
        factor: On the initial learning rate, at each step.
        rng_of_epoch: Shuffles and augments pass 0, 1, ...
        on_epoch: Told the steps done and the mean loss of the pass, after each; False: stop.
        memory_format: Of the images on the device.
        descent: Takes this process's part of a batch, the number of the step and the size of the batch, steps, and
            tells the mean loss; None: `Descent` by a plain recipe.
        team: The processes that train together; the first one's `on_epoch` and `on_look` decide for all.
        accumulate: In how many parts `descent` works through a batch.
        on_look: Told the steps done and the mean loss of the pass so far, every few steps; False: stop.
        start: Where an interrupted training stood when network and optimizer were in their present state; what
            follows is what would have followed, bit for bit.
        is_due: Told the steps done, after each; whether to save.
        save: Called then.

    Raises:
        Diverged: The loss became infinite or no number.
        Stopped: `on_epoch` or `on_look` said so.
    """
    device = next(network.parameters()).device
    rates = [group["lr"] for group in optimizer.param_groups]
    if descent is None:
        descent = Descent(network, task, optimizer, steps=steps, memory_format=memory_format)
    network.train()
    seconds, step, images = start.seconds, start.step, start.images
    for epoch in count(start.epoch):
        begun = time.perf_counter()
        done = start.batches if epoch == start.epoch else 0
        total = torch.full((), start.total if done else 0.0, device=device)
        batches = islice(team.batches(task, split, batch, rng_of_epoch(epoch), accumulate), done, None)
        # on the CPU, a thread would take from the training what it gives
        with nullcontext(batches) if device.type == "cpu" else ahead(batches) as coming:
            for inputs, targets, size in coming:
                if step == steps:
                    break
                for group, rate in zip(optimizer.param_groups, rates, strict=True):
                    group["lr"] = rate * factor(step)
                total += descent(inputs, targets, step, size)
                step, images, done = step + 1, images + size, done + 1
                if step % LOOK_EVERY == 0 or step == steps:
                    loss_so_far = _check_finite(total, step, optimizer) / done
                    if not team.agree(on_look(step, loss_so_far)):
                        raise Stopped(f"stopped at step {step}")
                if is_due(step):
                    save(Progress(step, epoch, done, float(total), images, seconds + time.perf_counter() - begun))
        if not done:
            raise ValueError(f"the split {split!r} gave no batch of {batch} examples; give a smaller batch")
        loss_of_pass = _check_finite(total, step, optimizer) / done
        seconds += time.perf_counter() - begun
        if not team.agree(on_epoch(step, loss_of_pass)):
            raise Stopped(f"stopped at step {step}")
        if step == steps:
            return Trained(loss_of_pass, images, seconds)
    raise AssertionError("unreachable: count() does not end")


@torch.inference_mode()
def measure(
    network: nn.Module,
    task: Task,
    split: Split,
    memory_format: torch.memory_format = torch.contiguous_format,
    watch: Callable[[Tensor, Tensor], None] = lambda _outputs, _targets: None,
) -> dict[str, float]:
    """The task's metrics over a split, without augmentation; `watch` sees outputs and targets."""
    device = next(network.parameters()).device
    network.eval()
    sums: dict[str, Tensor] = {}
    counts: dict[str, int] = {}
    for inputs, targets in task.batches(split, evaluation_batch(task.io), None):
        outputs, targets = network(to_device(inputs, device, memory_format)), targets.to(device)
        found = task.metrics(outputs, targets)
        watch(outputs, targets)
        for name, values in found.items():
            sums[name] = sums.get(name, torch.zeros((), dtype=torch.float64)) + values.double().sum().cpu()
            counts[name] = counts.get(name, 0) + values.numel()
    return summarized(task, {name: float(value) for name, value in sums.items()}, counts)


def evaluation_batch(io: IO) -> int:
    """How many inputs are measured at a time: as many as have about the pixels of 500 of 32x32, 16 to 500."""
    return min(EVALUATION_BATCH, max(16, EVALUATION_BATCH * 32 * 32 // positions(io.input)))


def _check_finite(total: Tensor, step: int, optimizer: torch.optim.Optimizer) -> float:
    value = float(total)
    if not math.isfinite(value):
        raise Diverged(f"the loss is {value} at step {step}, learning rate {optimizer.param_groups[0]['lr']:.4g}")
    return value
