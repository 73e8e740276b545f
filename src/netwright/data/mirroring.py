"""Whether mirrored images are still of their class, told by the images themselves.

Where an image can be told from its mirror image, mirroring makes images that do not occur: letters and digits, a
dashboard with its wheel on the left. Where it cannot, as in most photos, mirroring doubles the images (the visual
chirality of Lin et al. 2020, "Visual Chirality"; here it is asked of a mean image instead of a network).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Final

import numpy as np

LEAST, LEAST_OF_A_CLASS = 200, 20  # images, of which fewer say nothing
TOLD: Final = 0.58  # share of the images that are told from their mirror images, above which they are not mirrored
SURE: Final = 2.0  # standard errors by which the share has to be above or below it


@dataclass(frozen=True)
class Chirality:
    """How far images can be told from their mirror images.

    Args:
        told: Share of the images that are; 1/2 is chance.
        images: Number of images that this was found from.
    """

    told: float
    images: int

    @property
    def may_mirror(self) -> bool | None:
        """Whether mirror images are as good as the images; None: there are too few images to say so."""
        if self.images < LEAST:
            return None
        error = SURE * 0.5 / sqrt(self.images)
        if self.told - error > TOLD:
            return False
        return True if self.told + error < TOLD else None


def chirality(images: np.ndarray, labels: np.ndarray) -> Chirality:
    """Whether an image is more like the mean of its class than its mirror image is.

    The images of each class are divided into halves, and those of each half are compared with the mean of the other.
    What is compared is the light of pixels, and, as light on dark and dark on light are alike to most tasks, how far it
    is from the median of their image: the one by which more images can be told counts.
    """
    tones, contrasts = [np.zeros(0)], [np.zeros(0)]
    for label in np.unique(labels):
        gray = images[labels == label].mean(-1, dtype=np.float32)
        if len(gray) >= LEAST_OF_A_CLASS:
            tone = gray - np.median(gray, (1, 2), keepdims=True)
            tone /= tone.std((1, 2), keepdims=True) + 1
            tones.append(_likeness(tone))
            contrasts.append(_likeness(np.abs(tone)))
    told, count = [np.concatenate(each) for each in (tones, contrasts)], sum(map(len, tones))
    return Chirality(max(float(each.mean()) for each in told) if count else 0.5, count)


def _likeness(images: np.ndarray) -> np.ndarray:
    """Whether each image (N, H, W) is more like the mean of the others' half than its mirror image is: 0, 1/2 or 1."""
    uneven = images - images[:, :, ::-1]  # what mirroring changes the sign of
    halves = uneven[::2], uneven[1::2]
    signs = [np.sign((part * other.mean(0)).sum((1, 2))) for part, other in (halves, halves[::-1])]
    return (np.concatenate(signs) + 1) / 2
