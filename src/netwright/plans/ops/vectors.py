"""Operations on vectors."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from netwright.core.shapes import Shape, Vector, describe
from netwright.plans.operation import Numerals, Operation

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Linear(Operation):
    """Linear layer.

    Args:
        outputs: Number of features of the output.
        bias: Whether a learned bias is added to each.
    """

    outputs: int
    bias: bool = True

    name: ClassVar[str] = "linear"
    has_weights: ClassVar[bool] = True
    is_overwritable: ClassVar[bool] = True

    def shape(self, x: Shape) -> Vector:
        """A vector; for images, the global mean has to be taken first."""
        if type(x) is not Vector:
            raise ValueError(f"linear takes a vector, not {describe(x)}: take their mean first")
        if self.outputs < 1:
            raise ValueError(f"linear gives {self.outputs} numbers; it gives at least 1")
        return Vector(self.outputs)

    def params(self, x: Vector) -> int:
        """Number of weights and biases."""
        return (x.features + self.bias) * self.outputs

    def multiply_adds(self, x: Vector) -> int:
        """One multiply-add for each weight."""
        return x.features * self.outputs

    def module(self, x: Vector) -> Callable[..., Tensor]:
        """A linear layer whose weights are drawn elsewhere."""
        return importlib.import_module("netwright.plans.ops.modules").Linear(x.features, self.outputs, bias=self.bias)

    def constructor(self, numerals: Numerals, x: Vector) -> str:
        """The call of torch's linear layer."""
        entering = numerals.channels(x.features)
        return f"nn.Linear({entering}, {numerals.channels(self.outputs)}{'' if self.bias else ', bias=False'})"
