"""Safetensors files that hold a digest of themselves: a changed byte anywhere in one is noticed when it is read.

The digest stands in the file's metadata, and is that of all bytes with zeros in its place. Any reader of safetensors
reads a sealed file, knowing of it or not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from types import MappingProxyType

_NAME, _SIZE = "digest", 32
UNSEALED: Mapping[str, str] = MappingProxyType({_NAME: "0" * _SIZE})  # metadata of a file that is to be sealed
_ENTRY = f'"{_NAME}":"'.encode()  # nowhere else in a header: within a text, quotes are written with a backslash


def seal(data: bytes) -> bytes:
    """The file with its digest in it.

    Args:
        data: A safetensors file whose metadata has the entries of UNSEALED.

    Raises:
        ValueError: It has not.
    """
    place = _place(data)
    if place is None:
        raise ValueError("the file has no place for a digest; save it with the metadata UNSEALED")
    return b"".join((data[:place], _digest(data, place), data[place + _SIZE :]))


def is_whole(data: bytes) -> bool | None:
    """Whether a file is, byte for byte, what was sealed; None: it has no digest."""
    place = _place(data)
    return None if place is None else data[place : place + _SIZE] == _digest(data, place)


def _place(data: bytes) -> int | None:
    """Where the digest begins, within the header, which follows its own length in 8 bytes."""
    end = 8 + int.from_bytes(data[:8], "little")
    found = data.find(_ENTRY, 8, min(end, len(data)))
    return None if found < 0 else found + len(_ENTRY)


def _digest(data: bytes, place: int) -> bytes:
    view, found = memoryview(data), hashlib.blake2b(digest_size=_SIZE // 2)
    for part in (view[:place], b"0" * _SIZE, view[place + _SIZE :]):
        found.update(part)
    return found.hexdigest().encode()
