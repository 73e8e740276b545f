"""The torch module of a layer plan."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netwright.layers import torch_rng
from netwright.layers.merging import Gate, WeightedSum, average, total
from netwright.layers.plan import Layer, Plan


class _Conv(nn.Conv2d):
    def reset_parameters(self) -> None:
        """Left to `initialize`, which takes its generator as an argument."""


class _Linear(nn.Linear):
    def reset_parameters(self) -> None:
        """Left to `initialize`, which takes its generator as an argument."""


class Network(nn.Module):
    """Runs a plan: images (B, C, H, W) to logits (B, outputs). Weights are undefined until `initialize`.

    Names of weights are those of the source code that `layers.source` writes, as in `cell1.conv_5.weight`.
    Each output is dropped as soon as its last reader has run, and ReLU works in place where nobody else reads its
    input.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        readers = Counter(source for layer in plan for source in layer.inputs)
        last_read = {source: position for position, layer in enumerate(plan) for source in layer.inputs}
        self._steps: list[tuple[Callable[..., Tensor], tuple[int, ...], tuple[int, ...]]] = []
        for position, layer in enumerate(plan[1:], start=1):
            run = _operation(plan, layer, is_only_reader=readers[layer.inputs[0]] == 1)
            if isinstance(run, nn.Module):
                self._container(layer.scope).add_module(layer.short_name, run)
            done = tuple(source for source in set(layer.inputs) if last_read[source] == position)
            self._steps.append((run, layer.inputs, done))

    def forward(self, images: Tensor) -> Tensor:
        """Logits, shape (B, outputs)."""
        values: dict[int, Tensor] = {0: images}
        for position, (run, inputs, done) in enumerate(self._steps, start=1):
            values[position] = run(*[values[source] for source in inputs])
            for source in done:
                del values[source]
        return values[len(self._steps)]

    def _container(self, scope: str) -> nn.Module:
        """What holds the layers of an outermost scope."""
        if scope and scope not in self._modules:
            self.add_module(scope, nn.Module())
        return self.get_submodule(scope)


def build(plan: Plan, rng: np.random.Generator) -> Network:
    """The plan's network, initialized from `rng`."""
    network = Network(plan)
    initialize(network, torch_rng.from_numpy(rng))
    return network


@torch.no_grad()
def initialize(module: nn.Module, generator: torch.Generator) -> None:
    """Draw all convolution and linear weights: normal, variance 2 / fan-in (He et al. 2015) and 1 / fan-in; biases 0.

    The papers implemented here do not state theirs.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            gain = 2.0 if isinstance(layer, nn.Conv2d) else 1.0
            layer.weight.normal_(0.0, math.sqrt(gain / layer.weight[0].numel()), generator=generator)
            if layer.bias is not None:
                layer.bias.zero_()


def _global_mean(x: Tensor) -> Tensor:
    """Means over height and width; where channels are last, so they are in the gradient."""
    is_last = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    return x.permute(0, 2, 3, 1).mean((1, 2)) if is_last else x.mean((2, 3))


def _operation(plan: Plan, layer: Layer, is_only_reader: bool) -> Callable[..., Tensor]:
    """What computes the layer from its inputs: a module where it has parameters, a function where not."""
    channels, kernel, stride, padding = layer.channels, layer.kernel, layer.stride, layer.kernel // 2
    entering = plan[layer.inputs[0]].channels
    if layer.op == "conv":
        return _Conv(entering, channels, kernel, stride, padding, groups=layer.groups, bias=layer.bias)
    if layer.op == "linear":
        return _Linear(entering, channels)
    if layer.op == "norm":
        return nn.BatchNorm2d(channels)
    if layer.op == "relu":
        return F.relu_ if is_only_reader and plan[layer.inputs[0]].op not in ("input", "relu") else F.relu
    if layer.op == "max_pool":
        return lambda x: F.max_pool2d(x, kernel, stride, padding)
    if layer.op == "avg_pool":
        return lambda x: F.avg_pool2d(x, kernel, stride, padding, count_include_pad=False)
    if layer.op == "halve":
        return lambda x: F.avg_pool2d(x, 2, ceil_mode=True)
    if layer.op == "zero":
        return lambda x: x * 0.0
    if layer.op == "concat":
        return lambda *inputs: torch.cat(inputs, 1)
    if layer.op == "add":
        return total
    if layer.op == "mean":
        return _global_mean
    if layer.op == "weighted_sum":
        return WeightedSum(len(layer.inputs))
    if layer.op == "average":
        return average
    if layer.op == "gate":
        return Gate()
    raise ValueError(f"layer {layer.name} has the unknown operation {layer.op!r}")
