"""What the columns of a parquet file unpack to, read from its footer without unpacking anything.

The footer is read here because the library that reads the rest ends the process for some damaged ones where it is asked
for a column's size, instead of raising an error.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from netwright.core.errors import NetwrightError

MAGIC: Final = b"PAR1"
MAX_FOOTER: Final = 2**27  # bytes
MAX_DEPTH: Final = 20  # of records within each other; parquet has 6
DELTA_BYTE_ARRAY: Final = 7  # the encoding in which a text begins like the one before
# kinds of values in Thrift's compact protocol
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _RECORD = 1, 2, 3, 7, 8, 9, 10, 12
_INTEGERS: Final = (4, 5, 6)


class BadFooter(NetwrightError):
    """A footer that cannot be read: the message says why in a few words."""


@dataclass(frozen=True)
class ColumnChunk:
    """A column within a group of rows.

    Args:
        column: Name of the column; of a nested one, of the outermost.
        path: Names that lead to it, joined by dots.
        values: Number of its values.
        packed: Bytes in the file.
        unpacked: Bytes of its pages in memory.
        is_delta: Whether texts may be written as the end of the one before.
    """

    column: str
    path: str
    values: int
    packed: int
    unpacked: int
    is_delta: bool


def read(path: Path) -> list[list[ColumnChunk]]:
    """The columns of every group of rows, in the order of the file.

    Raises:
        OSError: The file cannot be read.
        BadFooter: It is no parquet, or its footer is damaged.
    """
    with path.open("rb") as file:
        end = file.seek(0, 2)
        if end < 12:
            raise BadFooter("the file is too short to be parquet")
        file.seek(end - 8)
        size, magic = struct.unpack("<I4s", file.read(8))
        if magic != MAGIC:
            raise BadFooter("the end of the file is missing" if magic != b"PARE" else "the file is encrypted")
        if size > min(MAX_FOOTER, end - 12):
            raise BadFooter(f"its footer would have {size:,} bytes")
        file.seek(end - 8 - size)
        data = file.read(size)
    try:
        record, _ = _record(data, 0, 0)
        return [[_chunk(column) for column in group[1]] for group in record[4]]
    except (IndexError, KeyError, TypeError, ValueError, AttributeError, struct.error):
        raise BadFooter("its footer is damaged") from None


def _chunk(column: dict[int, Any]) -> ColumnChunk:
    known = column[3]
    names = [name.decode() for name in known[3]]
    values, unpacked, packed = (int(known[field]) for field in (5, 6, 7))
    return ColumnChunk(
        names[0], ".".join(names), max(values, 0), max(packed, 0), max(unpacked, 0), DELTA_BYTE_ARRAY in known[2]
    )


def _record(data: bytes, place: int, depth: int) -> tuple[dict[int, Any], int]:
    """A record, its values by the numbers of their fields, and where it ends."""
    if depth > MAX_DEPTH:
        raise ValueError("too deep")
    found: dict[int, Any] = {}
    field = 0
    while head := data[place]:
        place += 1
        kind, step = head & 15, head >> 4
        if step:
            field += step
        else:
            field, place = _integer(data, place)
        if kind in (_TRUE, _FALSE):
            found[field] = kind == _TRUE
        else:
            found[field], place = _value(data, place, kind, depth)
    return found, place + 1


def _value(data: bytes, place: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind in _INTEGERS:
        return _integer(data, place)
    if kind == _BINARY:
        size, place = _varint(data, place)
        if size > len(data) - place:
            raise ValueError("cut")
        return data[place : place + size], place + size
    if kind == _RECORD:
        return _record(data, place, depth + 1)
    if kind in (_LIST, _SET):
        return _list(data, place, depth + 1)
    if kind in (_TRUE, _FALSE, _BYTE):  # in a list, a truth takes a byte
        return data[place], place + 1
    if kind == _DOUBLE:
        return struct.unpack_from("<d", data, place)[0], place + 8
    raise ValueError(f"kind {kind}")  # maps and others, which parquet has not


def _list(data: bytes, place: int, depth: int) -> tuple[list[Any], int]:
    if depth > MAX_DEPTH:
        raise ValueError("too deep")
    head = data[place]
    place += 1
    size, kind = head >> 4, head & 15
    if size == 15:
        size, place = _varint(data, place)
    if size > len(data) - place:  # each takes a byte at least
        raise ValueError("cut")
    found = []
    for _ in range(size):
        value, place = _value(data, place, kind, depth)
        found.append(value)
    return found, place


def _integer(data: bytes, place: int) -> tuple[int, int]:
    value, place = _varint(data, place)
    return (value >> 1) ^ -(value & 1), place


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
        shift += 7
        if shift > 63:
            raise ValueError("a number is too long")
