"""What a layer does: everything known of an operation stands in one record, so that no code asks for its name.

A new operation is one frozen dataclass derived from `Operation`, in any module: a space writes it with
`PlanWriter.write`, and it is built, counted, trained, exported and read back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from netwright.core.shapes import Image, Shape, describe

if TYPE_CHECKING:
    from torch import Tensor

    from netwright.plans.regularization import Regularization

Drops = Literal["", "samples", "numbers", "features", "entries", "within"]
FLOAT = 4  # bytes of a number in single precision


class Numerals(Protocol):
    """How to write numbers that may differ between parts of a network that share a class of the source code."""

    def channels(self, number: int) -> str:
        """A number of channels or features, or of groups of them."""

    def stride(self, number: int) -> str:
        """A stride."""


class Operation:
    """One operation: a frozen dataclass whose fields are its options. The defaults suit a function without weights.

    Fields are integers, reals, booleans, strings, shapes, or tuples of these; they may be one of several (`Literal`) or
    None, so that a file can hold them. Methods that take shapes get one for each input.

    Attributes:
        name: What its layers are called, in lower case; exported files know the package's own operations by it.
        fewest: Least number of inputs.
        most: Largest number of inputs; None: any number.
        has_weights: Whether `module` gives an `nn.Module` with weights or other state of its own.
        is_overwritable: Whether a reader of its output may write over it, because the output is neither an input's
            memory nor anything that its own backward pass needs.
        drops: What it drops at random while a regularized network trains: whole "samples"; single "numbers"; "features"
            of a sequence at all steps alike; "entries" of weights, for all examples alike; or features "within" itself:
            its module then takes their factors, shape (B, features), behind its inputs. "": nothing.
        is_passage: Whether it does nothing but drop, so that everywhere else it is left out, and its output is its
            input. It follows from `drops`.
        carries: Whether its module has a `state` that goes on from batch to batch; None: as zeros.
        setting: Name of the option of a training that it obeys; "": none.
        overwrites: Whether it computes in place, over its input, where nothing else reads that. It follows from
            `overwriting`.
        is_function: Whether equal operations on equal inputs give equal outputs, so that one of them is enough. It
            follows from the other attributes.
        defined: "module:name" of classes and functions that its source code uses. Their text becomes part of an export,
            in which `torch`, `nn`, `F` and `Tensor` are torch's and nothing else is defined.
    """

    __slots__ = ()

    name: ClassVar[str]
    fewest: ClassVar[int] = 1
    most: ClassVar[int | None] = 1
    has_weights: ClassVar[bool] = False
    is_overwritable: ClassVar[bool] = False
    drops: ClassVar[Drops] = ""
    is_passage: ClassVar[bool] = False
    carries: ClassVar[bool] = False
    setting: ClassVar[str] = ""
    defined: ClassVar[tuple[str, ...]] = ()
    overwrites: ClassVar[bool] = False
    is_function: ClassVar[bool] = True

    def __init_subclass__(cls) -> None:
        cls.overwrites = cls.overwriting is not Operation.overwriting
        cls.is_passage = cls.drops not in ("", "within")
        cls.is_function = not cls.has_weights and not cls.drops and cls.most != 0

    # `*inputs: Any, **_: Any` lets a record take as many shapes as it has inputs, each by its name

    def shape(self, *inputs: Any, **_: Any) -> Shape:
        """The shape of the output. Raises ValueError, with a sentence, for inputs that it cannot take."""
        raise NotImplementedError(f"the operation {self.name} does not say what shape it gives")

    def params(self, *inputs: Any, **_: Any) -> int:  # noqa: ARG002
        """Trainable parameters."""
        return 0

    def multiply_adds(self, *inputs: Any, **_: Any) -> int:  # noqa: ARG002
        """Multiply-adds for one example, as papers count them: only those of convolutions and linear layers."""
        return 0

    @property
    def is_grouped(self) -> bool:
        """Whether its multiply-adds are of channels in groups: slower ones, as each number is used less often."""
        return False

    @property
    def keeps(self) -> Literal["inputs", "output", ""]:
        """What it needs of its own inputs and output in its backward pass, which is kept once for all that need it."""
        return "inputs"

    def saved_bytes(self, *inputs: Any, **_: Any) -> int:  # noqa: ARG002
        """Bytes kept of one example for the backward pass besides, in single precision: indices, masks and copies."""
        return 0

    def needs_two(self, *inputs: Any, **_: Any) -> bool:  # noqa: ARG002
        """Whether it cannot train on a single example, because it would normalize one number per channel."""
        return False

    def keep(self, regularization: Regularization, progress: float) -> float:  # noqa: ARG002
        """Probability that what it drops is kept, at this share of the training: one less its setting throughout."""
        return 1.0 - float(getattr(regularization, self.setting)) if self.setting else 1.0

    def module(self, *inputs: Any, **_: Any) -> Callable[..., Tensor]:
        """What computes the operation: a module where it has weights, else a function."""
        raise NotImplementedError(f"the operation {self.name} does not say what computes it")

    def overwriting(self) -> Callable[..., Tensor] | None:
        """A function that computes the operation in place, over its input; None: there is none."""
        return None

    def constructor(self, numerals: Numerals, *inputs: Any, **_: Any) -> str:
        """The expression in source code that makes the module of an operation with weights."""
        raise NotImplementedError(f"the operation {self.name} does not say how source code makes its module")

    def expression(self, *inputs: str) -> str:
        """The expression in source code that computes an operation without weights from the names of its inputs."""
        raise NotImplementedError(f"the operation {self.name} does not say how source code computes it")

    @property
    def label(self) -> str:
        """What people call it, in drawings and lists."""
        return self.name.replace("_", " ")

    def checked_shape(self, inputs: Sequence[Shape]) -> Shape:
        """The shape of the output, after a check of the number of inputs. Raises ValueError."""
        if len(inputs) < self.fewest or (self.most is not None and len(inputs) > self.most):
            least, most = self.fewest, self.most
            wanted = f"{least}" if least == most else f"at least {least}" if most is None else f"{least} to {most}"
            raise ValueError(f"{self.name} has {len(inputs)} inputs and takes {wanted}")
        return self.shape(*inputs)


def image(operation: Operation, x: Shape) -> Image:
    """The shape of an input, which has to be an image. Raises ValueError for any other."""
    if type(x) is not Image:
        raise ValueError(f"{operation.name} takes an image, not {describe(x)}")
    return x


def of_one_shape(operation: Operation, inputs: Sequence[Shape]) -> Shape:
    """The shape of all inputs. Raises ValueError where they differ."""
    first = inputs[0]
    for x in inputs:
        if x != first or type(x) is not type(first):
            raise ValueError(f"{operation.name} takes inputs of one shape, not {describe(first)} and {describe(x)}")
    return first
