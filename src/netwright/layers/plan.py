"""A layer plan: a network as a list of plain records, before any tensor exists.

A space writes one plan; from it come the torch module, the exact counts, and whatever else must agree with them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from netwright.core.records import IO, Genotype

Op = Literal[
    "input",
    "conv",
    "norm",
    "relu",
    "max_pool",
    "avg_pool",
    "halve",
    "zero",
    "concat",
    "add",
    "mean",
    "linear",
    "weighted_sum",
    "average",
    "gate",
]
WITHOUT_STATE = frozenset({"relu", "max_pool", "avg_pool", "halve", "zero", "concat", "add", "mean", "average"})


@dataclass(frozen=True, slots=True)
class Layer:
    """One operation on the outputs of earlier layers.

    Args:
        op: `mean` is global average pooling; `norm` is batch normalization with scale and shift; `halve` is the mean
            of blocks of 2 x 2; `zero` is its input times 0; `average` is the mean of several inputs.
        name: Unique in the plan; the scopes it stands in, outermost first, then operation and number, joined by dots.
        inputs: Positions of earlier layers in the plan; layer 0 is the image.
        channels: Of the output.
        height: Of the output; 1 after `mean`.
        width: Of the output; 1 after `mean`.
        kernel: Odd side of the window of a convolution or pooling; borders are padded to keep ceil(size / stride).
        stride: Of the window.
        groups: Of a convolution.
        bias: Of a convolution; a linear layer always has one.
    """

    op: Op
    name: str
    inputs: tuple[int, ...]
    channels: int
    height: int
    width: int
    kernel: int = 1
    stride: int = 1
    groups: int = 1
    bias: bool = False

    @property
    def scope(self) -> str:
        """The outermost scope; "" outside any."""
        return self.name.partition(".")[0] if "." in self.name else ""

    @property
    def inner_scopes(self) -> tuple[str, ...]:
        """The scopes within the outermost one, from the outside in."""
        return tuple(self.name.split(".")[1:-1])

    @property
    def short_name(self) -> str:
        """Operation and number, unique within the outermost scope; weights stand under `scope` and this."""
        return self.name.rpartition(".")[2]


Plan = tuple[Layer, ...]


@runtime_checkable
class HasPlan(Protocol):
    """Capability of a space: its networks are layer plans, from which source code and memory estimates come."""

    def plan(self, genotype: Genotype, io: IO) -> Plan:
        """The layers of the network."""


class PlanWriter:
    """Writes a plan layer by layer. A layer is referred to by its position, an int."""

    def __init__(self, io: IO) -> None:
        self._layers = [Layer("input", "input", (), io.channels, io.height, io.width)]
        self._known: dict[tuple[object, ...], int] = {}
        self._scopes: list[str] = []
        self._sizes: Counter[str] = Counter()  # layers in each outermost scope so far

    @property
    def image(self) -> int:
        """The network's input."""
        return 0

    def plan(self) -> Plan:
        """What was written so far; the last layer is the output."""
        return tuple(self._layers)

    def channels(self, x: int) -> int:
        """Channels of a layer's output."""
        return self._layers[x].channels

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Names of layers written inside begin with `name`, which holds no dot.

        Outermost scopes become classes in source code: there, each is a Python identifier and is opened once.
        """
        self._scopes.append(name)
        try:
            yield
        finally:
            self._scopes.pop()

    def conv(
        self, x: int, channels: int, kernel: int = 1, stride: int = 1, groups: int = 1, *, bias: bool = False
    ) -> int:
        """Convolution."""
        return self._window("conv", x, channels, kernel, stride, groups, bias)

    def norm(self, x: int) -> int:
        """Batch normalization."""
        return self._append("norm", (x,), self.channels(x))

    def relu(self, x: int) -> int:
        """Rectified linear unit."""
        return self._append("relu", (x,), self.channels(x))

    def max_pool(self, x: int, kernel: int, stride: int = 1) -> int:
        """Maximum over a window."""
        return self._window("max_pool", x, self.channels(x), kernel, stride)

    def avg_pool(self, x: int, kernel: int, stride: int = 1) -> int:
        """Mean over the part of a window that lies inside the image."""
        return self._window("avg_pool", x, self.channels(x), kernel, stride)

    def halve(self, x: int) -> int:
        """Mean of blocks of 2 x 2 that do not overlap; of an odd side, the last blocks are what is left of it."""
        source = self._layers[x]
        return self._append("halve", (x,), source.channels, (-(-source.height // 2), -(-source.width // 2)), stride=2)

    def zero(self, x: int) -> int:
        """Zeros of the input's shape. What stands before has a gradient all the same: zero."""
        return self._append("zero", (x,), self.channels(x))

    def concat(self, inputs: Sequence[int]) -> int:
        """Concatenation along channels; of one input, that input."""
        if len(inputs) == 1:
            return inputs[0]
        return self._append("concat", tuple(inputs), sum(map(self.channels, inputs)))

    def add(self, inputs: Sequence[int]) -> int:
        """Sum of inputs of equal shape; of one input, that input."""
        return inputs[0] if len(inputs) == 1 else self._append("add", tuple(inputs), self.channels(inputs[0]))

    def weighted_sum(self, inputs: Sequence[int]) -> int:
        """Sum of inputs of equal shape, each times the logistic of a learned number; one input has a number too."""
        return self._append("weighted_sum", tuple(inputs), self.channels(inputs[0]))

    def average(self, inputs: Sequence[int]) -> int:
        """Mean of inputs of equal shape; of one input, that input."""
        return inputs[0] if len(inputs) == 1 else self._append("average", tuple(inputs), self.channels(inputs[0]))

    def gate(self, x: int, mask: int) -> int:
        """`x` times the sum of `mask`, scaled to [0, 1] within each image, and the logistic of a learned number."""
        return self._append("gate", (x, mask), self.channels(x))

    def mean(self, x: int) -> int:
        """Global average pooling: (B, C, H, W) to (B, C)."""
        return self._append("mean", (x,), self.channels(x), size=(1, 1))

    def linear(self, x: int, outputs: int) -> int:
        """Linear layer with bias."""
        return self._append("linear", (x,), outputs, size=(1, 1))

    def _window(
        self, op: Op, x: int, channels: int, kernel: int, stride: int, groups: int = 1, bias: bool = False
    ) -> int:
        source = self._layers[x]
        size = (-(-source.height // stride), -(-source.width // stride))
        return self._append(op, (x,), channels, size, kernel, stride, groups, bias)

    def _append(
        self,
        op: Op,
        inputs: tuple[int, ...],
        channels: int,
        size: tuple[int, int] | None = None,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        bias: bool = False,
    ) -> int:
        signature = (op, inputs, kernel, stride)
        if op in WITHOUT_STATE and signature in self._known:
            return self._known[signature]  # the same function of the same input: computed once
        position = len(self._layers)
        height, width = size or (self._layers[inputs[0]].height, self._layers[inputs[0]].width)
        outermost = self._scopes[0] if self._scopes else ""
        self._sizes[outermost] += 1
        name = ".".join((*self._scopes, f"{op}_{self._sizes[outermost]}"))
        self._layers.append(Layer(op, name, inputs, channels, height, width, kernel, stride, groups, bias))
        self._known[signature] = position
        return position
