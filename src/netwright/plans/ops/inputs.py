"""What a network begins with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from netwright.core.shapes import Shape
from netwright.plans.operation import Operation


@dataclass(frozen=True, slots=True)
class Input(Operation):
    """What goes into a network.

    Args:
        given: Shape of the input.
    """

    given: Shape

    name: ClassVar[str] = "input"
    fewest: ClassVar[int] = 0
    most: ClassVar[int | None] = 0

    def shape(self) -> Shape:
        """The given shape."""
        return self.given
