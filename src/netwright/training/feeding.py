"""How batches come to a training: made by the task on the CPU, or by the device itself where the task lets it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from itertools import islice
from typing import Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from netwright.core.protocols import OnDevice, Split, Task
from netwright.training.ahead import ahead
from netwright.training.parallel import ALONE, Team

BatchesBy = Literal["auto", "host", "device"]
Batch = tuple[Tensor, Tensor, int]

T = TypeVar("T")


@contextmanager
def fed(
    task: Task,
    split: Split,
    size: int,
    rng: np.random.Generator | None,
    device: torch.device,
    *,
    batches_by: BatchesBy = "auto",
    team: Team = ALONE,
    accumulate: int = 1,
    start: int = 0,
) -> Iterator[Iterator[Batch]]:
    """One pass over a split: this process's share of the inputs and targets of each batch, and the whole batch's size.

    What the host does for a batch, a thread does ahead where another device trains. On the CPU, the thread would take
    as much time from the training as it saves.

    Args:
        task: The task.
        split: The split.
        size: Examples in a batch.
        rng: Source of order and augmentation; None: examples come in order and plain.
        device: What works on the batches. Those that the task made on the CPU are still there.
        batches_by: What makes the batches: "device": the device, where the task is `OnDevice`; "host": the CPU, as
            `Task.batches` does; "auto": the device, unless it is the CPU. Both make the same batches, of other draws.
        team: The processes that share each batch.
        accumulate: Number of parts in which a batch is worked through.
        start: Number of batches to leave out, as they were used before.
    """
    is_by_device = batches_by == "device" or (batches_by == "auto" and device.type != "cpu")
    if is_by_device and isinstance(task, OnDevice):
        here = task.on_device(split, device)
        shares = None if team.size == 1 else partial(team.shares, accumulate=accumulate)
        with _ahead(here.parts(size, rng, shares, start), is_wanted=_waits(device) and not here.is_resident) as parts:
            yield map(here.batch, parts)
        return
    batches = islice(team.batches(task, split, size, rng, accumulate), start, None)
    with _ahead(map(_pinned, batches) if device.type == "cuda" else batches, is_wanted=_waits(device)) as coming:
        yield coming


def _waits(device: torch.device) -> bool:
    return device.type != "cpu"


def _ahead(items: Iterator[T], *, is_wanted: bool) -> AbstractContextManager[Iterator[T]]:
    return ahead(items) if is_wanted else nullcontext(items)


def _pinned(batch: Batch) -> Batch:
    """A batch in memory from which a GPU copies while the host goes on."""
    inputs, targets, size = batch
    return inputs.pin_memory(), targets.pin_memory(), size
