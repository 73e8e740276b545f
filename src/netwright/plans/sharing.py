"""Weights that the networks of a space have in common: which of the shared tensors each weight of a network is.

A network's weights are named after its layers, and so after the places where they stand. What a space adds is where the
weight of a place depends on what else there is: which of several candidates it reads, or how many channels arrive.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, runtime_checkable

from netwright.core.records import IO, Genotype
from netwright.core.shapes import Shape
from netwright.plans.names import module_of
from netwright.plans.operation import Operation
from netwright.plans.plan import Layer, Plan

Positions = range | tuple[int, ...]  # along one dimension; a range is cut out without a copy


@dataclass(frozen=True)
class CutOut:
    """A weight that is a shared tensor, or cut out of one.

    Args:
        name: Name of the shared tensor, such as `cell1.state3.a.from0.sep_3x3.conv1.weight`.
        shape: Its full shape.
        index: The positions that are cut out, for each dimension from the first on; those left out are taken whole.
    """

    name: str
    shape: tuple[int, ...]
    index: tuple[Positions, ...] = ()

    @property
    def parts(self) -> tuple[CutOut, ...]:
        """Itself alone."""
        return (self,)


@dataclass(frozen=True)
class Joined:
    """A weight that is several shared tensors, or parts of them, side by side.

    Args:
        parts: The parts, in order.
        dimension: The dimension along which they lie side by side.
    """

    parts: tuple[CutOut, ...]
    dimension: int


Share = CutOut | Joined


@runtime_checkable
class Shares(Protocol):
    """Capability of a space: its networks can have their weights in common, so that one training serves all of them.

    Networks with a tensor in common agree on its full shape. Only what a network uses is computed.
    """

    def shared_plan(self, genotype: Genotype, io: IO) -> Plan:
        """The layers of a network as it shares weights. They may differ from those of the network by itself.

        Raises InvalidGenotype where there is no such network.
        """

    def shares(self, genotype: Genotype, plan: Plan) -> Mapping[str, Share]:
        """Where each weight of the plan that `shared_plan` gave lies, by the name of the parameter in its network."""

    def cover(self) -> Iterator[Genotype]:
        """Genotypes that together use every shared tensor. The first to use one says how it is drawn."""


def by_name(plan: Plan, place: Callable[[Layer], str] = lambda layer: layer.name) -> dict[str, Share]:
    """Each weight of a plan as a whole shared tensor, named after its layer.

    Args:
        plan: The layers.
        place: The name to use for a layer, where its own does not say all that its weights depend on.

    Returns:
        What `Shares.shares` does; a space writes over what it cuts or joins.
    """
    found: dict[str, Share] = {}
    for layer in plan:
        if layer.op.has_weights:
            name = place(layer)
            for weight, shape in weights(plan, layer).items():
                found[parameter(layer.name, weight)] = CutOut(f"{name}.{weight}", shape)
    return found


def split(found: dict[str, Share], layer: str, sizes: Mapping[str, int], dimension: int = 1) -> None:
    """Give a layer, where there is one, a tensor of weights for each of the things that it has side by side.

    Args:
        found: Where weights lie, which is changed: the whole tensor gives way to its parts.
        layer: Name of the layer in the plan.
        sizes: Names of the things, in order, which become part of the tensors' names, and how long each is.
        dimension: The dimension of the weight along which they lie: 1 is what a layer reads.

    Raises:
        ValueError: The sizes do not sum up to the weight's.
    """
    name = parameter(layer, "weight")
    whole = found.get(name)
    if not isinstance(whole, CutOut):
        return
    before, size, after = whole.shape[:dimension], whole.shape[dimension], whole.shape[dimension + 1 :]
    if sum(sizes.values()) != size:
        raise ValueError(f"{whole.name} has {size} entries along dimension {dimension}, not {sum(sizes.values())}")
    place = whole.name.removesuffix(".weight")
    parts = (CutOut(f"{place}.{part}.weight", (*before, each, *after)) for part, each in sizes.items())
    found[name] = Joined(tuple(parts), dimension)


def cut(found: dict[str, Share], layer: str, present: Sequence[int], most: int, dimension: int) -> None:
    """Cut the weights of a layer, where there is one, out of larger tensors: some of several blocks of equal length.

    Args:
        found: Where weights lie, which is changed.
        layer: Name of the layer in the plan.
        present: Numbers of the blocks that the layer has, in order, counted from 0.
        most: How many there are in all.
        dimension: The dimension of weights along which they lie: 0 is what a layer gives (its bias too), 1 what it
            reads.
    """
    for weight in ("weight", "bias")[: 2 - dimension]:
        name = parameter(layer, weight)
        whole = found.get(name)
        if isinstance(whole, CutOut) and len(present) < most:
            before, size, after = whole.shape[:dimension], whole.shape[dimension], whole.shape[dimension + 1 :]
            length = size // len(present)
            index = (*map(range, before), _positions(present, length))
            found[name] = CutOut(whole.name, (*before, length * most, *after), index)


def _positions(numbers: Sequence[int], length: int) -> Positions:
    """The positions of blocks, a range where they follow one another."""
    first, last = numbers[0], numbers[-1] + 1
    if len(numbers) == last - first:  # they are in order
        return range(first * length, last * length)
    return tuple(number * length + each for number in numbers for each in range(length))


def parameter(layer: str, weight: str) -> str:
    """The name of a parameter in a plan's network, by the name of its layer and its own within that."""
    scope, attribute = module_of(layer)
    return f"{scope}.{attribute}.{weight}" if scope else f"{attribute}.{weight}"


def weights(plan: Plan, layer: Layer) -> Mapping[str, tuple[int, ...]]:
    """The names and shapes of the parameters of a layer with weights."""
    return _weights(layer.op, *(plan[source].shape for source in layer.inputs))


@lru_cache(maxsize=2**14, typed=True)
def _weights(op: Operation, *entering: Shape) -> Mapping[str, tuple[int, ...]]:
    torch = importlib.import_module("torch")  # tables of spaces that share weights do without it
    with torch.device("meta"):
        module = op.module(*entering)
    return {name: tuple(value.shape) for name, value in module.named_parameters()}  # type: ignore[attr-defined]
