"""The torch modules and functions of operations that are not torch's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Conv(nn.Conv2d):
    """A convolution whose weights are undefined until `plans.network.initialize`, which takes a generator."""

    def reset_parameters(self) -> None:
        """Leave the weights undefined."""


class Linear(nn.Linear):
    """A linear layer whose weights are undefined until `plans.network.initialize`, which takes a generator."""

    def reset_parameters(self) -> None:
        """Leave the weights undefined."""


# An export takes the text of the next two classes along: they use torch, nn, F and Tensor only.


class WeightedSum(nn.Module):
    """Sum of inputs of equal shape, each times the logistic of a learned number, at first 1."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(inputs))

    def forward(self, *inputs: Tensor) -> Tensor:
        """The sum; inputs and output have one shape."""
        weights = torch.sigmoid(self.weight)
        total = inputs[0] * weights[0]
        for n, x in enumerate(inputs[1:], start=1):
            total = torch.addcmul(total, x, weights[n])
        return total


class Gate(nn.Module):
    """An input times the sum of a mask, scaled to [0, 1] within each image, and the logistic of a learned number."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """`x`, gated; both of shape (B, C, H, W). A mask that is constant gates by 0, not by NaN."""
        low, high = mask.amin((1, 2, 3), keepdim=True), mask.amax((1, 2, 3), keepdim=True)
        return x * (torch.sigmoid(self.weight) + (mask - low) / (high - low).clamp(min=1e-12))


class LeanWeightedSum(WeightedSum):
    """A weighted sum with gradients in one pass over each input and none over products (Xie et al. 2019, 3.2).

    Without it, each `x * weight` would be written, read, and computed once more in the backward pass.
    """

    def forward(self, *inputs: Tensor) -> Tensor:
        """The sum; inputs and output have one shape."""
        if not torch.is_grad_enabled():
            return super().forward(*inputs)
        return _Sum.apply(torch.sigmoid(self.weight), *inputs)


def concatenate(*inputs: Tensor) -> Tensor:
    """Inputs joined along their second dimension."""
    return torch.cat(inputs, 1)


def total(*inputs: Tensor) -> Tensor:
    """Sum of at least two inputs of one shape and memory format, which it keeps (stacking them would not)."""
    found = inputs[0] + inputs[1]
    for x in inputs[2:]:
        found = found + x
    return found


def average(*inputs: Tensor) -> Tensor:
    """Mean of at least two inputs of one shape and memory format, which it keeps."""
    return total(*inputs) / len(inputs)


def scale_channels(x: Tensor, factors: Tensor) -> Tensor:
    """Images (B, C, H, W) times the logistic of `factors` (B, C); under autocast in the images' type."""
    return x * torch.sigmoid(factors).to(x.dtype)[:, :, None, None]


def global_mean(x: Tensor) -> Tensor:
    """Means over height and width; where channels are last in the input, they are in its gradient too."""
    is_last = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    return x.permute(0, 2, 3, 1).mean((1, 2)) if is_last else x.mean((2, 3))


def odd_pixels(x: Tensor) -> Tensor:
    """Pixels of odd row and column, counted from 0, and zeros where an odd side has none left."""
    return F.pad(x[:, :, 1::2, 1::2], (0, x.shape[3] % 2, 0, x.shape[2] % 2))


def pooling(
    pool: Callable[..., Tensor], kernel: int, stride: int, *, padded: bool = True, zeros: bool = False
) -> Callable[[Tensor], Tensor]:
    """A pooling of square windows; one of 2 x 2 looks to the right and below.

    Args:
        pool: Torch's pooling function, which takes input, kernel, stride and padding.
        kernel: Side of the window in pixels.
        stride: Step from one window to the next, in pixels.
        padded: Whether windows reach past the border.
        zeros: Whether zeros past the border count; if not, `pool` decides.
    """
    if zeros and padded:
        borders = (0, 1, 0, 1) if kernel == 2 else (kernel // 2,) * 4
        return lambda x: pool(F.pad(x, borders), kernel, stride)
    if not padded:
        return lambda x: pool(x, kernel, stride)
    if kernel == 2 and stride == 1:  # a border on all sides gives an extra window that begins before the image
        return lambda x: pool(x, kernel, stride, 1)[:, :, 1:, 1:]
    if kernel == 2:
        return lambda x: pool(x, kernel, stride, ceil_mode=True)
    return lambda x: pool(x, kernel, stride, kernel // 2)


class _Sum(torch.autograd.Function):
    """Sum of inputs times numbers, with both gradients in one pass over each input."""

    @staticmethod
    def forward(ctx: Any, weights: Tensor, *inputs: Tensor) -> Tensor:
        """The sum of the inputs times `weights`, shape (inputs,)."""
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
    """All numbers in one row, channels last where `like` (or else `x`) has them last; without a copy if possible."""
    like = x if like is None else like
    if x.dim() == 4 and like.is_contiguous(memory_format=torch.channels_last):
        x = x.permute(0, 2, 3, 1)
    return x.reshape(-1)
