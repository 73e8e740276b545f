"""Closed-form parameters and multiply-adds of a layer plan."""

from __future__ import annotations

from netwright.core.records import Counts
from netwright.plans.plan import AUXILIARY, RANDOM, Layer, Plan

FREE = RANDOM | {"relu"}  # operations whose output needs no memory of its own


def count(plan: Plan, *, auxiliary: bool = False) -> Counts:
    """Trainable parameters, and multiply-adds of convolutions and linear layers for one input.

    Args:
        plan: Its layers.
        auxiliary: Count the auxiliary head too, which is there in training only.
    """
    params = multiply_adds = 0
    for layer in plan:
        if layer.scope == AUXILIARY and not auxiliary:
            continue
        if layer.op == "norm":
            params += 2 * layer.channels
        elif layer.op == "weighted_sum":
            params += len(layer.inputs)
        elif layer.op == "gate":
            params += 1
        if layer.op not in ("conv", "linear"):
            continue
        weights = _weights(plan, layer)
        has_bias = not layer.without_bias if layer.op == "linear" else layer.bias
        params += weights + (layer.channels if has_bias else 0)
        multiply_adds += weights * layer.height * layer.width
    return Counts(params, multiply_adds)


def training_bytes(plan: Plan, batch: int, copies: int = 3) -> int:
    """About the memory of a training step in single precision, without the process around it.

    Every output is kept for the backward pass, but those of ReLU, which work in place, and of what only multiplies by
    what was drawn; half as much again passes by on the way back (1.3 to 1.7 times was measured). `copies` is how
    often there is something of the size of the weights: by default these, gradients and momentum.
    """
    outputs = sum(layer.channels * layer.height * layer.width for layer in plan if layer.op not in FREE)
    return 4 * (3 * batch * outputs // 2 + copies * count(plan, auxiliary=True).params)


def _weights(plan: Plan, layer: Layer) -> int:
    height, width = layer.window
    return height * width * (plan[layer.inputs[0]].channels // layer.groups) * layer.channels
