"""62 characters drawn from the fonts that Matplotlib ships, distorted and noisy, 28 x 28 gray.

A character is drawn at four times the size with its baseline where a line of text would have it, so that most capitals
can be told from small letters; bent by an affine map and a smooth random displacement (Simard et al. 2003), scaled
down, and given a random ground, contrast, blur, lines across and noise. The images to test on are of other fonts.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

SIDE, SCALE = 28, 4
CHARACTERS = string.digits + string.ascii_uppercase + string.ascii_lowercase
NAMES = tuple(
    character + "_" * character.islower() for character in CHARACTERS
)  # as folders that ignore case have them

SEEN = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSansMono", "DejaVuSansMono-BoldOblique"),
    *("DejaVuSansMono-Oblique", "DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-BoldItalic"),
    *("STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "cmb10", "cmr10", "cmti10", "cmtt10"),
)
UNSEEN = ("DejaVuSans-BoldOblique", "DejaVuSansMono-Bold", "DejaVuSerif-Italic", "STIXGeneralBolIta", "cmss10")


def fonts() -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Files of the fonts to train on and of those to test on."""
    found = find_spec("matplotlib")
    if found is None or found.origin is None:
        raise SystemExit("the data set characters needs matplotlib, which has its fonts; install matplotlib")
    home = Path(found.origin).parent / "mpl-data" / "fonts" / "ttf"
    seen, unseen = (tuple(home / f"{name}.ttf" for name in names) for names in (SEEN, UNSEEN))
    if missing := [path.name for path in (*seen, *unseen) if not path.exists()]:
        raise SystemExit(f"the data set characters needs fonts that this matplotlib has not: {', '.join(missing)}")
    return seen, unseen


def drawn(fonts: Sequence[Path], count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """`count` images of each character, the fonts in turn: images (N, 28, 28, 1) uint8 and labels (N,)."""
    rng = np.random.default_rng(seed)
    images, labels = [], []
    for label, character in enumerate(CHARACTERS):
        for number in range(count):
            images.append(one(character, fonts[(number + label) % len(fonts)], rng))
            labels.append(label)
    return np.stack(images)[..., None], np.array(labels, np.int64)


def one(character: str, font: Path, rng: np.random.Generator) -> np.ndarray:
    """One image, (28, 28) uint8."""
    ink = _bent(inked(character, font, rng.uniform(0.72, 0.88)), rng)
    return _soiled(ink.reshape(SIDE, SCALE, SIDE, SCALE).mean((1, 3)), rng)


def inked(character: str, font: Path, height: float) -> np.ndarray:
    """The character as its font has it, (112, 112) from 0 to 1; `height` is the font's, as a share of the side."""
    from PIL import Image, ImageDraw, ImageFont

    side = SIDE * SCALE
    canvas = Image.new("L", (side, side))
    size = int(height * side)
    face = ImageFont.truetype(str(font), size, layout_engine=ImageFont.Layout.BASIC)
    ImageDraw.Draw(canvas).text((side / 2, 0.74 * side), character, fill=255, font=face, anchor="ms")
    return np.asarray(canvas, np.float32) / 255


def _bent(ink: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An affine map about the middle, and a smooth displacement of a few pixels."""
    from scipy import ndimage

    side = len(ink)
    angle, shear = rng.normal(0, 0.16), rng.normal(0, 0.18)
    scales = np.exp(rng.normal(0, 0.12, 2))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    inverse = np.linalg.inv(turn @ np.array([[1, 0], [shear, 1]]) @ np.diag(scales))
    grid = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij")).astype(float) - side / 2
    moved = np.tensordot(inverse, grid, 1) + side / 2 + rng.normal(0, 0.045 * side, 2)[:, None, None]
    rough = rng.normal(0, 1, (2, 8, 8))
    smooth = np.stack([ndimage.zoom(each, side / 8, order=3, mode="nearest", grid_mode=True) for each in rough])
    return ndimage.map_coordinates(ink, moved + 0.018 * side * smooth, order=1, mode="constant").astype(np.float32)


def _soiled(ink: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Ground, contrast, a line across, blur and noise; dark on light as often as light on dark."""
    from scipy import ndimage

    row, column = np.mgrid[: len(ink), : len(ink)]
    for _ in range(rng.integers(0, 3)):
        angle = rng.uniform(0, np.pi)
        off = (row - rng.uniform(0, SIDE)) * np.cos(angle) + (column - rng.uniform(0, SIDE)) * np.sin(angle)
        ink = np.maximum(ink, 0.6 * np.clip(1.1 - np.abs(off), 0, 1))
    ink = ndimage.gaussian_filter(ink, rng.uniform(0, 0.9))
    ground, contrast = rng.uniform(0.05, 0.35), rng.uniform(0.3, 0.65)
    slope = rng.normal(0, 0.004, 2)
    image = ground + contrast * ink + slope[0] * (row - SIDE / 2) + slope[1] * (column - SIDE / 2)
    image = image + rng.normal(0, rng.uniform(0.02, 0.1), image.shape)
    if rng.random() < 0.5:
        image = 1 - image
    return np.round(255 * np.clip(image, 0, 1)).astype(np.uint8)
