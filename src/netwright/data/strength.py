"""How strongly training images are augmented, as one number that a search can choose."""

from __future__ import annotations

from dataclasses import replace

from netwright.data.augment import Augmentation

OWN = 0.5  # the strength of a task's own augmentation
ROTATION, ZOOM, LIGHT = 15.0, 0.15, 0.4  # at full strength: degrees, and shares of 1


def scaled(own: Augmentation, strength: float, height: int, width: int) -> Augmentation:
    """An augmentation made weaker or stronger.

    From 0 to OWN, all that it does falls to nothing in a straight line. From OWN to 1, it rises to what is strong for
    any images, or stays where it is stronger already: shifts of 3/16 of the side, a square of half the side cut out,
    brightness and contrast by 0.4, turns of 15 degrees and a zoom of 0.15. Windows (`area`) take the place of shifts
    and may in the end be half as large. Changes of saturation and hue rise no further. Mirroring and the side of a crop
    stay as they are, as neither is a matter of degree.

    Args:
        own: The augmentation, `fitted` to this size.
        strength: From 0 to 1; OWN gives back `own`.
        height: Height of the images, in pixels.
        width: Width of the images, in pixels.
    """
    if strength == OWN:
        return own
    side, now = min(height, width), own.padding or 0
    needed = max(0, -((side - (own.crop or 0)) // 2))  # zeros without which the crop is larger than the image

    def at(value: float, strong: float) -> float:
        if strength < OWN:
            return value * strength / OWN
        return value + (max(strong, value) - value) * (strength - OWN) / (1 - OWN)

    area = own.area
    if area is not None:
        least = 1 - at(1 - area[0], 1 - area[0] / 2)
        area = (least, max(1 - at(1 - area[1], 0), least))
    return replace(
        own,
        padding=0 if area else max(round(at(now, 3 * side / 16)), needed),
        cutout=round(at(own.cutout, side / 2)),
        area=area,
        rotation=at(own.rotation, ROTATION),
        zoom=at(own.zoom, ZOOM),
        brightness=at(own.brightness, LIGHT),
        contrast=at(own.contrast, LIGHT),
        saturation=at(own.saturation, 0),
        hue=at(own.hue, 0),
    )
