"""Drawings of networks of stages: the chain of stages, below it each stage, below these the blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from netwright.cells.stages import TRANSITION, Stage, Staged, begins_apart, fitting, is_patched, is_pooled, reduction
from netwright.core.records import IO, LabeledGraph

HALF: Final = "max pool 2x2 / 2"

Edges = tuple[tuple[int, int, str], ...]


def of_network(staged: Staged, io: IO) -> LabeledGraph:
    """The drawing of the network that images of this size get."""
    stages = staged.stages[: fitting(len(staged.stages), staged.stem, io)]
    stem, side = _stem(staged, io)
    parts = []
    for number, stage in enumerate(stages, start=1):
        parts.append(_of_stage(staged, number, stage, side))
        side = -(-side // 2) if (is_pooled(side) if staged.pooling == TRANSITION else number > 1) else side
    nodes = ("image", f"{staged.width} channels", *(f"{stage.width} channels" for stage in stages), "logits")
    return _chain(_title(staged), nodes, (stem, *(part.name for part in parts), "mean, linear"), tuple(parts))


def _stem(staged: Staged, io: IO) -> tuple[str, int]:
    """What the stem of a network is for images of this size, and the shorter side of the maps that it gives."""
    side, times = min(io.height, io.width), reduction(staged.stem, io)
    if is_patched(staged, times, side):
        return f"windows of {times}x{times}", side // times
    if times == 1:
        return "conv 3x3", side
    return ", ".join(["conv 3x3 / 2"] * (times.bit_length() - 1)), -(-side // times)


def _title(staged: Staged) -> str:
    extra = ", squeeze-and-excitation" if staged.is_squeezed else ""
    return f"network: {staged.norm} normalization, {staged.activation}{extra}"


def _of_stage(staged: Staged, number: int, stage: Stage, side: int) -> LabeledGraph:
    before = staged.stages[number - 2].width if number > 1 else staged.width
    labels, names, parts = [], ["input"], []
    is_apart = begins_apart(staged, stage)
    if is_apart:
        labels.append(_transition(staged, side, is_halving=number > 1))
        names.append("begun")
    for block in range(1, stage.depth + 1):
        is_changing = block == 1 and not is_apart
        part = _of_block(
            staged, stage, is_halving=is_changing and number > 1, is_wider=is_changing and before != stage.width
        )
        labels.append(part.name)
        names.append(str(block))
        parts.append(part)
    return _chain(f"stage {number}", (*names[:-1], "output"), labels, tuple(dict.fromkeys(parts)))


def _transition(staged: Staged, side: int, *, is_halving: bool) -> str:
    """What stands in front of the blocks of a stage, or in place of them, where maps have so many pixels to a side."""
    if staged.pooling == TRANSITION:
        return f"conv 3x3, {HALF}" if is_pooled(side) else "conv 3x3"
    if not is_halving:
        return "conv 3x3"
    return "conv 3x3 / 2" if staged.pooling == "stride" else f"{HALF}, conv 3x3"


def _of_block(staged: Staged, stage: Stage, *, is_halving: bool, is_wider: bool) -> LabeledGraph:
    """A block; in front of it the pooling of a network that pools, and its shortcut where it changes the shape."""
    is_strided = is_halving and staged.pooling == "stride"
    half = " / 2" if is_strided else ""
    is_changing = is_strided or is_wider
    past = f"conv 1x1{half}" if is_changing else "identity"
    nodes, edges = _inside(staged, stage.block, half, past, is_changing=is_changing)
    if is_halving and not is_strided:
        edges = ((0, 1, HALF), *((source + 1, target + 1, label) for source, target, label in edges))
        nodes = ("input", "half", *nodes[1:])
    name = f"{'halving ' if is_halving else 'wider ' if is_wider else ''}{stage.block}"
    return LabeledGraph(name, nodes, edges)


def _inside(staged: Staged, block: str, half: str, past: str, *, is_changing: bool) -> tuple[tuple[str, ...], Edges]:
    """Nodes and edges of a block of one kind."""
    conv, mixing = f"conv {staged.kernel}x{staged.kernel}", f"depthwise {staged.kernel}x{staged.kernel}"
    excited = ", excitation" if staged.is_squeezed else ""
    if block == "inverted":
        nodes: tuple[str, ...] = ("input", f"{staged.expansion} times as wide", "mixed", "output")
        edges: Edges = ((0, 1, "conv 1x1"), (1, 2, f"{mixing}{half}{excited}"), (2, 3, "conv 1x1"))
        return nodes, edges if is_changing else (*edges, (0, 3, past))
    if block == "convolution":
        return ("input", "output"), ((0, 1, f"{conv}{half}{excited}"),)
    if block in ("residual", "pre-activation", "additive", "plain"):
        nodes = ("input", "inner", "output" if block == "plain" else "sum")
        edges = ((0, 1, f"{conv}{half}"), (1, 2, f"{conv}{excited}"))
        return nodes, edges if block == "plain" else (*edges, (0, 2, past))
    inner, branch = _of_cell(staged) if block == "cell" else _of_depthwise(staged, mixing, excited)
    if not is_changing:
        return ("input", *inner), branch
    return ("input", "entering", *inner), ((0, 1, past), *((a + 1, b + 1, label) for a, b, label in branch))


def _of_depthwise(staged: Staged, mixing: str, excited: str) -> tuple[tuple[str, ...], Edges]:
    nodes = ("mixed", f"{staged.expansion} times as wide", "sum")
    return nodes, ((0, 1, mixing), (1, 2, "conv 1x1"), (2, 3, f"conv 1x1{excited}"), (0, 3, "identity"))


def _of_cell(staged: Staged) -> tuple[tuple[str, ...], Edges]:
    cell, end = staged.cell, "sum, excitation" if staged.is_squeezed else "sum"
    if cell.is_chain:
        return ("first", end), ((0, 1, cell.first), (1, 2, cell.second), (0, 2, "identity"))
    return ("first", "second", end), (
        (0, 1, cell.first),
        (0, 2, cell.second),
        (1, 3, "identity"),
        (2, 3, "identity"),
        (0, 3, "identity"),
    )


def _chain(name: str, nodes: tuple[str, ...], labels: Sequence[str], parts: tuple[LabeledGraph, ...]) -> LabeledGraph:
    return LabeledGraph(name, nodes, tuple((n, n + 1, label) for n, label in enumerate(labels)), parts)
