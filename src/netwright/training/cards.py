"""Cards (GPUs) as trainings share them: their names, what a process holds of their memory, and where it ran out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch

from netwright.core.cards import CardMemory
from netwright.core.memory import size_text

CONTEXT_MB: Final = 500.0  # of a card that a process takes before any tensor: the driver's context and the kernels


@dataclass(frozen=True)
class Full:
    """A card whose memory ran out, in bytes.

    Args:
        name: What the card is called.
        total: Memory of the card.
        free: What was free.
        own: What this process's tensors and its reserve for more held.
        estimate: What a trial was estimated to take, a process's context aside; None: not known.
    """

    name: str
    total: float
    free: float
    own: float
    estimate: float | None = None

    def sentence(self, trained: str, fault: str) -> str:
        """What ran out, with all sizes.

        Args:
            trained: What was trained, such as "a network of 4,321 parameters, 64 images a step".
            fault: What torch said, of which the first sentences are taken.
        """
        others = max(0.0, self.total - self.free - self.own)
        estimate = f", estimated at {size_text(self.estimate)}" if self.estimate is not None else ""
        said = " ".join(fault.split()).removeprefix("CUDA out of memory. ").partition(". ")[0].rstrip(".")
        return (
            f"the memory of {self.name} ran out for {trained}{estimate}: of {size_text(self.total)}, its process held "
            f"{size_text(self.own)}, other processes and contexts {size_text(others)}; {said}; give a smaller batch, "
            "more evaluator.accumulate or fewer executor.trials_per_gpu"
        )


def name_of(device: torch.device, environment: Mapping[str, str] = os.environ) -> str | None:
    """A name of a card that is the same in processes which see other cards; None: it is no card.

    The card is not used for that: a process that used it would take memory of it.
    """
    if device.type != "cuda":
        return None
    index = device.index or 0
    visible = [entry.strip() for entry in environment.get("CUDA_VISIBLE_DEVICES", "").split(",")]
    return f"cuda-{visible[index] if index < len(visible) and visible[index] else index}"


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


def full(device: torch.device, estimate: float | None) -> Full:
    """What a card holds now, after its memory ran out; the estimate of the trial is in bytes."""
    free, total = torch.cuda.mem_get_info(device)
    own = torch.cuda.max_memory_reserved(device)
    return Full(torch.cuda.get_device_name(device), total, min(free, total), min(own, total), estimate)
