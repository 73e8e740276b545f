"""An evaluator that counts steps, and writes down where it stands when it is to stop; a task with data somewhere."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from netwright.core.errors import PutBack
from netwright.core.protocols import SearchSpace, Task
from netwright.core.records import Result
from netwright.testing.toys import ToyTask


@dataclass(frozen=True)
class Counting:
    space: SearchSpace
    task: Task
    steps: int = 100

    def evaluate(self, trial, context):
        left = context.checkpoint_of(trial.id)
        begun_at = int((left / "step").read_text()) if left and (left / "step").exists() else 0
        for step in range(begun_at, self.steps):
            (context.folder / "step").write_text(str(step))
            context.report(step, {})
            if context.should_stop():
                raise PutBack(f"stopped at step {step}")
            time.sleep(0.01)
        return Result({"valid_accuracy": 1.0, "begun_at": begun_at})


@dataclass(frozen=True)
class Kept(ToyTask):
    whereabouts: ClassVar[tuple[str, ...]] = ("path",)

    path: str
    size: int = 1

    def prepare(self):
        yield f"prepared {self.path}"

    def fingerprint(self):
        return Path(self.path).read_text()
