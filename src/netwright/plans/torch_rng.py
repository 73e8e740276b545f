"""Torch generators from numpy ones."""

from __future__ import annotations

import numpy as np
import torch


def from_numpy(rng: np.random.Generator) -> torch.Generator:
    """A CPU generator seeded by one draw from `rng`."""
    return torch.Generator().manual_seed(int(rng.integers(2**63)))
