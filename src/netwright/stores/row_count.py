"""How many rows a table is known to have had, kept beside it: a log that was cut leaves a whole but shorter table.

Two cells of 16 bytes, each a number with a checksum of its own, are written in place after the table was: the highest
row that was asked, by the controller, and the highest place among the finished ones, by whoever finished it. They are
never ahead of the table, so that who reads them first, and then the table, is never alarmed for nothing. A cell that is
torn or damaged says nothing.
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from pathlib import Path

_CELL = struct.Struct("<QI4x")
_ASKED, _FINISHED = 0, _CELL.size


class RowCount:
    """The numbers beside a table.

    Args:
        table: Path of the table's file.
    """

    def __init__(self, table: Path) -> None:
        self.path = beside(table)
        self._cells: mmap.mmap | None = None

    def read(self) -> tuple[int, int]:
        """Rows asked and rows finished that the table is known to have had; 0 where nothing is known."""
        try:
            data = self.path.read_bytes()
        except OSError:
            return 0, 0
        return _number(data, _ASKED), _number(data, _FINISHED)

    def write(self, asked: int, finished: int) -> None:
        """Note what the table holds now, in a file that is made when missing. Raises OSError."""
        self.close()
        with open(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666), "r+b", buffering=0) as file:
            file.write(_cell(asked) + _cell(finished))  # never cut first: other processes have it mapped

    def asked(self, trial_id: int) -> None:
        """Note a row that was added. Raises OSError."""
        self._raise_to(_ASKED, trial_id)

    def finished(self, place: int) -> None:
        """Note the place of a row that has finished. Raises OSError."""
        self._raise_to(_FINISHED, place)

    def close(self) -> None:
        """Release the file."""
        if self._cells is not None:
            self._cells.close()
            self._cells = None

    def _raise_to(self, offset: int, number: int) -> None:
        if self._cells is None:
            if not self.path.exists():  # a table that was copied without it
                return
            with self.path.open("r+b") as file:
                if os.fstat(file.fileno()).st_size < 2 * _CELL.size:
                    return
                self._cells = mmap.mmap(file.fileno(), 2 * _CELL.size)
        if _number(self._cells, offset) < number:  # another process may have finished a later one meanwhile
            self._cells[offset : offset + _CELL.size] = _cell(number)


def beside(table: Path) -> Path:
    """Path of the file with the numbers of a table."""
    return table.with_name(f"{table.name}-count")


def _cell(number: int) -> bytes:
    return _CELL.pack(number, zlib.crc32(number.to_bytes(8, "little")))


def _number(data: bytes | mmap.mmap, offset: int) -> int:
    if len(data) < offset + _CELL.size:
        return 0
    number, known = _CELL.unpack_from(data, offset)
    return int(number) if known == zlib.crc32(int(number).to_bytes(8, "little")) else 0
