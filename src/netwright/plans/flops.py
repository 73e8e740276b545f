"""Multiply-adds of a forward pass, counted by torch as it runs: what the counts of plans are held against."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


@dataclass
class FlopCount:
    """What was counted in a block, once it is over.

    Args:
        multiply_adds: Of all operations that multiply matrices or convolve.
    """

    multiply_adds: int = 0


@contextmanager
def counted() -> Iterator[FlopCount]:
    """Counts the multiply-adds of what is computed within the block, without gradients.

    Operations that torch fuses on a processor, as attention and recurrent layers are, count as nothing there: they are
    taken apart meanwhile.
    """
    found, fuses = FlopCount(), torch.backends.mkldnn
    is_fast, is_fused = torch.backends.mha.get_fastpath_enabled(), fuses.enabled
    torch.backends.mha.set_fastpath_enabled(False)
    fuses.enabled = False
    try:
        with sdpa_kernel(SDPBackend.MATH), torch.no_grad(), FlopCounterMode(display=False) as counter:
            yield found
        found.multiply_adds = counter.get_total_flops() // 2
    finally:
        fuses.enabled = is_fused
        torch.backends.mha.set_fastpath_enabled(is_fast)
