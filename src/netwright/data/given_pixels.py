"""What images that a program holds are to become, by a look at some of them, and the pixels of each.

Images of Pillow are those that `netwright predict` sees of the same file.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from PIL import Image, ImageOps

from netwright.core.errors import BadRunFile
from netwright.data import decode
from netwright.data.decode import Fit, Form

PROBED: Final = 64  # images that are looked at, spread over each split, to see what all are
PLAIN: Final = ("1", "L", "RGB")  # modes of Pillow that need no thought
GRAYS: Final = ("1", "L", "LA", "La")
AS_OTHERS: Final = {"La": "LA", "RGBa": "RGBA", "HSV": "RGB", "YCbCr": "RGB"}  # modes that no file is decoded to
ROUNDED: Final = 1e-3  # of the greatest value, by which scaling images may have passed it
AMBIGUOUS: Final = 2.0  # up to which a greatest value is neither that of images from 0 to 1 nor from 0 to 255


@dataclass(frozen=True)
class Pairs:
    """Images and labels of one split, each read when it is asked for.

    Args:
        split: "train", "valid" or "test".
        items: What is asked for the pair at a position.
        count: Number of pairs.
        keys: What leads to image and label in an item; None: the item is (images, labels), each asked for a position.
        classes: Names of the classes in order of the labels; None: not known.
    """

    split: str
    items: Any
    count: int
    keys: tuple[Any, Any] | None
    classes: tuple[str, ...] | None = None

    def at(self, position: int) -> tuple[Any, Any]:
        """Image and label. Raises BadRunFile where an item is no such pair."""
        if self.keys is None:
            return self.items[0][position], self.items[1][position]
        item = self.items[position]
        try:
            return item[self.keys[0]], item[self.keys[1]]
        except (KeyError, IndexError, TypeError):
            raise BadRunFile(
                f"item {position} of the {self.split} data is a {type(item).__name__}; it must be an image and "
                "its label"
            ) from None


@dataclass(frozen=True)
class Look:
    """What all images become: their form, and by what values are multiplied to be from 0 to 255.

    Args:
        form: The form.
        scale: The factor, of images of floats.
        where: An image that has the size of the form by itself, as all must; "": they are brought to it.
    """

    form: Form
    scale: float
    where: str


class InColorError(Exception):
    """An image has color, and those that were looked at have none."""


def look_at(parts: Sequence[Pairs], size: int | None, fit: Fit) -> Look:
    """What all images are to become, by a look at some of each split."""
    sizes: dict[tuple[int, int], str] = {}
    channels, highest = 1, 0.0
    for part in parts:
        for position in np.unique(np.linspace(0, part.count - 1, PROBED).astype(int)).tolist():
            image, _ = part.at(position)
            if isinstance(image, Image.Image):
                shown = _as_shown(image, part.split, position)
                found = shown.height, shown.width, 1 if image.mode in GRAYS else 3
            else:
                array = _array(image, part.split, position)
                found = (array.shape[0], array.shape[1], array.shape[2])
                highest = max(highest, float(array.max()) if array.dtype.kind == "f" else 255.0)
            sizes.setdefault(found[:2], f"{part.split} {position}")
            channels = max(channels, found[2])
    if size is None and len(sizes) > 1:
        (one, where), (other, there) = list(sizes.items())[:2]
        raise _several_sizes(one, where, other, there)
    if 1 + ROUNDED < highest <= AMBIGUOUS:
        raise BadRunFile(
            f"images have values up to {highest:g}, which are neither from 0 to 1 nor, clearly, from 0 to 255; give "
            "images before they are normalized, as whole numbers where they are that dark"
        )
    height, width = (size, size) if size is not None else next(iter(sizes))
    where = "" if size is not None else next(iter(sizes.values()))
    return Look(Form(channels, height, width, fit), 255.0 if 0 < highest <= 1 + ROUNDED else 1.0, where)


def _several_sizes(one: tuple[int, int], where: str, other: tuple[int, int], there: str) -> BadRunFile:
    return BadRunFile(
        f"images have several sizes, as {one[1]}x{one[0]} ({where}) and {other[1]}x{other[0]} ({there}); give "
        "size, as in size=64, to cut and scale all to squares"
    )


def _as_shown(image: Image.Image, split: str, position: int) -> Image.Image:
    """An image of Pillow as programs show it: upright, and with its transparency, as its file is decoded for `predict`.

    Raises:
        BadRunFile: It has more than 256 levels of brightness, of which only all images together say what is white.
    """
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        raise BadRunFile(
            f"the image {split} {position} is of Pillow's mode {image.mode}, which has more than 8 bits; give a folder "
            "of files, whose brightness is scaled by that of all, or images of 8 bits"
        )
    shown = ImageOps.exif_transpose(image)
    if "transparency" in shown.info:
        return shown.convert("RGBA")
    return shown.convert(AS_OTHERS[shown.mode]) if shown.mode in AS_OTHERS else shown


def _array(image: Any, split: str, position: int) -> np.ndarray:
    """An image as (H, W, C). Raises BadRunFile for what is none."""
    is_tensor = hasattr(image, "detach")
    try:
        array = np.asarray(image.detach().cpu() if is_tensor else image)
    except Exception as error:  # whatever a strange object does when it is asked for numbers
        raise BadRunFile(f"{split} {position} is a {type(image).__name__}, no image ({error})") from None
    if array.dtype.kind not in "buif":
        raise BadRunFile(
            f"{split} {position} is a {type(image).__name__}, no image; give arrays, tensors or Pillow images"
        )
    if array.ndim == 2 and min(array.shape) > 0:
        return array[:, :, None]
    is_last, is_first = (array.ndim == 3 and min(array.shape) > 0 and array.shape[k] in (1, 3) for k in (2, 0))
    if is_first and (is_tensor or not is_last):
        return array.transpose(1, 2, 0)
    if is_last and not is_first:
        return array
    clear = ", and it must be clear which" if is_last else ""
    raise BadRunFile(
        f"the image {split} {position} has the shape {array.shape}; it must be (height, width), (height, width, 1 or "
        f"3) or (1 or 3, height, width){clear}"
    )


def pixels_of(image: Any, look: Look, split: str, position: int) -> np.ndarray:
    """An image as it is written: uint8, (H, W, C)."""
    form = look.form
    if isinstance(image, Image.Image):
        channels, image = 1 if image.mode in GRAYS else 3, _as_shown(image, split, position)
        size = image.height, image.width
    else:
        array = _array(image, split, position)
        channels, size = array.shape[2], array.shape[:2]
    if look.where and size != (form.height, form.width):
        raise _several_sizes((form.height, form.width), look.where, size, f"{split} {position}")
    if channels > form.channels:
        raise InColorError
    if not isinstance(image, Image.Image):
        if array.dtype == bool:
            array = array * np.uint8(255)
        if array.dtype != np.uint8:
            array = _eight_bits(array, look.scale, split, position)
        if array.shape == (form.height, form.width, form.channels):
            return array
        if array.shape[:2] == (form.height, form.width) and array.shape[2] == 1:
            return np.repeat(array, form.channels, axis=2)
        image = Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else np.ascontiguousarray(array))
    if image.mode not in PLAIN:
        encoded = io.BytesIO()
        try:
            image.save(encoded, "TIFF")
            found, _ = decode.decode(
                encoded.getvalue(), channels=form.channels, height=form.height, width=form.width, fit=form.fit
            )
        except (decode.BadImage, OSError) as error:
            raise BadRunFile(f"the image {split} {position} cannot be used: {error}") from None
        return found
    image = image.convert("L" if form.channels == 1 else "RGB")
    if image.size != (form.width, form.height):
        image = decode.resized(image, form)
    return np.asarray(image).reshape(form.height, form.width, form.channels)


def _eight_bits(array: np.ndarray, scale: float, split: str, position: int) -> np.ndarray:
    low, high = float(array.min()), float(array.max())
    most = 1.0 if scale > 1 and array.dtype.kind == "f" else 255.0
    rounded = ROUNDED * most
    if not (low >= -rounded and high <= most + rounded):  # nor is a number that is none
        raise BadRunFile(
            f"the image {split} {position} has values from {low:g} to {high:g}, {array.dtype}; give images before they "
            "are normalized, from 0 to 255 or from 0 to 1: what networks need is measured and done in training"
        )
    return np.rint(np.clip(array, 0, most) * (scale if array.dtype.kind == "f" else 1)).astype(np.uint8)
