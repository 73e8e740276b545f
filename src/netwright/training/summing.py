"""How sums over a split become metrics."""

from __future__ import annotations

from collections.abc import Mapping

from netwright.core.protocols import Summarizes, Task


def summarized(task: Task, sums: Mapping[str, float], counts: Mapping[str, int]) -> dict[str, float]:
    """The metrics of a split: as the task has it, where it `Summarizes`, else means.

    Args:
        task: That the metrics are of.
        sums: Of all elements of each of `Task.metrics`, over all batches of the split.
        counts: How many elements that were.
    """
    if isinstance(task, Summarizes):
        return task.summary(sums, counts)
    return {name: value / counts[name] for name, value in sums.items()}
