"""Operations on single numbers, for inputs of any shape, which they keep."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from netwright.core.shapes import Shape
from netwright.plans.operation import Drops, Operation

if TYPE_CHECKING:
    from torch import Tensor

    from netwright.plans.regularization import Regularization


@dataclass(frozen=True, slots=True)
class Relu(Operation):
    """Rectified linear unit.

    Its backward pass needs its output, so that a second ReLU may not write over it.
    """

    name: ClassVar[str] = "relu"
    keeps: ClassVar[Literal["inputs", "output", ""]] = "output"

    def shape(self, x: Shape) -> Shape:
        """The shape of the input."""
        return x

    def module(self, *_: Any) -> Callable[..., Tensor]:
        """Torch's function."""
        return importlib.import_module("torch.nn.functional").relu

    def overwriting(self) -> Callable[..., Tensor]:
        """Torch's function in place."""
        return importlib.import_module("torch.nn.functional").relu_

    def expression(self, *inputs: str) -> str:
        """A call of torch's function."""
        return f"F.relu({inputs[0]})"


@dataclass(frozen=True, slots=True)
class Silu(Operation):
    """A number times its logistic: the sigmoid-weighted linear unit (Elfwing et al. 2018), also called swish."""

    name: ClassVar[str] = "silu"
    is_overwritable: ClassVar[bool] = True

    def shape(self, x: Shape) -> Shape:
        """The shape of the input."""
        return x

    def module(self, *_: Any) -> Callable[..., Tensor]:
        """Torch's function."""
        return importlib.import_module("torch.nn.functional").silu

    def expression(self, *inputs: str) -> str:
        """A call of torch's function."""
        return f"F.silu({inputs[0]})"


@dataclass(frozen=True, slots=True)
class Gelu(Operation):
    """A number times the normal distribution function of it, exactly (Hendrycks and Gimpel 2016)."""

    name: ClassVar[str] = "gelu"
    is_overwritable: ClassVar[bool] = True

    def shape(self, x: Shape) -> Shape:
        """The shape of the input."""
        return x

    def module(self, *_: Any) -> Callable[..., Tensor]:
        """Torch's function."""
        return importlib.import_module("torch.nn.functional").gelu

    def expression(self, *inputs: str) -> str:
        """A call of torch's function."""
        return f"F.gelu({inputs[0]})"


@dataclass(frozen=True, slots=True)
class Zero(Operation):
    """Zeros of the input's shape. Layers before it still get a gradient: zero."""

    name: ClassVar[str] = "zero"
    is_overwritable: ClassVar[bool] = True
    keeps: ClassVar[Literal["inputs", "output", ""]] = ""

    def shape(self, x: Shape) -> Shape:
        """The shape of the input."""
        return x

    def module(self, *_: Any) -> Callable[..., Tensor]:
        """The input times 0."""
        return lambda x: x * 0.0

    def expression(self, *inputs: str) -> str:
        """A product with 0."""
        return f"{inputs[0]} * 0.0"


@dataclass(frozen=True, slots=True)
class DropPath(Operation):
    """A branch, dropped for single samples while a regularized network trains.

    Args:
        depth: Depth of its cell in the network, in (0, 1].
    """

    depth: float

    name: ClassVar[str] = "drop_path"
    drops: ClassVar[Drops] = "samples"
    setting: ClassVar[str] = "drop_path_keep"

    def shape(self, x: Shape) -> Shape:
        """The shape of the input."""
        return x

    def keep(self, regularization: Regularization, progress: float) -> float:
        """The probability that the schedule gives at its depth."""
        return regularization.keep(self.depth, progress)


@dataclass(frozen=True, slots=True)
class Dropout(Operation):
    """The input, of which single numbers are dropped while a regularized network trains."""

    name: ClassVar[str] = "dropout"
    drops: ClassVar[Drops] = "numbers"
    setting: ClassVar[str] = "dropout"

    def shape(self, x: Shape) -> Shape:
        """The shape of the input."""
        return x
