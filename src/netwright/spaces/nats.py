"""Cells of 4 nodes and 6 edges with 5 operations: NAS-Bench-201, the topology space of NATS-Bench (Dong et al. 2021).

Node 0 is the cell's input, node 3 its output; a node is the sum of what its edges bring. Every cell has a row in the
published tables, even one whose output never sees the input, so every genotype is valid.

The network is that of NAS-Bench-201 (Dong and Yang 2020, section 2.1): a 3x3 convolution, three groups of cells with a
strided residual block between them, operations as ReLU, convolution, normalization. Departure: what does nothing is
left out, as in the other spaces (edges into nodes that no edge reads, their parameters included), so that such cells
have fewer parameters than in the published table. A convolution of a node that is zero stays, because its normalization
has a shift.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby, permutations, product
from operator import itemgetter
from typing import TYPE_CHECKING, ClassVar, Final, TypeAlias

import numpy as np

from netwright.core import genes
from netwright.core.bounds import check_sizes
from netwright.core.errors import InvalidGenotype
from netwright.core.genes import Choice
from netwright.core.records import IO, Counts, Genotype, LabeledGraph
from netwright.core.shapes import Image
from netwright.plans import counting, sharing
from netwright.plans.plan import Plan, PlanWriter
from netwright.plans.sharing import Share

if TYPE_CHECKING:
    from torch import nn

OPERATIONS: Final = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES: Final = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))  # in the order of the benchmark's strings
INCOMING: Final = ((0,), (1, 2), (3, 4, 5))  # positions in EDGES, by node
GENES: Final = tuple(Choice(f"{source}->{target}", OPERATIONS, kind="operation") for source, target in EDGES)
NONE, SKIP, CONV_1X1, CONV_3X3, POOL = range(5)
GROUPS: Final = 3
CELLS: Final = len(OPERATIONS) ** len(EDGES)

_FORM: Final = re.compile(r"\|(\w+)~0\|\+\|(\w+)~0\|(\w+)~1\|\+\|(\w+)~0\|(\w+)~1\|(\w+)~2\|")
_NUMBER: Final = {name: number for number, name in enumerate(OPERATIONS)}

# a term of a sum: "x", the cell's input; the number of a convolution; or a sum, which stands for its average pooling
Term: TypeAlias = "str | int | Sum"
Sum: TypeAlias = tuple["Term", ...]


@dataclass(frozen=True)
class Cell:
    """What a genotype computes, without what does nothing and without the names of nodes.

    Args:
        convolutions: Operation and input of each convolution, in an order that `cell_of` chooses; an empty input is
            zero.
        output: The cell's output; an empty one is zero.
        text: Text of the cell: equal texts, same network.
        edges: Position in EDGES of each convolution, in the genotype that was given.
    """

    convolutions: tuple[tuple[int, Sum], ...]
    output: Sum
    text: str
    edges: tuple[int, ...] = field(compare=False)


@dataclass(frozen=True)
class NatsTopology:
    """The topology space.

    Args:
        channels: Width of the first group; it doubles from group to group (benchmark: 16).
        repeats: Number of cells per group (benchmark: 5).
    """

    accepts: ClassVar[tuple[type, ...]] = (Image,)

    channels: int = 16
    repeats: int = 5

    def __post_init__(self) -> None:
        check_sizes(channels=self.channels, repeats=self.repeats)

    @property
    def genes(self) -> tuple[Choice, ...]:
        """One gene per edge, by target, then source."""
        return GENES

    def sample(self, rng: np.random.Generator) -> Genotype:
        """A genotype with every operation drawn uniformly."""
        return genes.sample(GENES, rng)

    def mutate(self, genotype: Genotype, rng: np.random.Generator) -> Genotype:
        """A copy with another operation on one edge.

        The node, its incoming edge and the new operation are each uniform, so edges into early nodes change more often,
        as in the benchmark's own evolution.
        """
        incoming = INCOMING[int(rng.random() * len(INCOMING))]
        edge = incoming[int(rng.random() * len(incoming))]
        value = int(rng.random() * (len(OPERATIONS) - 1))
        return (*genotype[:edge], value + (value >= genotype[edge]), *genotype[edge + 1 :])

    def check(self, genotype: Genotype) -> None:
        """Raise InvalidGenotype for a wrong value. Every cell is valid."""
        genes.check(GENES, genotype)

    def text(self, genotype: Genotype) -> str:
        """The benchmark's own string, as in `|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|`."""
        names = [f"{OPERATIONS[int(value)]}~{source}" for value, (source, _) in zip(genotype, EDGES, strict=True)]
        return "+".join(f"|{'|'.join(names[edge] for edge in incoming)}|" for incoming in INCOMING)

    def parse(self, text: str) -> Genotype:
        """Inverse of `text`. Raises InvalidGenotype, saying what is wrong with it."""
        found = _FORM.fullmatch(text.strip())
        if not found:
            form = self.text((SKIP,) * len(EDGES)).replace("skip_connect", "op")
            raise InvalidGenotype(f"{text[:200]!r} is no cell of this space; it is written as {form}")
        try:
            return tuple([_NUMBER[name] for name in found.groups()])
        except KeyError as error:
            raise InvalidGenotype(
                f"{text!r}: there is no operation {error}; there are {', '.join(OPERATIONS)}"
            ) from None

    def build(self, genotype: Genotype, io: IO, rng: np.random.Generator) -> nn.Module:
        """The network: images (B, C, H, W) of any size to logits (B, outputs)."""
        network = importlib.import_module("netwright.plans.network")  # with torch, which look-ups do without
        return network.build(self.plan(genotype, io), rng)

    def count(self, genotype: Genotype, io: IO) -> Counts:
        """Parameters and multiply-adds in closed form."""
        return counting.count(self.plan(genotype, io))

    def key(self, genotype: Genotype) -> str:
        """Digest of what the cell computes: equal for cells that differ in dead edges, skips and names of nodes."""
        return _key(genotype)

    def graph(self, genotype: Genotype) -> LabeledGraph:
        """A drawing of the cell: edges that carry something to the output, and their nodes."""
        return _graph(genotype)

    def plan(self, genotype: Genotype, io: IO) -> Plan:
        """The layers of the network; for genotypes of equal keys they differ only in the names of places."""
        cell, width, writer = cell_of(genotype), self.channels, PlanWriter(io)
        with writer.scope("stem"):
            x = writer.norm(writer.conv(writer.image, width, 3))
        for group in range(GROUPS):
            if group:
                width *= 2
                with writer.scope(f"reduction{group}"):
                    x = write_reduction(writer, x, width)
            for repeat in range(self.repeats):
                with writer.scope(f"group{group + 1}_cell{repeat + 1}"):
                    x = _write_cell(writer, cell, x, width)
        write_head(writer, x, io.outputs)
        return writer.plan()

    def shared_plan(self, genotype: Genotype, io: IO) -> Plan:
        """The layers of a network among those that share weights, which are the same."""
        return self.plan(genotype, io)

    def shares(self, genotype: Genotype, plan: Plan) -> Mapping[str, Share]:  # noqa: ARG002
        """Each cell's edge has one convolution of either size, whatever else the cell has."""
        return sharing.by_name(plan)

    def cover(self) -> Iterator[Genotype]:
        """The cells of 1x1 convolutions and of 3x3 convolutions."""
        yield from ((operation,) * len(EDGES) for operation in (CONV_1X1, CONV_3X3))


def relu_conv_norm(plan: PlanWriter, x: int, channels: int, kernel: int, stride: int = 1) -> int:
    """Write ReLU, convolution, normalization, in this order; returns the output."""
    return plan.norm(plan.conv(plan.relu(x), channels, kernel, stride))


def write_reduction(plan: PlanWriter, x: int, width: int) -> int:
    """Write the residual block between groups: half the resolution, `width` channels.

    Args:
        plan: The plan to write into.
        x: The block's input.
        width: Number of channels of its output.

    Returns:
        The output: two 3x3 convolutions beside the mean of 2x2 blocks and a 1x1 convolution without normalization.
    """
    inner = relu_conv_norm(plan, x, width, 3, stride=2)
    with plan.scope("shortcut"):
        shortcut = plan.conv(plan.halve(x), width)
    return plan.add((shortcut, relu_conv_norm(plan, inner, width, 3)))


def write_head(plan: PlanWriter, x: int, outputs: int) -> int:
    """Write what follows the last group: normalization, ReLU, global mean, linear; returns the logits."""
    return plan.linear(plan.mean(plan.relu(plan.norm(x))), outputs)


@lru_cache(maxsize=CELLS)
def cell_of(genotype: Genotype) -> Cell:
    """What a genotype computes: equal, except for the edges, for all genotypes that compute the same.

    Equal convolutions are ordered so that the text is the least possible.
    """
    inputs, output = _sums(genotype)
    shapes: dict[int, str] = {}
    _shape(output, genotype, inputs, shapes)
    edges = sorted(shapes, key=lambda edge: (shapes[edge], edge))
    alike = (tuple(same) for _, same in groupby(edges, key=shapes.__getitem__))
    orders = ([edge for same in order for edge in same] for order in product(*map(permutations, alike)))
    return min((_named(order, output, genotype, inputs) for order in orders), key=lambda cell: cell.text)


@lru_cache(maxsize=CELLS)
def _key(genotype: Genotype) -> str:
    inputs, output = _sums(genotype)
    shapes: dict[int, str] = {}
    text = _shape(output, genotype, inputs, shapes)
    if len(set(shapes.values())) < len(shapes):  # the shape does not tell one convolution read twice from two
        text = cell_of(genotype).text
    return genes.digest(f"nats {text}")


def _sums(genotype: Genotype) -> tuple[dict[int, Sum], Sum]:
    """The input of each convolution and the output of the cell; a convolution is named by its edge."""
    inputs: dict[int, Sum] = {}
    nodes: list[Sum] = [("x",)]
    for incoming in INCOMING:
        arriving: list[Term] = []
        for edge in incoming:
            operation, source = genotype[edge], nodes[EDGES[edge][0]]
            if operation == SKIP:
                arriving.extend(source)
            elif operation == POOL and source:
                arriving.append(source)
            elif operation in (CONV_1X1, CONV_3X3):
                inputs[edge] = source
                arriving.append(edge)
        nodes.append(tuple(arriving))
    return inputs, nodes[-1]


def _shape(total: Sum, genotype: Genotype, inputs: Mapping[int, Sum], shapes: dict[int, str]) -> str:
    """A sum as text, convolutions without names; fills in `shapes` with what each convolution in it computes."""
    texts = []
    for term in total:
        if isinstance(term, int):
            if term not in shapes:
                shapes[term] = f"{genotype[term]}({_shape(inputs[term], genotype, inputs, shapes)})"
            texts.append(shapes[term])
        else:
            texts.append(term if isinstance(term, str) else f"p({_shape(term, genotype, inputs, shapes)})")
    return "+".join(sorted(texts))


def _named(edges: Sequence[int], output: Sum, genotype: Genotype, inputs: Mapping[int, Sum]) -> Cell:
    """The cell whose convolutions are numbered in the order of `edges`."""
    numbers = {edge: number for number, edge in enumerate(edges)}
    found = [_renamed(inputs[edge], numbers) for edge in edges]
    text, renamed = _renamed(output, numbers)
    convolutions = tuple((int(genotype[edge]), total) for edge, (_, total) in zip(edges, found, strict=True))
    listed = ";".join(f"{genotype[edge]}({each})" for edge, (each, _) in zip(edges, found, strict=True))
    return Cell(convolutions, renamed, f"{listed}={text}", tuple(edges))


def _renamed(total: Sum, numbers: Mapping[int, int]) -> tuple[str, Sum]:
    """The text of a sum, and the sum, with convolutions renumbered and terms in order of their texts."""
    found: list[tuple[str, Term]] = []
    for term in total:
        if isinstance(term, int):
            found.append((str(numbers[term]), numbers[term]))
        elif isinstance(term, str):
            found.append((term, term))
        else:
            text, renamed = _renamed(term, numbers)
            found.append((f"p({text})", renamed))
    found.sort(key=itemgetter(0))
    return "+".join([text for text, _ in found]), tuple([term for _, term in found])


def _write_cell(plan: PlanWriter, cell: Cell, x: int, width: int) -> int:
    """Write a cell into a plan; returns its output, of the shape of its input."""
    return _write_sum(plan, cell, cell.output, x, width, {})


def _write_sum(plan: PlanWriter, cell: Cell, total: Sum, x: int, width: int, written: dict[int, int]) -> int:
    """Write a sum, and the convolutions that are not `written` yet."""
    if not total:
        return plan.zero(x)
    terms = []
    for term in total:
        if isinstance(term, int):
            if term not in written:
                operation, entering = cell.convolutions[term]
                source = _write_sum(plan, cell, entering, x, width, written)
                with plan.scope("{}to{}".format(*EDGES[cell.edges[term]]), OPERATIONS[operation]):
                    written[term] = relu_conv_norm(plan, source, width, 3 if operation == CONV_3X3 else 1)
            terms.append(written[term])
        elif isinstance(term, str):
            terms.append(x)
        else:
            terms.append(plan.avg_pool(_write_sum(plan, cell, term, x, width, written), 3))
    return plan.add(terms)


@lru_cache(maxsize=CELLS)
def _graph(genotype: Genotype) -> LabeledGraph:
    is_zero = [False]
    for incoming in INCOMING:
        is_zero.append(not any(_carries(genotype[edge], is_zero[EDGES[edge][0]]) for edge in incoming))
    last, alive, kept = len(INCOMING), {len(INCOMING)}, []
    for edge, (source, target) in reversed(list(enumerate(EDGES))):  # ordered by target: readers first
        if target in alive and _carries(genotype[edge], is_zero[source]):
            alive.add(source)
            kept.append((source, target, OPERATIONS[int(genotype[edge])]))
    alive.add(0)
    places = {node: place for place, node in enumerate(sorted(alive))}
    names = {0: "input", last: "output"}
    labels = [names.get(node, str(node)) + (" = 0" if is_zero[node] else "") for node in places]
    edges = tuple((places[source], places[target], name) for source, target, name in reversed(kept))
    return LabeledGraph("cell", tuple(labels), edges)


def _carries(operation: float, is_zero: bool) -> bool:
    """Whether an edge out of a node, which may be zero, brings anything."""
    return operation in (CONV_1X1, CONV_3X3) or (operation in (SKIP, POOL) and not is_zero)


plugin = NatsTopology
