"""Metrics of a split from sums over it."""

from __future__ import annotations

from collections.abc import Mapping

from netwright.core.protocols import Summarizes, Task


def summarized(task: Task, sums: Mapping[str, float], counts: Mapping[str, int]) -> dict[str, float]:
    """The metrics of a split: the task's own summary where it `Summarizes`, else means.

    Args:
        task: The task that was measured.
        sums: Sum of all elements of each of `Task.metrics`, over all batches of the split.
        counts: Number of elements of each of these sums.
    """
    if isinstance(task, Summarizes):
        return task.summary(sums, counts)
    return {name: value / counts[name] for name, value in sums.items()}
