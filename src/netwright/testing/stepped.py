"""An evaluator whose every step can be interrupted and shows it: what `chaos` measures with. It needs no torch."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass
from typing import ClassVar

from netwright.core import files, seeds
from netwright.core.errors import PutBack
from netwright.core.objectives import Objective
from netwright.core.protocols import Context, SearchSpace, Task
from netwright.core.records import Result, Trial

CHECKPOINT = "steps.json"


@dataclass(frozen=True)
class SteppedEvaluator:
    """Scores a genotype by its genes and by a chain of numbers, one a step, with a checkpoint after each.

    A step that is done twice, left out, or taken from another trial's checkpoint changes the score. Nothing but the
    genotype and the trial's seed enters it, so that whoever measures it again finds the same bits.

    Args:
        space: The space, as ToySpace.
        task: Not used; part of the protocol.
        steps: Number of steps.
        seconds: Mean duration of a trial, in seconds; each takes between half and one and a half times as long.
        leaves: Every so many trials one starts a process that would outlive it, in a session of its own; 0: none does.
    """

    space: SearchSpace
    task: Task
    steps: int = 3
    seconds: float = 0.0
    leaves: int = 0
    measures: ClassVar[tuple[Objective, ...]] = (Objective("valid_accuracy", shown="share"),)

    def evaluate(self, trial: Trial, context: Context) -> Result:
        """Go on from the checkpoint, if there is one.

        Raises:
            PutBack: The worker asked to stop; the step that was reached is written down.
            ValueError: The checkpoint is another trial's.
        """
        if self.leaves and trial.id % self.leaves == 0:
            subprocess.Popen(["sleep", "600"], start_new_session=True)
        path = context.folder / CHECKPOINT
        step, number = 0, trial.seed
        if path.exists():
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["seed"] != trial.seed:
                raise ValueError(f"{path} is a checkpoint of seed {kept['seed']}, and this trial has {trial.seed}")
            step, number = kept["step"], kept["number"]
        pause = self.seconds / self.steps * (0.5 + trial.seed % 1000 / 1000)
        while step < self.steps:
            time.sleep(pause)
            step, number = step + 1, seeds.trial_seed(number, trial.key, step)
            kept = {"seed": trial.seed, "step": step, "number": number, "at": time.time()}
            files.write(path, json.dumps(kept).encode())
            context.report(step, {"steps": self.steps})
            if step < self.steps and context.should_stop():
                raise PutBack(f"stopped at step {step}")
        share = sum(trial.proposal.genotype) / max(1, 3 * len(trial.proposal.genotype))
        accuracy = 0.9 * share + 0.1 * (number % 10**6) / 10**6
        return Result({"valid_accuracy": accuracy, "number": number % 2**53}, ((self.steps, accuracy),))
