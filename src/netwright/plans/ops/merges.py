"""Operations that merge several inputs into one output."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from netwright.core.shapes import Image, Shape, Vector, describe, size
from netwright.plans.operation import FLOAT, Numerals, Operation, image, of_one_shape

if TYPE_CHECKING:
    from torch import Tensor

MODULES = "netwright.plans.ops.modules"


@dataclass(frozen=True, slots=True)
class Concat(Operation):
    """Concatenation along channels, or features of vectors."""

    name: ClassVar[str] = "concat"
    fewest: ClassVar[int] = 2
    most: ClassVar[int | None] = None
    is_overwritable: ClassVar[bool] = True
    keeps: ClassVar[Literal["inputs", "output", ""]] = ""

    def shape(self, *inputs: Shape) -> Shape:
        """The shape of an input with the channels of all inputs together."""
        first, kind = inputs[0], type(inputs[0])
        if kind is not Image and kind is not Vector:
            raise ValueError(f"concat takes images or vectors, not {describe(first)}")
        for x in inputs:
            if type(x) is not kind or x[1:] != first[1:]:
                raise ValueError(f"concat takes inputs that differ in channels only, not {first} and {x}")
        return kind(sum([x[0] for x in inputs]), *first[1:])

    def module(self, *_: Any) -> Callable[..., Tensor]:
        """Torch's function, along the second dimension."""
        return importlib.import_module(MODULES).concatenate

    def expression(self, *inputs: str) -> str:
        """A call of torch's concatenation."""
        return f"torch.cat(({', '.join(inputs)}), 1)"


@dataclass(frozen=True, slots=True)
class Add(Operation):
    """Sum of inputs of one shape."""

    name: ClassVar[str] = "add"
    fewest: ClassVar[int] = 2
    most: ClassVar[int | None] = None
    is_overwritable: ClassVar[bool] = True
    keeps: ClassVar[Literal["inputs", "output", ""]] = ""

    def shape(self, *inputs: Shape) -> Shape:
        """The shape of each input."""
        return of_one_shape(self, inputs)

    def module(self, *_: Any) -> Callable[..., Tensor]:
        """A sum that keeps the memory format."""
        return importlib.import_module(MODULES).total

    def expression(self, *inputs: str) -> str:
        """A sum of the inputs."""
        return " + ".join(inputs)


@dataclass(frozen=True, slots=True)
class Average(Operation):
    """Mean of inputs of one shape."""

    name: ClassVar[str] = "average"
    fewest: ClassVar[int] = 2
    most: ClassVar[int | None] = None
    is_overwritable: ClassVar[bool] = True
    keeps: ClassVar[Literal["inputs", "output", ""]] = ""

    def shape(self, *inputs: Shape) -> Shape:
        """The shape of each input."""
        return of_one_shape(self, inputs)

    def module(self, *_: Any) -> Callable[..., Tensor]:
        """A mean that keeps the memory format."""
        return importlib.import_module(MODULES).average

    def expression(self, *inputs: str) -> str:
        """A sum of the inputs, divided by their number."""
        return f"({' + '.join(inputs)}) / {len(inputs)}"


@dataclass(frozen=True, slots=True)
class WeightedSum(Operation):
    """Sum of inputs of one shape, each (even a single one) times the logistic of a learned number."""

    name: ClassVar[str] = "weighted_sum"
    most: ClassVar[int | None] = None
    has_weights: ClassVar[bool] = True
    is_overwritable: ClassVar[bool] = True
    defined: ClassVar[tuple[str, ...]] = (f"{MODULES}:WeightedSum",)

    def shape(self, *inputs: Shape) -> Shape:
        """The shape of each input."""
        return of_one_shape(self, inputs)

    def params(self, *inputs: Shape) -> int:
        """One number for each input."""
        return len(inputs)

    def module(self, *inputs: Shape) -> Callable[..., Tensor]:
        """A module that keeps no products for the backward pass."""
        return importlib.import_module(MODULES).LeanWeightedSum(len(inputs))

    def constructor(self, numerals: Numerals, *inputs: Shape) -> str:  # noqa: ARG002 - every part has as many inputs
        """A plain module that computes the same."""
        return f"WeightedSum({len(inputs)})"


@dataclass(frozen=True, slots=True)
class Gate(Operation):
    """An image times the sum of a mask, scaled to [0, 1] within each image, and the logistic of a learned number."""

    name: ClassVar[str] = "gate"
    fewest: ClassVar[int] = 2
    most: ClassVar[int | None] = 2
    has_weights: ClassVar[bool] = True
    is_overwritable: ClassVar[bool] = True
    defined: ClassVar[tuple[str, ...]] = (f"{MODULES}:Gate",)

    def shape(self, x: Shape, mask: Shape) -> Shape:
        """The shape of both inputs."""
        return image(self, of_one_shape(self, (x, mask)))

    def params(self, *_: Shape) -> int:
        """One, the learned number."""
        return 1

    def saved_bytes(self, x: Shape, *_: Shape) -> int:
        """The mask less its least number, what the image is multiplied by, and 4 numbers of the scaling."""
        return FLOAT * (2 * size(x) + 4)

    def module(self, *_: Shape) -> Callable[..., Tensor]:
        """The module with the learned number."""
        return importlib.import_module(MODULES).Gate()

    def constructor(self, *_: Any) -> str:
        """The call of the module's class."""
        return "Gate()"


@dataclass(frozen=True, slots=True)
class ScaleChannels(Operation):
    """An image times the logistic of a vector, channel by channel: how squeeze-and-excitation ends (Hu et al. 2018).

    Its backward pass needs the logistic, which takes as many bytes as the vector that counts as kept.
    """

    name: ClassVar[str] = "scale_channels"
    fewest: ClassVar[int] = 2
    most: ClassVar[int | None] = 2
    is_overwritable: ClassVar[bool] = True

    def shape(self, x: Shape, factors: Shape) -> Shape:
        """The shape of the image."""
        entering = image(self, x)
        if type(factors) is not Vector or factors.features != entering.channels:
            raise ValueError(
                f"scale_channels takes a vector of {entering.channels} numbers, one for each channel, not "
                f"{describe(factors)}"
            )
        return entering

    def module(self, *_: Shape) -> Callable[..., Tensor]:
        """A product that keeps type and memory format of the image."""
        return importlib.import_module(MODULES).scale_channels

    def expression(self, *inputs: str) -> str:
        """A product with the logistic of the vector, spread over the image."""
        return f"{inputs[0]} * torch.sigmoid({inputs[1]})[:, :, None, None]"
