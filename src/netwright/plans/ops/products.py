"""Large matrix products on CPUs.

Torch computes those in single precision with a library that knows one maker's processors best; oneDNN, which torch has
too and computes all others with, took less than half the time for the products of a language model on a processor of
another maker. There is no public function for it, so that plain products stand in where this one is missing.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor


def product(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """The matrix product of (N, K) and (K, M), and a bias (M) on each row; fastest where `b` is a transposed matrix."""
    if a.device.type == "cpu" and a.dtype == torch.float32 and _has_onednn():
        found: Tensor = torch.ops.mkldnn._linear_pointwise(a, b.t(), bias, "none", [], "")
        return found
    return a.mm(b) if bias is None else torch.addmm(bias, a, b)


@cache
def _has_onednn() -> bool:
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
