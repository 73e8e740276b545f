"""Arrays of images in a `.npz` file: heads read without the images, images a few at a time, nothing unpickled.

What the file would take is known from its heads and its directory, and refused before memory is taken: they may state
any size, and what is compressed may grow a thousandfold.
"""

from __future__ import annotations

import io
import math
import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from netwright.core import memory
from netwright.core.errors import BadReference
from netwright.data.text import row_name

BLOCK = 2**22  # bytes read at a time
MAX_HEAD = 2**16  # bytes of a head; numpy writes some hundred
MAX_WHOLE = 2**30  # bytes of an array that can only be read as a whole
MAX_GROWTH, FREE_GROWTH = 500, 2**28  # how often its size a member may unpack to, once it is more than so many bytes


@dataclass(frozen=True)
class Head:
    """Shape and type of a member, as its head says."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    is_fortran: bool

    @property
    def size(self) -> int:
        """Bytes of the array."""
        return math.prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True)
class ArchiveImages:
    """The images of one or more members, one after the other; fits `Source` of data/cache.py.

    Args:
        path: The `.npz` file.
        members: Names of the members of images by what their images are called: "test" for "test 17".
        heads: Head of every member; those of images are uint8, (N, H, W), (N, H, W, C), or, with
            `is_channels_first`, (N, C, H, W).
        labels: Class of every image, int64, shape (N,).
        is_channels_first: Whether the channels stand before height and width.
    """

    path: Path
    members: Mapping[str, str]
    heads: Mapping[str, Head]
    labels: np.ndarray
    is_channels_first: bool

    @property
    def counts(self) -> Mapping[str, int]:
        """Number of images in every member, by what they are called."""
        return {name: self.heads[member].shape[0] for name, member in self.members.items()}

    def name(self, position: int) -> str:
        """Member and row in it: "test 17"."""
        return row_name(self.counts, position)

    def describe(self, _positions: np.ndarray, /) -> Mapping[str, Any]:
        """Path, size and time of change of the file, and the members."""
        state = os.stat(self.path)
        file = (str(self.path.resolve()), state.st_size, state.st_mtime_ns)
        return {"kind": "arrays", "file": file, "members": list(self.members.values())}

    def copies(self, _positions: np.ndarray, /) -> list[list[int]]:
        """No groups: numbers are taken as they are."""
        return []

    def content(self, _positions: np.ndarray, /) -> Sequence[int]:
        """Checksum of each member, as the archive has it, whichever images are wanted."""
        with _reading(self.path), zipfile.ZipFile(self.path) as archive:
            return [archive.getinfo(f"{member}.npy").CRC for member in self.members.values()]

    def images(self, positions: np.ndarray) -> Iterator[np.ndarray]:
        """The images at ascending positions, each (H, W, C). Raises BadReference for a damaged file."""
        start = 0
        for member in self.members.values():
            for block in _blocks(self.path, member, self.heads[member]):
                stop = start + len(block)
                inside = positions[np.searchsorted(positions, start) : np.searchsorted(positions, stop)] - start
                chosen = block[inside] if block.ndim == 4 else block[inside, :, :, None]
                yield from chosen.transpose(0, 2, 3, 1) if self.is_channels_first else chosen
                start = stop


def heads(path: Path) -> Mapping[str, Head]:
    """Shape and type of every member. Raises BadReference for a file that is no `.npz`, or damaged."""
    with _reading(path), zipfile.ZipFile(path) as archive:
        found = {}
        for member in archive.infolist():
            if member.filename.endswith(".npy"):
                with archive.open(member) as stream:
                    head = _head(stream)
                if head.size > member.file_size and not head.dtype.hasobject:
                    raise ValueError(f"{member.filename} is too short for its shape {head.shape}")
                if member.file_size > max(FREE_GROWTH, MAX_GROWTH * member.compress_size):
                    raise ValueError(
                        f"{member.filename} unpacks from {memory.size_text(member.compress_size)} to "
                        f"{memory.size_text(member.file_size)}, which no images do"
                    )
                found[member.filename.removesuffix(".npy")] = head
        return found


def read(path: Path, member: str) -> np.ndarray:
    """A whole member. Raises BadReference when it is damaged."""
    with _reading(path), np.load(path, allow_pickle=False) as archive:
        return archive[member]


def _head(stream: Any) -> Head:
    version = npy.read_magic(stream)
    width = 2 if version == (1, 0) else 4  # bytes that state its length
    length = stream.read(width)
    if int.from_bytes(length, "little") > MAX_HEAD:
        raise ValueError("a head is too long")
    reader = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, is_fortran, dtype = reader(io.BytesIO(length + stream.read(int.from_bytes(length, "little"))))
    return Head(shape, dtype, is_fortran)


def _blocks(path: Path, member: str, head: Head) -> Iterator[np.ndarray]:
    if head.is_fortran:  # the images do not lie one after the other
        if head.size > MAX_WHOLE:
            raise BadReference(
                f"{member} of {path} is in Fortran order, in which {memory.size_text(head.size)} must be read at once; "
                f"write it with numpy.ascontiguousarray"
            )
        yield read(path, member)
        return
    size = int(np.prod(head.shape[1:]))
    rows = max(BLOCK // size, 1)
    with _reading(path), zipfile.ZipFile(path) as archive, archive.open(f"{member}.npy") as stream:
        _head(stream)
        for start in range(0, head.shape[0], rows):
            count = min(rows, head.shape[0] - start)
            data = stream.read(count * size)
            if len(data) < count * size:
                raise ValueError(f"{member} ends early")
            yield np.frombuffer(data, np.uint8).reshape(count, *head.shape[1:])


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise BadReference(f"task.path is {str(path)!r}, which does not exist; give a file of arrays (.npz)") from None
    except Exception as error:  # parsers and unpackers that are fed damaged bytes raise whatever they stumble over
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BadReference(f"{path} cannot be read as .npz: {reason[:200]}; write it with numpy.savez") from error
