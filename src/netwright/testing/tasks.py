"""What every task must do. Call `check_task` from a test of your own."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from netwright.core import seeds
from netwright.core.protocols import (
    ClassifiesImages,
    Gathers,
    OnDevice,
    Prepares,
    ShowsExamples,
    Split,
    StatesMeasures,
    StreamsBatches,
    TakesHalf,
    Task,
)
from netwright.core.records import IO
from netwright.core.shapes import Image, Tokens, dimensions, output_dimensions
from netwright.training.summing import summarized

SPLITS: tuple[Split, ...] = ("train", "valid", "train+valid", "test")


def check_task(task: Task, size: int = 8) -> None:
    """Assert the contract of a task.

    Plain passes are whole and in order; shuffled ones depend on nothing but their generator and leave an incomplete
    last batch out, unless it is the only one; batches of a task that streams continue one another instead
    (`StreamsBatches`). Batches have the stated shape; the loss has a gradient, and is in single precision where a task
    takes half precision; metrics are one number per example, or per token. A task that prepares says so in strings;
    what it states to measure is among its metrics; what it keeps of its examples are files; one that classifies images
    has int64 targets and shows the images of the test batches in their order. Batches that a device makes are those of
    the CPU, but for their draws.
    """
    if isinstance(task, Prepares):
        assert all(isinstance(line, str) for line in task.prepare())
    for split in SPLITS:
        batches = list(task.batches(split, 500, None))
        assert sum(len(targets) for _, targets in batches) == task.examples(split)
    state = torch.random.get_rng_state()
    if isinstance(task, StreamsBatches):
        _check_order(task, size)
    else:
        _check_shuffling(task, size)
    inputs, targets = next(task.batches("train", size, seeds.rng_for(0, seeds.TRAIN)))
    again, _ = next(task.batches("train", size, seeds.rng_for(0, seeds.TRAIN)))
    assert torch.equal(state, torch.random.get_rng_state()), "batches must not draw from torch's global generator"
    assert torch.equal(inputs, again)
    _check_inputs(task.io, inputs, size)
    wanted = output_dimensions(task.io.output)
    if isinstance(task.io.output, Tokens):
        wanted = (targets.shape[1], *wanted[1:])
    outputs = torch.zeros(size, *wanted, requires_grad=True)
    task.loss(outputs, targets).backward()
    assert outputs.grad is not None
    if isinstance(task, TakesHalf):
        assert task.loss(outputs.bfloat16(), targets).dtype == torch.float32
    _check_metrics(task, outputs.detach(), targets)
    if isinstance(task, ShowsExamples):
        recorder = task.recorder("train")
        recorder.add(outputs.detach(), targets)
        assert all(isinstance(name, str) and isinstance(data, bytes) for name, data in recorder.files().items())
    if isinstance(task, ClassifiesImages):
        _check_images(task)
    if isinstance(task, OnDevice):
        for split in SPLITS:
            _check_on_device(task, split, size)


def _check_shuffling(task: Task, size: int) -> None:
    """Each example is in one batch, drawn by the generator."""
    counts = {split: task.examples(split) for split in SPLITS}
    assert counts["train"] + counts["valid"] == counts["train+valid"]
    sizes = [len(targets) for _, targets in task.batches("train", size, seeds.rng_for(0, seeds.TRAIN))]
    whole = counts["train"] // size
    assert sizes == ([size] * whole or [counts["train"]]), (
        "an incomplete last batch is left out unless it is the only one"
    )
    inputs, other = (next(task.batches("train", size, seeds.rng_for(0, seeds.TRAIN, n)))[0] for n in range(2))
    assert not torch.equal(inputs, other)


def _check_order(task: Any, size: int) -> None:
    """Batches are as long as stated, each row goes on in the next batch, and targets are what follows."""
    for split, is_trained in [(split, False) for split in SPLITS] + [("train", True)]:
        rng, same = (seeds.rng_for(0, seeds.TRAIN) if is_trained else None for _ in range(2))
        batches = list(task.batches(split, size, rng))
        assert [targets.shape[1] for _, targets in batches] == list(task.lengths(split, size, same))
        assert not is_trained or {len(targets) for _, targets in batches} == {size}
        inputs, targets = (torch.cat(parts, 1) for parts in zip(*batches, strict=True))
        assert torch.equal(inputs[:, 1:], targets[:, :-1]), "rows do not go on, or targets are not what follows"


def _check_inputs(io: IO, inputs: Tensor, size: int) -> None:
    """Inputs are as stated; those of training may have another height and width, or number of steps."""
    stated = (size, *dimensions(io.input))
    known = {Image: 2, Tokens: 1}.get(type(io.input), len(stated))
    assert inputs.dim() == len(stated) and inputs.shape[:known] == stated[:known], f"inputs are {tuple(inputs.shape)}"
    assert torch.isfinite(inputs).all()
    if isinstance(io.input, Tokens):
        assert inputs.dtype == torch.int64 and inputs.min() >= 0 and inputs.max() < io.input.vocabulary


def _check_metrics(task: Task, outputs: Tensor, targets: Tensor) -> None:
    shapes = [outputs.shape[:1]] + [outputs.shape[:2]] * isinstance(task.io.output, Tokens)
    found = task.metrics(outputs, targets)
    for name, values in found.items():
        assert values.shape in shapes, f"metric {name} is not one number per example"
    sums = {name: float(values.double().sum()) for name, values in found.items()}
    measured = summarized(task, sums, {name: values.numel() for name, values in found.items()})
    if isinstance(task, Gathers) and (gathering := task.gathering()) is not None:
        gathering.add(outputs, targets)
        measured |= gathering.metrics()
    if isinstance(task, StatesMeasures):
        missing = [measure.name for measure in task.measures if measure.name not in measured]
        assert not missing, f"{missing[0]} is among the measures but not measured"


def _check_on_device(task: Any, split: Split, size: int) -> None:
    """The CPU, taken for a device, makes the batches that the task makes on the CPU, and the rest of a pass alone."""
    here = task.on_device(split, torch.device("cpu"))
    rng = (seeds.rng_for(0, seeds.TRAIN, n) for n in (3, 3, 3))
    plain = map(here.batch, here.parts(500, None))
    for (inputs, targets, _), (wanted, theirs) in zip(plain, task.batches(split, 500, None), strict=True):
        assert torch.equal(targets, theirs) and torch.allclose(inputs, wanted, atol=1e-4), "of another order or content"
    whole = list(map(here.batch, here.parts(size, next(rng))))
    wanted_targets = [targets for _, targets in task.batches(split, size, next(rng))]
    assert len(whole) == len(wanted_targets)
    assert all(torch.equal(found, wanted) for (_, found, _), wanted in zip(whole, wanted_targets, strict=True))
    rest = list(map(here.batch, here.parts(size, next(rng), None, 1)))
    assert len(rest) == len(whole) - 1
    assert all(torch.equal(one, other) for (one, _, _), (other, _, _) in zip(rest, whole[1:], strict=True))


def _check_images(task: Any) -> None:
    how, start = task.preprocessing(), 0
    assert len(how.classes) == task.io.outputs
    for inputs, targets in task.batches("test", 500, None):
        assert targets.dtype == torch.int64
        positions = range(start, start + len(targets))
        pixels = task.pixels("test", positions)
        assert pixels.dtype == np.uint8
        assert len(task.names("test", positions)) == len(targets)
        expected = torch.from_numpy((pixels / 255 - how.mean) / how.sd).permute(0, 3, 1, 2)
        assert torch.allclose(inputs.double(), expected, atol=1e-3), (
            "pixels are not those of the batches, in their order"
        )
        start += len(targets)
