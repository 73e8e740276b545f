"""A layer plan: a network as a list of plain records, before any tensor exists.

A space writes one plan; from it come the torch module, the exact counts, and whatever else must agree with them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal, Protocol, runtime_checkable

from netwright.core.records import IO, Genotype

Op = Literal[
    "input",
    "conv",
    "norm",
    "relu",
    "max_pool",
    "avg_pool",
    "min_pool",
    "halve",
    "odd_pixels",
    "zero",
    "concat",
    "add",
    "mean",
    "linear",
    "drop_path",
    "dropout",
    "weighted_sum",
    "average",
    "gate",
]
WITHOUT_STATE = frozenset(
    {"relu", "max_pool", "avg_pool", "min_pool", "halve", "odd_pixels", "zero", "concat", "add", "mean", "average"}
)
RANDOM = frozenset({"drop_path", "dropout"})  # identity but in a regularized training step
AUXILIARY = "auxiliary"  # outermost scope of what only helps in training: a second classifier, fed from the middle

Window = int | tuple[int, int]  # of both sides, or height and width


@dataclass(frozen=True, slots=True)
class Layer:
    """One operation on the outputs of earlier layers.

    Args:
        op: `mean` is global average pooling; `norm` is batch normalization with scale and shift; `halve` is the mean of
            blocks of 2 x 2; `odd_pixels` is the pixels of odd row and column, counted from 0, and zeros where an odd
            side has none left; `zero` is its input times 0; `average` is the mean of several inputs; `drop_path` drops
            whole samples of a branch, `dropout` single numbers, both in training only.
        name: Unique in the plan; the scopes it stands in, outermost first, then operation and number, joined by dots.
        inputs: Positions of earlier layers in the plan; layer 0 is the image.
        channels: Of the output.
        height: Of the output; 1 after `mean`.
        width: Of the output; 1 after `mean`.
        kernel: Side of the window of a convolution or pooling, or its height.
        stride: Of the window, or its vertical one.
        groups: Of a convolution.
        kernel_width: Of a window that is no square; 0: as `kernel`.
        stride_width: The horizontal stride where it differs; 0: as `stride`.
        dilation: Of a convolution: from one weight to the next, in pixels.
        bias: Of a convolution: whether it has one.
        padded: Whether borders are padded to keep ceil(size / stride); if not, the window stays inside. A padded window
            has odd sides, or 2 for a pooling, whose padding then stands on the right and below.
        zeros: Of a padded pooling: whether its padding is zeros, which count; if not, a window sees nothing past the
            border.
        without_bias: Of a linear layer.
        depth: Of `drop_path`: how deep in the network, in (0, 1].
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
    kernel_width: int = 0
    stride_width: int = 0
    dilation: int = 1
    bias: bool = False
    padded: bool = True
    zeros: bool = False
    without_bias: bool = False
    depth: float = 0.0

    @property
    def window(self) -> tuple[int, int]:
        """Height and width of the window."""
        return self.kernel, self.kernel_width or self.kernel

    @property
    def strides(self) -> tuple[int, int]:
        """Vertical and horizontal stride."""
        return self.stride, self.stride_width or self.stride

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


def deployed(plan: Plan) -> Plan:
    """The plan without what acts in training only: the auxiliary head, drop paths, dropout. Names stay as they are."""
    if not any(layer.op in RANDOM or layer.scope == AUXILIARY for layer in plan):
        return plan
    kept: list[Layer] = []
    places: dict[int, int] = {}
    for position, layer in enumerate(plan):
        if layer.scope == AUXILIARY:
            continue
        if layer.op in RANDOM:
            places[position] = places[layer.inputs[0]]
            continue
        places[position] = len(kept)
        kept.append(replace(layer, inputs=tuple(places[source] for source in layer.inputs)))
    return tuple(kept)


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

    def input(self, shape: tuple[int, int, int]) -> int:
        """Another input, by channels, height and width: for a part of a network that is only counted."""
        return self._append("input", (), shape[0], shape[1:])

    def channels(self, x: int) -> int:
        """Channels of a layer's output."""
        return self._layers[x].channels

    def size(self, x: int) -> tuple[int, int]:
        """Height and width of a layer's output."""
        return self._layers[x].height, self._layers[x].width

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Names of layers written inside begin with `name`, which holds no dot.

        Outermost scopes become classes in source code: there, each is a Python identifier and is opened once. What
        stands in the outermost scope `AUXILIARY` runs in training only, and only layers in it may read it; a `linear`
        in it is a further output. The last layer of a plan stands outside.
        """
        self._scopes.append(name)
        try:
            yield
        finally:
            self._scopes.pop()

    def conv(
        self,
        x: int,
        channels: int,
        kernel: Window = 1,
        stride: Window = 1,
        groups: int = 1,
        *,
        dilation: int = 1,
        bias: bool = False,
        padded: bool = True,
    ) -> int:
        """Convolution."""
        return self._window("conv", x, channels, kernel, stride, padded, groups=groups, dilation=dilation, bias=bias)

    def norm(self, x: int) -> int:
        """Batch normalization."""
        return self._append("norm", (x,), self.channels(x))

    def relu(self, x: int) -> int:
        """Rectified linear unit."""
        return self._append("relu", (x,), self.channels(x))

    def max_pool(self, x: int, kernel: int, stride: int = 1, *, zeros: bool = False) -> int:
        """Maximum over a window."""
        return self._window("max_pool", x, self.channels(x), kernel, stride, zeros=zeros)

    def min_pool(self, x: int, kernel: int, stride: int = 1) -> int:
        """Minimum over a window."""
        return self._window("min_pool", x, self.channels(x), kernel, stride)

    def avg_pool(self, x: int, kernel: int, stride: int = 1, *, padded: bool = True, zeros: bool = False) -> int:
        """Mean over the part of a window that lies inside the image; with `zeros`, over all of it."""
        return self._window("avg_pool", x, self.channels(x), kernel, stride, padded, zeros=zeros)

    def halve(self, x: int) -> int:
        """Mean of blocks of 2 x 2 that do not overlap; of an odd side, the last blocks are what is left of it."""
        return self._append("halve", (x,), self.channels(x), self._halved(x), stride=2)

    def odd_pixels(self, x: int) -> int:
        """Every second pixel of every second row, from the second on; zeros where an odd side has none left."""
        return self._append("odd_pixels", (x,), self.channels(x), self._halved(x), stride=2)

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

    def linear(self, x: int, outputs: int, *, bias: bool = True) -> int:
        """Linear layer."""
        return self._append("linear", (x,), outputs, size=(1, 1), without_bias=not bias)

    def drop_path(self, x: int, depth: float) -> int:
        """The branch `x`, dropped for single samples while a regularized network trains.

        Args:
            x: The branch.
            depth: Where its cell stands: (index from 0 + 1) / cells.
        """
        return self._append("drop_path", (x,), self.channels(x), depth=depth)

    def dropout(self, x: int) -> int:
        """Its input, of which single numbers are dropped while a regularized network trains."""
        return self._append("dropout", (x,), self.channels(x))

    def _halved(self, x: int) -> tuple[int, int]:
        height, width = self.size(x)
        return -(-height // 2), -(-width // 2)

    def _window(
        self,
        op: Op,
        x: int,
        channels: int,
        kernel: Window,
        stride: Window,
        padded: bool = True,
        groups: int = 1,
        dilation: int = 1,
        bias: bool = False,
        zeros: bool = False,
    ) -> int:
        (kernel, kernel_width), (stride, stride_width) = _sides(kernel), _sides(stride)
        height, width = self.size(x)
        if padded:
            if op == "conv" and (kernel % 2 == 0 or kernel_width % 2 == 0 < kernel_width):
                raise ValueError(f"a padded convolution has odd sides; got {kernel} x {kernel_width or kernel}")
            size = -(-height // stride), -(-width // (stride_width or stride))
        else:
            reach = dilation * (kernel - 1) + 1, dilation * ((kernel_width or kernel) - 1) + 1
            if reach[0] > height or reach[1] > width:
                raise ValueError(f"{op} of {reach[0]} x {reach[1]} without padding does not fit in {height} x {width}")
            size = (height - reach[0]) // stride + 1, (width - reach[1]) // (stride_width or stride) + 1
        options = (kernel, stride, groups, kernel_width, stride_width, dilation, bias, padded, zeros)
        return self._append(op, (x,), channels, size, *options)

    def _append(
        self,
        op: Op,
        inputs: tuple[int, ...],
        channels: int,
        size: tuple[int, int] | None = None,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        kernel_width: int = 0,
        stride_width: int = 0,
        dilation: int = 1,
        bias: bool = False,
        padded: bool = True,
        zeros: bool = False,
        without_bias: bool = False,
        depth: float = 0.0,
    ) -> int:
        signature = (op, inputs, kernel, stride, kernel_width, stride_width, padded, zeros)
        if op in WITHOUT_STATE and signature in self._known:
            return self._known[signature]  # the same function of the same input: computed once
        position = len(self._layers)
        height, width = size or (self._layers[inputs[0]].height, self._layers[inputs[0]].width)
        outermost = self._scopes[0] if self._scopes else ""
        self._sizes[outermost] += 1
        name = ".".join((*self._scopes, f"{op}_{self._sizes[outermost]}"))
        window = (kernel, stride, groups, kernel_width, stride_width, dilation, bias, padded)
        rest = (zeros, without_bias, depth)
        self._layers.append(Layer(op, name, inputs, channels, height, width, *window, *rest))
        if outermost != AUXILIARY:  # which nobody outside may read
            self._known[signature] = position
        return position


def _sides(window: Window) -> tuple[int, int]:
    """A window as a layer has it: its side and 0, or its height and its width."""
    if isinstance(window, int):
        return window, 0
    height, width = window
    return height, 0 if width == height else width
