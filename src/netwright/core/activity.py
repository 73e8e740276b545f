"""What a worker's last report says, as the one line that stands in the table: "step 40 of 100, train_loss 0.31"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

STEPS: Final = "steps"  # metric of reports: how many steps the trial is planned to take in all
MOST: Final = 4  # metrics in a line
NAME: Final = 50  # characters of a metric's name
_LINE: Final = re.compile(r"step (\d{1,18})(?: of (\d{1,18}))?((?:, .+? \S+)*)", re.DOTALL)


@dataclass(frozen=True)
class Activity:
    """How far a trial is.

    Args:
        step: Number of steps done.
        total: Number of steps planned; None: it is not known.
        values: What was measured there, by name, to six digits.
    """

    step: int
    total: int | None
    values: Mapping[str, float]


def of_report(step: int, metrics: Mapping[str, float]) -> Activity:
    """What a report of an evaluator says."""
    values = {name: value for name, value in metrics.items() if name != STEPS}
    return Activity(step, int(metrics[STEPS]) if STEPS in metrics else None, values)


def written(activity: Activity) -> str:
    """The line, with the first few of the values."""
    total = "" if activity.total is None else f" of {activity.total}"
    listed = list(activity.values.items())[:MOST]
    return f"step {activity.step}{total}{''.join(f', {name[:NAME]} {value:.6g}' for name, value in listed)}"


def read(line: str) -> Activity | None:
    """What a line says; None: it says nothing of steps. Whatever stands in a table can be given."""
    found = _LINE.fullmatch(line)
    if not found:
        return None
    step, total, rest = found.groups()
    values = {}
    for part in filter(None, rest.split(", ")):
        name, _, number = part.rpartition(" ")
        try:
            values[name] = float(number)
        except ValueError:  # a name with a comma in it, or a line that was cut
            continue
    return Activity(int(step), None if total is None else int(total), values)
