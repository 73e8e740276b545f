"""Latency of single operations, out of which that of any network is estimated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from netwright.core.shapes import Shape, Tokens, Weights, dimensions
from netwright.plans import network, torch_rng
from netwright.plans.operation import Operation
from netwright.plans.plan import Plan, deployed
from netwright.training.latency import blocks
from netwright.training.latency.blocks import OF_OPERATIONS
from netwright.training.latency.whole import placed


class Occurrence(NamedTuple):
    """An operation on inputs of these shapes, which takes the same time wherever it stands.

    Args:
        op: The operation.
        shapes: Shapes of its inputs.
        kinds: Their types, as shapes of two kinds may be equal tuples.
    """

    op: Operation
    shapes: tuple[Shape, ...]
    kinds: tuple[type, ...]

    @property
    def text(self) -> str:
        """The occurrence as text: equal texts, equal operations on equal shapes."""
        return f"{type(self.op).__module__}.{self.op!r} of {', '.join(map(repr, self.shapes))}"


def occurring(plan: Plan) -> Iterator[Occurrence]:
    """The operations that a network runs once it is trained, with repetitions."""
    layers = deployed(plan)
    for layer in layers:
        if layer.inputs:
            shapes = tuple(layers[source].shape for source in layer.inputs)
            yield Occurrence(layer.op, shapes, tuple(map(type, shapes)))


def seconds(
    occurrence: Occurrence,
    batch: int,
    device: torch.device,
    memory_format: torch.memory_format,
    clock: Callable[[], float],
) -> float:
    """Seconds of the operation in a forward pass: those of the quickest block, which nothing has disturbed."""
    op, shapes = occurrence.op, occurrence.shapes
    generator = torch_rng.from_numpy(np.random.default_rng(0))
    run = op.module(*shapes)
    if isinstance(run, nn.Module):
        network.initialize(run, generator)
        run = run.to(device, memory_format=memory_format).eval()
    inputs = [placed(_random(shape, batch, generator), device, memory_format) for shape in shapes]
    with torch.inference_mode():
        return min(blocks.seconds(lambda: run(*inputs), OF_OPERATIONS, clock, blocks.waiting(device)))


def _random(shape: Shape, batch: int, generator: torch.Generator) -> Tensor:
    sides = dimensions(shape) if isinstance(shape, Weights) else (batch, *dimensions(shape))
    if isinstance(shape, Tokens):
        return torch.randint(shape.vocabulary, sides, generator=generator)
    return torch.randn(sides, generator=generator)
