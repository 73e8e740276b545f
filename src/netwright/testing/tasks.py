"""What every task must do. Call `check_task` from a test of your own."""

from __future__ import annotations

import torch

from netwright.core import seeds
from netwright.core.protocols import Split, Task

SPLITS: tuple[Split, ...] = ("train", "valid", "train+valid", "test")


def check_task(task: Task, size: int = 8) -> None:
    """Assert the contract of a task.

    Plain passes are whole and in order, shuffled ones depend on nothing but their generator; batches have the stated
    shape; the loss has a gradient and metrics are one number per example.
    """
    counts = {split: task.examples(split) for split in SPLITS}
    assert counts["train"] + counts["valid"] == counts["train+valid"]
    for split in SPLITS:
        batches = list(task.batches(split, 500, None))
        assert sum(len(targets) for _, targets in batches) == counts[split]
    state = torch.random.get_rng_state()
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
