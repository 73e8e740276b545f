"""The least that a step can take on a device: its operations and bytes, against what the device reaches at each.

Two ceilings are measured, operations a second by a product of large matrices and bytes a second by a copy. A layer
takes at least as long as the more demanding of the two lets it: the roofline of Williams et al. 2009.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import torch

from netwright.core.records import Counts
from netwright.core.shapes import size
from netwright.plans.operation import FLOAT
from netwright.plans.plan import Plan, is_auxiliary
from netwright.training.settings import StepSettings

TYPES: Final = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
ROUNDS: Final = 5  # measurements of a ceiling, at least, of which the quickest counts
PATIENCE: Final = 0.3  # seconds that they take together, at least
Bound = Literal["", "operations", "memory"]


@dataclass(frozen=True)
class Ceilings:
    """What a device reaches.

    Args:
        operations: Floating-point operations a second in a product of square matrices, in the training's precision: the
            better of two sizes.
        bytes: Bytes read and written a second in a copy: the best of a copy much larger than any cache, and of one as
            large as the network's usual tensors, which a cache may hold.
    """

    operations: float
    bytes: float


class Demand(NamedTuple):
    """What something takes at least: floating-point operations, and bytes read and written."""

    operations: float = 0.0
    bytes: float = 0.0


@dataclass(frozen=True)
class LeastTime:
    """The least seconds of a phase, layer by layer, and which ceiling most of them are under."""

    seconds: float
    bound: Bound


def of_plan(plan: Plan, settings: StepSettings, precision: str) -> dict[str, list[Demand]]:
    """What each layer of a plan takes in a step, by phase.

    Forward, a layer reads its inputs and weights and writes its output. Backward, it reads the gradient of the output,
    and for gradients of the weights the inputs, for gradients of the inputs the weights: as many operations again for
    each of both. Nothing behind which there are no weights needs a gradient. The optimizer reads weights and gradients,
    and reads and writes what it keeps of each.
    """
    width, batch = TYPES[precision].itemsize, settings.batch
    found: dict[str, list[Demand]] = {"forward": [], "backward": []}
    params = 0
    trained: set[int] = set()  # layers whose output depends on weights
    for position, layer in enumerate(plan[1:], start=1):
        inner = [plan[source].shape for source in layer.inputs if source in trained]
        if layer.op.has_weights or inner:
            trained.add(position)
        if layer.op.is_passage or (is_auxiliary(layer) and not settings.auxiliary):
            continue
        entering = [plan[source].shape for source in layer.inputs]
        weights = layer.op.params(*entering)
        operations = 2 * batch * layer.op.multiply_adds(*entering)
        read, written = batch * sum(map(size, entering)), batch * size(layer.shape)
        found["forward"].append(Demand(operations, width * (read + written + weights)))
        params += weights
        if position in trained:
            gradients = batch * sum(map(size, inner)) + weights  # that are written
            kept = (read if weights else 0) + (weights if inner else 0)
            times = (weights > 0) + bool(inner)
            found["backward"].append(Demand(times * operations, width * (written + kept + gradients)))
    return {**found, "optimizer": [_of_optimizer(params, settings)]}


def of_counts(counts: Counts, settings: StepSettings) -> dict[str, list[Demand]]:
    """What is known of a step where a space writes no plans."""
    operations = 2 * settings.batch * counts.multiply_adds
    return {
        "forward": [Demand(operations)],
        "backward": [Demand(2 * operations)],
        "optimizer": [_of_optimizer(counts.params, settings)],
    }


def _of_optimizer(params: int, settings: StepSettings) -> Demand:
    kept = settings.copies - 2  # momenta and averages, each read and written; weights too; gradients read
    return Demand(0.0, FLOAT * params * (3 + 2 * kept))


def fused(plan: Plan, settings: StepSettings, precision: str, ceilings: Ceilings) -> float:
    """The least seconds of forward and backward pass where layers that keep nothing cost nothing.

    All operations, or each tensor that is kept for the backward pass written once and read once, whichever takes
    longer: what a compiler that joins layers could come near.
    """
    demands = of_plan(plan, settings, precision)
    operations = sum(each.operations for name in ("forward", "backward") for each in demands[name])
    kept = sum(
        layer.op.saved_bytes(*[plan[source].shape for source in layer.inputs])
        for layer in plan
        if settings.auxiliary or not is_auxiliary(layer)
    )
    moved = 2 * settings.batch * kept * TYPES[precision].itemsize / FLOAT
    return max(operations / ceilings.operations, moved / ceilings.bytes)


def floor(demands: Iterable[Demand], ceilings: Ceilings) -> LeastTime:
    """The least seconds of layers one after another."""
    seconds: dict[Bound, float] = {"operations": 0.0, "memory": 0.0}
    for operations, moved in demands:
        by_operations, by_memory = operations / ceilings.operations, moved / ceilings.bytes
        bound: Bound = "operations" if by_operations >= by_memory else "memory"
        seconds[bound] += max(by_operations, by_memory)
    total = sum(seconds.values())
    return LeastTime(total, max(seconds, key=lambda each: seconds[each]) if total else "")


def usual_bytes(demands: Sequence[Demand]) -> int:
    """Mean of the bytes that layers move, at least 64 KiB."""
    return max(2**16, round(sum(each.bytes for each in demands) / max(1, len(demands))))


def measured(
    device: torch.device, precision: str, usual: int, clock: Callable[[], float] = time.perf_counter
) -> Ceilings:
    """Measure the ceilings of a device, in a second or so.

    Args:
        device: The device.
        precision: Precision of the product, as settings have it.
        usual: Bytes that the smaller copy reads and writes.
        clock: Gives the seconds.
    """
    is_gpu = device.type == "cuda"
    sides, large = ((4096, 8192), 2**30) if is_gpu else ((512, 1024), 2**28)
    found = [_multiplied(side, device, TYPES[precision], clock) for side in sides]
    copied = [_copied(large, 1, device, clock), _copied(min(usual, large), 20, device, clock)]
    return Ceilings(max(found), max(copied))


def _multiplied(side: int, device: torch.device, dtype: torch.dtype, clock: Callable[[], float]) -> float:
    """Operations a second in a product of square matrices."""
    one = torch.ones(side, side, device=device, dtype=dtype)
    product = torch.empty_like(one)
    return 2 * side**3 / _quickest(lambda: torch.mm(one, one, out=product), device, 1, clock)


def _copied(moved: int, times: int, device: torch.device, clock: Callable[[], float]) -> float:
    """Bytes read and written a second in a copy that moves so many, done so many times in a row."""
    source = torch.ones(moved // 2, device=device, dtype=torch.uint8)
    target = torch.zeros_like(source)
    return moved / _quickest(lambda: target.copy_(source), device, times, clock)


def _quickest(call: Callable[[], object], device: torch.device, times: int, clock: Callable[[], float]) -> float:
    """The least seconds of a call, over rounds of so many calls; the first round does not count.

    What else the machine does in between makes some rounds longer, so that there have to be enough of them.
    """
    rounds: list[float] = []
    while len(rounds) <= ROUNDS or sum(rounds) < PATIENCE:
        finish(device)
        began = clock()
        for _ in range(times):
            call()
        finish(device)
        rounds.append(clock() - began)
    return min(rounds[1:]) / times


def finish(device: torch.device) -> None:
    """Wait until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
