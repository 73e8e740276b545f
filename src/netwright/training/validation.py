"""What the validation data decides while a network trains: the best weights so far, and when weights are averaged.

Language models are trained so (Merity et al. 2018, section 3, and the program of Luo et al. 2018): plain gradient
descent for as long as it makes progress on the validation data, then the mean of all weights from there on.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from netwright.training.descent import Descent
from netwright.training.loop import At, Progress


class Record(NamedTuple):
    """What was measured of a training's passes so far. Values are signed: the higher, the better.

    Args:
        best: The best value.
        step: Step at which it was measured; 0: none was.
        loss: Mean training loss of the pass before.
        seen: Step at which the last value was measured.
        settled: The best value of all passes but the recent ones.
        recent: Values of the last passes, as many as a switch looks back.
        averaged_from: Step from which on weights are averaged; None: they are not yet.
        reloaded: Steps at which the loss was not finite, and the best weights so far were loaded.
    """

    best: float = -math.inf
    step: int = 0
    loss: float = 0.0
    seen: int = 0
    settled: float = -math.inf
    recent: tuple[float, ...] = ()
    averaged_from: int | None = None
    reloaded: tuple[int, ...] = ()

    def after(self, value: float, at: At, look_back: int) -> Record:
        """The same after a pass with that value; `look_back`: passes without progress before a switch, 0: never.

        Weights are averaged once a value is worse than the best of all passes but the last `look_back` before it.
        """
        value = -math.inf if math.isnan(value) else value
        found = self._replace(seen=at.step)
        if value > self.best:
            found = found._replace(best=value, step=at.step, loss=at.loss)
        if not look_back:
            return found
        if self.averaged_from is None and value < self.settled:
            found = found._replace(averaged_from=at.step)
        recent = (*self.recent, value)
        if len(recent) <= look_back:
            return found._replace(recent=recent)
        return found._replace(recent=recent[1:], settled=max(self.settled, recent[0]))

    def updates(self, step: int) -> int:
        """Number of earlier steps over which weights are averaged after a step."""
        return 0 if self.averaged_from is None else step - self.averaged_from

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be said of it, in phrases for a message."""
        found = [] if self.averaged_from is None else [f"weights are averaged from step {self.averaged_from} on"]
        if self.reloaded:
            steps = ", ".join(map(str, self.reloaded))
            found.append(f"the loss was not finite at step {steps}, where the best weights so far were loaded")
        return tuple(found)

    @staticmethod
    def read(values: list[object]) -> Record:
        """A record that was written as JSON."""
        found = Record(*values)  # type: ignore[arg-type]
        return found._replace(recent=tuple(found.recent), reloaded=tuple(found.reloaded))


def validated(record: Record, descent: Descent, at: At, look_back: int, measure: Callable[[], float]) -> Record:
    """The record after the pass that has just ended, whose weights are kept where they are the best so far.

    Args:
        record: The record before.
        descent: What trains.
        at: The end of the pass.
        look_back: As of `Record.after`.
        measure: Measures the network with the weights that it has; the higher, the better.
    """
    with descent.averaged():
        found = record.after(measure(), at, look_back)
        if descent.best and found.step == at.step:
            descent.best.take()
    return found


def gone_back(record: Record, descent: Descent, at: At) -> tuple[Record, Progress]:
    """Go on from the best weights so far, where the loss was not finite; the record then, and where training stands.

    Steps and passes are counted on, so that other batches follow than those that led there. Momenta and the state that
    a network carries are forgotten, and an average begins anew. The pass's mean loss so far becomes that of the pass
    before the best weights.
    """
    descent.go_back()
    start = Progress(at.step, at.epoch, at.batches, record.loss * at.batches, at.examples, at.seconds)
    averaged_from = None if record.averaged_from is None else at.step
    return record._replace(reloaded=(*record.reloaded, at.step), averaged_from=averaged_from), start
