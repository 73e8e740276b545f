"""Cross entropy over a vocabulary, for logits that are too many to be kept twice.

A batch of 64 sequences of 35 words out of 10,000 has 22 million logits: most of the memory of a step of a language
model, and much of its time. torch keeps the logits and their logarithmic softmax, and makes gradients of their size.
Here there is one tensor of that size, a few rows of which are worked on at a time, while they are in the cache.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

ROWS_OF: Final = 2**18  # numbers that are worked on at a time on a CPU: 1 MB


def token_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """The mean cross entropy in nats, shape (), in single precision whatever the logits have.

    The backward pass writes the gradient over the logits, which nothing may read afterwards; another operation whose
    backward pass needs them is refused by torch.

    Args:
        logits: Shape (..., V).
        targets: Entries of the vocabulary, int64 of shape (...).
    """
    if not (torch.is_grad_enabled() and logits.requires_grad):
        return token_losses(logits, targets).mean()
    found: Tensor = _Mean.apply(logits, targets)
    return found


def token_losses(logits: Tensor, targets: Tensor) -> Tensor:
    """The cross entropy of each target in nats, without gradients, in single precision, in the targets' shape."""
    flat = logits.detach().flatten(0, -2)
    return (_normalizers(flat) - _chosen(flat, targets.flatten())).view(targets.shape)


def _normalizers(flat: Tensor) -> Tensor:
    """Logarithms of the sums of exponentials of rows, shape (N,), of logits (N, V)."""
    return torch.cat([torch.logsumexp(part.float(), 1) for part in flat.split(_rows(flat))])


def _chosen(flat: Tensor, targets: Tensor) -> Tensor:
    return flat.gather(1, targets[:, None])[:, 0].float()


def _rows(flat: Tensor) -> int:
    """How many rows are worked on at a time."""
    return max(1, ROWS_OF // flat.shape[1]) if flat.device.type == "cpu" else max(1, len(flat) // 8)


class _Mean(torch.autograd.Function):
    """The mean over tokens."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor) -> Tensor:
        """The mean cross entropy."""
        flat, wanted = logits.flatten(0, -2), targets.flatten()
        normalizers = _normalizers(flat)
        ctx.save_for_backward(logits, wanted, normalizers)
        return (normalizers - _chosen(flat, wanted)).mean()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        """The gradient of the logits, in their memory."""
        logits, targets, normalizers = ctx.saved_tensors
        flat, scale = logits.view(-1, logits.shape[-1]), grad / len(targets)
        for part, wanted, normalizer in zip(
            *(each.split(_rows(flat)) for each in (flat, targets, normalizers)), strict=True
        ):
            shares = torch.exp(part.float() - normalizer[:, None])
            shares.scatter_add_(1, wanted[:, None], shares.new_full((len(wanted), 1), -1.0))
            torch.mul(shares, scale, out=shares)
            part.copy_(shares)
        return logits, None
