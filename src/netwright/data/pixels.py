"""Images in one file: mapped to memory, so that processes share them, or read each time, so that memory stays free.

Each image is checked against its checksum when it is read: a byte that changed on the disk is never trained on. One
that is mapped is checked when it is first taken, and again where the file was written to since.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import numpy as np

from netwright.core.errors import NetwrightError

BLOCK = 2**22  # bytes that are checked at a time


class CachedPixels:
    """Images of one size in a raw file of bytes, channels last; fits `Pixels` of data/images.py.

    Args:
        path: The raw file.
        shape: Shape of all images, (N, H, W, C).
        sums: Sum over the pixels of every image and sum of their squares, int64, shape (N, 2, C).
        crcs: CRC-32 of every image, uint32, shape (N,).
        is_streamed: Whether to read images when they are taken, so that resident memory does not grow, instead of
            mapping the file to memory.
        give_up: Called when an image is not what was written, before that is said.

    Raises:
        OSError: The file cannot be opened.
        ValueError: File, sums or checksums are not of this shape.
    """

    def __init__(
        self,
        path: Path,
        shape: tuple[int, int, int, int],
        sums: np.ndarray,
        crcs: np.ndarray,
        is_streamed: bool,
        give_up: Callable[[], None] = lambda: None,
    ) -> None:
        self.shape = shape
        self._sums, self._crcs, self._give_up = sums, crcs, give_up
        self._file = path.open("rb", buffering=0)
        size = os.fstat(self._file.fileno()).st_size
        if size != np.prod(shape, dtype=np.int64):
            raise ValueError(f"{path} has {size} bytes, which are not {shape} images")
        if sums.dtype != np.int64 or sums.shape != (shape[0], 2, shape[3]):
            raise ValueError(f"{path} needs sums of shape {(shape[0], 2, shape[3])}, not {sums.dtype} {sums.shape}")
        if crcs.dtype != np.uint32 or crcs.shape != shape[:1]:
            raise ValueError(f"{path} needs checksums of shape {shape[:1]}, not {crcs.dtype} {crcs.shape}")
        self.is_streamed = is_streamed
        self._is_known = np.zeros(shape[0], bool)  # images that were checked, and are mapped
        self._written = (0, 0)  # when the file had been changed last by then

    @cached_property
    def _map(self) -> np.ndarray:
        return np.memmap(self._file, np.uint8, "r", shape=self.shape)

    def take(self, positions: np.ndarray) -> np.ndarray:
        """The images at `positions` (B,), int64, as a new array (B, H, W, C).

        Raises NetwrightError when one is not what was written.
        """
        images = self._taken(positions)
        if len(changed := self._changed_since(images, positions)):
            self._give_up()
            raise NetwrightError(
                f"{self._file.name} changed on the disk since it was written, at image {changed[0]}; start again to "
                f"have it made anew"
            )
        return images

    def is_whole(self) -> bool:
        """Whether all images are what was written; reads all of them, a few at a time."""
        size = int(np.prod(self.shape[1:]))
        rows = max(BLOCK // size, 1)
        for start in range(0, self.shape[0], rows):
            positions = np.arange(start, min(start + rows, self.shape[0]))
            images = np.empty((len(positions), *self.shape[1:]), np.uint8)
            self._read(images, start * size)
            if len(self._changed(images, positions)):
                return False
        return True

    def _changed_since(self, images: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Which of the positions hold something else than what was written, as far as that is not known yet."""
        if self.is_streamed:
            return self._changed(images, positions)
        state = os.fstat(self._file.fileno())
        written = state.st_mtime_ns, state.st_ctime_ns  # the second one cannot be set back
        if written != self._written:
            self._is_known[:], self._written = False, written
        unknown = np.flatnonzero(~self._is_known[positions])
        if not len(unknown):
            return unknown
        changed = self._changed(images[unknown], positions[unknown])
        if not len(changed):
            self._is_known[positions] = True
        return changed

    def _changed(self, images: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Which of the positions hold something else than what was written."""
        crcs = np.fromiter(map(zlib.crc32, images), np.uint32, len(images))
        return positions[crcs != self._crcs[positions]]

    def _taken(self, positions: np.ndarray) -> np.ndarray:
        if not self.is_streamed:
            return np.take(self._map, positions, axis=0)
        result = np.empty((len(positions), *self.shape[1:]), np.uint8)
        size = int(np.prod(self.shape[1:]))
        starts = np.flatnonzero(np.diff(positions, prepend=-2) != 1).tolist()  # neighbors are read together
        for start, stop in zip(starts, [*starts[1:], len(positions)], strict=False):  # no positions, no starts
            self._read(result[start:stop], int(positions[start]) * size)
        return result

    def moments(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each channel over those images, from the stored sums, in [0, 1]."""
        count = len(positions) * self.shape[1] * self.shape[2]
        total, squares = self._sums[positions].sum(0) / count
        return total / 255, np.sqrt(np.maximum(squares - total**2, 0)) / 255

    def _read(self, images: np.ndarray, offset: int) -> None:
        rest = images.reshape(-1).data
        while rest:
            count = os.preadv(self._file.fileno(), [rest], offset)
            if not count:
                raise NetwrightError(f"{self._file.name} was cut while in use; start again to have it made anew")
            rest, offset = rest[count:], offset + count


def sums_of(images: np.ndarray) -> np.ndarray:
    """Exact sums over the pixels of uint8 images (N, H, W, C) and over their squares, int64, shape (N, 2, C)."""
    count, height, width, channels = images.shape
    values = images.reshape(count, height * width, channels).transpose(0, 2, 1).astype(np.uint16, order="C")
    total = values.sum(2, dtype=np.int64)  # (N, C)
    np.square(values, out=values)  # of 255 fits 16 bits
    return np.stack((total, values.sum(2, dtype=np.int64)), 1)
