"""Cards (GPUs) as trainings share them: their names, and what a process holds of their memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Final

import torch

from netwright.core.cards import CardMemory

CONTEXT_MB: Final = 500.0  # of a card that a process takes before any tensor: the driver's context and the kernels


def name_of(device: torch.device, environment: Mapping[str, str] = os.environ) -> str | None:
    """A name of a card that is the same in processes which see other cards; None: it is no card.

    The card is not used for that: a process that used it would take memory of it.
    """
    if device.type != "cuda":
        return None
    index = device.index or 0
    visible = [entry.strip() for entry in environment.get("CUDA_VISIBLE_DEVICES", "").split(",")]
    return f"cuda-{visible[index] if index < len(visible) and visible[index] else index}"


def names(devices: Iterable[torch.device]) -> tuple[str, ...]:
    """Names of the cards among devices, each once, in order."""
    return tuple(dict.fromkeys(filter(None, map(name_of, devices))))


def memory() -> CardMemory | None:
    """Memory of the card that this process fills most, with its reserve; None: it uses no card."""
    if not torch.cuda.is_initialized():
        return None
    held, index = max((torch.cuda.max_memory_reserved(index), index) for index in range(torch.cuda.device_count()))
    free, total = torch.cuda.mem_get_info(index)
    return CardMemory(total / 1e6, free / 1e6, CONTEXT_MB + held / 1e6)


def leave() -> None:
    """Give back what this process keeps of cards' memory for later tensors."""
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
