"""Modules that make one tensor of several: learned weights, means, gates."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

SMALLEST_RANGE = 1e-12  # of a mask: one that is constant gates by 0, not by NaN


class WeightedSum(nn.Module):
    """Sum of inputs of equal shape, each times the logistic of a learned number, at first 1 (Xie et al. 2019, 3.2).

    With gradients, one pass over each input and none over products: `x * weight` alone would be written, read and,
    on the way back, made once more.
    """

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(inputs))

    def forward(self, *inputs: Tensor) -> Tensor:
        """The sum; inputs and output have one shape."""
        weights = torch.sigmoid(self.weight)
        if torch.is_grad_enabled():
            return _Sum.apply(weights, *inputs)
        found = inputs[0] * weights[0]
        for n, x in enumerate(inputs[1:], start=1):
            found = torch.addcmul(found, x, weights[n])
        return found


class Gate(nn.Module):
    """An input times the sum of a mask and the logistic of a learned number, at first 1 (NAGO's attention merge).

    The mask is scaled to [0, 1] over each image. The released code scales it over the whole batch, so that there a
    prediction depends on the other images.
    """

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """`x`, gated; both of shape (B, C, H, W)."""
        low, high = mask.amin((1, 2, 3), keepdim=True), mask.amax((1, 2, 3), keepdim=True)
        return x * (torch.sigmoid(self.weight) + (mask - low) / (high - low).clamp(min=SMALLEST_RANGE))


def total(*inputs: Tensor) -> Tensor:
    """Sum of at least two inputs of one shape and memory format, which it keeps (stacking them would not)."""
    found = inputs[0] + inputs[1]
    for x in inputs[2:]:
        found = found + x
    return found


def average(*inputs: Tensor) -> Tensor:
    """Mean of at least two inputs of one shape and memory format, which it keeps."""
    return total(*inputs) / len(inputs)


class _Sum(torch.autograd.Function):
    """Sum of inputs times numbers, with both gradients in one pass over an input."""

    @staticmethod
    def forward(ctx: Any, weights: Tensor, *inputs: Tensor) -> Tensor:
        """`weights` of shape (inputs,)."""
        ctx.save_for_backward(weights, *inputs)
        found = torch.mul(inputs[0], weights[0])
        for n, x in enumerate(inputs[1:], start=1):
            found.addcmul_(x, weights[n])
        return found

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        """Gradients of the weights and of each input."""
        weights, *inputs = ctx.saved_tensors
        flat = _in_order_of_memory(grad)
        of_weights = torch.stack([torch.dot(flat, _in_order_of_memory(x, grad)) for x in inputs])
        return of_weights.to(weights.dtype), *(grad * weight for weight in weights)


def _in_order_of_memory(x: Tensor, like: Tensor | None = None) -> Tensor:
    """All numbers in a row, channels last where `like`, or else `x`, has them last; without a copy where it can be."""
    like = x if like is None else like
    if x.dim() == 4 and like.is_contiguous(memory_format=torch.channels_last):
        x = x.permute(0, 2, 3, 1)
    return x.reshape(-1)
