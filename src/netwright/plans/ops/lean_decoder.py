"""The decoder as it trains on a CPU in single precision: torch's linear layer, by faster products."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from netwright.plans.ops.products import product
from netwright.plans.ops.sequence_modules import TiedDecoder


class LeanDecoder(TiedDecoder):
    """A linear layer whose weights are a table that it is given."""

    def forward(self, x: Tensor, table: Tensor) -> Tensor:
        """Logits (B, T, entries) of features (B, T, F); `table` has the shape (entries, F)."""
        is_plain = x.device.type == "cpu" and x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
        if not is_plain or not torch.is_grad_enabled():
            return super().forward(x, table)
        found: Tensor = _Linear.apply(x, table, self.bias)
        return found


class _Linear(torch.autograd.Function):
    """A linear layer."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, table: Tensor, bias: Tensor) -> Tensor:
        """Outputs (..., M) of inputs (..., K), for a table (M, K)."""
        flat = x.flatten(0, -2)
        ctx.save_for_backward(flat, table)
        return product(flat, table.t(), bias).unflatten(0, x.shape[:-1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # type: ignore[override]
        """Gradients of inputs, table and bias."""
        x, table = ctx.saved_tensors
        flat = grad.flatten(0, -2)
        of_table = product(x.t().contiguous(), flat).t()  # so the larger matrix stays as it lies in memory
        return product(flat, table).unflatten(0, grad.shape[:-1]), of_table, flat.sum(0)
