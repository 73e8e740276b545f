"""Graphs of operations that are cells, or stand within cells: how they are written, and which weights they share.

Source: Liu et al. 2018, section 2.

Where weights are shared, each edge into a node owns a range of the node's channels, as wide as whatever it may bring: a
convolution fills the first `width` of them, a motif all of its `width`, any other operation as many as its own source
has. So what reads a node has a weight for each channel that may be there, and a network uses those that are.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from netwright.cells import blocks
from netwright.core.errors import BadReference
from netwright.plans import sharing
from netwright.plans.plan import Plan, PlanWriter
from netwright.plans.sharing import Share

WITH_WEIGHTS: Final = ("conv 1x1", "depthwise 3x3", "separable 3x3")
NARROWING: Final = ("conv 1x1", "separable 3x3")  # operations whose outputs have `width` channels, whatever enters
WIDEST: Final = 4096  # widths of a cell that may arrive at a node where weights are shared


@dataclass(frozen=True, eq=False)
class Motif:
    """A graph with its dead parts left out. Nodes are numbered 0, 1, ...: input first, output last.

    Args:
        numbers: For each node, its number in the graph with the dead nodes, which names its edges.
        edges: (source, destination, operation), ordered by destination, then source; an operation is a primitive's
            name or a motif of the level below.
        text: Text of the graph and all below it: equal texts, same graph.
    """

    numbers: tuple[int, ...]
    edges: tuple[tuple[int, int, str | Motif], ...]
    text: str


def write_motif(plan: PlanWriter, motif: Motif, x: int, width: int) -> int:
    """Write a motif's graph into a plan, without a closing convolution: only motifs within motifs have one.

    Args:
        plan: The plan to write into.
        motif: The graph of the motif.
        x: The motif's input.
        width: Number of channels of the cell, the output of every convolution in it.

    Returns:
        The output: the concatenation of what arrives at the last node.
    """
    arriving: list[list[int]] = [[] for _ in motif.numbers]
    arriving[0] = [x]
    values: dict[int, int] = {}
    names = [number + 1 for number in motif.numbers]
    for source, target, operation in motif.edges:
        if source not in values:
            with plan.scope(f"node{names[source]}"):
                values[source] = plan.concat(arriving[source])
        with plan.scope(f"{names[source]}to{names[target]}"):
            arriving[target].append(_write_operation(plan, operation, values[source], width))
    with plan.scope(f"node{names[-1]}"):
        return plan.concat(arriving[-1])


def _write_operation(plan: PlanWriter, operation: str | Motif, x: int, width: int) -> int:
    if isinstance(operation, str):
        with plan.scope(operation.replace(" ", "_")):
            return blocks.HIERARCHICAL[operation](plan, x, width)
    entering = write_motif(plan, operation, x, width)
    with plan.scope("closing"):
        return blocks.conv_norm_relu(plan, entering, width)


def shares(plan: Plan, cell: Motif) -> dict[str, Share]:
    """Where the weights of a network lie among those that the networks of all cells share.

    Args:
        plan: The layers of the network, a skeleton around the cell: in scopes `cell1`, `after1`, `cell2`, ...

    Raises:
        BadReference: More than WIDEST widths may arrive at a node.
    """
    found = sharing.by_name(plan)
    for number in range(1, 1 + sum(scope.startswith("after") for scope in {layer.scope for layer in plan})):
        leaving = _share(found, f"cell{number}.", cell, _Arriving((0,), 1))
        _pick(found, f"after{number}.conv1", leaving, 0)
        _pick(found, f"after{number}.conv2", leaving, 1)
    return found


@dataclass(frozen=True)
class _Arriving:
    """What arrives at a node: which of its ranges of `width` channels are there, and how many there may be."""

    present: tuple[int, ...]
    most: int


def _share(found: dict[str, Share], prefix: str, motif: Motif, entering: _Arriving) -> _Arriving:
    """Say where the weights of a motif lie; returns what arrives at its last node."""
    is_lowest = all(isinstance(operation, str) for _, _, operation in motif.edges)
    most = [entering.most]  # by node, dead ones too
    while len(most) <= motif.numbers[-1]:
        most.append(sum(most) if is_lowest else len(most))
    if most[-1] > WIDEST:
        raise BadReference(
            f"weights cannot be shared by graphs of {len(most)} nodes, at whose output up to {most[-1]:,} operations "
            "arrive; give space.nodes less"
        )
    begins = [0, *accumulate(most)] if is_lowest else range(len(most))
    present: list[list[int]] = [[] for _ in motif.numbers]
    present[0] += entering.present
    for source, target, operation in motif.edges:
        start, end = motif.numbers[source], motif.numbers[target]
        there = _Arriving(tuple(present[source]), most[start])
        place = f"{prefix}{start + 1}to{end + 1}."
        passed = _share_operation(found, place, operation, there)
        present[target] += [begins[start] + each for each in passed]
    return _Arriving(tuple(present[-1]), most[-1])


def _share_operation(
    found: dict[str, Share], place: str, operation: str | Motif, entering: _Arriving
) -> tuple[int, ...]:
    """Say where the weights of an edge lie; returns which of its ranges it fills."""
    if not isinstance(operation, str):
        _pick(found, f"{place}closing.conv1", _share(found, place, operation, entering), 1)
        return (0,)
    within = f"{place}{operation.replace(' ', '_')}."
    if operation != "conv 1x1":  # the convolution of each channel by itself, where there is one
        _pick(found, f"{within}conv1", entering, 0)
    if operation == "depthwise 3x3":
        _pick(found, f"{within}norm1", entering, 0)
    if operation in NARROWING:
        _pick(found, f"{within}{'conv1' if operation == 'conv 1x1' else 'conv2'}", entering, 1)
        return (0,)
    return entering.present


def _pick(found: dict[str, Share], layer: str, arriving: _Arriving, dimension: int) -> None:
    """Cut the weights of a layer to what is there of all that may arrive."""
    sharing.cut(found, layer, arriving.present, arriving.most, dimension)
