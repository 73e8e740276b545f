"""How images and the weights of convolutions lie in memory: all channels of a pixel together, or all pixels of
one channel.

With channels last, matrix units take the numbers as they lie, and CPUs read whole pixels. A depthwise convolution looks
at each channel by itself and has no use for its neighbors: in single precision, GPUs are much slower at it so.
"""

from __future__ import annotations

from typing import Final, Literal

import torch
from torch import nn

Wanted = bool | Literal["auto"]  # channels last or not

HALF: Final = ("bfloat16", "float16")  # formats in which GPUs have depthwise convolutions for channels last, too


def of(wanted: Wanted, network: nn.Module, device: torch.device, precision: str) -> torch.memory_format:
    """The memory format of a training.

    "auto" is channels last, but on a GPU in single precision where at least half of the convolutions are depthwise:
    from what is known of cuDNN; `benchmarks/layouts.py` measures it on a card.

    Args:
        wanted: What the options say.
        network: The network.
        device: Where it is trained.
        precision: Number format of the forward pass.
    """
    if wanted == "auto":
        wanted = device.type != "cuda" or precision in HALF or not _is_mostly_depthwise(network)
    return torch.channels_last if wanted else torch.contiguous_format


def _is_mostly_depthwise(network: nn.Module) -> bool:
    convolutions = [each for each in network.modules() if isinstance(each, nn.Conv2d) and each.kernel_size != (1, 1)]
    depthwise = sum(each.groups == each.in_channels > 1 for each in convolutions)
    return depthwise > 0 and 2 * depthwise >= len(convolutions)
