"""How many steps a training takes: from steps, epochs, or seconds of a pace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from netwright.core.errors import BadReference
from netwright.training.epochs import Epochs

DEFAULT_STEPS = 100


class Length(NamedTuple):
    """Length of a training.

    Args:
        steps: Steps to train.
        span: Steps that the schedule spans; more than `steps` where the training stops on its way.
    """

    steps: int
    span: int


@dataclass(frozen=True)
class Lengths:
    """What decides the length of a network's trainings.

    Args:
        passes: How many steps passes over the data take.
        steps: Steps of a training without a budget; None: not given. Where they are given, budgets are steps.
        epochs: Epochs of a training without a budget; None: not given.
        seconds: Seconds of a trial without a budget; None: not given.
        horizon: Largest budget, which all schedules span; None: each training has a schedule of its own length.
        pace: Seconds of a step; 0: unknown. Where it is known, budgets are seconds of the whole trial.
        late: Seconds of a step of the cooldown, where they are others; 0: they are not.
        cooldown: Share of a schedule, at its end, that is the cooldown.
        trainings: Trainings of a trial, which share its seconds.
    """

    passes: Epochs
    steps: int | None = None
    epochs: int | None = None
    seconds: int | None = None
    horizon: int | None = None
    pace: float = 0.0
    late: float = 0.0
    cooldown: float = 0.0
    trainings: int = 1

    def of(self, budget: int | None) -> Length:
        """The length of each training of a trial with that budget; None: it names none.

        Raises:
            ValueError: The budget is below 1.
            BadReference: The budget is beyond the horizon.
        """
        if budget is None:
            steps = self._own()
            return Length(steps, steps)
        if budget < 1:
            raise ValueError(f"the proposal's budget is {budget}; it must be at least 1")
        if self.horizon is None:
            steps = self._of_budget(budget)
            return Length(steps, steps)
        if budget > self.horizon:
            raise BadReference(
                f"the budget {budget} is beyond evaluator.horizon, {self.horizon}; give horizon the largest budget of "
                "the strategy"
            )
        span = self._of_budget(self.horizon)
        return Length(span if budget == self.horizon else self._of_budget(budget, span), span)

    def _own(self) -> int:
        if self.seconds:
            return self._of_budget(self.seconds)
        return self.steps or (int(self.passes.through(self.epochs)) if self.epochs else DEFAULT_STEPS)

    def _of_budget(self, budget: int, span: int | None = None) -> int:
        """Steps that a budget is, of a schedule that spans so many; None: of the whole of its own."""
        if not self.pace:
            return budget if self.steps else int(self.passes.through(budget))
        seconds = budget / self.trainings
        if not self.late:
            return max(1, round(budget / self.pace / self.trainings))
        if span is None:
            return max(1, round(seconds / (self.cooldown * self.late + (1 - self.cooldown) * self.pace)))
        falls_from = (1 - self.cooldown) * span
        after = seconds - falls_from * self.pace
        return max(1, round(seconds / self.pace if after <= 0 else min(span, falls_from + after / self.late)))
