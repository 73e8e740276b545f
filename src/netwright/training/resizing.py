"""Progressive resizing: images are smaller while the rate of a training stays, and whole while it falls at its end.

A step on smaller images takes fewer seconds, and most of what whole ones teach is learned from them, so that a training
of so many seconds comes further (Tan and Le 2021, "EfficientNetV2: Smaller Models and Faster Training", section 4). The
weights are those of one network, which must have the same ones for both sizes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from netwright.core.errors import BadReference
from netwright.core.protocols import SearchSpace, unwrap
from netwright.core.records import IO, Genotype
from netwright.core.shapes import Image, plural
from netwright.plans.plan import HasPlan, Plan, resized

MULTIPLE = 4  # of which the sides of smaller images are, so that a network which halves them twice leaves out no pixels
OURS = "netwright."  # modules of operations of which it is known that they compute alike whatever the size


@dataclass(frozen=True)
class Resizing:
    """Which images a training sees when.

    Args:
        image: The smaller ones.
        is_early: Whether it sees these after so many steps.
    """

    image: Image
    is_early: Callable[[int], bool]

    def inputs(self, images: Tensor, step: int) -> Tensor:
        """Images of a step, shape (B, channels, height, width), as the network sees them."""
        return at_most(images, self.image) if self.is_early(step) else images

    def seeing(self, network: nn.Module, step: int) -> nn.Module:
        """What gives a network's outputs for whole images as it sees them after so many steps."""
        return AtMost(network, self.image) if self.is_early(step) else network


class AtMost(nn.Module):
    """A network that sees images at a size at most; it shares the network's weights and mode."""

    def __init__(self, network: nn.Module, image: Image) -> None:
        super().__init__()
        self.network, self.image = network, image

    def forward(self, images: Tensor) -> Tensor:
        """Outputs for images, shape (B, channels, height, width)."""
        return self.network(at_most(images, self.image))


def at_most(images: Tensor, image: Image) -> Tensor:
    """Images, shape (B, channels, height, width), at the size of `image`; those that are no larger stay as they are."""
    height, width = images.shape[2:]
    if height <= image.height and width <= image.width:
        return images
    size = (min(height, image.height), min(width, image.width))
    return F.interpolate(images, size, mode="bilinear", antialias=True)


def early(io: IO, share: float) -> IO:
    """What goes in and comes out where images have about this share of their height and width."""
    if share >= 1:
        return io
    image = io.input
    assert isinstance(image, Image), "only images have a height and a width"
    height, width = (min(side, max(1, int(share * side / MULTIPLE + 0.5)) * MULTIPLE) for side in image[1:])
    return IO(Image(image.channels, height, width), io.output)


def fitting(space: SearchSpace, genotype: Genotype, io: IO, share: float) -> Plan | None:
    """The layers of a network where it reads such images by the weights that it has for whole ones.

    None: it cannot, or its space writes no plans to tell by, or an operation in it is not the package's own; or images
    are not smaller.
    """
    with_plan = unwrap(space, HasPlan)
    if with_plan is None or (small := early(io, share)) == io:
        return None
    plan = with_plan.plan(genotype, io)
    if not all(type(layer.op).__module__.startswith(OURS) for layer in plan):
        return None
    try:
        return resized(plan, small.input)
    except ValueError:
        return None


def of(small: Plan | None, is_early: Callable[[int], bool] = lambda _steps: True) -> Resizing | None:
    """What a training sees when, by the layers of its network for smaller images; None: it sees whole ones only."""
    return Resizing(image, is_early) if small and isinstance(image := small[0].shape, Image) else None


def check(share: float, schedule: str, io: IO, *, validates: bool, ends_whole: bool) -> None:
    """Refuse options that do not go with smaller images.

    Args:
        share: Share of their sides.
        schedule: Schedule of the rate.
        io: What goes in and comes out.
        validates: Whether weights on the way are compared with those of the end.
        ends_whole: Whether what is measured has seen whole images, or is not to be used on any.

    Raises:
        BadReference: They do not.
    """
    if not 0 < share <= 1:
        raise BadReference(f"evaluator.early_size is {share}; it is a share of an image's sides, above 0 and at most 1")
    if share == 1:
        return
    told = f"evaluator.early_size is {share}, but"
    if not isinstance(io.input, Image):
        raise BadReference(f"{told} {plural(io.input)} have no sides; leave it out")
    if early(io, share) == io:
        pixels = f"{io.input.height}x{io.input.width} pixels"
        raise BadReference(
            f"{told} images of {pixels} are no smaller by it in multiples of {MULTIPLE}; give a smaller share, or 1"
        )
    if schedule != "constant":
        raise BadReference(
            f"{told} images are smaller while the rate stays, and the schedule is {schedule!r}; set "
            'evaluator.early_size to 1, or give evaluator.schedule "constant" and evaluator.cooldown 0.2'
        )
    if validates:
        raise BadReference(
            f"{told} keep_best, reloads and non_monotone compare weights on the way, when images are smaller, with "
            "those of the end; set evaluator.early_size to 1, or leave them out"
        )
    if not ends_whole:
        raise BadReference(
            f"{told} without a cooldown the network that is tested would never have seen whole images; give "
            "evaluator.cooldown 0.2, or set evaluator.early_size to 1"
        )
