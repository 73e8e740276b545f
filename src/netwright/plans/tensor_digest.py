"""A digest of tensors, by which a file of weights is known to hold what was written."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor


def digest(tensors: Mapping[str, Tensor], text: str) -> str:
    """32 hexadecimal characters of the text and of the names, types, shapes and bytes of the tensors, in any order.

    The tensors are on the CPU, in any layout. Files hold digests: a change of this function makes them unreadable.
    """
    found = hashlib.blake2b(text.encode(), digest_size=16)
    for name, tensor in sorted(tensors.items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.detach().reshape(-1).view(torch.uint8).numpy())
    return found.hexdigest()
