"""Mixing of examples in training: each takes a part of its neighbor in the batch, and as much of the neighbor's target.

Images exchange a rectangle (CutMix, Yun et al. 2019); vectors and sequences of features are averaged (mixup, Zhang et
al. 2018). Batches are shuffled, so that the neighbor, the other of each pair of places 2i and 2i + 1, is as good as any
partner; and the parts into which a batch is divided, which hold whole pairs, need nothing of each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from netwright.core.errors import BadReference
from netwright.core.shapes import IO, Classes, Tokens


@dataclass(frozen=True)
class Mix:
    """How the examples of one batch are mixed.

    Args:
        share: What each keeps of itself, in [0, 1]; of the target too.
        rectangle: Rows and columns of an image that are its neighbor's; None: all numbers are averaged.
    """

    share: float
    rectangle: tuple[slice, slice] | None = None

    @property
    def others(self) -> float:
        """What each takes of its neighbor."""
        return 1 - self.share

    def inputs(self, inputs: Tensor) -> Tensor:
        """Mixed inputs, shape (B, ...), of an even number of places of the batch, or of all; the given ones stay."""
        if self.rectangle is None:
            return torch.lerp(_neighbors(inputs), inputs, self.share)
        found = inputs.clone()
        place = (slice(None), *self.rectangle)
        found[:, *place] = _neighbors(inputs[:, *place])
        return found


class Masked(NamedTuple):
    """The same in one form for any draw, with nothing but numbers to be filled in: what a recorded step needs.

    Args:
        share: What each keeps of itself, in [0, 1]; a tensor has shape ().
        others: What each takes of its neighbor.
        mask: Which pixels of an image are its neighbor's, shape (H, W); None: all numbers are averaged.
    """

    share: float | Tensor
    others: float | Tensor
    mask: Tensor | None = None

    @staticmethod
    def of(mix: Mix | None, shape: torch.Size) -> Masked:
        """A mix, or that nothing is mixed, of inputs of this shape, (B, ...); the mask is on the CPU."""
        mask = torch.zeros(shape[2:], dtype=torch.bool) if len(shape) == 4 else None
        if mix is None:
            return Masked(1.0, 0.0, mask)
        if mask is not None and mix.rectangle is not None:
            mask[mix.rectangle] = True
        return Masked(mix.share, mix.others, mask)

    def inputs(self, inputs: Tensor) -> Tensor:
        """As `Mix.inputs`."""
        if self.mask is None:
            return torch.lerp(_neighbors(inputs), inputs, self.share)
        return torch.where(self.mask.to(inputs.device), _neighbors(inputs), inputs)


def drawn(rng: np.random.Generator, probability: float, alpha: float, shape: torch.Size) -> Mix | None:
    """How a batch is mixed; None: it is not, which has the probability 1 - `probability`.

    The share is drawn from Beta(`alpha`, `alpha`). The center of the rectangle is uniform over the image, and where the
    rectangle reaches beyond the border, the share is that of the pixels that are left.

    Args:
        rng: Generator of the step.
        probability: Probability that the batch is mixed.
        alpha: How often the share is near 1/2: 1: any share is equally likely; less: most are near 0 or 1.
        shape: Shape of the inputs: (B, C, H, W) of images.
    """
    if rng.random() >= probability:
        return None
    share = float(rng.beta(alpha, alpha))
    if len(shape) != 4:
        return Mix(share)
    height, width = shape[2:]
    rows, columns = (_window(rng, side, math.sqrt(1 - share)) for side in (height, width))
    taken = (rows.stop - rows.start) * (columns.stop - columns.start)
    return Mix(1 - taken / (height * width), (rows, columns))


def of_both(mix: Mix | Masked | None, targets: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """What a function gives for the targets of examples and of their neighbors, by their shares.

    Args:
        mix: How the examples are mixed; None: they are not.
        targets: Targets, shape (B,).
        function: Gives a loss, shape (), or a number for each target, shape (B,).
    """
    own = function(targets)
    return own if mix is None else mix.share * own + mix.others * function(_neighbors(targets))


def is_possible(io: IO) -> bool:
    """Whether examples of a task can be mixed: its output is a class, and its inputs are numbers."""
    return isinstance(io.output, Classes) and not isinstance(io.input, Tokens)


def check(probability: float, batch: int, parts: int, io: IO) -> None:
    """Refuse mixing where it means nothing, or pairs of neighbors are torn apart.

    Args:
        probability: Probability that a batch is mixed; with 0, nothing is refused.
        batch: Number of examples in a batch.
        parts: Number of parts in which it is worked through, in all processes together.
        io: What goes into the network and comes out of it.

    Raises:
        BadReference: The output is no class, the input cannot be averaged, or a part has an odd number of examples.
    """
    if not probability:
        return
    if not isinstance(io.output, Classes):
        raise BadReference(f"evaluator.mixing is {probability}, but the task has no classes; leave it out")
    if isinstance(io.input, Tokens):
        raise BadReference(
            f"evaluator.mixing is {probability}, but tokens cannot be mixed, only images and numbers; leave it out"
        )
    if parts > 1 and batch // parts % 2:
        raise BadReference(
            f"evaluator.mixing is {probability}, which takes pairs of examples, but a batch of {batch} in {parts} "
            f"parts has {batch // parts} in each; give a multiple of {2 * parts}"
        )


def _window(rng: np.random.Generator, side: int, share: float) -> slice:
    """A window of about a share of a side, around a place that is drawn, as far as it is within the side."""
    center, half = int(rng.integers(side)), int(side * share) // 2
    return slice(max(0, center - half), min(side, center + half))


def _neighbors(values: Tensor) -> Tensor:
    """The other of each pair; the last of an odd number is its own."""
    places = torch.arange(len(values), device=values.device)
    return values[(places ^ 1).clamp(max=len(values) - 1)]
