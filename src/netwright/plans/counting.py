"""Closed-form parameters, multiply-adds and memory of a layer plan.

What a network keeps for its backward pass is counted tensor by tensor, each once, however many operations need it; an
operation that writes over its input has one tensor in common with it, and nothing is kept behind which there are no
weights. That is what torch does, and what `saved_tensors_hooks` find, except for pools of 2 x 2 without a stride, whose
outputs are cut out of slightly larger tensors.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

from netwright.core.records import Counts
from netwright.core.shapes import Shape, size
from netwright.plans.operation import FLOAT, Operation
from netwright.plans.plan import IN_AUXILIARY, Plan

_ELSEWHERE: Final = -1  # a tensor that `Common` is about

# parameters, multiply-adds, bytes besides, what is kept, whether there are weights, it only drops, and it overwrites
_Demand = tuple[int, int, int, str, bool, bool, bool]


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
    shapes = [layer.shape for layer in plan]
    known: dict[tuple[Any, ...], _Demand] = {}  # found more quickly than by the operation
    tensors = list(range(len(plan)))  # by layer, the one in whose memory the output lies
    trained = [position in held for position in tensors]  # whether the output depends on weights
    kept: set[int] = set()
    params = multiply_adds = memory = 0
    for position, (name, op, inputs, _) in enumerate(plan):
        if not inputs and op.has_weights:  # a table, which others read
            trained[position] = True
            params += op.params()
        if not inputs or (not auxiliary and name.startswith(IN_AUXILIARY)):
            continue
        first = inputs[0]
        if len(inputs) == 1:
            key: tuple[Any, ...] = (id(op), shapes[first])
            is_trained = trained[first]
            reads_common = tensors[first] in held
        else:
            key = (id(op), *[shapes[source] for source in inputs])
            is_trained = True in [trained[source] for source in inputs]
            reads_common = not held.keys().isdisjoint([tensors[source] for source in inputs])
        demand = known.get(key)
        if demand is None:
            demand = known[key] = _demand(op, *key[1:])
        weights, products, besides, keeps, has_weights, passes, overwrites = demand
        if passes or (overwrites and readers[first] == 1 and plan[first].op.is_overwritable):
            tensors[position] = tensors[first]
        if reads_common:
            tensors[position] = _read(op, inputs, tensors, held, position)
        if not (is_trained or has_weights):
            continue
        trained[position] = True
        if passes:
            continue
        params += weights
        multiply_adds += products
        memory += besides
        if keeps == "inputs":
            for source in inputs:
                kept.add(tensors[source])
        elif keeps:
            kept.add(tensors[position])
    kept.discard(_ELSEWHERE)
    for tensor in kept:
        if tensor in held:
            held[tensor].is_kept = True
        else:
            memory += FLOAT * size(shapes[tensor])
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
        self._params = self._multiply_adds = self._memory = 0
        self._held: defaultdict[int, list[Common]] = defaultdict(list)

    def add(self, found: Counted, *tensors: int) -> None:
        """Add a part, with numbers for the tensors that it has in common with others."""
        counts, parts = found
        self._params += counts.params
        self._multiply_adds += counts.multiply_adds
        self._memory += counts.memory_per_sample or 0
        for tensor, held in zip(tensors, parts, strict=True):
            self._held[tensor].append(held)

    def read(self, tensor: int) -> None:
        """Say that something besides the parts reads a tensor, so that nothing writes over it."""
        self._held[tensor].append(Common(0, readers=1))

    def counts(self) -> Counts | None:
        """The counts of all parts together. None: some share a function, so that only the whole plan tells."""
        memory = self._memory
        for held in self._held.values():
            functions: list[Operation] = []
            is_kept = is_rectified = is_read = False
            for each in held:
                functions += each.functions
                is_kept = is_kept or each.is_kept
                is_rectified = is_rectified or each.is_rectified
                is_read = is_read or each.readers > 0
            if len(functions) > 1 and len(set(functions)) < len(functions):
                return None
            memory += max(each.bytes for each in held) * (is_rectified + (is_kept and (is_read or not is_rectified)))
        return Counts(self._params, self._multiply_adds, memory)


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
    sizes = [FLOAT * size(layer.shape) for layer in plan]
    held = peak = 0
    for position, layer in enumerate(plan):
        held += sizes[position]
        peak = max(peak, held)
        held -= sum(sizes[source] for source in set(layer.inputs) if last_read[source] == position)
    return 2 * peak


def _demand(op: Operation, *entering: Shape) -> _Demand:
    params, multiply_adds = _of_weights(op, *entering) if op.has_weights else (0, 0)
    return params, multiply_adds, op.saved_bytes(*entering), op.keeps, op.has_weights, op.is_passage, op.overwrites


@lru_cache(maxsize=2**14, typed=True)  # networks of a space have their operations with weights in common
def _of_weights(op: Operation, *entering: Shape) -> tuple[int, int]:
    return op.params(*entering), op.multiply_adds(*entering)
