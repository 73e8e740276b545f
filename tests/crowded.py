"""An evaluator on a card that holds one trial, or not even that; workers find it as `tests.crowded:Evaluator`."""

import os
import signal
from dataclasses import dataclass, replace

from netwright.core import resources, turns
from netwright.core.protocols import SearchSpace, Task
from netwright.core.records import Result
from tests.faulty import OutOfMemoryError

CARD = "cuda-0"


@dataclass(frozen=True)
class Evaluator:
    """Trial 2 needs the card to itself, trial 3 half a batch as well, at which it is killed the first time."""

    space: SearchSpace
    task: Task
    fault: str = ""
    every: int = 1
    parts: int = 1

    def cards(self, worker_index):
        return (CARD,)

    def in_more_parts(self, parts, genotype):
        return replace(self, parts=self.parts * parts)

    def card_memory(self):
        return None

    def leave_cards(self):
        pass

    def evaluate(self, trial, context):
        folder = context.folder.parent.parent
        mine = turns.Turns(folder / resources.FOLDER, [CARD])
        with mine.taken(is_wanted=lambda: False) as is_shared:
            attempt = 1 if is_shared else 1 + self.parts
        mine.close()
        with (folder / "attempts.txt").open("a") as log:
            log.write(f"{trial.id} {attempt}\n")
        killed = folder / "killed"
        if attempt == 3 and not killed.exists():
            killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if attempt < trial.id and trial.id in (2, 3):
            raise OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return Result({"valid_accuracy": 1.0})
