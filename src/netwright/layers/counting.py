"""Closed-form parameters and multiply-adds of a layer plan."""

from __future__ import annotations

from netwright.core.records import Counts
from netwright.layers.plan import Layer, Plan


def count(plan: Plan) -> Counts:
    """Trainable parameters, and multiply-adds of convolutions and linear layers for one input."""
    params = multiply_adds = 0
    for layer in plan:
        if layer.op == "norm":
            params += 2 * layer.channels
        elif layer.op in ("conv", "linear"):
            weights = _weights(plan, layer)
            params += weights + (layer.channels if layer.op == "linear" or layer.bias else 0)
            multiply_adds += weights * layer.height * layer.width
        elif layer.op == "weighted_sum":
            params += len(layer.inputs)
        elif layer.op == "gate":
            params += 1
    return Counts(params, multiply_adds)


def training_bytes(plan: Plan, batch: int) -> int:
    """About the memory of a training step in single precision, without the process around it.

    Every output is kept for the backward pass, but those of ReLU, which work in place, and half as much again passes by
    on the way back (1.3 to 1.7 times was measured); weights, gradients and momentum are three times the parameters.
    """
    outputs = sum(layer.channels * layer.height * layer.width for layer in plan if layer.op != "relu")
    return 4 * (3 * batch * outputs // 2 + 3 * count(plan).params)


def _weights(plan: Plan, layer: Layer) -> int:
    return layer.kernel**2 * (plan[layer.inputs[0]].channels // layer.groups) * layer.channels
