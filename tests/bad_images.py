"""Image files of every kind that goes wrong, and good ones to stand beside them."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from netwright.data.folder import FolderImages
from netwright.data.tree import scan

LONGEST = "é" * 125 + "x.png"  # 255 bytes, the most that a file's name may have


def pixels(seed: int, height: int = 12, width: int = 12, channels: int = 3) -> np.ndarray:
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encoded(array: np.ndarray, kind: str = "PNG", **how) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, kind, **how)
    return stream.getvalue()


def good(path: Path, seed: int = 0, kind: str = "PNG") -> None:
    path.write_bytes(encoded(pixels(seed), kind))


def class_folders(root: Path, classes: int = 2, images: int = 10, seed: int = 0) -> None:
    """`root/class 0/image 0.png` and so on, all different, and with another seed others."""
    for label in range(classes):
        folder = root / f"class {label}"
        folder.mkdir(parents=True)
        for n in range(images):
            good(folder / f"image {n}.png", 100_000 * seed + 1000 * label + n)


def source_of(root: Path) -> FolderImages:
    """The images below class folders."""
    classes = scan(root).root.holding
    names = [name for folder in classes for name in sorted(folder.image_paths)]
    labels = np.repeat(np.arange(len(classes)), [folder.count for folder in classes])
    return FolderImages(root, tuple(names), labels)


def unreadable(path: Path) -> None:
    path.write_bytes(b"this is text, whatever its name says")


def zero_byte(path: Path) -> None:
    path.touch()


def truncated(path: Path) -> None:
    whole = encoded(pixels(1, 64, 64), "JPEG")
    path.write_bytes(whole[: len(whole) // 2])


def bomb(path: Path, side: int = 60_000) -> None:
    """A PNG whose head promises `side` x `side` pixels; only its first rows are there."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(1 + side // 8) * 10)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))


def mislabeled(path: Path, twin: Path) -> None:
    """The same bytes in two folders."""
    good(path, 77)
    twin.write_bytes(path.read_bytes())


def cmyk(path: Path, color: tuple[int, int, int, int] = (0, 255, 255, 0)) -> None:
    Image.new("CMYK", (12, 12), color).save(path, "JPEG", quality=100)


def sixteen_bit(path: Path, value: int = 0x8000) -> None:
    Image.fromarray(np.full((12, 12), value, np.uint16)).save(path, "PNG")


def thirty_two_bit(path: Path, value: float = 0.5) -> None:
    Image.fromarray(np.array([[value, 1.0]] * 2, np.float32)).save(path, "TIFF")


def animated(path: Path, kind: str = "GIF") -> None:
    """Red, then blue."""
    frames = [Image.new("RGB", (12, 12), color) for color in ("red", "blue")]
    frames[0].save(path, kind, save_all=True, append_images=frames[1:], duration=100)


def rotated(path: Path, orientation: int = 6) -> None:
    """Stored lying on its side: what its EXIF tag turns up has the upper half white and the lower black."""
    upright = Image.fromarray(np.repeat(np.array([255] * 8 + [0] * 8, np.uint8)[:, None], 16, 1))
    back = {
        3: Image.Transpose.ROTATE_180,
        6: Image.Transpose.ROTATE_90,
        8: Image.Transpose.ROTATE_270,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright.convert("RGB").transpose(back[orientation]).save(path, "JPEG", exif=exif, quality=100)


def transparent(path: Path) -> None:
    """Black, invisible in its left half."""
    array = np.zeros((12, 12, 4), np.uint8)
    array[:, 6:, 3] = 255
    Image.fromarray(array).save(path, "PNG")


def wrong_extension(path: Path) -> None:
    """A JPEG, whatever the path says."""
    good(path, 5, "JPEG")


def bad_exif(path: Path) -> None:
    """A whole photo whose EXIF promises more than is there."""
    exif = b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00" + struct.pack("<HHII", 0x010E, 2, 900, 4000)
    Image.fromarray(pixels(3)).save(path, "JPEG", exif=exif)
