"""One encoded image to an array of the wanted size: what is odd is converted and noted, what is broken is refused.

Pillow decodes; its pixel limit and its check for truncated files stay on. The content says what a file is, never its
name. Sizes change by Pillow's bilinear filter, whose support grows with the reduction (antialiased). An image that has
the wanted size is not resampled.
"""

from __future__ import annotations

import errno
import io
import math
import os
import stat
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
ANIMATED = "reduced to the first of several frames"
CLEAR = "put on white where transparent"
MISNAMED = "read by content, not by extension"

# faults that can be fixed without touching the image, so that it must not be taken for broken
SYSTEM_FAULTS = (
    *(errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN),
    *(errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN),
)

ORIENTATION = 0x0112  # EXIF tag
WHITES = (1.0, 255.0, 65535.0, 2.0**32 - 1)  # white in images of floats, which do not say theirs


class BadImage(Exception):
    """An image that cannot be used; the message is a short reason."""


class SystemFault(BadImage):
    """A fault that is not the image's and may be fixed without touching it."""


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
    source: Path | bytes, *, channels: int, height: int, width: int, fit: Fit
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read an image and bring it to a form; see `Form` for the arguments.

    Args:
        source: A file, or the bytes of one.

    Returns:
        The image, uint8, (H, W, C), and a note for each conversion that one might want to know of.

    Raises:
        BadImage: The source is no image, empty, truncated, above Pillow's pixel limit, or damaged in any other way.
        SystemFault: The source cannot be read now, or memory is short.
    """
    try:
        if isinstance(source, Path):
            _check_file(source)
        elif not source:
            raise BadImage("empty")
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS) as image:
            return _decoded(image, source, Form(channels, height, width, fit))
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


def _check_file(path: Path) -> None:
    state = os.stat(path)
    if not stat.S_ISREG(state.st_mode):  # a pipe would be waited for
        raise BadImage("not a file")
    if not state.st_size:
        raise BadImage("empty")


def _decoded(image: Any, source: Path | bytes, form: Form) -> tuple[np.ndarray, tuple[str, ...]]:
    if image.width * image.height > (Image.MAX_IMAGE_PIXELS or math.inf):  # Pillow only warns, up to twice its limit
        raise BadImage(_too_large())
    notes = []
    if isinstance(source, Path) and EXTENSIONS.get(source.suffix.lower(), image.format) != _family(image.format):
        notes.append(MISNAMED)
    if getattr(image, "is_animated", False) and image.format != "MPO":  # of a camera: a photo and its previews
        notes.append(ANIMATED)
    if image.format in ("JPEG", "MPO"):
        _reduce_early(image, form)
    image.load()
    if _orientation(image) != 1:
        image = ImageOps.exif_transpose(image)
        notes.append(TURNED)
    if image.mode == "CMYK":
        notes.append(CMYK)
    elif image.mode in ("I", "F") or image.mode.startswith("I;"):
        image = _eight_bits(image)
        notes.append(DEEP)
    elif image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        image, is_clear = _with_alpha(image)
        notes += [CLEAR] * is_clear
    mode = "L" if form.channels == 1 else "RGB"
    if image.mode not in (mode, "RGBA"):
        image = (image.convert("RGB") if image.mode == "CMYK" else image).convert(mode)
    if image.size != (form.width, form.height):
        image = _resized(image, form)
    if image.mode == "RGBA":  # only now: on white it is three images of this size
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB").convert(mode)
    return np.asarray(image).reshape(form.height, form.width, form.channels), tuple(notes)


def _reduce_early(image: Any, form: Form) -> None:
    """Have the JPEG decoder leave out detail that resizing would: never below twice the final scale."""
    is_quarter_turned = _orientation(image) >= 5
    width, height = (form.height, form.width) if is_quarter_turned else (form.width, form.height)
    scales = (width / image.width, height / image.height)
    scale = 2 * (min(scales) if form.fit == "pad" else max(scales))
    if scale <= 0.5:
        image.draft(None, (math.ceil(image.width * scale), math.ceil(image.height * scale)))


def _resized(image: Any, form: Form) -> Any:
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


def _eight_bits(image: Any) -> Any:
    """Scale so that white stays white: Pillow's own conversion would clip at 255."""
    values = np.asarray(image).astype(np.float32)  # 16 bits exactly; 32 bits to more digits than are kept
    if not np.isfinite(values).all():
        raise BadImage("has pixels that are no numbers")
    top = values.max()
    if image.mode == "F":
        white = next((w for w in WHITES if top <= w), top)
    else:  # 32 bits may hold 16
        white = WHITES[2] if image.mode != "I" or top <= WHITES[2] else 2.0**31 - 1
    return Image.fromarray(np.rint(np.clip(values, 0, None) * (255 / white)).astype(np.uint8))


def _with_alpha(image: Any) -> tuple[Any, bool]:
    """The image, with transparency as a channel if any is visible, and whether any is."""
    image = image.convert("RGBA")
    if image.getchannel("A").getextrema()[0] == 255:
        return image.convert("RGB"), False
    return image, True


def _family(name: str) -> str:
    return "JPEG" if name == "MPO" else name


def _too_large() -> str:
    return f"more than {Image.MAX_IMAGE_PIXELS / 1e6:.0f} million pixels"


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[:1].lower() + error.strerror[1:]
    text = str(error) or type(error).__name__
    return "truncated" if "truncated" in text.lower() else f"damaged: {text[:80]}"
