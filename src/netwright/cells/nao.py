"""NAO's cells and the networks that stack them (Luo et al. 2018).

A cell reads the output of the cell before the last (state 0, "skip") and of the last (state 1, "direct"). That is the
other way round than in `cells.nasnet`, whose `Cell` is used here. A node adds the results of two operations; the cell's
output is the concatenation of the states that no node reads. There are three stacks of normal cells with a reduction
cell between them; from each reduction on the width is doubled.

The authors' programs differ (`nao_ops.Flavor`). In "pytorch" a cell's inputs are brought to its width where they have
another, drop paths stand on every branch, and the auxiliary head reads the last reduction cell. In the other two,
identities have no drop paths, and that head reads the first cell after the last reduction. In "tensorflow" the direct
input always goes through a 1x1 convolution, the first cell has the raw stem for its skip input, and ReLU stands before
the mean. "tensorflow-ws" has the inputs of "pytorch" with a further 1x1 convolution on the direct one, and classifiers
without bias.

Departures: weights are drawn as everywhere in this package; and a raw stem that no node reads, for which nothing is
published, is brought to the width of the states with which it is concatenated. The ImageNet stem is "pytorch"'s.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from netwright.cells import auxiliary, nasnet, resolution
from netwright.cells.nao_ops import Flavor, Kind, operations
from netwright.cells.nasnet import Branch, Cell, Combination, Skeleton
from netwright.cells.nasnet_ops import factorized_reduction, relu_conv_norm
from netwright.core.records import IO, Counts
from netwright.core.shapes import Classes, Image
from netwright.plans import counting, sharing
from netwright.plans.plan import AUXILIARY, Plan, PlanWriter
from netwright.plans.sharing import Share

STACKS: Final = 3
STEM_WIDTHS: Final = 3  # the CIFAR stem's channels, in widths of the first stack
AUXILIARY_STRIDES: Final = {"cifar": 3, "imagenet": 2}


@dataclass(frozen=True)
class Outline:
    """How cells are stacked, and which operations they have.

    Args:
        skeleton: "cifar": a 3x3 convolution, then the stacks. "imagenet": three strided 3x3 convolutions, one of half
            the width and two of the width, then the stacks; the first cell's skip input is what the second gives.
        channels: Width of the first stack (F).
        repeats: Normal cells per stack (N).
        operations: The set of operations.
        flavor: The program whose rules are followed.
        auxiliary: Whether a second classifier helps in training.
        closes: Whether a 1x1 convolution brings what a cell concatenates to the cell's width, as where weights are
            shared: it has a block of weights for each state, so that any of them can be concatenated.
    """

    skeleton: Skeleton
    channels: int
    repeats: int
    operations: Kind = "large"
    flavor: Flavor = "pytorch"
    auxiliary: bool = False
    closes: bool = False


@dataclass(frozen=True)
class _Place:
    """A cell and where it stands; `width` is the number of channels of its states."""

    cell: Cell
    width: int
    is_reduction: bool
    is_first: bool
    operations: Kind
    flavor: Flavor
    closes: bool = False


def plan(outline: Outline, normal: Cell, reduction: Cell, io: IO) -> Plan:
    """The layers of a network.

    Raises:
        BadReference: The images are too small for the skeleton or for its auxiliary head.
    """
    _check_size(outline, io)
    places = list(_places(outline, normal, reduction))
    watched = _watched(outline) if outline.auxiliary else 0
    has_bias = outline.flavor != "tensorflow-ws"
    writer = PlanWriter(io)
    with writer.scope("stem"):
        skip, direct = _write_stem(writer, outline)
    for number, place in enumerate(places, start=1):
        with writer.scope(f"cell{number}"):
            skip, direct = direct, _write_cell(writer, place, skip, direct, number / len(places))
        if number == watched:
            with writer.scope(AUXILIARY):
                stride = AUXILIARY_STRIDES[outline.skeleton]
                auxiliary.write(writer, direct, io.outputs, stride=stride, bias=has_bias)
    _write_head(writer, direct, outline, io.outputs)
    return writer.plan()


def shares(outline: Outline, normal: Cell, reduction: Cell, plan: Plan) -> dict[str, Share]:
    """Where the weights of a network lie among those that networks share; its cells close.

    A branch's operation has weights for each state that it may read, a closing convolution for each state that may be
    concatenated (section 3.3 of the paper, and the program with shared weights).
    """
    cells = {f"cell{number}": place for number, place in enumerate(_places(outline, normal, reduction), start=1)}
    found = sharing.by_name(plan, nasnet.reading({name: place.cell for name, place in cells.items()}))
    for name, place in cells.items():
        sizes = {f"from{state}": place.width for state in place.cell.outputs}
        sharing.split(found, f"{name}.closing.conv1", sizes)
    return found


def count(outline: Outline, normal: Cell, reduction: Cell, io: IO) -> Counts:
    """The counts of the plan without writing it: each cell is counted once for each shape of its inputs.

    Raises:
        BadReference: The images are too small for the skeleton or for its auxiliary head.
    """
    _check_size(outline, io)
    if (0,) in (normal.outputs, reduction.outputs) or (1,) in (normal.outputs, reduction.outputs):
        return _count_whole(outline, normal, reduction, io)  # of a cell that gives what it got
    entering = _entering(outline, io)  # one or two, which count as the outputs of cells up to 0
    skip, direct = entering[0], entering[-1]
    first = 1 - len(entering)
    found = counting.Composition()
    places = list(_places(outline, normal, reduction))
    for number, place in enumerate(places):
        counted, shape = _count_cell(place, skip, direct)
        found.add(counted, max(first, number - 1), number)
        skip, direct = direct, shape
    if outline.auxiliary:
        found.read(_watched(outline))
    found.add(_count_ends(outline, io, direct), *range(first, 1), len(places))
    return found.counts() or _count_whole(outline, normal, reduction, io)


@lru_cache(maxsize=64)  # outlines are few, networks many
def _entering(outline: Outline, io: IO) -> tuple[Image, ...]:
    """Shapes of what the stem gives, each once."""
    writer = PlanWriter(io)
    return tuple(Image(writer.channels(x), *writer.size(x)) for x in dict.fromkeys(_write_stem(writer, outline)))


@lru_cache(maxsize=64)
def _count_ends(outline: Outline, io: IO, last: Image) -> counting.Counted:
    """Counts of the stem, and of the head that reads an output of this shape; what they do to these tensors."""
    writer = PlanWriter(io)
    states = dict.fromkeys(_write_stem(writer, outline))
    read = writer.input(last)
    _write_head(writer, read, outline, io.outputs)
    return counting.part(writer.plan(), (*states, read))


@lru_cache(maxsize=4096)  # a plan takes as long as thirty networks of cells that are known
def _count_whole(outline: Outline, normal: Cell, reduction: Cell, io: IO) -> Counts:
    return counting.count(plan(outline, normal, reduction, io))


def _check_size(outline: Outline, io: IO) -> None:
    """Raise BadReference for images that are too small; the auxiliary head reads them after the last reduction."""
    halvings = STACKS - 1 + (3 if outline.skeleton == "imagenet" else 0)

    def sides(side: int) -> tuple[int, ...]:
        return tuple(-(-side // 2**halving) for halving in range(halvings + 1))

    resolution.check(io, outline.skeleton, sides, -1 if outline.auxiliary else None)


def _places(outline: Outline, normal: Cell, reduction: Cell) -> Iterator[_Place]:
    """The cells in order: reductions stand at N and 2 N + 1, counted from 0."""
    rules = outline.operations, outline.flavor, outline.closes
    for stack in range(STACKS):
        width = outline.channels * 2**stack
        if stack:
            yield _Place(reduction, width, True, False, *rules)
        for number in range(outline.repeats):
            yield _Place(normal, width, False, stack == number == 0, *rules)


def _watched(outline: Outline) -> int:
    """Number of the cell that the auxiliary head reads, counted from 1."""
    last_reduction = 2 * outline.repeats + 2
    return last_reduction if outline.flavor == "pytorch" else last_reduction + 1


def _write_stem(writer: PlanWriter, outline: Outline) -> tuple[int, int]:
    """The first cell's skip and direct input."""
    if outline.skeleton == "cifar":
        stem = writer.norm(writer.conv(writer.image, STEM_WIDTHS * outline.channels, 3))
        return stem, stem
    half = writer.norm(writer.conv(writer.image, max(1, outline.channels // 2), 3, stride=2))
    skip = relu_conv_norm(writer, half, outline.channels, 3, 2)
    return skip, relu_conv_norm(writer, skip, outline.channels, 3, 2)


def _write_head(writer: PlanWriter, x: int, outline: Outline, outputs: int) -> int:
    entering = writer.relu(x) if outline.flavor == "tensorflow" else x
    return writer.linear(writer.dropout(writer.mean(entering)), outputs, bias=outline.flavor != "tensorflow-ws")


def _write_cell(writer: PlanWriter, place: _Place, skip: int, direct: int, depth: float) -> int:
    """Write a cell into a plan; returns its output.

    Args:
        writer: The plan to write into.
        place: The cell, and where it stands.
        skip: Output of the cell before the last.
        direct: Output of the last cell.
        depth: Depth of the cell for its drop paths, in (0, 1].
    """
    states: dict[int, int] = {}
    with writer.scope("skip"):
        states[0] = _write_skip(writer, place, skip, direct)
    with writer.scope("direct"):
        states[1] = _write_direct(writer, place, direct)
    for state, pair in enumerate(place.cell.combinations, start=2):
        with writer.scope(f"state{state}"):
            states[state] = _write_pair(writer, place, pair, states, depth)
    with writer.scope("output"):
        end = writer.concat([_write_output(writer, place, state, states[state]) for state in place.cell.outputs])
    if place.closes:
        with writer.scope("closing"):
            end = relu_conv_norm(writer, end, place.width)
    return end


def _write_skip(writer: PlanWriter, place: _Place, skip: int, direct: int) -> int:
    """State 0, with the resolution of the direct input, and with the cell's width unless it is the raw stem."""
    if writer.size(skip) != writer.size(direct):
        return factorized_reduction(writer, writer.relu(skip), place.width, stride=2)
    if place.is_first and place.flavor == "tensorflow":
        return skip
    return _fitted(writer, place, skip)


def _write_direct(writer: PlanWriter, place: _Place, direct: int) -> int:
    """State 1, with the cell's width."""
    if place.flavor == "tensorflow":
        return relu_conv_norm(writer, direct, place.width)
    with writer.scope("fit"):
        fitted = _fitted(writer, place, direct)
    return relu_conv_norm(writer, fitted, place.width) if place.flavor == "tensorflow-ws" else fitted


def _fitted(writer: PlanWriter, place: _Place, x: int) -> int:
    return x if writer.channels(x) == place.width else relu_conv_norm(writer, x, place.width)


def _write_pair(writer: PlanWriter, place: _Place, pair: Combination, states: dict[int, int], depth: float) -> int:
    """The sum of two branches, named "a" and "b"."""
    written = []
    for side, branch in zip("ab", pair, strict=True):
        with writer.scope(side, branch[0].replace(" ", "_")):
            written.append(_write_branch(writer, place, branch, states, depth))
    return writer.add(written)


def _write_branch(writer: PlanWriter, place: _Place, branch: Branch, states: dict[int, int], depth: float) -> int:
    """A branch's operation. In a reduction cell, operations on the cell's inputs halve the resolution."""
    operation, state = branch
    stride = 2 if place.is_reduction and state < 2 else 1
    written = operations(place.operations, place.flavor)[operation](writer, states[state], place.width, stride)
    is_kept = operation == "identity" and place.flavor != "pytorch"
    return written if is_kept else writer.drop_path(written, depth)


def _write_output(writer: PlanWriter, place: _Place, state: int, x: int) -> int:
    """A state ready to be concatenated: inputs of the cell are brought to the shape of the others."""
    stride = 2 if place.is_reduction and state < 2 else 1
    if stride == 1 and writer.channels(x) == place.width:
        return x
    with writer.scope(f"state{state}"):
        return factorized_reduction(writer, x, place.width, stride)


@lru_cache(maxsize=4096)
def _count_cell(place: _Place, skip: Image, direct: Image) -> tuple[counting.Counted, Image]:
    """Counts of a cell with inputs of these shapes, what it does to them, and the shape of its output."""
    writer = PlanWriter(IO(skip, Classes(0)))
    second = writer.input(direct)
    end = _write_cell(writer, place, writer.image, second, depth=1.0)
    return counting.part(writer.plan(), (writer.image, second)), Image(writer.channels(end), *writer.size(end))
