"""How many steps passes over the training data take: always as many, or counted where batches have random lengths."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol


class Epochs(Protocol):
    """The passes of a training, from the first one on."""

    def through(self, epochs: float) -> float:
        """Number of steps of the first passes, a whole number for whole ones; of a part of one its share."""

    def whole(self, step: int, every: float = 1.0) -> int:
        """How many times `every` passes are over after so many steps."""


@dataclass(frozen=True)
class EvenEpochs:
    """Passes that all take as many steps.

    Args:
        each: Their number.
    """

    each: int

    def through(self, epochs: float) -> float:
        """Number of steps of the first passes."""
        return epochs * self.each

    def whole(self, step: int, every: float = 1.0) -> int:
        """How many times `every` passes are over after so many steps."""
        return math.floor(step / (every * self.each))


@dataclass(frozen=True)
class CountedEpochs:
    """Passes each of which takes a number of steps of its own, which is asked for once, in order.

    Args:
        steps_of: Gives the number of steps of pass 0, 1, ..., at least 1.
    """

    steps_of: Callable[[int], int]
    _ends: list[int] = field(default_factory=lambda: [0], init=False, repr=False, compare=False)

    def through(self, epochs: float) -> float:
        """Number of steps of the first passes, a whole number for whole ones; of a part of one its share."""
        last = math.floor(epochs)
        if last == epochs:
            return self._end(last)
        return self._end(last) + (epochs - last) * (self._end(last + 1) - self._end(last))

    def whole(self, step: int, every: float = 1.0) -> int:
        """How many times `every` passes are over after so many steps."""
        while self._ends[-1] <= step:
            self._count()
        done = bisect_right(self._ends, step) - 1
        begun, end = self._ends[done : done + 2]
        return math.floor((done + (step - begun) / (end - begun)) / every)

    def _end(self, epochs: int) -> int:
        while len(self._ends) <= epochs:
            self._count()
        return self._ends[epochs]

    def _count(self) -> None:
        self._ends.append(self._ends[-1] + self.steps_of(len(self._ends) - 1))
