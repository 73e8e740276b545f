"""One encoded image to an array of the wanted size: what is odd is converted and noted, what is broken is refused.

Pillow decodes; its pixel limit and its check for truncated files stay on. The content says what a file is, never its
name. Sizes change by Pillow's bilinear filter, whose support grows with the reduction (antialiased). An image that has
the wanted size is not resampled.

Transparent images are put on white, unless that would hide what is in them: where white leaves less than an eighth of
the contrast that black leaves, as of white icons, whose shape is in their transparency, the ground is black. Each image
decides for itself, so that one that is classified alone is treated as it was in training.
"""

from __future__ import annotations

import errno
import io
import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

Fit = Literal["crop", "stretch", "pad"]

# what is opened (a list of our own is also safe with threads, which Pillow's search for further formats is not)
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "JPEG2000")
EXTENSIONS = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG"),
    **dict.fromkeys((".png", ".apng"), "PNG"),
    **dict.fromkeys((".ppm", ".pgm", ".pbm", ".pnm"), "PPM"),
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    ".gif": "GIF",
    ".bmp": "BMP",
    ".webp": "WEBP",
    ".jp2": "JPEG2000",
}
# the notes, as they follow "12 images:"
TURNED = "turned upright as EXIF says"
CMYK = "converted from CMYK"
DEEP = "scaled to 8 bits from 16 or 32"
CUT = "in color with 16 bits a channel, of which the upper 8 are read"
ANIMATED = "reduced to the first of several frames"
CLEAR = "put on white where transparent"
ON_BLACK = "put on black where transparent, since white would hide their shape"
UNSEEN = "read without their transparency, which would hide all of them"
MISNAMED = "read by content, not by extension"

# faults that can be fixed without touching the image, so that it must not be taken for broken
SYSTEM_FAULTS = (
    *(errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN),
    *(errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN),
)

ORIENTATION = 0x0112  # EXIF tag
WHITES = (1.0, 255.0, 65535.0, 2.0**32 - 1)  # white in images of floats, which do not say theirs
BITS = (1.0, *(2.0**bits - 1 for bits in range(8, 33)))  # white in sets of images, by the bits that are used
GRAYS = ("1", "L", "I", "F")  # modes of images that have no color, besides those that begin with "I;"
HIDES = 1 / 8  # share of the contrast below which a ground hides an image
FAINT = 16  # of 255; opacity and spread of the channels below it are taken for none
WORK, SPARE = 16, 2**25  # bytes that decoding takes for a pixel, and besides
SAMPLE = 64  # pixels along each side that tell whether an image has color


class BadImage(Exception):
    """An image that cannot be used; the message is a short reason."""


class SystemFault(BadImage):
    """A fault that is not the image's and may be fixed without touching it."""


@dataclass
class Seen:
    """What `decode` fills in about an image besides its pixels.

    Args:
        extent: Least and largest value of an image of 16 or 32 bits; None: it has 8.
        span: The values that became black and white in such an image.
        is_colored: Whether an image of which gray was wanted has color.
    """

    extent: tuple[float, float] | None = None
    span: tuple[float, float] | None = None
    is_colored: bool = False


@dataclass(frozen=True)
class Form:
    """What every image becomes: uint8, shape (height, width, channels).

    Args:
        channels: Number of channels; 1: gray; 3: red, green, blue.
        height: Height in pixels.
        width: Width in pixels.
        fit: How other sizes become this one; "crop": scaled to cover, the middle cut out; "stretch": both sides scaled
            on their own; "pad": scaled to fit in, black around.
    """

    channels: int
    height: int
    width: int
    fit: Fit = "crop"


def decode(
    source: Path | bytes,
    *,
    channels: int,
    height: int,
    width: int,
    fit: Fit,
    span: tuple[float, float] | None = None,
    seen: Seen | None = None,
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read an image and bring it to a form; see `Form` for the arguments.

    Args:
        source: A file, or the bytes of one.
        span: Values that become black and white in images of 16 or 32 bits, as `span_of` has them for a set; None: 0
            and what is white by the image's type.
        seen: Filled in with what else is known of the image.

    Returns:
        The image, uint8, (H, W, C), and a note for each conversion that one might want to know of.

    Raises:
        BadImage: The source is no image, empty, truncated, above Pillow's pixel limit, or damaged in any other way.
        SystemFault: The source cannot be read now, or memory is short.
    """
    with _opened(source) as image:
        try:
            return _decoded(image, source, Form(channels, height, width, fit), span, seen or Seen())
        except MemoryError as error:
            raise _fault_of_memory(image) from error


def is_gray(source: Path | bytes) -> bool:
    """Whether an image has no color: one channel, or three that are equal. Raises as `decode` does.

    An image of one channel is not decoded for that; of others, `SAMPLE` pixels along each side are looked at.
    """
    with _opened(source) as image:
        if _is_of_one_channel(image):
            return True
        if image.format in ("JPEG", "MPO"):
            image.draft(None, (SAMPLE, SAMPLE))
        return not _has_color(image)


def sides(source: Path | bytes) -> tuple[int, int]:
    """Width and height of an image as its head says, without decoding it. Raises as `decode` does."""
    with _opened(source) as image:
        width, height = image.size
        return width, height


def span_of(low: float, high: float) -> tuple[float, float]:
    """The values that become black and white in images of 16 or 32 bits.

    They are 0 and the largest number of as many bits as are in use (255, 511, ... 4,095, ... 65,535, or 1 for numbers
    up to 1), so that levels of all images stay comparable and another image of the same device fits. Where the images
    fill less than half of that, or go below 0, they are the values themselves.

    Args:
        low: Least value of all images.
        high: Largest value of all images.
    """
    white = next((white for white in BITS if high <= white), high)
    if low == high or (low >= 0 and high - low >= white / 2):
        return min(low, 0.0), white
    return low, high


class _Bounded(io.BufferedReader):
    """A file that is never asked for more bytes than it has: decoders believe the lengths that damaged files state."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(str(path)))
        self._size = os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1) -> bytes:
        left = max(self._size - self.tell(), 0)
        return super().read(left if size is None or size < 0 else min(size, left))


@contextmanager
def _opened(source: Path | bytes) -> Iterator[Any]:
    """The image, not decoded yet; whatever fails within becomes a BadImage or a SystemFault."""
    try:
        if isinstance(source, Path):
            _check_file(source)
        elif not source:
            raise BadImage("empty")
        with (
            io.BytesIO(source) if isinstance(source, bytes) else _Bounded(source) as file,
            Image.open(file, formats=FORMATS) as image,
        ):
            if image.width * image.height > (Image.MAX_IMAGE_PIXELS or math.inf):  # Pillow only warns, up to twice that
                raise BadImage(_too_large())
            yield image
    except BadImage:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadImage(_too_large()) from None
    except UnidentifiedImageError:
        raise BadImage("not an image") from None
    except Exception as error:  # decoders that are fed damaged bytes raise whatever they stumble over
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in SYSTEM_FAULTS):
            raise SystemFault((getattr(error, "strerror", "") or "out of memory").lower()) from error
        raise BadImage(_reason(error)) from error


def _fault_of_memory(image: Any) -> BadImage:
    """Whose fault it is that memory did not suffice: the file's, if there is enough for an image of that size."""
    try:
        np.empty(image.width * image.height * WORK + SPARE, np.uint8)
    except MemoryError:
        return SystemFault("out of memory")
    return BadImage("damaged: asks for more memory than an image of its size takes")


def _check_file(path: Path) -> None:
    state = os.stat(path)
    if not stat.S_ISREG(state.st_mode):  # a pipe would be waited for
        raise BadImage("not a file")
    if not state.st_size:
        raise BadImage("empty")


def _decoded(
    image: Any, source: Path | bytes, form: Form, span: tuple[float, float] | None, seen: Seen
) -> tuple[np.ndarray, tuple[str, ...]]:
    notes = []
    if isinstance(source, Path) and EXTENSIONS.get(source.suffix.lower(), image.format) != _family(image.format):
        notes.append(MISNAMED)
    if getattr(image, "is_animated", False) and image.format != "MPO":  # of a camera: a photo and its previews
        notes.append(ANIMATED)
    if image.format in ("JPEG", "MPO"):
        _reduce_early(image, form)
    if not _is_of_one_channel(image) and any(";16" in str(tile) for tile in image.tile):
        notes.append(CUT)
    image.load()
    if _orientation(image) != 1:
        image = ImageOps.exif_transpose(image)
        notes.append(TURNED)
    if form.channels == 1 and not _is_of_one_channel(image):
        seen.is_colored = _has_color(image)
    ground = "white"
    if image.mode == "CMYK":
        notes.append(CMYK)
    elif image.mode in ("I", "F") or image.mode.startswith("I;"):
        image = _eight_bits(image, span, seen)
        notes.append(DEEP)
    elif image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        image, note = _with_alpha(image)
        ground = "black" if note == ON_BLACK else "white"
        notes += [note] * bool(note)
    mode = "L" if form.channels == 1 else "RGB"
    if image.mode not in (mode, "RGBA"):
        image = (image.convert("RGB") if image.mode == "CMYK" else image).convert(mode)
    if image.size != (form.width, form.height):
        image = resized(image, form)
    if image.mode == "RGBA":  # only now: on its ground it is three images of this size
        image = Image.alpha_composite(Image.new("RGBA", image.size, ground), image).convert("RGB").convert(mode)
    return np.asarray(image).reshape(form.height, form.width, form.channels), tuple(notes)


def _reduce_early(image: Any, form: Form) -> None:
    """Have the JPEG decoder leave out detail that resizing would: never below twice the final scale."""
    is_quarter_turned = _orientation(image) >= 5
    width, height = (form.height, form.width) if is_quarter_turned else (form.width, form.height)
    scales = (width / image.width, height / image.height)
    scale = 2 * (min(scales) if form.fit == "pad" else max(scales))
    if scale <= 0.5:
        image.draft(None, (math.ceil(image.width * scale), math.ceil(image.height * scale)))


def brought(pixels: np.ndarray, form: Form) -> np.ndarray:
    """An image (H, W, C) of uint8 with the channels of a form, brought to its size."""
    if pixels.shape[:2] == (form.height, form.width):
        return pixels
    image = Image.fromarray(np.ascontiguousarray(pixels[..., 0] if form.channels == 1 else pixels))
    return np.asarray(resized(image, form)).reshape(form.height, form.width, form.channels)


def resized(image: Any, form: Form) -> Any:
    """An image of Pillow, scaled and cut or surrounded as a form says."""
    target = (form.width, form.height)
    scales = (form.width / image.width, form.height / image.height)
    if form.fit == "stretch":
        return image.resize(target, Image.Resampling.BILINEAR)
    if form.fit == "crop":
        width, height = form.width / max(scales), form.height / max(scales)
        left, top = (image.width - width) / 2, (image.height - height) / 2
        box = (max(left, 0), max(top, 0), min(left + width, image.width), min(top + height, image.height))
        return image.resize(target, Image.Resampling.BILINEAR, box)
    size = (max(round(image.width * min(scales)), 1), max(round(image.height * min(scales)), 1))
    padded = Image.new(image.mode, target, "black")
    place = ((form.width - size[0]) // 2, (form.height - size[1]) // 2)
    padded.paste(image.resize(size, Image.Resampling.BILINEAR), place)
    return padded


def _orientation(image: Any) -> int:
    if "exif" not in image.info and "xmp" not in image.info:
        return 1
    value = image.getexif().get(ORIENTATION, 1)
    return value if value in range(1, 9) else 1


def _eight_bits(image: Any, span: tuple[float, float] | None, seen: Seen) -> Any:
    """Scale so that white stays white: Pillow's own conversion would clip at 255."""
    values = np.array(image, np.float32)  # 16 bits exactly; 32 bits to more digits than are kept
    if not np.isfinite(values).all():
        raise BadImage("has pixels that are no numbers")
    seen.extent = float(values.min()), float(values.max())
    low, white = seen.span = span or (0.0, _white(image, seen.extent[1]))
    np.clip(values, low, white if span else None, out=values)
    values -= low
    values *= 255 / (white - low)
    return Image.fromarray(np.rint(values, out=values).astype(np.uint8))


def _white(image: Any, top: float) -> float:
    """What is white by the image's type alone."""
    if image.mode == "F":
        return next((white for white in WHITES if top <= white), top)
    return WHITES[2] if image.mode != "I" or top <= WHITES[2] else 2.0**31 - 1  # 32 bits may hold 16


def _with_alpha(image: Any) -> tuple[Any, str]:
    """The image, with transparency as a channel if it is to be put on a ground, and a note if any is to be seen."""
    image = image.convert("RGBA")
    least, most = image.getchannel("A").getextrema()
    if least == 255:
        return image.convert("RGB"), ""
    if most < FAINT:
        return image.convert("RGB"), UNSEEN
    small = image.reduce(max(min(image.size) // SAMPLE, 1)).convert("RGBa")  # times opacity: as on black
    on_black = np.asarray(small).reshape(-1, 4).astype(np.float32)
    on_white = on_black[:, :3] + (255 - on_black[:, 3:])
    white, black = (float(np.sqrt(each.var(0).sum())) for each in (on_white, on_black[:, :3]))
    return image, ON_BLACK if white < HIDES * black else CLEAR


def _is_of_one_channel(image: Any) -> bool:
    return image.mode in GRAYS or image.mode.startswith("I;")


def _has_color(image: Any) -> bool:
    """Whether the channels of any pixel that is to be seen differ by more than compression makes them differ."""
    size = min(image.width, SAMPLE), min(image.height, SAMPLE)
    pixels = np.asarray(image.resize(size, Image.Resampling.NEAREST).convert("RGBA")).astype(np.int16)
    is_seen = pixels[..., 3] >= FAINT
    return bool((np.ptp(pixels[..., :3], axis=2)[is_seen | ~is_seen.any()] > FAINT).any())


def _family(name: str) -> str:
    return "JPEG" if name == "MPO" else name


def _too_large() -> str:
    return f"more than {Image.MAX_IMAGE_PIXELS / 1e6:.0f} million pixels"


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[:1].lower() + error.strerror[1:]
    text = str(error) or type(error).__name__
    return "truncated" if "truncated" in text.lower() else f"damaged: {text[:80]}"
