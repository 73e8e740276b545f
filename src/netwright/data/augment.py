"""Random crops, flips and cutout, a whole batch at a time; offsets come from a generator that is an argument."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def crop(images: Tensor, size: int, padding: int, generator: torch.Generator) -> Tensor:
    """A `size` x `size` window of every image, placed at random after `padding` zeros were put around.

    Args:
        images: Shape (B, C, H, W), any type.
        size: At most H + 2 padding and W + 2 padding.
        padding: Zeros on each side.
        generator: Source of the offsets, on the CPU.

    Returns:
        Shape (B, C, size, size), the type of `images`.
    """
    if padding:
        images = F.pad(images, (padding,) * 4)
    count, _, height, width = images.shape
    top = torch.randint(height - size + 1, (count, 1), generator=generator)
    left = torch.randint(width - size + 1, (count, 1), generator=generator)
    side = torch.arange(size)
    rows, columns = (top + side)[:, :, None], (left + side)[:, None, :]  # (B, size, 1), (B, 1, size)
    which = torch.arange(count)[:, None, None]
    return images.permute(0, 2, 3, 1)[which, rows, columns].permute(0, 3, 1, 2)  # (B, C, size, size)


def flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Half of the images, at random, mirrored left to right; shape and type of `images`, (B, C, H, W)."""
    is_flipped = torch.rand(len(images), 1, 1, 1, generator=generator) < 0.5
    return torch.where(is_flipped, images.flip(3), images)


def cutout(images: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """A square of `side` pixels set to zero in every image, its center anywhere, clipped at the border.

    Args:
        images: Normalized, so that zero is the mean, shape (B, C, H, W).
        side: In pixels.
        generator: Source of the centers, on the CPU.

    Source: DeVries and Taylor 2017, "Improved Regularization of Convolutional Neural Networks with Cutout".
    """
    count, _, height, width = images.shape
    top = torch.randint(height, (count, 1), generator=generator) - side // 2
    left = torch.randint(width, (count, 1), generator=generator) - side // 2
    rows, columns = torch.arange(height), torch.arange(width)
    in_rows = (rows >= top) & (rows < top + side)  # (B, H)
    in_columns = (columns >= left) & (columns < left + side)  # (B, W)
    is_hole = in_rows[:, None, :, None] & in_columns[:, None, None, :]  # (B, 1, H, W)
    return images.masked_fill(is_hole, 0.0)
