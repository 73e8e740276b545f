"""How long a step of a training takes: numbers that were fitted to a few measured steps, and what they say of any plan.

With a pace, budgets count seconds. A number of steps then follows from the plan and the pace alone, never from a clock,
so that the same pace gives the same training again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import count, pairwise
from statistics import median
from typing import NamedTuple, Self

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import nnls
from torch import Tensor

from netwright.core.errors import BadReference
from netwright.core.protocols import Split, Task
from netwright.core.records import Counts
from netwright.core.shapes import IO, Image, Numbers, Shape, Tokens, dimensions, positions, size
from netwright.plans import network
from netwright.plans.operation import FLOAT
from netwright.plans.plan import Plan, is_auxiliary
from netwright.training import captured, layout, loop
from netwright.training import device as devices
from netwright.training import settings as step_settings
from netwright.training.descent import Descent
from netwright.training.loop import At, Passes, Schedule
from netwright.training.settings import StepSettings

DISCARDED, MEASURED = 2, 5  # steps
LANES = 8  # channels that are worked through at once
SPANS = 3  # of steps that are measured on a card
SPAN_SECONDS = 0.25  # of each, at least: beside it, waiting for the card at its ends is nothing
ENDLESS = 2**31  # steps
RATE = 1e-6  # times the learning rate, in steps that are measured and train nothing


class Costs(NamedTuple):
    """What a step costs, counted.

    Args:
        dense: Multiply-adds of whole convolutions and linear layers.
        grouped: Multiply-adds of convolutions whose channels are in groups, each of which costs far more.
        bytes: Bytes that layers read and write, weights aside, in single precision. Channels count in whole eights, as
            a core takes them: 6 cost as much as 8.
        inputs: Bytes of the examples, which have to be fetched and augmented.
        weights: Trainable parameters, each of which has a gradient and is moved, whatever the batch.
        layers: Number of layers.
        steps: 1.
    """

    dense: float = 0.0
    grouped: float = 0.0
    bytes: float = 0.0
    inputs: float = 0.0
    weights: float = 0.0
    layers: float = 0.0
    steps: float = 1.0


@dataclass(frozen=True)
class Pace:
    """Seconds for each unit of `Costs`, on one kind of worker and in one precision."""

    dense: float
    grouped: float
    bytes: float
    inputs: float
    weights: float
    layers: float
    steps: float

    @classmethod
    def of(cls, numbers: Sequence[float]) -> Self:
        """A pace from its numbers, as options and files hold them. Raises BadReference for numbers that are none."""
        wanted = len(Costs._fields)
        if len(numbers) != wanted or not all(0 <= number < np.inf for number in numbers) or not any(numbers):
            raise BadReference(
                f"evaluator.pace is {list(numbers)}; it has {wanted} numbers of at least 0, not all 0: seconds for "
                f"each unit of {', '.join(Costs._fields)}, as training.pace fits them"
            )
        return cls(*map(float, numbers))

    @property
    def numbers(self) -> tuple[float, ...]:
        """Inverse of `of`."""
        return tuple(getattr(self, name) for name in Costs._fields)

    def seconds(self, costs: Costs) -> float:
        """Seconds of a step that costs this much; more than 0."""
        return max(1e-9, sum(number * cost for number, cost in zip(self.numbers, costs, strict=True)))


# a core in single precision; where measurements are few, a pace is in such proportions
USUAL = Pace(2.5e-11, 1.5e-10, 2e-10, 5e-10, 8e-9, 1e-4, 1e-3)


def costs(plan: Plan, batch: int, *, auxiliary: bool = False, made: Shape | None = None) -> Costs:
    """What a step of a plan's network costs at a number of examples per step, with or without its auxiliary head.

    `made`: the shape in which examples are made, where they are resized before the network reads them.
    """
    dense = grouped = moved = weights = layers = 0
    for layer in plan[1:]:
        if is_auxiliary(layer) and not auxiliary:
            continue
        entering = [plan[source].shape for source in layer.inputs]
        multiply_adds = layer.op.multiply_adds(*entering)
        if layer.op.is_grouped:
            grouped += multiply_adds
        else:
            dense += multiply_adds
        moved += FLOAT * sum(map(_padded, (layer.shape, *entering)))
        weights += layer.op.params(*entering)
        layers += 1
    inputs = FLOAT * size(made or plan[0].shape)
    return Costs(batch * dense, batch * grouped, batch * moved, batch * inputs, weights, layers)


def _padded(shape: Shape) -> int:
    """Numbers of a tensor, with channels in whole eights."""
    return positions(shape) * -(-shape.channels // LANES) * LANES if isinstance(shape, Image) else size(shape)


def costs_of_counts(counts: Counts, io: IO, batch: int) -> Costs:
    """What is known of the costs of a step where a space writes no plans."""
    return Costs(dense=batch * counts.multiply_adds, inputs=batch * FLOAT * size(io.input), weights=counts.params)


def seconds_per_step(plan: Plan, batch: int, pace: Pace, *, made: Shape | None = None) -> float:
    """Seconds of a step of a plan's network at a number of examples per step; `made` is as in `costs`."""
    return pace.seconds(costs(plan, batch, made=made))


@dataclass(frozen=True)
class Timing:
    """Seconds that a step took which cost so much."""

    costs: Costs
    seconds: float


def fit(measurements: Sequence[Timing], *, trust: float = 0.03) -> Pace:
    """The pace whose relative errors over the measurements are least, in squares; no number is below 0.

    Args:
        measurements: Measured steps, at least one; the more they differ in what they cost, the better.
        trust: Weight of `USUAL`, scaled to the measurements, beside one measurement; it decides what they leave open.

    Raises:
        ValueError: There are no measurements, or one has no positive finite time.
    """
    if not measurements or not all(0 < each.seconds < np.inf for each in measurements):
        raise ValueError("a pace is fitted to measurements of more than 0 seconds, at least one")
    usual = np.array(USUAL.numbers)
    # unknowns: factors on the usual numbers
    counted = np.array([each.costs for each in measurements]) * usual
    seconds = np.array([each.seconds for each in measurements])
    scale = median(seconds / counted.sum(1))
    rows = np.concatenate([counted / seconds[:, None], np.eye(len(usual)) * trust / scale])
    factors, _ = nnls(rows, np.concatenate([np.ones(len(seconds)), np.full(len(usual), trust)]))
    return Pace(*(factors * usual).tolist())


@dataclass(frozen=True)
class Noise:
    """A task of random examples, to measure steps with where no data has been made ready."""

    io: IO

    def examples(self, split: Split) -> int:  # noqa: ARG002
        """Any number."""
        return 2**31

    def batches(self, split: Split, size: int, rng: np.random.Generator | None) -> Iterator[tuple[Tensor, Tensor]]:  # noqa: ARG002
        """The same random batch for ever."""
        shape, kind = (size, *dimensions(self.io.input)), self.io.output
        generator = torch.Generator().manual_seed(0)
        entering = self.io.input
        inputs = (
            torch.randint(entering.vocabulary, shape, generator=generator)
            if isinstance(entering, Tokens)
            else torch.randn(shape, generator=generator)
        )
        if isinstance(kind, Numbers):
            targets = torch.randn((size, kind.number), generator=generator)
        else:
            labels = (size, kind.steps) if isinstance(kind, Tokens) else (size,)
            classes = kind.vocabulary if isinstance(kind, Tokens) else kind.number
            targets = torch.randint(classes, labels, generator=generator)
        while True:
            yield inputs, targets

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Cross entropy, or the mean squared error of numbers."""
        if isinstance(self.io.output, Numbers):
            return F.mse_loss(outputs, targets)
        return F.cross_entropy(outputs.flatten(0, -2), targets.flatten())

    def metrics(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:  # noqa: ARG002
        """None."""
        return {}


def measure(
    plan: Plan,
    task: Task,
    settings: StepSettings = StepSettings(),
    *,
    device: torch.device = torch.device("cpu"),
    threads: int = 1,
    steps: int = MEASURED,
    clock: Callable[[], float] = time.perf_counter,
) -> Timing:
    """Take a few real steps of a plan's network on this machine: data, forward, backward and optimizer; their median.

    On a card they are those of `loop.steps`, timed in spans of as many as take a while, once they are recorded.

    Args:
        plan: The layers of the network.
        task: Task whose batches and loss are taken, or `Noise` of its `io`, which needs no data.
        settings: Settings of a step; batch, precision, optimizer and auxiliary head are what takes time.
        device: Where to train.
        threads: Number of threads, as trials will have them.
        steps: Number of steps that are measured on the CPU, after a few that are not.
        clock: Gives the seconds.
    """
    counted = costs(plan, settings.batch, auxiliary=settings.auxiliary > 0)
    with devices.working(device, threads, settings.deterministic):
        if device.type != "cpu":
            with closing(trained(plan, task, settings, device)) as moments:
                return Timing(counted, between_looks(moments, clock, lambda: torch.accelerator.synchronize(device)))
        descent = _descent(plan, task, settings, device)
        descent.set_rate(RATE)
        descent.network.train()
        batches = (each for epoch in count() for each in task.batches("train", settings.batch, _rng(epoch)))
        taken = [_seconds(descent, batches, step, clock) for step in range(DISCARDED + steps)]
    return Timing(counted, median(taken[DISCARDED:]))


def trained(plan: Plan, task: Task, settings: StepSettings, device: torch.device) -> Generator[At, None, None]:
    """Steps of a plan's network without end, by the loop of every training, so that they are the same steps."""
    passes = Passes(task, "train", settings.batch, _rng, accumulate=settings.accumulate)
    yield from loop.steps(passes, _descent(plan, task, settings, device), Schedule(ENDLESS, lambda _step: RATE))


def between_looks(
    moments: Iterator[At],
    clock: Callable[[], float],
    wait: Callable[[], object],
    spans: int = SPANS,
    least: float = SPAN_SECONDS,
) -> float:
    """Seconds of a step, by the time from a look to a later one; their median.

    A look at every step would make the device wait for the processor, which prepares many steps ahead. What comes
    before the first look (compiling, choosing algorithms, capturing graphs) is left out.

    Args:
        moments: The moments of a training.
        clock: Gives the seconds.
        wait: Waits until the device has done what it was given.
        spans: Number of spans that are measured.
        least: Seconds of a span; it ends at the first look at which they are over.
    """
    seen: list[tuple[int, float]] = []
    for at in moments:
        if at.is_look and not at.ends_pass:
            wait()
            now = clock()
            if not seen or now - seen[-1][1] >= least:
                seen.append((at.step, now))
        if len(seen) > spans:
            break
    return median((end - begin) / (last - first) for (first, begin), (last, end) in pairwise(seen))


def _descent(plan: Plan, task: Task, settings: StepSettings, device: torch.device) -> Descent:
    net = network.build(plan, np.random.default_rng(0))
    memory_format = layout.of("auto", net, device, settings.precision_on(device))
    net = net.to(device, memory_format=memory_format)
    optimizer = step_settings.optimizer(settings, net)
    return Descent(
        net,
        task,
        optimizer,
        settings,
        steps=ENDLESS,
        memory_format=memory_format,
        graphs=captured.graphs_of(device),
    )


def _seconds(
    descent: Descent, batches: Iterator[tuple[Tensor, Tensor]], step: int, clock: Callable[[], float]
) -> float:
    """Seconds of a step."""
    began = clock()
    inputs, targets = next(batches)
    float(descent(inputs, targets, step, len(targets)))  # which waits for the device
    return clock() - began


def _rng(epoch: int) -> np.random.Generator:
    return np.random.default_rng(epoch)
