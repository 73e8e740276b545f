"""An evaluator that takes memory until there is no more; workers find it as `tests.hungry:Evaluator`."""

import os
import resource
import time
from dataclasses import dataclass, replace

import numpy as np
import psutil

from netwright.core import resources
from netwright.core.protocols import SearchSpace, Task
from netwright.core.records import Result

MB = 10**6


@dataclass(frozen=True)
class Evaluator:
    """Trial n takes (n - 1) times 100 MB for a whole batch; all trials at work may have `most` MB together.

    Trial 1 goes on until memory has run out, so that the next one is not alone.
    """

    space: SearchSpace
    task: Task
    most: int = 150
    group: str = ""  # folder of a control group of the kernel's, which then says how much there is
    parts: int = 1

    def in_more_parts(self, parts, genotype):
        return replace(self, parts=self.parts * parts)

    def memory_mb(self, genotype):
        return 5_300.0

    def evaluate(self, trial, context):
        place = context.folder.parent.parent / "running"
        place.mkdir(exist_ok=True)
        own = place / f"{os.getpid()}"
        own.touch()
        try:
            if self.group:
                with open(f"{self.group}/cgroup.procs", "w") as file:
                    file.write(str(os.getpid()))
            else:
                others = [
                    name for name in os.listdir(place) if int(name) != os.getpid() and psutil.pid_exists(int(name))
                ]
                limit = psutil.Process().memory_info().vms + self.most * MB // (1 + len(others))
                resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
            while (
                trial.id == 1 and not self.group and not (place.parent / resources.FOLDER / resources.RAN_OUT).exists()
            ):
                context.report(1, {})
                time.sleep(0.02)
            taken = np.ones((trial.id - 1) * 100 * MB // self.parts, np.uint8)
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            return Result({"valid_accuracy": 1.0, "bytes": len(taken), "parts": self.parts})
        finally:
            own.unlink()
