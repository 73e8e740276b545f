"""What every task must do. Call `check_task` from a test of your own."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from netwright.core import seeds
from netwright.core.protocols import ClassifiesImages, Prepares, Split, Task

SPLITS: tuple[Split, ...] = ("train", "valid", "train+valid", "test")


def check_task(task: Task, size: int = 8) -> None:
    """Assert the contract of a task.

    Plain passes are whole and in order; shuffled ones depend on nothing but their generator and leave an incomplete
    last batch out, unless it is the only one; batches have the stated shape; the loss has a gradient and metrics are
    one number per example. A task that prepares says so in strings; one that classifies images has int64 targets and
    shows the images of the test batches in their order.
    """
    if isinstance(task, Prepares):
        assert all(isinstance(line, str) for line in task.prepare())
    counts = {split: task.examples(split) for split in SPLITS}
    assert counts["train"] + counts["valid"] == counts["train+valid"]
    for split in SPLITS:
        batches = list(task.batches(split, 500, None))
        assert sum(len(targets) for _, targets in batches) == counts[split]
    state = torch.random.get_rng_state()
    sizes = [len(targets) for _, targets in task.batches("train", size, seeds.rng_for(0, seeds.TRAIN))]
    whole = counts["train"] // size
    assert sizes == ([size] * whole or [counts["train"]]), (
        "an incomplete last batch is left out unless it is the only one"
    )
    inputs, targets = next(task.batches("train", size, seeds.rng_for(0, seeds.TRAIN)))
    again, _ = next(task.batches("train", size, seeds.rng_for(0, seeds.TRAIN)))
    other, _ = next(task.batches("train", size, seeds.rng_for(0, seeds.TRAIN, 1)))
    assert torch.equal(state, torch.random.get_rng_state()), "batches must not draw from torch's global generator"
    assert torch.equal(inputs, again)
    assert not torch.equal(inputs, other)
    assert inputs.shape[:2] == (size, task.io.channels)
    assert torch.isfinite(inputs).all()
    outputs = torch.zeros(size, task.io.outputs, requires_grad=True)
    task.loss(outputs, targets).backward()
    assert outputs.grad is not None
    for name, values in task.metrics(outputs.detach(), targets).items():
        assert values.shape == (size,), f"metric {name} is not one number per example"
    if isinstance(task, ClassifiesImages):
        _check_images(task)


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
