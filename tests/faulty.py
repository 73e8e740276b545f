"""Evaluators that go wrong in every way we know of; workers find them as `tests.faulty:Evaluator`."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Literal

from netwright.core.protocols import SearchSpace, Task
from netwright.core.records import Result
from netwright.testing.toys import ToySpace


class OutOfMemoryError(RuntimeError):
    """Called as torch's own is."""


@dataclass(frozen=True)
class Evaluator:
    """Goes wrong at every trial whose id is a multiple of `every`; else answers 1."""

    space: SearchSpace
    task: Task
    fault: Literal["raise", "die", "die_once", "hang", "silent", "nan", "none", "text", "memory", "print"] = "raise"
    every: int = 2

    def evaluate(self, trial, context):
        good = Result({"valid_accuracy": 1.0, "pid": os.getpid()})
        if trial.id % self.every:
            return good
        return getattr(self, f"_{self.fault}")(trial, context) or good

    def _raise(self, trial, context):
        raise ValueError(f"no good: {trial.id}")

    def _die(self, trial, context):
        os.kill(os.getpid(), signal.SIGKILL)

    def _die_once(self, trial, context):
        mark = context.folder / "died"
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def _hang(self, trial, context):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        subprocess.Popen([sys.executable, "-c", f"import time; time.sleep(600)  # {context.folder}"])
        while context.report(1, {}):
            time.sleep(0.01)

    def _silent(self, trial, context):
        context.report(1, {})
        time.sleep(600)

    def _nan(self, trial, context):
        return Result({"valid_accuracy": float("nan")}, ((1, float("inf")),))

    def _none(self, trial, context):
        return Result({"valid_accuracy": None})

    def _text(self, trial, context):
        return "0.9"

    def _memory(self, trial, context):
        raise OutOfMemoryError("tried to allocate 80 GiB")

    def _print(self, trial, context):
        print("x" * 5_000_000)


class Refusing(ToySpace):
    """A plug-in that cannot be constructed."""

    def __init__(self):
        raise ValueError("never")
