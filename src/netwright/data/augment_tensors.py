"""What `augment` does, as tensor code for whatever device the images are on.

Every function works on a whole batch with channels last, (B, H, W, C), and takes the numbers that it draws as an
argument: uniform in [0, 1), so many for each image. With the same numbers it gives the pixels of its namesake in
`augment`, up to rounding where it interpolates. No function waits for the device or copies anything to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from netwright.data.augment import ASPECTS, CHANGES, CONTRAST, GRAY, HUE, PHASES, SATURATION, Augmentation


class Scaling(NamedTuple):
    """How pixels from 0 to 255 become normalized ones: pixel times factor plus shift, each of shape (C,)."""

    factor: Tensor
    shift: Tensor

    @staticmethod
    def of(mean: Sequence[float], sd: Sequence[float], device: torch.device) -> Scaling:
        """The scaling that takes away the mean and divides by the deviation of each channel, both in [0, 1]."""
        factor = [1 / (255 * deviation) for deviation in sd]
        shift = [-middle / deviation for middle, deviation in zip(mean, sd, strict=True)]
        return Scaling(*(torch.tensor(values, dtype=torch.float32, device=device) for values in (factor, shift)))


def needs(how: Augmentation) -> dict[str, int]:
    """How many numbers each function that is called draws for an image, in the order of the calls."""
    moved = {"scaled_crop": 4} if how.area else {"crop": 2} if how.crop or how.padding else {}
    return {
        **moved,
        **({"flip": 1} if how.flip else {}),
        **({"distort": 3} if how.rotation or how.zoom else {}),
        **({"jitter": 9} if how.jitter and how.recolors else {}),
        **({"relight": 2} if (how.brightness or how.contrast) and not how.jitter else {}),
        **({"recolor": 2} if (how.saturation or how.hue) and not how.jitter else {}),
        **({"cut_out": 2} if how.cutout else {}),
    }


def drawn(how: Augmentation, count: int, generator: torch.Generator) -> Tensor:
    """The numbers that `augment` takes for so many images, float32, on the generator's device."""
    return torch.rand(count, sum(needs(how).values()), generator=generator, device=generator.device)


def augment(images: Tensor, how: Augmentation, scaling: Scaling, draws: Tensor) -> Tensor:
    """Augmented and normalized images; see `augment.augment`.

    Args:
        images: uint8, shape (B, H, W, C).
        how: What is done.
        scaling: What normalizes the pixels.
        draws: Uniform in [0, 1), as of `drawn`, on the device of the images.

    Returns:
        float32, shape (B, H, W, C), or (B, crop, crop, C).
    """
    counts = needs(how)
    own = dict(zip(counts, draws.split(list(counts.values()), 1) if counts else (), strict=True))
    height, width = (how.crop, how.crop) if how.crop else images.shape[1:3]
    if how.area:
        images = scaled_crop(images, height, width, how.area, own["scaled_crop"])
    elif how.crop or how.padding:
        images = crop(images, height, width, how.padding or 0, own["crop"])
    if how.flip:
        images = flip(images, own["flip"])
    if how.rotation or how.zoom:
        images = distort(images, how.rotation, how.zoom, own["distort"])
    if "jitter" in own:
        images = jitter(images, (how.brightness, how.contrast, how.saturation), how.hue, own["jitter"])
    if "relight" in own:
        images = relight(images, how.brightness, how.contrast, own["relight"])
    if "recolor" in own:
        images = recolor(images, how.saturation, how.hue, own["recolor"])
    images = normalize(images, scaling)
    return cut_out(images, how.cutout, own["cut_out"]) if how.cutout else images


def crop(images: Tensor, height: int, width: int, padding: int, draws: Tensor) -> Tensor:
    """A window of every image, of the type of `images`, after `padding` zeros were put around it; draws (B, 2)."""
    count, rows, columns, _ = images.shape
    device = images.device
    top = _whole(draws[:, 0], rows + 2 * padding - height + 1) - padding
    left = _whole(draws[:, 1], columns + 2 * padding - width + 1) - padding
    down = top[:, None] + torch.arange(height, device=device)  # (B, height)
    across = left[:, None] + torch.arange(width, device=device)  # (B, width)
    each = torch.arange(count, device=device)[:, None, None]
    windows = images[each, down.clamp(0, rows - 1)[:, :, None], across.clamp(0, columns - 1)[:, None, :]]
    if not padding:
        return windows
    is_row, is_column = (down >= 0) & (down < rows), (across >= 0) & (across < columns)
    return windows * (is_row[:, :, None] & is_column[:, None, :])[..., None]


def scaled_crop(images: Tensor, height: int, width: int, area: tuple[float, float], draws: Tensor) -> Tensor:
    """A window of random size, shape and place of every image, scaled bilinearly, float32; draws (B, 4)."""
    _, rows, columns, _ = images.shape
    pixels = _between(draws[:, 0], *area) * (rows * columns)
    narrowest, widest = pixels / rows**2, columns**2 / pixels  # that fit
    low, high = (torch.minimum(narrowest.clamp(min=aspect), widest).log() for aspect in ASPECTS)
    aspect = (low + (high - low) * draws[:, 1]).exp()
    across = _centers((pixels * aspect).sqrt(), columns, width, draws[:, 2])
    down = _centers((pixels / aspect).sqrt(), rows, height, draws[:, 3])
    return _sampled(images, across[:, None, :].expand(-1, height, -1), down[:, :, None].expand(-1, -1, width))


def flip(images: Tensor, draws: Tensor) -> Tensor:
    """Images, half of them, at random, mirrored left to right; draws (B, 1)."""
    return torch.where((draws < 0.5)[:, :, None, None], images.flip(2), images)


def distort(images: Tensor, rotation: float, zoom: float, draws: Tensor) -> Tensor:
    """Every image zoomed and then turned around its middle, bilinearly, float32; draws (B, 3).

    The border is repeated for what comes in from outside.
    """
    _, height, width, _ = images.shape
    angles = torch.deg2rad(_between(draws[:, 0], -rotation, rotation))[:, None, None]
    wide, high = (_between(draws[:, n], 1 - zoom, 1 + zoom)[:, None, None] for n in (1, 2))
    x, y = _middles(width, images.device), _middles(height, images.device)[:, None]
    cos, sin = angles.cos(), angles.sin()  # by hand, as matrix products may be less exact than float32 on a GPU
    across = (cos * x + sin * (height / width) * y) / wide
    down = (cos * y - sin * (width / height) * x) / high
    return _sampled(images, across, down)


def relight(images: Tensor, brightness: float, contrast: float, draws: Tensor) -> Tensor:
    """Brightness, then contrast, of every image changed, float32, kept within 0 and 255; draws (B, 2)."""
    light, spread = (
        _between(draws[:, n], 1 - most, 1 + most)[:, None, None, None] for n, most in ((0, brightness), (1, contrast))
    )
    means = images.float().mean((1, 2, 3), keepdim=True) * light
    return (images * (light * spread) + means * (1 - spread)).clamp(0, 255)


def recolor(images: Tensor, saturation: float, hue: float, draws: Tensor) -> Tensor:
    """Saturation and hue of every image changed, float32, within 0 and 255; draws (B, 2)."""
    factors, turns = (
        _between(draws[:, n], low, high)[:, None, None]
        for n, low, high in ((0, 1 - saturation, 1 + saturation), (1, -hue, hue))
    )
    return _recolored(images, factors, turns)


def jitter(images: Tensor, most: tuple[float, float, float], hue: float, draws: Tensor) -> Tensor:
    """Light and color of every image changed in an order that is drawn for each, float32; draws (B, 9).

    The draws are those of the four factors, of the turn and of the order; `most` is of brightness, contrast and
    saturation.
    """
    factors = torch.stack([_between(draws[:, n], 1 - each, 1 + each) for n, each in enumerate((*most, 0.0))], 1)
    turns = _between(draws[:, 4], -hue, hue)[:, None, None]
    order = draws[:, 5:].argsort(1)
    factors = factors.gather(1, order)[:, :, None, None, None]
    images = images.float()
    for place in range(len(CHANGES)):
        kind, factor = order[:, place, None, None, None], factors[:, place]
        gray = sum(share * images[..., n : n + 1] for n, share in enumerate(GRAY)) if images.shape[-1] == 3 else images
        toward = torch.where(kind == CONTRAST, gray.mean((1, 2, 3), keepdim=True), 0.0)
        toward = torch.where(kind == SATURATION, gray, toward)
        images = (images * factor + toward * (1 - factor)).clamp(0, 255)
        if hue:  # of all images, as to pick some would wait for the device
            images = torch.where(kind == HUE, _recolored(images, torch.ones_like(turns), turns), images)
    return images


def _recolored(images: Tensor, factors: Tensor, turns: Tensor) -> Tensor:
    """Images (B, H, W, 3) with saturations multiplied and hues turned, each given as (B, 1, 1); see `augment`."""
    red, green, blue = images.float().unbind(-1)
    value = torch.maximum(torch.maximum(red, green), blue)
    chroma = value - torch.minimum(torch.minimum(red, green), blue)
    some = torch.where(chroma > 0, chroma, 1.0)
    sixths = torch.where(value == green, (blue - red) / some + 2, (red - green) / some + 4)
    sixths = torch.where(value == red, (green - blue) / some, sixths) + 6 * turns
    chroma = torch.minimum(chroma * factors, value)
    places = [(sixths + first).remainder(6) for first in PHASES]
    return torch.stack([value - chroma * torch.minimum(place, 4 - place).clamp(0, 1) for place in places], -1)


def normalize(images: Tensor, scaling: Scaling) -> Tensor:
    """Normalized images, float32."""
    return torch.addcmul(scaling.shift, images.float(), scaling.factor)


def cut_out(images: Tensor, side: int, draws: Tensor) -> Tensor:
    """Images with a square of zeros, clipped at the border, around a random place in each; draws (B, 2)."""
    _, height, width, _ = images.shape
    is_row, is_column = (
        _is_within(_whole(draws[:, n], size) - side // 2, side, size) for n, size in ((0, height), (1, width))
    )
    return images.masked_fill((is_row[:, :, None] & is_column[:, None, :])[..., None], 0)


def _whole(draws: Tensor, count: int) -> Tensor:
    """Uniform numbers as whole ones from 0 to below `count`, int64; the product may round up to it."""
    return (draws * count).long().clamp(max=count - 1)


def _between(draws: Tensor, low: float, high: float) -> Tensor:
    return low + (high - low) * draws


def _is_within(starts: Tensor, length: int, size: int) -> Tensor:
    """Which of `size` places are in the stretch of that length that begins at each start, (B, size)."""
    places = torch.arange(size, device=starts.device) - starts[:, None]
    return (places >= 0) & (places < length)


def _middles(count: int, device: torch.device) -> Tensor:
    """Middles of `count` equal parts of the stretch from -1 to 1, float32."""
    return (torch.arange(count, device=device) * 2 + 1) / count - 1


def _centers(lengths: Tensor, available: int, wanted: int, draws: Tensor) -> Tensor:
    """Centers of `wanted` equal parts of a randomly placed stretch of each length, (B, wanted); see `augment`."""
    starts = draws * (available - lengths).clamp(min=0)
    parts = (torch.arange(wanted, device=draws.device) + 0.5) / wanted
    return (starts[:, None] + lengths[:, None] * parts) * 2 / available - 1


def _sampled(images: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """Images at places from -1 to 1, each of shape (B, height, width): float32, shape (B, height, width, C)."""
    grid = torch.stack((across, down), -1)
    source = images.permute(0, 3, 1, 2).float()
    return F.grid_sample(source, grid, padding_mode="border", align_corners=False).permute(0, 2, 3, 1)
