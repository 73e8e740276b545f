"""What happens to a batch of images before a network sees it: crops, scaling, flips, turns, light, color, cutout.

Every function works on a whole batch with channels last, (B, H, W, C), and makes the draws of all its images at once
from a generator that is an argument. `flip` and `cut_out` work in place, as memory traffic is what batches cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.lib.stride_tricks import sliding_window_view

from netwright.core.errors import BadReference
from netwright.data.draws import Draws
from netwright.data.options import check_least

ASPECTS = (3 / 4, 4 / 3)  # of scaled crops, width to height: Szegedy et al. 2015, section 6
PHASES = (5, 3, 1)  # of red, green and blue, in sixths of the color circle
GRAY = (0.299, 0.587, 0.114)  # shares of red, green and blue in the gray of a pixel: ITU-R BT.601
CHANGES = BRIGHTNESS, CONTRAST, SATURATION, HUE = range(4)  # of light and color, as `jitter` counts them


@dataclass(frozen=True)
class Augmentation:
    """What happens to training images. Its arguments are options of every task of images (`options.spread`).

    Args:
        crop: Side of a random crop of training images; None: the whole image, moved by up to `padding`.
        padding: Zeros around an image before the crop; None: an eighth of its height, or 0 with `area`.
        flip: Mirror half of the training images (not for digits or letters).
        cutout: Side of a square cut out of training images, which is set to the mean; 0: none.
        area: Least and greatest share of a training image, in (0, 1], that a window cut out of it covers; the window is
            scaled to the image's size, or to that of `crop`; takes the place of `padding`; None: no scaling.
        rotation: Training images are turned by a random angle of up to so many degrees either way; 0: none.
        zoom: Width and height of a training image are each multiplied by a random factor of 1 plus or minus this,
            around its middle; 0: none.
        brightness: Pixels of a training image are multiplied by a random factor of 1 plus or minus this; 0: none.
        contrast: Differences of pixels from the mean of their image are multiplied by a random factor of 1 plus or
            minus this; 0: none.
        saturation: The saturation of a training image's colors is multiplied by a random factor of 1 plus or minus
            this; 0: none.
        hue: Hues of a training image are turned by a random share of the color circle of up to this either way, at most
            0.5; 0: none.
        jitter: Brightness, contrast, saturation and hue change as by PyTorch's ColorJitter: in an order that is drawn
            for each image, contrast and saturation by blending with gray. Otherwise they do so in the order in which
            they stand here.

    Raises:
        BadReference: A value out of range, or both `area` and `padding`.
    """

    crop: int | None = None
    padding: int | None = 0
    flip: bool = False
    cutout: int = 0
    area: tuple[float, float] | None = None
    rotation: float = 0.0
    zoom: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    jitter: bool = False

    def __post_init__(self) -> None:
        most = {"rotation": 180, "zoom": 0.5, "brightness": 1, "contrast": 1, "saturation": 1, "hue": 0.5}
        for name, limit in most.items():
            if not 0 <= getattr(self, name) <= limit:
                raise BadReference(f"task.{name} is {getattr(self, name)}; it must be from 0 to {limit}")
        if self.area is None:
            return
        if not 0 < self.area[0] <= self.area[1] <= 1:
            raise BadReference(f"task.area is {list(self.area)}; give two shares of the image, such as [0.08, 1.0]")
        if self.padding:
            raise BadReference(f"task.area is {list(self.area)} and task.padding {self.padding}; use one of them")

    @property
    def recolors(self) -> bool:
        """Whether light or color change at all."""
        return bool(self.brightness or self.contrast or self.saturation or self.hue)

    def fitted(self, height: int, width: int, channels: int = 3) -> Augmentation:
        """This augmentation for images of this size, with a padding that follows from the size filled in.

        Raises:
            BadReference: A crop below 1 or larger than the padded images, a negative padding or cutout, or a change of
                color for images of one channel.
        """
        if channels != 3 and (self.saturation or self.hue):
            name = "saturation" if self.saturation else "hue"
            raise BadReference(f"task.{name} is {getattr(self, name)}, but the images are gray; leave it out")
        if self.jitter and not self.recolors:
            raise BadReference(
                "task.jitter is true, but nothing says by how much; give brightness, contrast, saturation or hue"
            )
        padding = (0 if self.area else height // 8) if self.padding is None else self.padding
        check_least(padding=(padding, 0), cutout=(self.cutout, 0))
        most = min(height, width) + 2 * padding
        if self.crop is not None and not 1 <= self.crop <= most:
            raise BadReference(f"task.crop is {self.crop}; it must be from 1 to {most}")
        return replace(self, padding=padding)


# augmentations that can be searched by one name; each does what the one before it does, and one thing more
PRESETS = ("none", "shift", "shift+flip", "shift+flip+cutout")


def preset(name: str, height: int, width: int) -> Augmentation:
    """The augmentation that a name in PRESETS stands for: shifts of an eighth of this size, squares of a quarter."""
    parts = name.split("+")
    cutout = min(height, width) // 4 if "cutout" in parts else 0
    return Augmentation(padding=height // 8 if "shift" in parts else 0, flip="flip" in parts, cutout=cutout)


def augment(
    images: np.ndarray, how: Augmentation, mean: Sequence[float], sd: Sequence[float], rng: Draws
) -> np.ndarray:
    """Augmented and normalized images.

    Args:
        images: uint8, shape (B, H, W, C); may be changed.
        how: What is done, in this order: crop or scaled crop, flip, rotation and zoom, brightness and contrast,
            saturation and hue (or, with `jitter`, these four in any order), cutout.
        mean: Mean of each channel, in [0, 1].
        sd: Standard deviation of each channel, on that scale, not 0.
        rng: Source of all draws.

    Returns:
        float32, shape (B, H, W, C), or (B, crop, crop, C).
    """
    height, width = (how.crop, how.crop) if how.crop else images.shape[1:3]
    if how.area:
        images = scaled_crop(images, height, width, how.area, rng)
    elif how.crop or how.padding:
        images = crop(images, height, width, how.padding or 0, rng)
    if how.flip:
        flip(images, rng)
    if how.rotation or how.zoom:
        images = distort(images, how.rotation, how.zoom, rng)
    if how.jitter and how.recolors:
        images = jitter(images, how.brightness, how.contrast, how.saturation, how.hue, rng)
    if (how.brightness or how.contrast) and not how.jitter:
        images = relight(images, how.brightness, how.contrast, rng)
    if (how.saturation or how.hue) and not how.jitter:
        images = recolor(images, how.saturation, how.hue, rng)
    images = normalize(images, mean, sd)
    if how.cutout:
        cut_out(images, how.cutout, rng)
    return images


def crop(images: np.ndarray, height: int, width: int, padding: int, rng: Draws) -> np.ndarray:
    """Cut a window out of every image, at a random place, after `padding` zeros were put around it.

    Args:
        images: Shape (B, H, W, C), any type.
        height: Height of the window, at most H + 2 padding.
        width: Width of the window, at most W + 2 padding.
        padding: Number of zeros on each side.
        rng: Source of the places.

    Returns:
        Shape (B, height, width, C), the type of `images`.
    """
    count, rows, columns, channels = images.shape
    if padding:
        padded = np.zeros((count, rows + 2 * padding, columns + 2 * padding, channels), images.dtype)
        padded[:, padding:-padding, padding:-padding] = images
        images = padded
    windows = sliding_window_view(images, (height, width), (1, 2)).transpose(0, 1, 2, 4, 5, 3)
    top, left = (rng.integers(places, size=count) for places in windows.shape[1:3])
    return windows[np.arange(count), top, left]


def scaled_crop(images: np.ndarray, height: int, width: int, area: tuple[float, float], rng: Draws) -> np.ndarray:
    """A window of random size, shape and place of every image, scaled bilinearly.

    The share of the area is uniform in `area`; the logarithm of the aspect ratio is uniform in `ASPECTS`, or in the
    part of it that fits into the image (the source draws anew when it does not fit). Windows need not begin at a whole
    pixel.

    Args:
        images: Shape (B, H, W, C), any type.
        height: Height of the result, in pixels.
        width: Width of the result, in pixels.
        area: Least and greatest share of the image that a window covers, in (0, 1].
        rng: Source of the windows.

    Returns:
        float32, shape (B, height, width, C), values on the scale of `images`.

    Source: Szegedy et al. 2015, "Going Deeper with Convolutions", section 6.
    """
    count, rows, columns, _ = images.shape
    pixels = rng.uniform(*area, count) * rows * columns
    narrowest, widest = pixels / rows**2, columns**2 / pixels  # that fit
    low, high = (np.log(np.clip(aspect, narrowest, widest)) for aspect in ASPECTS)
    aspect = np.exp(rng.uniform(low, high))
    across = _centers(np.sqrt(pixels * aspect), columns, width, rng)  # (B, width)
    down = _centers(np.sqrt(pixels / aspect), rows, height, rng)  # (B, height)
    shape = (count, height, width)
    grid = np.stack(
        (np.broadcast_to(across[:, None, :], shape), np.broadcast_to(down[:, :, None], shape)), -1, dtype=np.float32
    )
    source = torch.from_numpy(images).permute(0, 3, 1, 2).float()  # (B, C, H, W)
    scaled = F.grid_sample(source, torch.from_numpy(grid), padding_mode="border", align_corners=False)
    return scaled.permute(0, 2, 3, 1).numpy()


def _centers(lengths: np.ndarray, available: int, wanted: int, rng: Draws) -> np.ndarray:
    """Centers of `wanted` equal parts of a randomly placed stretch of each length; -1 to 1 is all that is available."""
    starts = rng.uniform(0, np.maximum(available - lengths, 0))
    return (starts[:, None] + lengths[:, None] * (np.arange(wanted) + 0.5) / wanted) * 2 / available - 1


def flip(images: np.ndarray, rng: Draws) -> None:
    """Mirror half of the images, at random, left to right, in place; shape (B, H, W, C)."""
    chosen = np.flatnonzero(rng.random(len(images)) < 0.5)
    images[chosen] = torch.from_numpy(images[chosen]).flip(2).numpy()  # five times as fast as numpy's


def distort(images: np.ndarray, rotation: float, zoom: float, rng: Draws) -> np.ndarray:
    """Every image zoomed and then turned around its middle, bilinearly; what comes in from outside repeats the border.

    Args:
        images: Shape (B, H, W, C), any type.
        rotation: Images are turned by an angle uniform in plus or minus so many degrees.
        zoom: Width and height are each multiplied by a factor uniform in 1 plus or minus this.
        rng: Source of the angles and factors.

    Returns:
        float32, the shape of `images`, values on their scale.
    """
    count, height, width, _ = images.shape
    angles = np.radians(rng.uniform(-rotation, rotation, count))
    factors = rng.uniform(1 - zoom, 1 + zoom, (count, 2))  # of width and height
    cos, sin = np.cos(angles), np.sin(angles)
    rows = np.zeros((count, 2, 3), np.float32)  # from places in the result, -1 to 1, to places in the image
    rows[:, 0, 0], rows[:, 0, 1] = cos, sin * (height / width)
    rows[:, 1, 0], rows[:, 1, 1] = -sin * (width / height), cos
    rows /= factors[:, :, None].astype(np.float32)
    source = torch.from_numpy(images).permute(0, 3, 1, 2).float()  # (B, C, H, W)
    grid = F.affine_grid(torch.from_numpy(rows), list(source.shape), align_corners=False)
    moved = F.grid_sample(source, grid, padding_mode="border", align_corners=False)
    return moved.permute(0, 2, 3, 1).contiguous().numpy()


def relight(images: np.ndarray, brightness: float, contrast: float, rng: Draws) -> np.ndarray:
    """Brightness, then contrast, of every image changed by a random factor, and the result kept within 0 and 255.

    Args:
        images: Pixels from 0 to 255, any type, shape (B, H, W, C).
        brightness: Pixels are multiplied by a factor uniform in 1 plus or minus this.
        contrast: Differences of pixels from the image's mean, over all channels, are multiplied by another one.
        rng: Source of the factors.

    Returns:
        float32, the shape of `images`.

    Source: Howard 2013, "Some Improvements on Deep Convolutional Neural Network Based Image Classification", section 2.
    """
    shape = (len(images), 1, 1, 1)
    light = rng.uniform(1 - brightness, 1 + brightness, shape).astype(np.float32)
    spread = rng.uniform(1 - contrast, 1 + contrast, shape).astype(np.float32)
    means = images.mean((1, 2, 3), dtype=np.float32, keepdims=True) * light
    result = images * (light * spread)
    result += means * (1 - spread)
    return np.clip(result, 0, 255, out=result)


def recolor(images: np.ndarray, saturation: float, hue: float, rng: Draws) -> np.ndarray:
    """Saturation and hue of every image changed by a random amount, as the HSV hexagon (Smith 1978) has them.

    The largest channel of a pixel stays as large; no channel leaves 0 to 255, and gray stays gray.

    Args:
        images: Pixels from 0 to 255, any type, shape (B, H, W, 3): red, green and blue.
        saturation: That of each pixel is multiplied by a factor uniform in 1 plus or minus this, and kept at most 1.
        hue: That of each pixel is turned by a share of the circle uniform in plus or minus this.
        rng: Source of the factors and turns.

    Returns:
        float32, the shape of `images`.

    Source: Szegedy et al. 2016, "Rethinking the Inception Architecture", by the program published with it.
    """
    shape = (len(images), 1, 1)
    factors = rng.uniform(1 - saturation, 1 + saturation, shape).astype(np.float32)
    turns = rng.uniform(-hue, hue, shape).astype(np.float32)
    return _recolored(images, factors, turns)


def jitter(
    images: np.ndarray, brightness: float, contrast: float, saturation: float, hue: float, rng: Draws
) -> np.ndarray:
    """Light and color of every image changed as by PyTorch's ColorJitter, but without rounding between the changes.

    Of each image, these happen in an order that is drawn; after each, values are kept within 0 and 255.

    Args:
        images: Pixels from 0 to 255, any type, shape (B, H, W, C); without saturation and hue, C may be 1.
        brightness: Pixels are multiplied by a factor uniform in 1 plus or minus this.
        contrast: Differences of pixels from the mean of the image's gray, by another such factor.
        saturation: Differences of each pixel from its own gray, by another.
        hue: As in `recolor`.
        rng: Source of the factors, the turns and the orders.

    Returns:
        float32, the shape of `images`.

    Source: torchvision's `transforms.ColorJitter`.
    """
    count = len(images)
    most = np.array([brightness, contrast, saturation, 0.0])
    factors = rng.uniform(1 - most, 1 + most, (count, len(CHANGES))).astype(np.float32)  # 1 where the hue turns
    turns = rng.uniform(-hue, hue, (count, 1, 1)).astype(np.float32)
    order = np.argsort(rng.uniform(0, 1, (count, len(CHANGES))), 1)
    result, shares = images.astype(np.float32), np.array(GRAY, np.float32)
    for change in order.T:  # (B,): what comes next of each image
        factor = factors[np.arange(count), change][:, None, None, None]
        gray = result @ shares[:, None] if result.shape[-1] == len(GRAY) else result  # (B, H, W, 1)
        kind = change[:, None, None, None]
        toward = np.where(kind == CONTRAST, gray.mean((1, 2, 3), keepdims=True), np.float32(0))
        toward = np.where(kind == SATURATION, gray, toward)
        result = np.clip(result * factor + toward * (1 - factor), 0, 255)
        turned = np.flatnonzero(change == HUE) if hue else ()
        if len(turned):
            result[turned] = _recolored(result[turned], np.ones((len(turned), 1, 1), np.float32), turns[turned])
    return result


def _recolored(images: np.ndarray, factors: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """Images (B, H, W, 3) with saturations multiplied and hues turned, each given as (B, 1, 1); see `recolor`."""
    red, green, blue = np.moveaxis(images.astype(np.float32), -1, 0)
    value = np.maximum(np.maximum(red, green), blue)
    chroma = value - np.minimum(np.minimum(red, green), blue)
    some = np.where(chroma > 0, chroma, np.float32(1))
    sixths = np.where(value == green, (blue - red) / some + 2, (red - green) / some + 4)
    sixths = np.where(value == red, (green - blue) / some, sixths) + 6 * turns
    chroma = np.minimum(chroma * factors, value)
    result = np.empty(images.shape, np.float32)
    for channel, first in enumerate(PHASES):
        place = (sixths + first) % 6
        result[..., channel] = value - chroma * np.clip(np.minimum(place, 4 - place), 0, 1)
    return result


def normalize(images: np.ndarray, mean: Sequence[float], sd: Sequence[float]) -> np.ndarray:
    """Normalized images: (images / 255 - mean) / sd.

    Args:
        images: Pixels from 0 to 255, any type, shape (B, H, W, C).
        mean: Mean of each channel, in [0, 1].
        sd: Standard deviation of each channel, on that scale, not 0.

    Returns:
        A new array, float32, the shape of `images`.
    """
    count, height, width, _ = images.shape
    factor = 1 / (255 * np.array(sd))
    shift = -np.array(mean) / np.array(sd)
    factors, shifts = (torch.from_numpy(np.tile(np.float32(x), width)) for x in (factor, shift))  # (W C)
    rows = torch.from_numpy(images).reshape(count, height, -1).to(torch.float32, copy=True)
    return torch.addcmul(shifts, rows, factors, out=rows).numpy().reshape(images.shape)


def cut_out(images: np.ndarray, side: int, rng: Draws) -> None:
    """Set a square to zero in every image, in place; its center may be anywhere, and it is clipped at the border.

    Args:
        images: Normalized images, so that zero is the mean, shape (B, H, W, C).
        side: Side of the square, in pixels.
        rng: Source of the centers.

    Source: DeVries and Taylor 2017, "Improved Regularization of Convolutional Neural Networks with Cutout".
    """
    count, height, width, _ = images.shape
    first = rng.integers((height, width), size=(count, 2)) - side // 2  # row and column, may be outside
    corners = np.concatenate((np.maximum(first, 0), first + side), 1)
    for image, (top, left, bottom, right) in zip(list(images), corners.tolist(), strict=True):
        image[top:bottom, left:right] = 0
