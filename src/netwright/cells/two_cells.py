"""Pairs of a normal and a reduction cell: how spaces encode, name and draw them, whatever the cells are made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import product
from typing import Final

import numpy as np

from netwright.cells import nasnet
from netwright.cells.nasnet import Cell
from netwright.core import genes
from netwright.core.errors import InvalidGenotype
from netwright.core.records import Genotype, LabeledGraph

Row = tuple[str, int, str, int]  # of a published table: an operation and its state, twice

CELLS: Final = ("normal", "reduction")
ORIGINS: Final = {"direct": "one cell before", "skip": "two cells before"}  # whose output it is that a cell reads


def values(normal: Sequence[Row], reduction: Sequence[Row], names: Sequence[str]) -> list[int]:
    """The genes of cells as papers list them: of each branch, the state it reads and its operation's place in `names`.

    Raises:
        InvalidGenotype: An operation is not among the names.
    """
    found: list[int] = []
    for cell, rows in zip(CELLS, (normal, reduction), strict=True):
        for state, (first, source, second, other) in enumerate(rows, start=2):
            for operation, read in ((first, source), (second, other)):
                if operation not in names:
                    raise InvalidGenotype(
                        f"state {state} of the {cell} cell has the operation {operation!r}; "
                        f"there are {', '.join(names)}"
                    )
                found += [read, names.index(operation)]
    return found


def swap_branches(genotype: Genotype, genes_per_pair: int, rng: np.random.Generator) -> Genotype:
    """The genotype of two cells with the branches of one pair of each exchanged: the same network.

    Args:
        genotype: The genes of a normal cell's pairs, then as many of a reduction cell's.
        genes_per_pair: Number of genes of a pair, of which the first half are those of the first branch.
        rng: Source of randomness, which draws the pairs uniformly.
    """
    found, per_cell = list(genotype), len(genotype) // len(CELLS)
    for cell, place in enumerate(rng.random(len(CELLS)).tolist()):
        first = cell * per_cell + int(place * (per_cell // genes_per_pair)) * genes_per_pair
        middle, end = first + genes_per_pair // 2, first + genes_per_pair
        found[first:end] = found[middle:end] + found[first:middle]
    return tuple(found)


def readings(pairs: int) -> list[list[int]]:
    """The states that branches read, of both cells in order, such that in one or other each branch reads each state.

    In the first all branches read state 0 and in the second state 1, so that every other state is concatenated.
    """
    return [[shift % state for _ in CELLS for state in range(2, pairs + 2) for _ in "ab"] for shift in range(pairs + 1)]


def readings_of_each(pairs: int) -> Iterator[list[int]]:
    """The same for cells in which given states are concatenated: each branch reads each state while all else counts.

    Branches before it read both inputs of the cell, and those behind it read its state, so that no cell is passed over.
    """
    for state in range(2, pairs + 2):
        for side, read in product((0, 1), range(state)):
            own = [read, read]
            own[1 - side] = 1 - read if state == 2 else 2
            before, behind = [0, 1] * (state - 2), [state] * (2 * (pairs + 1 - state))
            yield [*before, *own, *behind] * len(CELLS)


@lru_cache(maxsize=4096)
def cell_text(cell: Cell) -> str:
    """A text for a cell: equal texts, same cell, whatever the names of its states and the order of its branches.

    States are numbered in order of what they compute. Two that compute the same, each with weights of its own, keep the
    cell's order, so that a few cells have two texts.
    """
    living = nasnet.alive(cell)
    labels = {0: "0", 1: "1"}
    for state, pair in enumerate(cell.combinations, start=2):
        if state in living:
            labels[state] = genes.digest("+".join(sorted(f"{operation}({labels[read]})" for operation, read in pair)))
    ordered = sorted((state for state in labels if state > 1), key=lambda state: (labels[state], state))
    numbers = {0: 0, 1: 1} | {state: number for number, state in enumerate(ordered, start=2)}
    sums = [
        "+".join(sorted(f"{operation}({numbers[read]})" for operation, read in cell.combinations[state - 2]))
        for state in ordered
    ]
    return f"{';'.join(sums)}={sorted(numbers[state] for state in cell.outputs)}"


def cell_graph(name: str, cell: Cell, inputs: tuple[str, str]) -> LabeledGraph:
    """A drawing of a cell without its dead states; `inputs` are the names of states 0 and 1, keys of ORIGINS."""
    living = sorted(nasnet.alive(cell))
    places = {state: place for place, state in enumerate(living)}
    labels = [
        f"{state} {inputs[state]}: {ORIGINS[inputs[state]]}" if state < len(inputs) else str(state) for state in living
    ]
    edges = [
        (places[read], places[state], operation)
        for state, pair in enumerate(cell.combinations, start=2)
        if state in places
        for operation, read in pair
    ]
    edges += [(places[state], len(living), "concat") for state in cell.outputs]
    return LabeledGraph(f"{name} cell", (*labels, "output"), tuple(edges))


def stacks_graph(
    stem: str, first: Sequence[int], width: int, repeats: int, normal: LabeledGraph, reduction: LabeledGraph
) -> LabeledGraph:
    """A drawing of the chain of stacks; a node gives the number of cells before it and their width.

    Args:
        stem: Label of what stands before the cells.
        first: Widths of the reduction cells before the stacks.
        width: Width of the first stack.
        repeats: Number of normal cells per stack.
        normal: The drawing of a normal cell.
        reduction: The drawing of a reduction cell.
    """
    chain = [("stem", stem), *((f"width {each}", reduction.name) for each in first)]
    for stack in range(nasnet.STACKS):
        chain += [(f"width {width * 2**stack}", reduction.name)] * (stack > 0)
        chain += [(f"{repeats} x width {width * 2**stack}", normal.name)]
    chain += [("logits", "mean, linear")]
    edges = tuple((number, number + 1, label) for number, (_, label) in enumerate(chain))
    return LabeledGraph("network", ("image", *(node for node, _ in chain)), edges, (normal, reduction))
