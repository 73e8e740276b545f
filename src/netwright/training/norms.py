"""Batch normalization over the batch of all processes, on any device and any backend: torch's own needs CUDA."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from netwright.core.errors import MissingCapability


def share_statistics(network: nn.Module) -> None:
    """Make every batch normalization of the network use mean and variance over all processes, in place.

    All processes must hold equally many examples. Names, weights and running statistics stay what they are.

    Raises:
        MissingCapability: It has batch normalizations of another kind, whose statistics would drift apart.
    """
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = _SharedNorm  # in place, as a network may keep its modules in other lists as well
        elif isinstance(module, _BatchNorm) and not isinstance(module, _SharedNorm):
            raise MissingCapability(
                f"the network normalizes by {type(module).__name__}, whose statistics several processes do not share; "
                "give nn.BatchNorm2d or a normalization without statistics, or set evaluator.processes to 1"
            )


class _SharedNorm(nn.BatchNorm2d):
    def forward(self, x: Tensor) -> Tensor:
        """Normalize (B, C, H, W), in training by what all processes hold."""
        if not self.training:
            return super().forward(x)
        self.num_batches_tracked.add_(1)
        return _Normalize.apply(x, self.weight, self.bias, self.running_mean, self.running_var, self.momentum, self.eps)


class _Normalize(torch.autograd.Function):
    """Batch normalization (Ioffe and Szegedy 2015) with sums over all processes in double precision.

    There is one exchange in the forward pass, and one in the backward pass.
    """

    @staticmethod
    def forward(
        context: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        running_mean: Tensor,
        running_variance: Tensor,
        momentum: float,
        epsilon: float,
    ) -> Tensor:
        size, exact = dist.get_world_size(), torch.promote_types(x.dtype, torch.float32)
        own = x.mean((0, 2, 3), dtype=torch.float64)
        spread = (x.to(exact) - _along(own, exact)).square().mean((0, 2, 3), dtype=torch.float64)
        mean, square = _sum(torch.stack((own, spread + own**2))) / size
        variance = (square - mean**2).clamp_min(0.0)
        total = x.numel() // x.shape[1] * size
        running_mean.lerp_(mean.to(running_mean.dtype), momentum)
        running_variance.lerp_((variance * total / (total - 1)).to(running_variance.dtype), momentum)
        context.save_for_backward(x, weight, mean, (variance + epsilon).rsqrt())
        context.total = total
        return F.batch_norm(x, mean.to(exact), variance.to(exact), weight, bias, False, 0.0, epsilon)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, scale = context.saved_tensors
        exact = torch.promote_types(x.dtype, torch.float32)
        gradient = gradients[0].to(exact)
        normal = (x.to(exact) - _along(mean, exact)) * _along(scale, exact)  # (B, C, H, W), mean 0, variance 1
        on_bias = gradient.sum((0, 2, 3), dtype=torch.float64)  # of this process alone: gradients are joined elsewhere
        on_weight = (gradient * normal).sum((0, 2, 3), dtype=torch.float64)
        mean_gradient, mean_product = _sum(torch.stack((on_bias, on_weight))) / context.total
        inner = gradient - _along(mean_gradient, exact) - normal * _along(mean_product, exact)
        on_x = inner * _along(weight.double() * scale, exact)
        return on_x.to(x.dtype), on_weight.to(weight.dtype), on_bias.to(weight.dtype), None, None, None, None


def _along(values: Tensor, dtype: torch.dtype) -> Tensor:
    """Values (C,) of channels as (1, C, 1, 1)."""
    return values.to(dtype)[None, :, None, None]


def _sum(values: Tensor) -> Tensor:
    """The sum over all processes; the argument is not changed."""
    total = values.clone()
    dist.all_reduce(total)
    return total
