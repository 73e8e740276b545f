"""Whether mirrored images are still of their class, told by the images themselves.

Where an image can be told from its mirror image, mirroring makes images that do not occur: letters and digits, a
dashboard with its wheel on the left. Where it cannot, as in most photos, mirroring doubles the images (the visual
chirality of Lin et al. 2020, "Visual Chirality"; here it is asked of mean images instead of a network). Mean images
only tell it where things have their place in the image: where up and down can be told, which they can in photos and
not in scattered words or in cells under a microscope.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Final

import numpy as np

from netwright.data.looks import shares

LEAST, LEAST_OF_A_CLASS = 200, 20  # images, of which fewer say nothing
TOLD: Final = 0.58  # share of the images that are told from their mirror images, above which they are not mirrored
UPRIGHT: Final = 0.52  # of those that are told from themselves upside down, above which things have their place
SURE: Final = 2.0  # standard errors by which a share has to be above or below
LARGEST: Final = 32  # pixels of a side that are looked at
ROUNDING: Final = 1e-3  # added to means, of which a half would be rounded by the order in which they were summed


@dataclass(frozen=True)
class Chirality:
    """How far images can be told from their mirror images.

    Args:
        told: Share of the images that are; 1/2 is chance.
        upright: Share of the images that are told from themselves upside down.
        images: Number of images that this was found from.
    """

    told: float
    upright: float
    images: int

    @property
    def may_mirror(self) -> bool | None:
        """Whether mirror images are as good as the images; None: these images do not say."""
        if self.images < LEAST:
            return None
        error = SURE * 0.5 / sqrt(self.images)
        if self.told - error > TOLD:
            return False
        return True if self.told + error < TOLD and self.upright - error > UPRIGHT else None


def chirality(images: np.ndarray, labels: np.ndarray) -> Chirality:
    """Whether an image is more like the mean of its class than its mirror image is.

    The images of each class are divided into those that come first and those that come last, as neighbors may show one
    scene, and those of each half are compared with the mean of the other. What is compared is the light of pixels, and,
    as light on dark and dark on light are alike to most tasks, how far it is from the median of their image: the one by
    which more images can be told counts.

    Args:
        images: uint8, shape (N, H, W, C), in the order in which they came.
        labels: Shape (N,); classes of fewer than 20 images are left out.
    """
    looked_at = shrunk(images)
    classes = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    found = [_told(looked_at[places]) for places in classes if len(places) >= LEAST_OF_A_CLASS]
    if not found:
        return Chirality(0.5, 0.5, 0)
    told = np.concatenate(found, 2)  # (mirrored or upside down, light or contrast, N)
    sideways, upright = told.mean(2).max(1)
    return Chirality(float(sideways), float(upright), told.shape[2])


def shrunk(images: np.ndarray) -> np.ndarray:
    """Images (N, H, W, C), uint8, as means of equal areas, at most LARGEST along a side, which take less memory.

    Areas lie evenly to both sides, so that a mirror image becomes the mirror image. Every so many pixels from the first
    on would not: turned round, they are others, and any image could be told from its mirror image.
    """
    _, height, width, _ = images.shape
    if max(height, width) <= LARGEST:
        return images
    rows, columns = (shares(side, min(side, LARGEST)) for side in (height, width))
    planes = images.transpose(0, 3, 1, 2).astype(np.float32)
    means = rows @ planes @ columns.T + ROUNDING
    return np.rint(means).astype(np.uint8).transpose(0, 2, 3, 1)


def _told(images: np.ndarray) -> np.ndarray:
    """Of images of one class (N, H, W, C), whether each is told: (mirrored or upside down, light or contrast, N)."""
    gray = images.mean(-1, dtype=np.float32)
    light = gray - np.median(gray, (1, 2), keepdims=True)
    light /= light.std((1, 2), keepdims=True) + 1
    return np.array([[_likeness(each, axis) for each in (light, np.abs(light))] for axis in (2, 1)])


def _likeness(images: np.ndarray, axis: int) -> np.ndarray:
    """Whether each image (N, H, W) is more like the mean of the other half than turned round: 0, 1/2 or 1, (N,)."""
    uneven = images - np.flip(images, axis)  # what turning round changes the sign of
    first, last = np.array_split(uneven, 2)
    signs = [np.sign((part * other.mean(0)).sum((1, 2))) for part, other in ((first, last), (last, first))]
    return (np.concatenate(signs) + 1) / 2
