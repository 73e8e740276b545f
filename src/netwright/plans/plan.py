"""A layer plan: a network as a list of plain records, before any tensor exists.

A space writes one plan; the torch module, the exact counts and whatever else must agree with them come from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple, Protocol, runtime_checkable

from netwright.core.bounds import LAYERS
from netwright.core.errors import BadReference
from netwright.core.records import IO, Genotype
from netwright.core.shapes import Shape
from netwright.plans.names import Names, module_of
from netwright.plans.operation import Operation, image
from netwright.plans.ops.images import AvgPool, Conv, Halve, MaxPool, Mean, MinPool, Norm, OddPixels, Pair
from netwright.plans.ops.inputs import Input
from netwright.plans.ops.merges import Add, Average, Concat, Gate, WeightedSum
from netwright.plans.ops.pointwise import Dropout, DropPath, Relu, Zero
from netwright.plans.ops.vectors import Linear

AUXILIARY: Final = "auxiliary"  # outermost scope of what only helps in training: a classifier that reads the middle

IN_AUXILIARY: Final = f"{AUXILIARY}."  # how the names of its layers begin

Window = int | Pair  # of both sides, or height and width


class Layer(NamedTuple):
    """One operation on the outputs of earlier layers.

    Args:
        name: Name, unique in the plan. It says where the layer stands and what it is, as in
            `cell1.state3.a.sep_3x3.conv1`: the scopes it stands in, outermost first, then what it is there. Layers of
            two plans with equal names and weights of equal shapes have the same weights, whatever they read: the
            numbers of a learned sum belong to its inputs by order, not by the layers that these are.
        op: The operation.
        inputs: Positions of the layers that it reads, earlier in the plan; layer 0 is what goes into the network.
        shape: Shape of the output, which follows from `op` and the shapes of the inputs.
    """

    name: str
    op: Operation
    inputs: tuple[int, ...]
    shape: Shape

    @property
    def scope(self) -> str:
        """The outermost scope of the layer; "" outside any scope."""
        return self.name.partition(".")[0] if "." in self.name else ""

    @property
    def inner_scopes(self) -> tuple[str, ...]:
        """The scopes of the layer within the outermost one, from the outside in."""
        return tuple(self.name.split(".")[1:-1])

    @property
    def short_name(self) -> str:
        """The last part of the name: what the layer is within its scopes."""
        return self.name.rpartition(".")[2]

    @property
    def attribute(self) -> str:
        """What a layer with weights is called within its outermost scope, in networks and in source code.

        Dots become underscores, since a module for each inner scope would cost more to make than some layers do: the
        weights of `cell1.state3.a.sep_3x3.conv1` are `cell1.state3_a_sep_3x3_conv1.weight`.
        """
        return module_of(self.name)[1]


Plan = tuple[Layer, ...]


@runtime_checkable
class HasPlan(Protocol):
    """Capability of a space: its networks are layer plans, from which source code and memory estimates come."""

    def plan(self, genotype: Genotype, io: IO) -> Plan:
        """The layers of the network."""


def is_auxiliary(layer: Layer) -> bool:
    """Whether the layer belongs to an auxiliary head."""
    return layer.name.startswith(IN_AUXILIARY)


def deployed(plan: Plan) -> Plan:
    """The plan without what acts in training only: auxiliary heads and layers that drop. Names stay as they are.

    The output of a plan that ends in a layer that drops is what that layer reads.
    """
    if not any(layer.op.is_passage or is_auxiliary(layer) for layer in plan):
        return plan
    kept: list[Layer] = []
    places: dict[int, int] = {}
    for position, layer in enumerate(plan):
        if is_auxiliary(layer):
            continue
        if layer.op.is_passage:
            places[position] = places[layer.inputs[0]]
            continue
        places[position] = len(kept)
        kept.append(layer._replace(inputs=tuple(places[source] for source in layer.inputs)))
    output = places[len(plan) - 1]
    return tuple(kept) if output == len(kept) - 1 else _ending_at(kept, output)


def _ending_at(layers: Sequence[Layer], output: int) -> Plan:
    """The layers with this one at the end. Others that read it, on which no output depends, are left out."""
    after = {output}
    for position, layer in enumerate(layers):
        if not after.isdisjoint(layer.inputs):
            after.add(position)
    order = [position for position in range(len(layers)) if position not in after] + [output]
    places = {old: new for new, old in enumerate(order)}
    return tuple(layers[old]._replace(inputs=tuple(places[source] for source in layers[old].inputs)) for old in order)


def resized(plan: Plan, entering: Shape) -> Plan:
    """The plan of the same network, by its weights, where what goes in has another shape.

    Raises:
        ValueError: An operation cannot take what it then reads, or has other weights for it, or what comes out differs.
    """
    found = [Layer(plan[0].name, Input(entering), (), entering)]
    for layer in plan[1:]:
        read, now = ([layers[source].shape for source in layer.inputs] for layers in (plan, found))
        found.append(layer._replace(shape=layer.op.checked_shape(now)))
        if layer.op.params(*now) != layer.op.params(*read):
            raise ValueError(f"{layer.name} has other weights where {layer.op.name} reads other shapes")
    if found[-1].shape != plan[-1].shape:
        raise ValueError("what comes out has another shape where what goes in has")
    return tuple(found)


class PlanWriter:
    """Writes a plan layer by layer. A layer is referred to by its position, an int.

    Args:
        io: What goes into the network.
        norm: What `norm` writes; None: a batch normalization with the defaults.
    """

    def __init__(self, io: IO, norm: Norm | None = None) -> None:
        self._norm = norm or _NORM
        self._layers = [Layer("input", Input(io.input), (), io.input)]
        self._known: dict[tuple[Operation, tuple[int, ...]], int] = {}
        self._prefix = ""  # the scopes that are open, as names begin with them
        self._names = Names()
        self._names.add("input", has_weights=False)
        self._numbers: dict[str, int] = {}  # by scope and operation, how many layers there are

    @property
    def image(self) -> int:
        """What goes into the network, be it an image or not."""
        return 0

    def plan(self) -> Plan:
        """The layers written so far; the last one is the output."""
        return tuple(self._layers)

    def input(self, shape: Shape) -> int:
        """Write another input, for a part of a network that is only counted."""
        return self.write(Input(shape))

    def shape(self, x: int) -> Shape:
        """The shape of a layer's output."""
        return self._layers[x].shape

    def channels(self, x: int) -> int:
        """Channels of a layer's output, or features."""
        return self._layers[x].shape[0]

    def size(self, x: int) -> Pair:
        """Height and width of a layer's output, which is an image."""
        layer = self._layers[x]
        return image(layer.op, layer.shape)[1:]

    def scope(self, *names: str) -> _Scope:
        """Names of layers written inside begin with `names`, outermost first, each of letters, digits and underscores.

        A scope is a place, such as an edge or a state, or what stands there; it does not depend on what stands
        elsewhere. Outermost scopes become classes in source code: each begins with a letter and is opened once. No
        scope and no layer is called like a keyword of Python or what torch's modules have, such as `forward`.
        Layers in the outermost scope `AUXILIARY` run in training only, and only layers in it may read them; one that no
        layer reads is a further output. The last layer of a plan stands outside.
        """
        return _Scope(self, f"{self._prefix}{'.'.join(names)}.")

    def write(self, op: Operation, *inputs: int, name: str = "") -> int:
        """Write a layer of any operation; returns its position.

        Equal functions of equal inputs are one layer, so that they are computed once; it stands where it was first
        written.

        Args:
            op: The operation.
            inputs: The layers that it reads.
            name: Name within the scopes that are open; "": the operation's name and a number that counts the layers of
                one operation in one scope.

        Raises:
            ValueError: The operation cannot take such inputs, or the name is taken, or cannot be that of a layer.
        """
        layers, key = self._layers, (op, inputs)
        if op.is_function and (known := self._known.get(key)) is not None:
            return known
        shape = op.checked_shape([layers[source].shape for source in inputs])
        position = len(layers)
        place = f"{self._prefix}{name or op.name}"
        if not name:
            number = self._numbers[place] = self._numbers.get(place, 0) + 1
            place = f"{place}{number}"
        self._names.add(place, has_weights=op.has_weights)
        if position >= LAYERS:
            raise BadReference(f"the network has more than {LAYERS:,} layers; make it smaller, as by space.repeats")
        layers.append(Layer(place, op, inputs, shape))
        if op.is_function and not place.startswith(IN_AUXILIARY):  # nothing outside may read those
            self._known[key] = position
        return position

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
        return self.write(_conv(channels, kernel, stride, groups, dilation, bias, padded), x)

    def norm(self, x: int) -> int:
        """Batch normalization."""
        return self.write(self._norm, x)

    def relu(self, x: int) -> int:
        """Rectified linear unit."""
        return self.write(_RELU, x)

    def max_pool(self, x: int, kernel: int, stride: int = 1, *, zeros: bool = False) -> int:
        """Maximum over a window."""
        return self.write(MaxPool(kernel, stride, zeros), x)

    def min_pool(self, x: int, kernel: int, stride: int = 1) -> int:
        """Minimum over a window."""
        return self.write(MinPool(kernel, stride), x)

    def avg_pool(self, x: int, kernel: int, stride: int = 1, *, padded: bool = True, zeros: bool = False) -> int:
        """Mean over the part of a window that lies inside the image; with `zeros`, over the whole window."""
        return self.write(AvgPool(kernel, stride, padded, zeros), x)

    def halve(self, x: int) -> int:
        """Mean of blocks of 2 x 2 that do not overlap."""
        return self.write(Halve(), x)

    def odd_pixels(self, x: int) -> int:
        """Every second pixel of every second row, from the second on."""
        return self.write(OddPixels(), x)

    def zero(self, x: int) -> int:
        """Zeros of the input's shape."""
        return self.write(Zero(), x)

    def concat(self, inputs: Sequence[int]) -> int:
        """Concatenation along channels; a single input stays as it is."""
        return inputs[0] if len(inputs) == 1 else self.write(_CONCAT, *inputs)

    def add(self, inputs: Sequence[int]) -> int:
        """Sum of inputs of equal shape; a single input stays as it is."""
        return inputs[0] if len(inputs) == 1 else self.write(_ADD, *inputs)

    def weighted_sum(self, inputs: Sequence[int]) -> int:
        """Sum of inputs of equal shape, each (even a single one) times the logistic of a learned number."""
        return self.write(WeightedSum(), *inputs)

    def average(self, inputs: Sequence[int]) -> int:
        """Mean of inputs of equal shape; a single input stays as it is."""
        return inputs[0] if len(inputs) == 1 else self.write(Average(), *inputs)

    def gate(self, x: int, mask: int) -> int:
        """`x` times the sum of `mask`, scaled to [0, 1] within each image, and the logistic of a learned number."""
        return self.write(Gate(), x, mask)

    def mean(self, x: int) -> int:
        """Global average pooling: (B, C, H, W) to (B, C)."""
        return self.write(Mean(), x)

    def linear(self, x: int, outputs: int, *, bias: bool = True) -> int:
        """Linear layer."""
        return self.write(Linear(outputs, bias), x)

    def drop_path(self, x: int, depth: float) -> int:
        """The branch `x`, dropped for single samples while a regularized network trains.

        Args:
            x: The branch.
            depth: Depth of its cell in the network, in (0, 1]: (index from 0 + 1) / number of cells.
        """
        return self.write(DropPath(depth), x)

    def dropout(self, x: int) -> int:
        """The input, of which single numbers are dropped while a regularized network trains."""
        return self.write(Dropout(), x)


class _Scope:
    """A context in which the names that a writer gives begin with a prefix."""

    __slots__ = ("_outside", "_prefix", "_writer")

    def __init__(self, writer: PlanWriter, prefix: str) -> None:
        self._writer, self._prefix = writer, prefix

    def __enter__(self) -> None:
        self._outside, self._writer._prefix = self._writer._prefix, self._prefix

    def __exit__(self, *_: object) -> None:
        self._writer._prefix = self._outside


# records that plans have hundreds of are made once
_NORM, _RELU, _CONCAT, _ADD = Norm(), Relu(), Concat(), Add()


@lru_cache(maxsize=1024)
def _conv(channels: int, kernel: Window, stride: Window, groups: int, dilation: int, bias: bool, padded: bool) -> Conv:
    kernel = (kernel, kernel) if isinstance(kernel, int) else kernel
    stride = (stride, stride) if isinstance(stride, int) else stride
    return Conv(channels, kernel, stride, groups, dilation, bias, padded)
