"""What networks of the hierarchical generator keep for their backward pass, without a plan of hundreds of layers.

The tensors are those of `hnag_network.plan`, made in the same order and read by the same operations; what happens to
them there is said in `plans.counting`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from netwright.cells.random_graphs import outputs_of
from netwright.cells.wired import Merge
from netwright.plans.counting import Common
from netwright.plans.operation import FLOAT

if TYPE_CHECKING:
    from netwright.cells.hnag_network import Cell, Drawing, Group


@dataclass(slots=True)
class _Tensor(Common):
    """A tensor of so many channels, in units of the base width."""

    channels: int = 0

    def read(self, is_kept: bool) -> None:
        """Say that an operation reads it, and whether its backward pass needs it."""
        self.readers += 1
        self.is_kept = self.is_kept or is_kept


def count(drawing: Drawing, stem: Common, head: Common, units: Sequence[int]) -> int:
    """Bytes that the cells keep of one example.

    Args:
        drawing: The network.
        stem: What the stem does to its output.
        head: What the head does to its input.
        units: Bytes of a channel of each stage, times the base width.
    """
    memory = _Memory(units)
    first = memory.tensor(drawing.stem, 0)
    cells: list[_Tensor] = []
    for cell, reads, merge in zip(drawing.cells, drawing.graph, drawing.merges, strict=True):
        found = [(cells[source], drawing.cells[source].stage) for source in reads] or [(first, 0)]
        entering = [memory.shrunk(x, stage, cell.stage) for x, stage in found]
        cells.append(memory.cell(cell, memory.merged(entering, merge, cell.stage)))
    nodes = outputs_of(drawing.graph)
    last = max(drawing.cells[node].stage for node in nodes)
    halved = [memory.shrunk(cells[node], drawing.cells[node].stage, last) for node in nodes]
    x = memory.averaged([memory.fitted(each, cells[-1].channels, last) for each in halved], last)
    first.read(stem.is_kept)
    first.readers += stem.readers - 1
    first.is_rectified = first.is_rectified or stem.is_rectified
    x.is_rectified = x.is_rectified or head.is_rectified
    return memory.bytes()


class _Memory:
    """The tensors of a network, and the bytes that are kept besides them."""

    def __init__(self, units: Sequence[int]) -> None:
        self._units = units
        self._tensors: list[_Tensor] = []
        self._besides = 0
        self._known: dict[tuple[object, ...], _Tensor] = {}  # equal functions of equal inputs, which are one

    def bytes(self) -> int:
        """All bytes that are kept."""
        found = self._besides
        for each in self._tensors:  # as in `counting.Composition`
            if each.is_rectified:
                found += each.bytes
            if each.is_kept and (each.readers or not each.is_rectified):
                found += each.bytes
        return found

    def tensor(self, channels: int, stage: int) -> _Tensor:
        """A new tensor."""
        made = _Tensor(channels * self._units[stage], channels=channels)
        self._tensors.append(made)
        return made

    def cell(self, cell: Cell, x: _Tensor) -> _Tensor:
        """The output of a cell with this input."""
        groups: list[_Tensor] = []
        for reads, merge, group in zip(cell.graph, cell.merges, cell.groups, strict=True):
            if len(reads) > 1:
                entering = self.merged([groups[source] for source in reads], merge, cell.stage)
            else:
                entering = groups[reads[0]] if reads else x
            groups.append(self._group(cell, group, entering))
        return self.averaged([groups[node] for node in outputs_of(cell.graph)], cell.stage)

    def _group(self, cell: Cell, group: Group, x: _Tensor) -> _Tensor:
        stage, channels = cell.stage, cell.leaving
        each = channels * self._units[stage]  # bytes
        nodes: list[_Tensor] = []
        for reads, merge, operation in zip(group.graph, group.merges, group.operations, strict=True):
            if len(reads) > 1:
                entering = self.merged([nodes[source] for source in reads], merge, stage)
            else:
                entering = nodes[reads[0]] if reads else x
            if operation.startswith("conv"):
                entering.is_rectified = True
                self._besides += each  # the convolution's output, for the normalization
                made = _Tensor(each, channels=channels)
                self._tensors.append(made)
                nodes.append(made)
            else:
                adapted = self.fitted(entering, channels, stage)
                nodes.append(self._function("pool", (adapted,), channels, stage, is_kept=True))
        return self.averaged([nodes[node] for node in outputs_of(group.graph)], stage)

    def merged(self, inputs: Sequence[_Tensor], merge: Merge, stage: int) -> _Tensor:
        """What `wired.merge` makes of several tensors."""
        if len(inputs) == 1:
            return inputs[0]
        channels = inputs[-1].channels
        if merge == "concat":
            return self._function("concat", inputs, sum([x.channels for x in inputs]), stage, is_kept=False)
        if merge == "attention":
            mask = self.fitted(inputs[0], channels, stage)
            gated = self.merged(inputs[1:], "sum", stage)
            for x in (gated, mask):
                x.read(is_kept=True)
            self._besides += 2 * gated.bytes + 4 * FLOAT
            return self.tensor(channels, stage)
        are_alike = True
        for x in inputs:  # kept by the sum or by the convolution that brings it to the width
            x.readers += 1
            x.is_kept = True
            are_alike = are_alike and x.channels == channels
        if not are_alike:
            self.tensor(channels, stage).read(is_kept=False)
        return self.tensor(channels, stage)

    def fitted(self, x: _Tensor, channels: int, stage: int) -> _Tensor:
        """The tensor, through a convolution unless it has so many channels."""
        if x.channels == channels:
            return x
        x.read(is_kept=True)
        return self.tensor(channels, stage)

    def shrunk(self, x: _Tensor, stage: int, wanted: int) -> _Tensor:
        """The tensor at the resolution of a later stage."""
        for later in range(stage + 1, wanted + 1):
            x = self._function("halve", (x,), x.channels, later, is_kept=True)
        return x

    def averaged(self, inputs: Sequence[_Tensor], stage: int) -> _Tensor:
        """The mean of several tensors; a single one stays as it is."""
        if len(inputs) == 1:
            return inputs[0]
        return self._function("average", inputs, inputs[0].channels, stage, is_kept=False)

    def _function(self, name: str, inputs: Sequence[_Tensor], channels: int, stage: int, *, is_kept: bool) -> _Tensor:
        key = (name, *map(id, inputs))
        if key not in self._known:
            for x in inputs:
                x.read(is_kept)
            self._known[key] = self.tensor(channels, stage)
        return self._known[key]
