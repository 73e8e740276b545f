"""NASNet cells and the networks that stack them (Zoph et al. 2018; Real et al. 2019).

A cell reads the output of the cell before it (state 0, "direct") and of the one before that (state 1, "skip"). A
combination makes a new state, the sum of the results of two operations; the cell's output is the concatenation of some
states. There are three stacks of normal cells with a reduction cell between them; from each reduction on the width is
doubled.

What the output does not depend on is not written: states that no operation reads, cells that all later ones pass over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Final, Literal

from netwright.cells import auxiliary, resolution
from netwright.cells.nasnet_ops import OPERATIONS, factorized_reduction, relu_conv_norm
from netwright.core.records import IO, Counts
from netwright.core.shapes import Classes, Image
from netwright.plans import counting, sharing
from netwright.plans.ops.images import Norm
from netwright.plans.plan import AUXILIARY, Layer, Plan, PlanWriter
from netwright.plans.sharing import Share

Skeleton = Literal["cifar", "imagenet"]
Branch = tuple[str, int]  # an operation and the state that it reads
Combination = tuple[Branch, Branch]
STACKS: Final = 3
STEM_WIDTHS: Final = 3  # the CIFAR stem's channels, in widths of the first stack
IMAGENET_STEM: Final = 32  # channels


@dataclass(frozen=True)
class Cell:
    """A cell.

    Args:
        combinations: The combinations; the k-th, counted from 0, makes state k + 2 from earlier states.
        outputs: Numbers of the states that are concatenated.
    """

    combinations: tuple[Combination, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class Outline:
    """How cells are stacked.

    Args:
        skeleton: "cifar": a 3x3 convolution, then the stacks. "imagenet": a strided 3x3 convolution and two more
            reduction cells, of a quarter and half the width, then the stacks.
        channels: Width of the first stack (F).
        repeats: Normal cells per stack (N).
        stem: Channels of the first convolution; None: three widths, or 32 for "imagenet".
        auxiliary: Whether a second classifier, which helps in training, reads the last cell before the last reduction.
        auxiliary_scale: Factor of that classifier's widths, which are 128 and 768 times this.
        norm: The batch normalization after each convolution.
    """

    skeleton: Skeleton
    channels: int
    repeats: int
    stem: int | None = None
    auxiliary: bool = False
    auxiliary_scale: float = 1.0
    norm: Norm = Norm()


@dataclass(frozen=True)
class _Place:
    """A cell and where it stands, with the width of its states; `is_behind_reduction`: its direct input is halved."""

    cell: Cell
    width: int
    is_reduction: bool
    is_behind_reduction: bool


def unused(combinations: Sequence[Combination]) -> tuple[int, ...]:
    """The states that no operation reads: those that a search concatenates."""
    read = {source for pair in combinations for _, source in pair}
    return tuple(state for state in range(len(combinations) + 2) if state not in read)


@lru_cache(maxsize=1024)
def alive(cell: Cell) -> frozenset[int]:
    """The states that a cell's output depends on."""
    found = set(cell.outputs)
    for state in range(len(cell.combinations) + 1, 1, -1):
        if state in found:
            found.update(source for _, source in cell.combinations[state - 2])
    return frozenset(found)


def plan(outline: Outline, normal: Cell, reduction: Cell, io: IO) -> Plan:
    """The layers of a network.

    Raises:
        BadReference: The images are too small for the skeleton or for its auxiliary head.
    """
    _check_size(outline, io)
    places = _places(outline, normal, reduction)
    needed = _needed(places)
    watched = _watched(places, needed) if outline.auxiliary else 0
    writer = PlanWriter(io, outline.norm)
    with writer.scope("stem"):
        outputs = {0: _write_stem(writer, outline)}
    for number in needed:
        with writer.scope(f"cell{number}"):
            inputs = outputs.get(number - 1), outputs.get(number - 2)
            outputs[number] = _write_cell(writer, places[number - 1], *inputs, number / len(places))
        if number == watched:
            with writer.scope(AUXILIARY):
                auxiliary.write(writer, outputs[number], io.outputs, scale=outline.auxiliary_scale)
    _write_head(writer, outputs[needed[-1]], io.outputs)
    return writer.plan()


def count(outline: Outline, normal: Cell, reduction: Cell, io: IO) -> Counts:
    """The counts of the plan without writing it: each cell is counted once for each shape of its inputs.

    Raises:
        BadReference: The images are too small for the skeleton or for its auxiliary head.
    """
    _check_size(outline, io)
    places = _places(outline, normal, reduction)
    needed = _needed(places)
    if (0,) in (normal.outputs, reduction.outputs) or (1,) in (normal.outputs, reduction.outputs):
        return _count_whole(outline, normal, reduction, io)  # of a cell that gives what it got
    entering = _entering(outline, io)
    size = (entering.height, entering.width)
    shapes, found = {0: entering}, counting.Composition()
    for number, place in enumerate(places, start=1):
        size = _halved(*size) if place.is_reduction else size
        if number in needed:
            counted = _count_cell(place, shapes.get(number - 1), shapes.get(number - 2))
            found.add(counted, *(each for each in (number - 1, number - 2) if each in shapes))
            shapes[number] = Image(place.width * len(place.cell.outputs), *size)
    if outline.auxiliary:
        found.read(_watched(places, needed))
    found.add(_count_ends(outline, io, shapes[len(places)]), 0, len(places))
    return found.counts() or _count_whole(outline, normal, reduction, io)


@lru_cache(maxsize=64)  # outlines are few, networks many
def _entering(outline: Outline, io: IO) -> Image:
    """Shape of what the stem gives."""
    writer = PlanWriter(io)
    stem = _write_stem(writer, outline)
    return Image(writer.channels(stem), *writer.size(stem))


@lru_cache(maxsize=64)
def _count_ends(outline: Outline, io: IO, last: Image) -> counting.Counted:
    """Counts of the stem, and of the head that reads an output of this shape; what they do to these tensors."""
    writer = PlanWriter(io)
    stem = _write_stem(writer, outline)
    read = writer.input(last)
    _write_head(writer, read, io.outputs)
    return counting.part(writer.plan(), (stem, read))


@lru_cache(maxsize=4096)  # a plan takes as long as thirty networks of cells that are known
def _count_whole(outline: Outline, normal: Cell, reduction: Cell, io: IO) -> Counts:
    return counting.count(plan(outline, normal, reduction, io))


def shares(outline: Outline, normal: Cell, reduction: Cell, plan: Plan) -> dict[str, Share]:
    """Where the weights of a network lie among those that networks share.

    A branch's operation has weights for each state that it may read, and whatever reads a cell's output for each state
    that may be concatenated.
    """
    places = _places(outline, normal, reduction)
    cells = {f"cell{number}": place.cell for number, place in enumerate(places, start=1)}
    found = sharing.by_name(plan, reading(cells))

    def split_readers(number: int, *names: str) -> None:
        if number > 0:  # the stem's output is what it is
            place = places[number - 1]
            for name in names:
                sharing.split(found, name, {f"from{state}": place.width for state in place.cell.outputs})

    needed = _needed(places)
    for number in needed:
        split_readers(number - 1, f"cell{number}.direct.conv1")
        split_readers(number - 2, *(f"cell{number}.skip.{name}" for name in ("conv1", "odd.conv1", "even.conv1")))
    split_readers(needed[-1], "linear1")
    split_readers(_watched(places, needed) if outline.auxiliary else 0, f"{AUXILIARY}.conv1")
    return found


def reading(cells: Mapping[str, Cell]) -> Callable[[Layer], str]:
    """What layers are called where weights are shared: those of branches after the states that they read, too.

    Args:
        cells: The cells by their scopes. `cell3.state4.a.sep_3x3.conv1` becomes `cell3.state4.a.from1.sep_3x3.conv1`.
    """

    def place(layer: Layer) -> str:
        cell, *scopes = layer.name.split(".", 3)
        if cell not in cells or len(scopes) < 3 or not scopes[0].startswith("state"):
            return layer.name
        state, side, rest = scopes
        read = cells[cell].combinations[int(state.removeprefix("state")) - 2]["ab".index(side)][1]
        return f"{cell}.{state}.{side}.from{read}.{rest}"

    return place


def sides(outline: Outline, side: int) -> tuple[int, ...]:
    """Side of the maps after the stem and after each reduction cell, for images with this side."""
    found = [(side - 3) // 2 + 1 if outline.skeleton == "imagenet" else side]
    for _ in range(_reductions(outline)):
        found.append(-(-found[-1] // 2))
    return tuple(found)


def _reductions(outline: Outline) -> int:
    return STACKS - 1 + (2 if outline.skeleton == "imagenet" else 0)


def _check_size(outline: Outline, io: IO) -> None:
    """Raise BadReference for images that are too small; the auxiliary head reads them before the last reduction."""
    resolution.check(io, outline.skeleton, partial(sides, outline), -2 if outline.auxiliary else None)


def _places(outline: Outline, normal: Cell, reduction: Cell) -> list[_Place]:
    """The cells in order: reduction cells stand before normal cells N and 2 N, counted from 0 (Real et al.)."""
    widths: list[tuple[int, bool]] = []  # with whether it is that of a reduction cell
    if outline.skeleton == "imagenet":
        widths += [(max(1, outline.channels // 4), True), (max(1, outline.channels // 2), True)]
    for stack in range(STACKS):
        width = outline.channels * 2**stack
        widths += [(width, True)] * (stack > 0) + [(width, False)] * outline.repeats
    behind = [False, *(is_reduction for _, is_reduction in widths)]
    return [
        _Place(reduction if is_reduction else normal, width, is_reduction, is_behind)
        for (width, is_reduction), is_behind in zip(widths, behind, strict=False)
    ]


def _needed(places: Sequence[_Place]) -> list[int]:
    """Numbers of the cells that the last one depends on, in order, counted from 1."""
    living = {place.cell: alive(place.cell) for place in places}
    needed = {len(places)}
    for number in range(len(places), 0, -1):
        if number in needed:
            needed |= {number - 1 - state for state in (0, 1) if state in living[places[number - 1].cell]}
    return sorted(number for number in needed if number > 0)


def _watched(places: Sequence[_Place], needed: Sequence[int]) -> int:
    """Number of the cell that the auxiliary head reads: the last needed one before the last reduction."""
    last = max(number for number, place in enumerate(places, start=1) if place.is_reduction)
    return max(number for number in needed if number < last)


def _write_stem(writer: PlanWriter, outline: Outline) -> int:
    if outline.skeleton == "imagenet":
        stem = outline.stem or IMAGENET_STEM
        return writer.norm(writer.conv(writer.image, stem, 3, stride=2, padded=False))
    return writer.norm(writer.conv(writer.image, outline.stem or STEM_WIDTHS * outline.channels, 3))


def _write_head(writer: PlanWriter, x: int, outputs: int) -> int:
    return writer.linear(writer.dropout(writer.mean(writer.relu(x))), outputs)


def _write_cell(writer: PlanWriter, place: _Place, direct: int | None, skip: int | None, depth: float) -> int:
    """Write a cell into a plan; returns its output.

    Args:
        writer: The plan to write into.
        place: The cell, and where it stands.
        direct: Output of the cell before it; None: the cell does not read it.
        skip: Output of the one before that; None: the cell does not read it, or is the first and reads `direct` twice.
        depth: Depth of the cell for its drop paths, in (0, 1].
    """
    cell, width, living = place.cell, place.width, alive(place.cell)
    states: dict[int, int] = {}
    if 0 in living and direct is not None:
        with writer.scope("direct"):
            states[0] = relu_conv_norm(writer, direct, width)
    if 1 in living:
        with writer.scope("skip"):
            states[1] = _write_skip(writer, place, direct, skip)
    for state, pair in enumerate(cell.combinations, start=2):
        if state in living:
            with writer.scope(f"state{state}"):
                states[state] = _write_pair(writer, place, pair, states, depth)
    with writer.scope("output"):
        return writer.concat([_write_output(writer, place, state, states[state]) for state in cell.outputs])


def _write_skip(writer: PlanWriter, place: _Place, direct: int | None, skip: int | None) -> int:
    """State 1, with the resolution of the direct input and, except in the first cell, the cell's width."""
    if skip is None:
        assert direct is not None, "a cell reads one of its inputs"
        return direct
    if place.is_behind_reduction:
        return factorized_reduction(writer, writer.relu(skip), place.width, stride=2)
    return skip if writer.channels(skip) == place.width else relu_conv_norm(writer, skip, place.width)


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
    written = OPERATIONS[operation](writer, states[state], place.width, stride)
    return written if operation == "identity" else writer.drop_path(written, depth)


def _write_output(writer: PlanWriter, place: _Place, state: int, x: int) -> int:
    """A state ready to be concatenated: inputs of the cell are brought to the shape of the others."""
    stride = 2 if place.is_reduction and state < 2 else 1
    if stride == 1 and writer.channels(x) == place.width:
        return x
    with writer.scope(f"state{state}"):
        return factorized_reduction(writer, x, place.width, stride)


@lru_cache(maxsize=4096)
def _count_cell(place: _Place, direct: Image | None, skip: Image | None) -> counting.Counted:
    """Counts of a cell with inputs of these shapes, and what it does to them; None: an input that is not there."""
    writer = PlanWriter(IO(direct or skip or Image(0, 0, 0), Classes(0)))
    first = writer.image if direct else None
    second = writer.image if skip and not direct else writer.input(skip) if skip else None
    _write_cell(writer, place, first, second, depth=1.0)
    return counting.part(writer.plan(), [each for each in (first, second) if each is not None])


def _halved(height: int, width: int) -> tuple[int, int]:
    return -(-height // 2), -(-width // 2)
