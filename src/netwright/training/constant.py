"""How well a constant answer does on a task: what every result is compared with.

A task that `HasBaselines` says so itself. Of any other whose targets are classes or numbers it is found out here: the
shares of the classes, or the mean of the targets, are handed to the task's own metrics as if a network had given them.
"""

from __future__ import annotations

from collections import Counter, defaultdict

import torch
from torch import Tensor

from netwright.core.baselines import Baseline
from netwright.core.objectives import Objective
from netwright.core.protocols import HasBaselines, Split, StatesMeasures, Task
from netwright.core.shapes import Classes, Numbers, output_dimensions
from netwright.training.loop import evaluation_batch
from netwright.training.summing import summarized


def baselines(task: Task, split: Split) -> tuple[Baseline, ...]:
    """Metrics of the best constant answer on a split; empty where the task's targets tell of none.

    Names have no split yet. Of a task that does not say it itself, the targets of the split are passed over twice.
    """
    if isinstance(task, HasBaselines):
        return task.baselines(split)
    if not isinstance(task, StatesMeasures):
        return ()
    kind, answer = task.io.output, _answer(task, split)
    if answer is None:
        return ()
    sums, counts = defaultdict[str, float](float), Counter[str]()
    with torch.inference_mode():
        for _, targets in task.batches(split, evaluation_batch(task.io), None):
            for name, values in task.metrics(answer.expand(len(targets), *answer.shape), targets).items():
                sums[name] += float(values.double().sum())
                counts[name] += values.numel()
    found = summarized(task, sums, counts)
    words = "the shares of the classes alone give" if isinstance(kind, Classes) else "always answering the mean gives"
    return tuple(_baseline(each, found[each.name], words) for each in task.measures if each.name in found)


def _baseline(measure: Objective, value: float, answer: str) -> Baseline:
    return Baseline(measure.name, value, f"{answer} {measure.text(value)}")


def _answer(task: Task, split: Split) -> Tensor | None:
    """Logits of the shares of the classes, shape (classes,), or the mean of the targets; None: they are neither."""
    kind, shape = task.io.output, output_dimensions(task.io.output)
    total: Tensor | None = None
    examples = 0
    for _, targets in task.batches(split, evaluation_batch(task.io), None):
        if isinstance(kind, Classes) and targets.dtype == torch.int64 and targets.dim() == 1:
            part = torch.bincount(targets, minlength=task.io.outputs).double()
        elif isinstance(kind, Numbers) and targets.is_floating_point() and targets.shape[1:] == torch.Size(shape):
            part = targets.double().sum(0)
        else:
            return None
        total = part if total is None else total + part
        examples += len(targets)
    if total is None or not examples:
        return None
    mean = total / examples
    return (mean.clamp(min=1e-12).log() if isinstance(kind, Classes) else mean).float()
