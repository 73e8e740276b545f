"""Closed-form parameters, multiply-adds and memory of a layer plan.

What a network keeps for its backward pass is counted tensor by tensor, each once, however many operations need it; an
operation that writes over its input has one tensor in common with it, and nothing is kept behind which there are no
weights. That is what torch does, and what `saved_tensors_hooks` find, except for pools of 2 x 2 without a stride, whose
outputs are cut out of slightly larger tensors.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Final, NamedTuple

from netwright.core.records import Counts
from netwright.core.shapes import Shape, dimensions, size
from netwright.plans.operation import FLOAT, Operation
from netwright.plans.plan import IN_AUXILIARY, Plan

_ELSEWHERE: Final = -1  # a tensor that `Common` is about


@dataclass(slots=True)
class Common:
    """What a part of a network does to a tensor that other parts have in common with it.

    Args:
        bytes: Bytes of the tensor, of one example.
        is_kept: Whether a backward pass needs it.
        readers: Number of the operations that read it, without the next.
        is_rectified: Whether there is one that writes over it where it is the only reader, and keeps what it wrote.
        functions: The other operations that read nothing else and are the same in two parts.
    """

    bytes: int
    is_kept: bool = False
    readers: int = 0
    is_rectified: bool = False
    functions: tuple[Operation, ...] = ()


class Counted(NamedTuple):
    """The counts of a part of a network, without its common tensors, and what it does to each of these."""

    counts: Counts
    held: tuple[Common, ...]


def count(plan: Plan, *, auxiliary: bool = False) -> Counts:
    """Trainable parameters, multiply-adds of convolutions and linear layers for one input, and memory.

    Args:
        plan: The layers of the network.
        auxiliary: Whether to count the auxiliary head too, which is there in training only.
    """
    return part(plan, auxiliary=auxiliary).counts


def part(plan: Plan, common: Sequence[int] = (), *, auxiliary: bool = False) -> Counted:
    """The counts of a plan that is a part of a network.

    Args:
        plan: The layers of the part.
        common: The layers whose outputs other parts read or write. They depend on weights and can be written over.
        auxiliary: Whether to count the auxiliary head too.
    """
    held = {position: Common(FLOAT * size(plan[position].shape)) for position in common}
    readers = Counter([source for layer in plan for source in layer.inputs])
    costs: dict[tuple[object, ...], tuple[int, int, int]] = {}  # parameters, multiply-adds, bytes besides
    tensors = list(range(len(plan)))  # by layer, the one in whose memory the output lies
    trained = [position in held for position in tensors]  # whether the output depends on weights
    kept: set[int] = set()
    params = multiply_adds = memory = 0
    for position, (name, op, inputs, _) in enumerate(plan):
        if not inputs or (not auxiliary and name.startswith(IN_AUXILIARY)):
            continue
        first, *others = inputs
        entering = plan[first].shape
        is_trained = op.has_weights or trained[first] or (bool(others) and any(trained[each] for each in others))
        if op.drops or (op.overwrites and readers[first] == 1 and plan[first].op.is_overwritable):
            tensors[position] = tensors[first]
        if held and not held.keys().isdisjoint([tensors[source] for source in inputs]):
            tensors[position] = _read(op, inputs, tensors, held, position)
        if not is_trained:
            continue
        trained[position] = True
        if op.drops:
            continue
        key = (id(op), entering, *[plan[each].shape for each in others]) if others else (id(op), entering)
        cost = costs.get(key)  # found more quickly than by the operation
        if cost is None:
            cost = costs[key] = _cost(op, *[plan[source].shape for source in inputs])
        params += cost[0]
        multiply_adds += cost[1]
        memory += cost[2]
        keeps = op.keeps
        if keeps == "inputs":
            kept.add(tensors[first])
            if others:
                kept.update([tensors[each] for each in others])
        elif keeps:
            kept.add(tensors[position])
    kept.discard(_ELSEWHERE)
    for tensor in kept:
        if tensor in held:
            held[tensor].is_kept = True
        else:
            memory += FLOAT * size(plan[tensor].shape)
    return Counted(Counts(params, multiply_adds, memory), tuple(held[position] for position in common))


def _read(
    op: Operation, inputs: Sequence[int], tensors: Sequence[int], held: Mapping[int, Common], position: int
) -> int:
    """Note what an operation does to common tensors; returns where its output lies."""
    if op.overwrites and inputs[0] in held:
        held[inputs[0]].is_rectified = True
        return _ELSEWHERE
    for source in inputs:
        if tensors[source] in held:
            found = held[tensors[source]]
            found.readers += 1
            if op.is_function and len(inputs) == 1:
                found.functions += (op,)
    return tensors[position]


def total(*counts: Counts) -> Counts:
    """The counts of what has no tensors in common; their memory is known."""
    memory = sum(each.memory_per_sample or 0 for each in counts)
    return Counts(sum(each.params for each in counts), sum(each.multiply_adds for each in counts), memory)


class Composition:
    """The counts of a network of parts that are counted one by one."""

    def __init__(self) -> None:
        self._counts: list[Counts] = []
        self._held: dict[int, list[Common]] = {}

    def add(self, found: Counted, *tensors: int) -> None:
        """Add a part, with numbers for the tensors that it has in common with others."""
        self._counts.append(found.counts)
        for tensor, held in zip(tensors, found.held, strict=True):
            self._held.setdefault(tensor, []).append(held)

    def read(self, tensor: int) -> None:
        """Say that something besides the parts reads a tensor, so that nothing writes over it."""
        self._held[tensor].append(Common(0, readers=1))

    def counts(self) -> Counts | None:
        """The counts of all parts together. None: some share a function, so that only the whole plan tells."""
        memory = 0
        for held in self._held.values():
            functions = [op for each in held for op in each.functions]
            if len(set(functions)) < len(functions):
                return None
            is_rectified = any(each.is_rectified for each in held)
            is_overwritten = is_rectified and not any(each.readers for each in held)
            is_kept = not is_overwritten and any(each.is_kept for each in held)
            memory += held[0].bytes * (is_rectified + is_kept)
        return total(*self._counts, Counts(0, 0, memory))


def training_bytes(plan: Plan, batch: int, copies: int = 3) -> int:
    """Bytes that a training step takes in single precision, about, without the process around it.

    What operations save for the backward pass is kept, and half as much again comes and goes during that pass (1.3 to
    1.7 times was measured). `copies` is how many tensors there are of the size of the weights: by default the weights,
    their gradients and their momentum.
    """
    counts = count(plan, auxiliary=True)
    passing = 3 * batch * (counts.memory_per_sample or 0) // (2 * FLOAT) * FLOAT  # whole numbers
    return passing + FLOAT * copies * counts.params


def inference_bytes(plan: Plan) -> int:
    """Bytes that a network takes for one example while it is not trained, in single precision, at most about.

    The largest sum of the outputs that later layers still read, twice: an operation may need as much again while it
    runs.
    """
    last_read = {source: position for position, layer in enumerate(plan) for source in layer.inputs}
    sizes = [FLOAT * prod(dimensions(layer.shape)) for layer in plan]
    held = peak = 0
    for position, layer in enumerate(plan):
        held += sizes[position]
        peak = max(peak, held)
        held -= sum(sizes[source] for source in set(layer.inputs) if last_read[source] == position)
    return 2 * peak


@lru_cache(maxsize=2**14, typed=True)  # networks of a space have their operations in common
def _cost(op: Operation, *entering: Shape) -> tuple[int, int, int]:
    params, multiply_adds = (op.params(*entering), op.multiply_adds(*entering)) if op.has_weights else (0, 0)
    return params, multiply_adds, op.saved_bytes(*entering)
