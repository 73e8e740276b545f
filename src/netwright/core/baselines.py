"""What a result must be compared with: how well an answer does that never looks at its input.

Nine in ten are right where nine in ten images are of one class and it is named always. So this value stands beside
every result that people see, and a result that is no better is called so.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from netwright.core.objectives import Objective

ROUNDING = 1e-6  # relative: by which the mean of equal numbers may differ from them


@dataclass(frozen=True, slots=True)
class Baseline:
    """A metric of the best answer that is the same for every input.

    Args:
        name: Name of the metric; a task's have no split yet ("accuracy").
        value: Its value for that answer, in the unit of the metric.
        words: What stands beside a result, as in "the largest class is 90.00 % of it".
        verdict: What a result is called that is no better, as in "no better than naming it always".
    """

    name: str
    value: float
    words: str
    verdict: str = "no better than that"

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ValueError(f"the value of a baseline must be finite, got {self.value}")

    def on(self, split: str) -> Baseline:
        """The same as the metric is called on a split: "accuracy" becomes "valid_accuracy"."""
        return replace(self, name=f"{split}_{self.name}")


def failing(objective: Objective, value: float, baselines: Sequence[Baseline]) -> str:
    """What a value is called that is no better than a constant answer, with what that gives; "" for any other."""
    found = _of(objective, baselines)
    return "" if found is None or _is_better(objective, value, found) else f"{found.verdict} ({found.words})"


def note(objective: Objective, value: float, baselines: Sequence[Baseline]) -> str:
    """What a measured value is to be compared with, and whether it is no better; "" where that is not known."""
    found = _of(objective, baselines)
    if found is None:
        return ""
    return found.words if _is_better(objective, value, found) else f"{found.words}: {found.verdict}"


def beside(objective: Objective, value: float, baselines: Sequence[Baseline] = ()) -> str:
    """What stands beside the best, in brackets: which way is better, and what the value is to be compared with."""
    known = note(objective, value, baselines)
    return f"({objective.direction}; {known})" if known else f"({objective.direction})"


def _of(objective: Objective, baselines: Sequence[Baseline]) -> Baseline | None:
    return next((each for each in baselines if each.name == objective.name), None)


def _is_better(objective: Objective, value: float, than: Baseline) -> bool:
    return objective.score(value) - objective.score(than.value) > ROUNDING * max(abs(than.value), ROUNDING)


def to_json(baselines: Sequence[Baseline]) -> str:
    """Baselines as text, for a table to remember; `remembered.baselines` reads it."""
    return json.dumps([asdict(each) for each in baselines])
