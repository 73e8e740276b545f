"""The torch module of a layer plan."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netwright.plans import torch_rng
from netwright.plans.merging import Gate, WeightedSum, average, total
from netwright.plans.plan import AUXILIARY, RANDOM, Layer, Plan

# operations whose output may be the very memory of their input, which ReLU must not overwrite
SHARING = RANDOM | {"input", "relu"}


class _Conv(nn.Conv2d):
    def reset_parameters(self) -> None:
        """Left to `initialize`, which takes its generator as an argument."""


class _Linear(nn.Linear):
    def reset_parameters(self) -> None:
        """Left to `initialize`, which takes its generator as an argument."""


@dataclass(frozen=True)
class Regularization:
    """What is dropped at random while a network trains.

    Args:
        drop_path_keep: Probability that a branch of a cell survives for a sample at the end of the schedule; in (0, 1].
        drop_path_version: How the probability goes from 1 to there: "v1" linearly with the progress of training, "v2"
            linearly with the depth of the cell, "v3" with both. Constant: "v1" at progress 1.
        dropout: Probability that a number before the classifier is dropped, in [0, 1).

    Raises:
        ValueError: A probability is outside its range.

    Source: Larsson et al. 2017 for dropping paths; Zoph et al. 2018 for "v1", as ScheduledDropPath; "v2" and "v3" are
    those of the code that AmoebaNets were published with.
    """

    drop_path_keep: float = 1.0
    drop_path_version: Literal["v1", "v2", "v3"] = "v3"
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.drop_path_keep <= 1:
            raise ValueError(f"drop_path_keep is {self.drop_path_keep}; it must be over 0 and at most 1")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout}; it must be at least 0 and under 1")

    def keep(self, depth: float, progress: float) -> float:
        """Probability that a branch survives in a cell of this depth, at this share of the training."""
        keep = self.drop_path_keep
        if self.drop_path_version != "v1":
            keep = 1 - depth * (1 - keep)
        return keep if self.drop_path_version == "v2" else 1 - progress * (1 - keep)


@dataclass(frozen=True)
class _Noise:
    """What the next training pass drops: see `Network.regularize`."""

    regularization: Regularization
    progress: float
    generator: torch.Generator
    batch: int | None
    first: int


@dataclass(frozen=True)
class _Step:
    """A layer to be run: what computes it, from which layers, and which are not needed any more after it."""

    run: Callable[..., Tensor]
    inputs: tuple[int, ...]
    done: tuple[int, ...]
    is_auxiliary: bool


class Network(nn.Module):
    """Runs a plan: images (B, C, H, W) to logits (B, outputs). Weights are undefined until `initialize`.

    Names of weights are those of the source code that `plans.source` writes, as in `cell1.conv_5.weight`.
    Each output is dropped as soon as its last reader has run, and ReLU works in place where nobody else reads its
    input. The auxiliary head, where the plan has one, runs in `with_auxiliary` only.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        readers = Counter(source for layer in plan for source in layer.inputs)
        last_read = {source: position for position, layer in enumerate(plan) for source in layer.inputs}
        self._steps: list[_Step] = []
        for position, layer in enumerate(plan[1:], start=1):
            run = _operation(plan, layer, is_only_reader=readers[layer.inputs[0]] == 1)
            if isinstance(run, nn.Module):
                self._container(layer.scope).add_module(layer.short_name, run)
            done = tuple(source for source in set(layer.inputs) if last_read[source] == position)
            self._steps.append(_Step(run, layer.inputs, done, layer.scope == AUXILIARY))
        self._paths = {position: layer.depth for position, layer in enumerate(plan) if layer.op == "drop_path"}
        self._dropouts = {position: layer.channels for position, layer in enumerate(plan) if layer.op == "dropout"}
        self._auxiliary_outputs = tuple(
            position for position, layer in enumerate(plan) if layer.op == "linear" and layer.scope == AUXILIARY
        )
        self._noise: _Noise | None = None

    def forward(self, images: Tensor) -> Tensor:
        """Logits, shape (B, outputs)."""
        return self._run(images, is_auxiliary_wanted=False)[0]

    def with_auxiliary(self, images: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Logits, and those of each auxiliary head, all of shape (B, outputs); without such a head, ()."""
        logits, *others = self._run(images, is_auxiliary_wanted=True)
        return logits, tuple(others)

    def regularize(
        self,
        regularization: Regularization,
        progress: float,
        generator: torch.Generator,
        *,
        batch: int | None = None,
        first: int = 0,
    ) -> None:
        """Drop branches and numbers at random in the next pass, if that is one in training mode; later ones drop none.

        Args:
            regularization: What, and how much.
            progress: Share of the training that is done, in [0, 1].
            generator: Source of all randomness; where it is on the CPU, every device gets the same.
            batch: Samples to draw for, where the images of the next pass are part of a larger batch; None: they are all
                of it. Processes that draw for a common batch drop what one process alone would.
            first: Which of these samples the first image is.
        """
        self._noise = _Noise(regularization, progress, generator, batch, first)

    def _run(self, images: Tensor, is_auxiliary_wanted: bool) -> list[Tensor]:
        """The logits, and then, if wanted, those of auxiliary heads."""
        noise, self._noise = self._noise, None
        factors = self._drawn(noise, images) if noise and self.training else {}
        values: dict[int, Tensor] = {0: images}
        others: list[Tensor] = []
        for position, step in enumerate(self._steps, start=1):
            if is_auxiliary_wanted or not step.is_auxiliary:
                value = step.run(*[values[source] for source in step.inputs])
                if position in factors:
                    value = value * factors[position].to(value.dtype)
                values[position] = value
                if is_auxiliary_wanted and position in self._auxiliary_outputs:
                    others.append(value)
            for source in step.done:
                values.pop(source, None)  # of an auxiliary head that did not run, there is none
        return [values[len(self._steps)], *others]

    def _drawn(self, noise: _Noise, images: Tensor) -> dict[int, Tensor]:
        """By layer, what its output is multiplied with: 0 where dropped, else 1 / keep; only where some are dropped."""
        generator, rows = noise.generator, slice(noise.first, noise.first + len(images))
        batch = noise.batch or len(images)
        if rows.stop > batch:
            raise ValueError(f"images {rows.start} to {rows.stop} are no part of a batch of {batch}")
        factors: dict[int, Tensor] = {}
        keeps = [noise.regularization.keep(depth, noise.progress) for depth in self._paths.values()]
        if min(keeps, default=1.0) < 1:
            drawn = torch.rand(len(keeps), batch, generator=generator, device=generator.device)
            keep = torch.tensor(keeps, device=generator.device)[:, None]
            kept = ((drawn < keep)[:, rows] / keep).to(images.device)  # (paths, B)
            factors |= dict(zip(self._paths, kept[:, :, None, None, None], strict=True))
        dropout = noise.regularization.dropout
        for position, channels in self._dropouts.items() if dropout else ():
            drawn = torch.rand(batch, channels, generator=generator, device=generator.device)
            factors[position] = ((drawn >= dropout)[rows] / (1 - dropout)).to(images.device)  # (B, C)
        return factors

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

    The code that AmoebaNets were published with draws by fan-out instead, and normalizes with an epsilon of 1e-3 and a
    decay of 0.9997 where torch's 1e-5 and 0.9 stand here: a departure, so that networks of all spaces begin alike.
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
    entering = plan[layer.inputs[0]].channels
    if layer.op == "conv":
        height, width = (layer.dilation * (side // 2) if layer.padded else 0 for side in layer.window)
        shape = (entering, layer.channels, layer.window, layer.strides, (height, width), layer.dilation)
        return _Conv(*shape, groups=layer.groups, bias=layer.bias)
    if layer.op == "linear":
        return _Linear(entering, layer.channels, bias=not layer.without_bias)
    if layer.op == "norm":
        return nn.BatchNorm2d(layer.channels)
    if layer.op == "relu":
        return F.relu_ if is_only_reader and plan[layer.inputs[0]].op not in SHARING else F.relu
    if layer.op in RANDOM:
        return lambda x: x
    if layer.op in ("max_pool", "avg_pool", "min_pool"):
        return _pooling(layer)
    if layer.op == "halve":
        return lambda x: F.avg_pool2d(x, 2, ceil_mode=True)
    if layer.op == "odd_pixels":
        return lambda x: F.pad(x[:, :, 1::2, 1::2], (0, x.shape[3] % 2, 0, x.shape[2] % 2))
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


def _pooling(layer: Layer) -> Callable[..., Tensor]:
    """A pooling; a window of 2 x 2 looks to the right and below."""
    kernel, stride = layer.kernel, layer.stride
    if layer.zeros and layer.padded:
        return _pooling_of_zeros(layer)
    is_small = kernel == 2 and layer.padded
    is_cut = is_small and stride == 1  # a border on all sides gives one window too many, the one that begins before
    padding = kernel // 2 if layer.padded and (kernel % 2 or is_cut) else 0
    is_ceil = is_small and not is_cut

    def pool(x: Tensor) -> Tensor:
        if layer.op == "avg_pool":
            pooled = F.avg_pool2d(x, kernel, stride, padding, is_ceil, count_include_pad=False)
        elif layer.op == "max_pool":
            pooled = F.max_pool2d(x, kernel, stride, padding, ceil_mode=is_ceil)
        else:
            pooled = -F.max_pool2d(-x, kernel, stride, padding, ceil_mode=is_ceil)
        return pooled[:, :, 1:, 1:] if is_cut else pooled

    return pool


def _pooling_of_zeros(layer: Layer) -> Callable[..., Tensor]:
    """A pooling that takes what is past the border for zeros."""
    kernel, stride = layer.kernel, layer.stride
    if layer.op == "avg_pool" and kernel % 2:
        return lambda x: F.avg_pool2d(x, kernel, stride, kernel // 2)
    borders = (0, 1, 0, 1) if kernel == 2 else (kernel // 2,) * 4
    pool = F.avg_pool2d if layer.op == "avg_pool" else F.max_pool2d
    return lambda x: pool(F.pad(x, borders), kernel, stride)
