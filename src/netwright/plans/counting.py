"""Closed-form parameters and multiply-adds of a layer plan."""

from __future__ import annotations

from netwright.core.records import Counts
from netwright.core.shapes import size
from netwright.plans.operation import FLOAT
from netwright.plans.plan import Plan, is_auxiliary


def count(plan: Plan, *, auxiliary: bool = False) -> Counts:
    """Trainable parameters, and multiply-adds of convolutions and linear layers for one input.

    Args:
        plan: The layers of the network.
        auxiliary: Whether to count the auxiliary head too, which is there in training only.
    """
    params = multiply_adds = 0
    for layer in plan:
        if layer.op.has_weights and (auxiliary or not is_auxiliary(layer)):
            entering = [plan[source].shape for source in layer.inputs]
            params += layer.op.params(*entering)
            multiply_adds += layer.op.multiply_adds(*entering)
    return Counts(params, multiply_adds)


def training_bytes(plan: Plan, batch: int, copies: int = 3) -> int:
    """Bytes that a training step takes in single precision, about, without the process around it.

    What operations save for the backward pass is kept, and half as much again comes and goes during that pass (1.3 to
    1.7 times was measured). `copies` is how many tensors there are of the size of the weights: by default the weights,
    their gradients and their momentum.
    """
    saved = sum(layer.op.saved_bytes(*[plan[source].shape for source in layer.inputs]) for layer in plan)
    passing = 3 * batch * saved // (2 * FLOAT) * FLOAT  # whole numbers
    return passing + FLOAT * copies * count(plan, auxiliary=True).params


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
