"""Files of CSV or Parquet as columns: text stays text, and what does not fit into memory is refused before it is read.

Cells of CSV are texts, each as it is written. Parquet keeps the types of its columns.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import pyarrow
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet

from netwright.core import memory, parquet_footer, reading
from netwright.core.errors import BadReference, NetwrightError
from netwright.core.parquet_footer import BadFooter

SEPARATORS: Final = ",;\t"
HEADER_BYTES: Final = 2**20  # of a header, at most
SHOWN: Final = 60  # letters of a cell or header in a message
ROW_BYTES: Final = 200  # that a row takes as a genotype, about
GENE_BYTES: Final = 40  # that each gene adds to it

# how other files begin: what they are, and what to do
FOREIGN: Final = {
    b"\xff\xfe": "is UTF-16 text; save it as UTF-8, in Excel as 'CSV UTF-8'",
    b"\xfe\xff": "is UTF-16 text; save it as UTF-8, in Excel as 'CSV UTF-8'",
    b"\x1f\x8b": "is compressed; unpack it first",
    b"BZh": "is compressed; unpack it first",
    b"\xfd7zXZ": "is compressed; unpack it first",
    b"\x28\xb5\x2f\xfd": "is compressed; unpack it first",
    b"PK\x03\x04": "is a workbook or an archive; save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "is a workbook; save the sheet as CSV",
}
NUMBER: Final = re.compile(r"[+-]?[0-9][0-9.,eE+-]*")


class TableFile(Protocol):
    """A file whose columns are known and not yet read."""

    @property
    def names(self) -> Sequence[str]:
        """Names of all columns, in order, each once."""

    def read(self, needed: Collection[str], genes: int) -> pyarrow.Table:
        """The columns that are `needed`, and all that may hold numbers.

        Args:
            needed: Names of columns that must be read, of whatever type.
            genes: How many genes will be made of a row, for the estimate of memory.

        Raises:
            NetwrightError: The file is damaged, or would take more memory than it may.
        """


def opened(path: Path) -> TableFile:
    """The file, with its header read. Raises BadReference for no file, NetwrightError for one of another kind."""
    try:
        with path.open("rb") as file:
            head = file.read(HEADER_BYTES)
    except OSError as error:
        raise BadReference(f"table {path} cannot be read: {error.strerror or error}; give the path of a file") from None
    except ValueError:  # a path with a NUL in it
        raise BadReference(f"table {str(path)!r} is no path of a file; give one") from None
    found: TableFile = _parquet(path) if head.startswith(b"PAR1") else _text(path, head)
    names = found.names
    if twice := [each for each in names if names.count(each) > 1]:
        raise NetwrightError(f"table {path} has two columns called {twice[0]!r}; rename one")
    return found


def in_no_header(names: Sequence[str]) -> str:
    """What may be wrong with a header that lacks a column, as the end of a sentence; "" where nothing strikes."""
    if names[0].startswith("sep="):
        return "; its first line is a note for Excel: remove it"
    if len(names) == 1 and (mark := next((mark for mark in "|: " if mark in names[0].strip()), "")):
        return f"; the header is a single cell, with {mark!r} between words: save the file with commas between cells"
    if padded := [name for name in names if name != name.strip()]:
        return f"; spaces around a name count, as in {padded[0]!r}: remove them"
    if any(NUMBER.fullmatch(name.strip()) for name in names):
        return "; its first line looks like data: put the names of the columns above it"
    return ""


@dataclass(frozen=True)
class _Text:
    """A file of separated values: `skipped` are the empty lines above its header."""

    path: Path
    names: tuple[str, ...]
    separator: str
    skipped: int

    def read(self, needed: Collection[str], genes: int) -> pyarrow.Table:  # noqa: ARG002 - what is needed is not known
        """All columns, as texts."""
        size, rows = self.path.stat().st_size, _lines(self.path)
        _refuse_too_large(self.path, rows, 3 * size + rows * (8 * len(self.names) + ROW_BYTES + GENE_BYTES * genes))
        with _damaged(self.path), self.path.open("rb") as file:
            try:
                found = pyarrow.csv.read_csv(
                    file,
                    pyarrow.csv.ReadOptions(skip_rows=self.skipped + 1, column_names=list(self.names)),
                    pyarrow.csv.ParseOptions(delimiter=self.separator, newlines_in_values=True),
                    pyarrow.csv.ConvertOptions(
                        column_types=dict.fromkeys(self.names, pyarrow.string()), strings_can_be_null=False
                    ),
                )
            except pyarrow.ArrowInvalid as error:
                if "Empty CSV file" not in str(error):
                    raise NetwrightError(f"table {self.path} is no CSV: {self._fault(str(error))}") from None
                found = pyarrow.table(dict.fromkeys(self.names, pyarrow.array([], pyarrow.string())))
            _refuse_empty(self.path, found)
            for name in self.names:
                over_lines = pyarrow.compute.match_substring_regex(found.column(name), "[\r\n]")
                if pyarrow.compute.any(over_lines).as_py():
                    row = pyarrow.compute.index(over_lines, True).as_py() + 1
                    raise NetwrightError(
                        f"table {self.path}, row {row} below the header: a quoted cell of column {name!r} goes over "
                        "several lines; close the quote, or save each cell on one line"
                    )
        return found

    def _fault(self, said: str) -> str:
        """What is wrong with the first bad line."""
        with self.path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    line.decode("utf-8")
                except UnicodeDecodeError:
                    return f"line {number} is not UTF-8 text; save the file as UTF-8, in Excel as 'CSV UTF-8'"
        with self.path.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.reader(lines, delimiter=self.separator)
            try:
                for cells in reader:
                    if cells and len(cells) != len(self.names):
                        return (
                            f"line {reader.line_num} has {_cells(len(cells))} and the header {len(self.names)}; quote "
                            "cells that hold the separator, and write numbers with a decimal point"
                        )
            except csv.Error as error:
                said = str(error)
        return f"{said.partition(chr(10))[0][: 3 * SHOWN]}; save it anew"


@dataclass(frozen=True)
class _Parquet:
    """A file of Parquet."""

    path: Path
    names: tuple[str, ...]
    schema: pyarrow.Schema
    metadata: pyarrow.parquet.FileMetaData

    def read(self, needed: Collection[str], genes: int) -> pyarrow.Table:
        """The columns needed, and those of numbers; texts that repeat are held once."""
        for name in needed:
            if pyarrow.types.is_nested(kind := self.schema.field(name).type):
                raise NetwrightError(f"column {name!r} of table {self.path} holds {kind}; save it as texts or numbers")
        wanted = [
            field.name for field in self.schema if field.name in needed or is_numeric(field.type) or _is_null(field)
        ]
        _refuse_too_large(
            self.path, self.metadata.num_rows, self._bytes(wanted) + self.metadata.num_rows * GENE_BYTES * genes
        )
        with _damaged(self.path):
            texts = [name for name in wanted if _is_text(self.schema.field(name).type)]
            with pyarrow.parquet.ParquetFile(self.path, read_dictionary=texts) as file:
                found = file.read(columns=wanted)
            found.validate(full=True)
        _refuse_empty(self.path, found)
        return found

    def _bytes(self, wanted: Collection[str]) -> int:
        """Bytes of these columns in memory, and of the rows made of them, about; at least what is needed to read."""
        rows = self.metadata.num_rows
        widths = {field.name: _width(field.type) for field in self.schema}
        total = rows * (ROW_BYTES + sum(widths[name] for name in wanted))
        with _damaged(self.path):
            groups = parquet_footer.read(self.path)
        for chunk in itertools.chain.from_iterable(groups):
            if chunk.column in wanted or chunk.path in wanted:
                # each text is written as the end of the one before, which may be as long as the whole
                total += chunk.unpacked * (max(1, chunk.values) if chunk.is_delta else 1)
        return total


def is_numeric(kind: pyarrow.DataType) -> bool:
    """Whether a column of this type holds numbers."""
    types = pyarrow.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


def _parquet(path: Path) -> _Parquet:
    with _damaged(path), pyarrow.parquet.ParquetFile(path) as file:
        return _Parquet(path, tuple(file.schema_arrow.names), file.schema_arrow, file.metadata)
    raise AssertionError("unreachable")


def _text(path: Path, head: bytes) -> _Text:
    """The header of a file of text. Raises NetwrightError for other files."""
    for start, what in FOREIGN.items():
        if head.startswith(start):
            raise NetwrightError(f"table {path} is neither CSV nor Parquet: it {what}")
    if b"\0" in head:
        raise NetwrightError(
            f"table {path} is neither CSV nor Parquet: it holds zero bytes, as UTF-16 and programs' own files do; save "
            "it as CSV in UTF-8"
        )
    lines = head.removeprefix(b"\xef\xbb\xbf").splitlines(keepends=True)
    skipped = next((number for number, line in enumerate(lines) if line.strip(b"\r\n")), None)
    if skipped is None:
        raise NetwrightError(f"table {path} is neither CSV nor Parquet: it is empty; give a file with a header")
    header = lines[skipped]
    if len(header) == HEADER_BYTES or (len(head) == HEADER_BYTES and skipped + 1 == len(lines)):
        raise NetwrightError(
            f"table {path} is neither CSV nor Parquet: its first line is longer than {HEADER_BYTES:,} bytes; save it "
            "with one row a line"
        )
    try:
        line = header.decode("utf-8").rstrip("\r\n")
        found = {mark: next(csv.reader(io.StringIO(line), delimiter=mark)) for mark in SEPARATORS}
    except UnicodeDecodeError:
        raise NetwrightError(
            f"table {path} is no CSV: line {skipped + 1} is not UTF-8 text; save the file as UTF-8, in Excel as 'CSV "
            "UTF-8'"
        ) from None
    except (csv.Error, StopIteration):
        raise NetwrightError(f"table {path} is no CSV: its header cannot be read; save it anew") from None
    separator = max(SEPARATORS, key=lambda mark: len(found[mark]))
    if line.count('"') % 2:
        raise NetwrightError(
            f"table {path} is no CSV: a quote in its header is not closed; write names of columns on one line"
        )
    return _Text(path, tuple(found[separator]), separator, skipped)


def _lines(path: Path) -> int:
    """How many lines a file has at most."""
    count = 1
    with path.open("rb") as file:
        while block := file.read(2**20):
            count += max(block.count(b"\n"), block.count(b"\r"))
    return count


def _refuse_too_large(path: Path, rows: int, size: int) -> None:
    if size > (most := memory.share()):
        raise NetwrightError(
            f"table {path} has {rows:,} rows, which take about {memory.size_text(size)} of memory, and a table may "
            f"take {memory.size_text(most)}, half of what this process may have; leave rows or columns out"
        )


def _refuse_empty(path: Path, found: pyarrow.Table) -> None:
    if not found.num_rows:
        raise NetwrightError(f"table {path} has no rows below its header")


@contextmanager
def _damaged(path: Path) -> Iterator[None]:
    """Put into a sentence what is found while a file is read."""
    try:
        yield
    except (pyarrow.ArrowException, BadFooter, OSError, UnicodeDecodeError, OverflowError) as error:
        said = reading.line(str(error), 3 * SHOWN)
        raise NetwrightError(f"table {path} is neither CSV nor Parquet: {said}; save it anew") from None
    except MemoryError:
        raise NetwrightError(f"table {path} does not fit into memory; leave rows or columns out") from None


def _width(kind: pyarrow.DataType) -> int:
    """Bytes of a value in a column, as float64 where it is a number."""
    try:
        return max(8, -(-kind.bit_width // 8)) + 8 * is_numeric(kind)
    except ValueError:  # texts, lists
        return 16


def _is_text(kind: pyarrow.DataType) -> bool:
    types = pyarrow.types
    return bool(types.is_string(kind) or types.is_large_string(kind))


def _is_null(field: pyarrow.Field) -> bool:
    return bool(pyarrow.types.is_null(field.type))


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"
