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
            params += weights + (layer.channels if layer.op == "linear" else 0)
            multiply_adds += weights * layer.height * layer.width
    return Counts(params, multiply_adds)


def _weights(plan: Plan, layer: Layer) -> int:
    return layer.kernel**2 * (plan[layer.inputs[0]].channels // layer.groups) * layer.channels
