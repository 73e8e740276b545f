"""One network of the hierarchical generator: drawn, counted, written as a layer plan and as a drawing.

Three levels: a Watts-Strogatz graph of cells, each an Erdos-Renyi graph of groups, each a Watts-Strogatz graph of
operations. Widths are in units of the base width m.

Source: Ru, Esperanca, Carlucci 2020, "Neural Architecture Generator Optimization", section 3, and its released code.
Departures, where that code is wrong: outputs of a graph are chosen by node, not by position; every graph has a seed of
its own; Erdos-Renyi graphs are always connected; attention scales its mask within each image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from types import MappingProxyType
from typing import Final

from netwright.cells import hnag_memory, wired
from netwright.cells.random_graphs import Graph, erdos_renyi, generator, inputs_of, outputs_of, watts_strogatz
from netwright.cells.wired import Merge
from netwright.core.records import IO, Counts, LabeledGraph
from netwright.plans import counting
from netwright.plans.operation import FLOAT
from netwright.plans.plan import Plan, PlanWriter

STAGES: Final = 3
MERGES: Final[tuple[Merge, ...]] = ("sum", "concat", "attention")
# kernel of each operation; the paper's other experiments leave open which four of the released seven they chose from
OPERATIONS: Final[Mapping[str, int]] = MappingProxyType(
    {"conv 3x3": 3, "conv 5x5": 5, "conv 1x1": 1, "avg pool 3x3": 3}
)


@dataclass(frozen=True, slots=True)
class Generator:
    """The hyper-parameters of a generator.

    Args:
        top: Nodes, degree and rewiring probability of the graph of cells.
        middle: Nodes and edge probability of a graph of groups.
        bottom: Nodes, degree and rewiring probability of a graph of operations.
        shares: Share of the cells that each stage has.
        ratios: Channels of each stage, in units of m.
        merges: Share of each of MERGES, in their order.
        operations: Share of each of OPERATIONS, in their order.
    """

    top: tuple[int, int, float]
    middle: tuple[int, float]
    bottom: tuple[int, int, float]
    shares: tuple[float, ...] = (0.33, 0.33, 0.33)
    ratios: tuple[int, ...] = (1, 2, 4)
    merges: tuple[float, ...] = (1, 0, 0)
    operations: tuple[float, ...] = (1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Group:
    """A graph of operations, with the merge and the operation of each node."""

    graph: Graph
    merges: tuple[Merge, ...]
    operations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """A graph of groups at one stage; `entering` and `leaving` are channels in units of m."""

    graph: Graph
    merges: tuple[Merge, ...]
    groups: tuple[Group, ...]
    stage: int
    entering: int
    leaving: int


@dataclass(frozen=True, slots=True)
class Drawing:
    """A graph of cells; `stem` is the number of channels that enter it, in units of m."""

    graph: Graph
    merges: tuple[Merge, ...]
    cells: tuple[Cell, ...]
    stem: int


def draw(made: Generator, seed: int) -> Drawing:
    """The network that a seed draws. Each graph depends only on the seed and its place."""
    graph = watts_strogatz(*made.top, generator(seed, "top"))
    merges = _merges(made, graph, generator(seed, "top", "merges"))
    stage_of = stages(len(graph), made.shares)
    leaving = [made.ratios[stage] for stage in stage_of]
    cells = []
    for index, (reads, merge) in enumerate(zip(graph, merges, strict=True)):
        entering = _entering([leaving[source] for source in reads], merge) if reads else made.ratios[0]
        cells.append(_draw_cell(made, seed, index, (stage_of[index], entering, leaving[index])))
    return Drawing(graph, merges, tuple(cells), made.ratios[0])


def stages(nodes: int, shares: Sequence[float]) -> tuple[int, ...]:
    """The stage of each cell: three cells get one each, else a stage ends once its share of the cells is used up."""
    if nodes == STAGES:
        return tuple(range(STAGES))
    found, stage, end = [], 0, shares[0] * nodes
    for node in range(nodes):
        if node >= end and stage < STAGES - 1:
            stage += 1
            end += shares[stage] * nodes
        found.append(stage)
    return tuple(found)


def base(drawing: Drawing) -> int:
    """Number of weights of the operations' convolutions at m = 1; it grows as m squared."""
    return sum(_weights(cell)[0] for cell in drawing.cells)


def count(drawing: Drawing, width: int, io: IO, bias: bool) -> Counts:
    """The counts of `plan` at base width m = `width`, without writing it."""
    start, end = _ends(drawing, width, io, bias)
    params, multiply_adds = _weigh(drawing, width, _sizes(io), bias)
    units = [FLOAT * size * width for size in _sizes(io)]
    memory = hnag_memory.count(drawing, start.held[0], end.held[0], units)
    return counting.total(Counts(params, multiply_adds, memory), start.counts, end.counts)


def size(drawing: Drawing, width: int, io: IO, bias: bool) -> int:
    """The parameters that `count` gives."""
    start, end = _ends(drawing, width, io, bias)
    return _weigh(drawing, width, _sizes(io), bias)[0] + start.counts.params + end.counts.params


def plan(drawing: Drawing, width: int, io: IO, bias: bool) -> Plan:
    """The layers of the network at base width m = `width`.

    Images of fewer than 40 pixels to a side keep their resolution up to the first cell; larger ones are a quarter as
    wide there. From stage to stage the resolution halves: a cell reads means of 2 x 2 pixels of cells of earlier
    stages.
    """
    writer = PlanWriter(io)
    x = _stem(writer, io, drawing.stem * width, bias)
    cells: list[int] = []
    for index, (cell, reads, merge) in enumerate(zip(drawing.cells, drawing.graph, drawing.merges, strict=True)):
        with writer.scope(f"cell{index + 1}"):
            found = {f"cell{source + 1}": (cells[source], drawing.cells[source].stage) for source in reads}
            found = found or {"stem": (x, 0)}
            inputs = {name: wired.shrink(writer, y, cell.stage - stage) for name, (y, stage) in found.items()}
            cells.append(_write_cell(writer, cell, wired.merge(writer, inputs, merge, bias), width, bias))
    with writer.scope("output"):
        nodes, smallest, last = outputs_of(drawing.graph), _last_stage(drawing), writer.channels(cells[-1])
        halved = [wired.shrink(writer, cells[node], smallest - drawing.cells[node].stage) for node in nodes]
        fitted = [wired.fit(writer, f"cell{node + 1}", y, last, bias) for node, y in zip(nodes, halved, strict=True)]
        x = writer.average(fitted)
    wired.head(writer, x, io.outputs, bias)
    return writer.plan()


def labeled(drawing: Drawing) -> LabeledGraph:
    """A drawing: cells, below them their graphs of groups, below these the graphs of operations, equal ones once."""
    groups = {group: n for n, group in enumerate(dict.fromkeys(g for cell in drawing.cells for g in cell.groups), 1)}
    bottom = {group: _graph(f"wiring {n}", group.graph, group.merges, group.operations) for group, n in groups.items()}
    parts = []
    for index, cell in enumerate(drawing.cells, 1):
        names = [f"wiring {groups[group]}" for group in cell.groups]
        inner = tuple(bottom[group] for group in dict.fromkeys(cell.groups))
        parts.append(_graph(f"cell {index}", cell.graph, cell.merges, names, inner))
    names = [f"cell {index}" for index in range(1, len(parts) + 1)]
    return _graph("network", drawing.graph, drawing.merges, names, tuple(parts))


def _draw_cell(made: Generator, seed: int, index: int, shape: tuple[int, int, int]) -> Cell:
    place = f"cell {index + 1}"
    graph = erdos_renyi(*made.middle, generator(seed, place))
    merges = _merges(made, graph, generator(seed, place, "merges"))
    groups = tuple(_draw_group(made, seed, place, f"group {n + 1}") for n in range(len(graph)))
    return Cell(graph, merges, groups, *shape)


def _draw_group(made: Generator, seed: int, *place: str) -> Group:
    graph = watts_strogatz(*made.bottom, generator(seed, *place))
    merges = _merges(made, graph, generator(seed, *place, "merges"))
    chosen = [name for name, share in zip(OPERATIONS, made.operations, strict=True) if share > 0]
    if len(chosen) == 1 and not _is_pool(chosen[0]):
        return Group(graph, merges, tuple(chosen * len(graph)))
    rng, outputs, names = generator(seed, *place, "operations"), outputs_of(graph), list(OPERATIONS)
    alone = [name for name in names if not _is_pool(name)]  # an output of the graph is never a pooling
    allowed = [alone if node in outputs else names for node in range(len(graph))]
    return Group(graph, merges, tuple(_choose(each, made.operations, rng) for each in allowed))


def _choose(allowed: Sequence[str], shares: Sequence[float], rng: Random) -> str:
    """One of the allowed operations, drawn by share; uniformly where none of them has a share."""
    own = shares[: len(allowed)]
    return rng.choices(allowed, own if any(own) else None)[0]


def _merges(made: Generator, graph: Graph, rng: Random) -> tuple[Merge, ...]:
    if not any(made.merges[1:]):
        return tuple("sum" for _ in graph)
    return tuple(rng.choices(MERGES, made.merges)[0] for _ in graph)


def _is_pool(operation: str) -> bool:
    return operation.startswith("avg pool")


def _entering(widths: Sequence[int], merge: Merge) -> int:
    return sum(widths) if merge == "concat" else widths[-1]


def _merge_weights(widths: Sequence[int], merge: Merge) -> tuple[list[int], int]:
    """Widths that a 1x1 convolution brings to the last width, and how many numbers the merge learns."""
    if len(widths) < 2 or merge == "concat":
        return [], 0
    rest = widths if merge == "sum" else widths[1:]
    numbers = sum(width == rest[-1] for width in rest) if len(rest) > 1 else 0
    return [width for width in widths if width != widths[-1]], numbers + (merge == "attention")


def _operations(cell: Cell) -> Iterator[tuple[str, int]]:
    """Each operation of a cell, with the channels that enter it."""
    for reads, merge, group in zip(cell.graph, cell.merges, cell.groups, strict=True):
        outside = _entering([cell.leaving] * len(reads), merge) if reads else cell.entering
        for inner, kind, operation in zip(group.graph, group.merges, group.operations, strict=True):
            yield operation, _entering([cell.leaving] * len(inner), kind) if inner else outside


def _weights(cell: Cell) -> tuple[int, int, tuple[int, int], int]:
    """At m = 1: a cell's weights of operations and of adapted poolings; normalizations, biases; numbers of merges."""
    own = others = norms = biases = 0
    for operation, entering in _operations(cell):
        if not _is_pool(operation):
            own += OPERATIONS[operation] ** 2 * entering * cell.leaving
            norms, biases = norms + 1, biases + 1
        elif entering != cell.leaving:
            others, biases = others + entering * cell.leaving, biases + 1
    levels = [(cell.graph, cell.merges), *((group.graph, group.merges) for group in cell.groups)]
    pairs = (pair for graph, merges in levels for pair in zip(graph, merges, strict=True))
    return own, others, (norms, biases), sum(_merge_weights(reads and (1,) * len(reads), m)[1] for reads, m in pairs)


def _weigh(drawing: Drawing, width: int, sizes: Sequence[int], bias: bool) -> tuple[int, int]:
    """Parameters and multiply-adds between stem and head; `sizes` holds the number of pixels at each stage."""
    params = multiply_adds = 0
    leaving = [cell.leaving for cell in drawing.cells]
    for cell, reads, merge in zip(drawing.cells, drawing.graph, drawing.merges, strict=True):
        operations, others, vectors, scalars = _weights(cell)
        adapters, more = _merge_weights([leaving[source] for source in reads], merge)
        weights = (operations + others + sum(adapters) * cell.entering) * width**2
        multiply_adds += weights * sizes[cell.stage]
        norms, biases = vectors
        params += weights + scalars + more
        params += (2 * norms * cell.leaving + bias * (biases * cell.leaving + len(adapters) * cell.entering)) * width
    last, outputs = leaving[-1], [leaving[node] for node in outputs_of(drawing.graph)]
    odd = [each for each in outputs if each != last]
    params += sum(odd) * last * width**2 + bias * len(odd) * last * width
    multiply_adds += sum(odd) * last * width**2 * sizes[_last_stage(drawing)]
    return params, multiply_adds


def _sizes(io: IO) -> list[int]:
    """Number of pixels at each stage."""
    height, width = io.height, io.width
    halved = 0 if wired.is_small(io) else 2
    found = []
    for times in range(halved + STAGES):
        found += [height * width] * (times >= halved)
        height, width = -(-height // 2), -(-width // 2)
    return found


def _last_stage(drawing: Drawing) -> int:
    return max(drawing.cells[node].stage for node in outputs_of(drawing.graph))


def _ends(drawing: Drawing, width: int, io: IO, bias: bool) -> tuple[counting.Counted, counting.Counted]:
    """Counts of the stem and of the head, and what they do to the tensors between them and the cells."""
    stem = PlanWriter(io)
    x = _stem(stem, io, drawing.stem * width, bias)
    pixels = _sizes(io)[_last_stage(drawing)]
    head = PlanWriter(IO(drawing.cells[-1].leaving * width, pixels, 1, io.outputs))
    wired.head(head, head.image, io.outputs, bias)
    return counting.part(stem.plan(), (x,)), counting.part(head.plan(), (head.image,))


def _stem(writer: PlanWriter, io: IO, width: int, bias: bool) -> int:
    with writer.scope("stem"):
        if wired.is_small(io):
            return wired.small_stem(writer, width, bias)
        half = wired.separable(writer, writer.image, max(1, width // 2), 2, bias=bias)
        return wired.separable(writer, writer.relu(half), width, 2, bias=bias)


def _write_cell(writer: PlanWriter, cell: Cell, x: int, width: int, bias: bool) -> int:
    groups: list[int] = []
    for index, (reads, merge, group) in enumerate(zip(cell.graph, cell.merges, cell.groups, strict=True)):
        with writer.scope(f"group{index + 1}"):
            entering = _merged(writer, "group", groups, reads, merge, bias) if reads else x
            groups.append(_write_group(writer, group, entering, cell.leaving * width, bias))
    return writer.average([groups[node] for node in outputs_of(cell.graph)])


def _write_group(writer: PlanWriter, group: Group, x: int, width: int, bias: bool) -> int:
    nodes: list[int] = []
    for index, (reads, merge, operation) in enumerate(zip(group.graph, group.merges, group.operations, strict=True)):
        with writer.scope(f"node{index + 1}"):
            entering = _merged(writer, "node", nodes, reads, merge, bias) if reads else x
            nodes.append(_write_operation(writer, operation, entering, width, bias))
    return writer.average([nodes[node] for node in outputs_of(group.graph)])


def _merged(writer: PlanWriter, kind: str, made: Sequence[int], reads: Sequence[int], merge: Merge, bias: bool) -> int:
    return wired.merge(writer, {f"{kind}{source + 1}": made[source] for source in reads}, merge, bias)


def _write_operation(writer: PlanWriter, operation: str, x: int, width: int, bias: bool) -> int:
    """Write ReLU, convolution, normalization; or a pooling, after a 1x1 convolution where the width changes."""
    kernel = OPERATIONS[operation]
    with writer.scope(operation.replace(" ", "_")):
        if not _is_pool(operation):
            return writer.norm(writer.conv(writer.relu(x), width, kernel, bias=bias))
        adapted = x if writer.channels(x) == width else writer.conv(x, width, bias=bias)
        return writer.avg_pool(adapted, kernel)


def _graph(
    name: str,
    graph: Graph,
    merges: Sequence[Merge],
    labels: Sequence[str],
    parts: tuple[LabeledGraph, ...] = (),
) -> LabeledGraph:
    """A drawing of a graph with source and sink; edges name the merge of their destination where it is no sum."""
    edges = [(0, node + 1, "") for node in inputs_of(graph)]
    for node, (reads, merge) in enumerate(zip(graph, merges, strict=True)):
        word = "" if merge == "sum" or len(reads) == 1 else merge
        edges += [(source + 1, node + 1, word) for source in reads]
    edges += [(node + 1, len(graph) + 1, "") for node in outputs_of(graph)]
    return LabeledGraph(name, ("input", *labels, "output"), tuple(sorted(edges)), parts)
