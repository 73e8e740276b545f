"""How fast this machine trains: a few real steps of a few networks, at several sizes of images and precisions.

The steps are those of a timed run's trainings: batches made and augmented like the task's, mixed, forward, backward,
optimizer, averages. Images are noise, since their content changes no time, so that sizes can be compared before any
image is decoded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from typing import Final

import numpy as np
import torch

from netwright.cells import blocks, stages
from netwright.core import refs
from netwright.core.protocols import starts_of, unwrap
from netwright.core.records import IO
from netwright.core.refs import Reference
from netwright.core.shapes import Classes, Image
from netwright.core.timetable import Precision
from netwright.data.images import ArrayPixels, ImageClassification, ImageSplits
from netwright.plans.plan import HasPlan, Plan, PlanWriter, resized
from netwright.runs.timed import timetable
from netwright.runs.timed.defaults import SPACE, TRAINING
from netwright.runs.timed.timetable import Speed
from netwright.spaces.residual import write_block
from netwright.training import cards, device, pace, resizing
from netwright.training.pace import Pace, Timing
from netwright.training.settings import StepSettings

PRECISIONS: Final[tuple[Precision, ...]] = ("float32", "bfloat16")
IMAGES: Final = 8  # batches of noise, which are a pass on the CPU
PASS: Final = 400  # steps of a pass on a card, where the end of one waits for the card and the beginning for the host


@dataclass(frozen=True)
class Patience:
    """How long measurements may take.

    Args:
        seconds: Seconds of wall clock.
        clock: Gives the seconds of a clock.
    """

    seconds: float
    clock: Callable[[], float] = time.perf_counter


def speeds(
    task: ImageClassification,
    sides: Sequence[int],
    batch: int,
    threads: int,
    patience: Patience,
    device_name: str = "auto",
) -> list[Speed]:
    """Measure, and fit a pace for each precision.

    Timings end when the patience does, but for one network at the smallest size in each precision.

    Args:
        task: The task, of which the kind of images and the augmentation are taken.
        sides: Sizes of images that are to be judged, ascending.
        batch: Images per step.
        threads: Threads of each training.
        patience: How long it may take.
        device_name: Device, as the evaluator has it.

    Returns:
        The speed at each size in each precision.
    """
    until = patience.clock() + patience.seconds
    place = device.pick(device_name, 0)
    tried = precisions(torch.cuda.get_device_capability(place) if place.type == "cuda" else None)
    measured: dict[Precision, list[Timing]] = {precision: [] for precision in tried}
    smaller = resizing.early(sized(task, sides[-1]), timetable.early_size_for(sides[-1]))
    looked_at = sorted({sides[0], sides[len(sides) // 2], sides[-1], side_of(smaller)})
    for (side, write), precision in product(product(looked_at, NETWORKS), tried):
        if measured[precision] and patience.clock() >= until:
            break
        noise = noise_of(task, side, batch, IMAGES if place.type == "cpu" else PASS)
        settings = settings_of(batch, precision)
        plan = write(noise.io)
        found = pace.measure(plan, noise, settings, device=place, threads=threads, clock=patience.clock)
        measured[precision].append(found)
    cards.leave()  # to the workers
    paces = {precision: pace.fit(found) for precision, found in measured.items()}
    return [_speed(task, side, precision, fitted, batch) for side in sides for precision, fitted in paces.items()]


def settings_of(batch: int, precision: Precision) -> StepSettings:
    """The settings of a step of a timed run's trainings, where nobody says otherwise."""
    known = {each.name for each in fields(StepSettings)}
    training = {name: value for name, value in TRAINING.items() if name in known}
    return StepSettings(**training, batch=batch, precision=precision)


def precisions(capability: tuple[int, int] | None) -> tuple[Precision, ...]:
    """Precisions that are worth measuring: on the CPU both, on a card the one that is faster there.

    Args:
        capability: Compute capability of the card; None: there is none. From (8, 0) on, it computes in bfloat16.
    """
    if capability is None:
        return PRECISIONS
    return ("bfloat16",) if capability >= (8, 0) else ("float32",)


def reference(io: IO) -> Plan:
    """The plain network of a default run, which is the one to beat in it: sizes are judged by what it costs at each."""
    space = unwrap(refs.load("space", Reference(SPACE)), HasPlan)
    assert space is not None, "the default space writes plans"
    return space.plan(starts_of(space)[0], io)


def pass_seconds(io: IO, numbers: Sequence[float], batch: int, images: int, share: float) -> float:
    """Seconds of a pass of that network over so many images, by the numbers of a pace.

    Args:
        io: What goes in and comes out.
        numbers: Those of the pace.
        batch: Images per step.
        images: Their number.
        share: Share of their sides that images have until the rate falls.
    """
    return _seconds_per_step(io, batch, Pace.of(numbers), share) * images / batch


def with_share(task: ImageClassification, speed: Speed, batch: int, share: float) -> Speed:
    """The speed where images have another share of their sides until the rate falls than they usually have."""
    seconds = _seconds_per_step(sized(task, speed.side), batch, Pace.of(speed.pace), share)
    return replace(speed, image_seconds=seconds / batch)


def _seconds_per_step(io: IO, batch: int, fitted: Pace, share: float) -> float:
    """Seconds of a step of that network, on average over a training whose images have a share of their sides first."""
    whole = reference(io)
    small = resized(whole, resizing.early(io, share).input)
    late, early = (pace.seconds_per_step(each, batch, fitted, made=io.input) for each in (whole, small))
    return timetable.COOLDOWN * late + (1 - timetable.COOLDOWN) * early


def _speed(task: ImageClassification, side: int, precision: Precision, fitted: Pace, batch: int) -> Speed:
    seconds = _seconds_per_step(sized(task, side), batch, fitted, timetable.early_size_for(side))
    return Speed(side, precision, fitted.numbers, seconds / batch)


def noise_of(task: ImageClassification, side: int, batch: int, steps: int) -> ImageClassification:
    """The task with noise of another size for images, of which a pass has so many steps; some come again in it."""
    io = sized(task, side)
    image, output = io.input, io.output
    assert isinstance(image, Image) and isinstance(output, Classes)
    count = IMAGES * batch
    rng = np.random.default_rng(0)
    pixels = ArrayPixels(rng.integers(0, 256, (count, image.height, image.width, image.channels), np.uint8))
    labels = np.arange(count) % output.number
    every = np.arange(count)
    splits = ImageSplits.of(pixels, labels, train=every, valid=every, test=every, names=str)
    splits = replace(splits, positions={**splits.positions, "train": np.arange(steps * batch) % count})
    augmentation = task.augmentation
    if side != side_of(task.io):
        augmentation = replace(augmentation, crop=None, padding=None).fitted(image.height, image.width)
    return ImageClassification(io, lambda: splits, task.classes, augmentation)


def sized(task: ImageClassification, side: int) -> IO:
    """What goes in and comes out where images have another size."""
    image = task.io.input
    assert isinstance(image, Image)
    if side == side_of(task.io):
        return task.io
    return IO(Image(image.channels, side, side), task.io.output)


def side_of(io: IO) -> int:
    """The larger side of images that go in, in pixels."""
    assert isinstance(io.input, Image)
    return max(io.input.height, io.input.width)


def _wide(io: IO) -> Plan:
    """Three residual blocks, two of small images, of many channels."""
    writer = PlanWriter(io)
    x = blocks.conv_norm_relu(writer, writer.image, 32, 3, stride=stages.reduction("3x3", io))
    for group in range(stages.fitting(3, "3x3", io)):
        x = write_block(writer, x, 32 * 2**group, stride=2 if group else 1)
    writer.linear(writer.mean(x), io.outputs)
    return writer.plan()


def _depthwise(io: IO) -> Plan:
    """A network most of whose layers work on each channel by itself."""
    writer = PlanWriter(io)
    x = blocks.conv_norm_relu(writer, writer.image, 32, 3, stride=stages.reduction("3x3", io))
    for layer in range(6):
        x = blocks.conv_norm_relu(writer, x, 32, 3, stride=2 if layer in (2, 4) else 1, groups=32)
        x = blocks.conv_norm_relu(writer, x, 32, 1)
    writer.linear(writer.mean(x), io.outputs)
    return writer.plan()


NETWORKS: Final[tuple[Callable[[IO], Plan], ...]] = (reference, _wide, _depthwise)
