"""Labeled images in parquet files, as Hugging Face keeps them: one row per image, its encoded bytes and its label."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet

from netwright.core import memory, parquet_footer
from netwright.core.errors import BadReference, NetwrightError
from netwright.core.parquet_footer import BadFooter, ColumnChunk
from netwright.data.chunks import Encoded
from netwright.data.text import counted, row_name, shortened

ROWS = 32  # read at a time
MOST = 2**29  # bytes of images that rows read at a time may unpack to
DAMAGE = (pyarrow.ArrowException, OSError, UnicodeDecodeError, OverflowError)  # raised for damaged files
MAX_ROWS = 10**8  # of a file
MAX_GROWTH = 50  # how often its size a column of encoded images may unpack to, once it is more than `MOST`


@dataclass(frozen=True)
class ParquetImages:
    """The rows of parquet files, one split after the other; fits `Source` of data/cache.py.

    Args:
        files: Files of each split, in order.
        image: Name of the column of encoded images, as bytes or a struct with `bytes`.
        label: Name of the column of labels, whole numbers from 0.
    """

    files: Mapping[str, tuple[Path, ...]]
    image: str
    label: str

    @cached_property
    def labels(self) -> np.ndarray:
        """Class of every row, int64, shape (N,). Raises BadReference for a row without one."""
        return np.concatenate([self._labels_of(file) for file in self._all])

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """Number of rows of each split."""
        return {split: sum(_opened(f).metadata.num_rows for f in files) for split, files in self.files.items()}

    def name(self, position: int) -> str:
        """The split and the row in it: "test 17"."""
        return row_name(self.counts, position)

    def describe(self, _positions: np.ndarray, /) -> Mapping[str, Any]:
        """Path, size and time of change of every file, whichever rows are wanted."""
        files = [(str(f.resolve()), f.stat().st_size, f.stat().st_mtime_ns) for f in self._all]
        return {"kind": "parquet", "column": self.image, "files": files}

    def copies(self, _positions: np.ndarray, /) -> list[list[int]]:
        """No groups: published data is taken as it is."""
        return []

    def content(self, _positions: np.ndarray, /) -> Sequence[int]:
        """No numbers: how rows are packed may differ from host to host."""
        return []

    def images(self, positions: np.ndarray) -> Iterator[Encoded]:
        """The encoded images, read a few rows at a time. Raises NetwrightError for a damaged file."""
        start = 0
        for file in self._all:
            table, chunks = _opened(file), _chunks(file)
            for group in range(table.num_row_groups):
                stop = start + table.metadata.row_group(group).num_rows
                inside = positions[np.searchsorted(positions, start) : np.searchsorted(positions, stop)]
                if len(inside):
                    rows = self._rows_at_a_time(file, chunks[group])
                    yield from self._rows(table, file, group, rows, inside - start)
                start = stop

    @property
    def _all(self) -> list[Path]:
        return [file for files in self.files.values() for file in files]

    def _rows(self, table: Any, file: Path, group: int, rows: int, wanted: np.ndarray) -> Iterator[Encoded]:
        start = 0
        try:
            for batch in table.iter_batches(rows, [group], [self.image], use_threads=False):
                inside = wanted[np.searchsorted(wanted, start) : np.searchsorted(wanted, start + len(batch))] - start
                start += len(batch)
                column = batch.column(0)
                if pyarrow.types.is_struct(column.type):
                    column = column.field("bytes")
                yield from (value or b"" for value in column.take(pyarrow.array(inside)).to_pylist())
        except DAMAGE as error:
            raise NetwrightError(f"{file} is damaged: {_reason(error)}; get it anew") from error

    def _rows_at_a_time(self, file: Path, group: Sequence[ColumnChunk]) -> int:
        """As few as keep memory bounded, since each row may stand for all that is stored once.

        Raises NetwrightError for a group that unpacks to more than images do.
        """
        own = [chunk for chunk in group if chunk.column == self.image]
        size, packed = sum(chunk.unpacked for chunk in own), sum(chunk.packed for chunk in own)
        if size > max(MOST, MAX_GROWTH * packed):
            raise NetwrightError(
                f"{file} unpacks from {memory.size_text(packed)} to {memory.size_text(size)} in column "
                f"{self.image!r}, which no encoded images do; get it anew"
            )
        return max(min(ROWS, MOST // max(size, 1)), 1)

    def _labels_of(self, file: Path) -> np.ndarray:
        try:
            column = _opened(file).read([self.label], use_threads=False)[self.label]
        except DAMAGE as error:
            raise BadReference(f"{file} is damaged: {_reason(error)}; get it anew") from None
        if column.null_count:
            raise BadReference(f"{file} has {counted(column.null_count, 'row')} without a {self.label}; remove them")
        return column.to_numpy().astype(np.int64)


def read_columns(
    files: Sequence[Path], images: Sequence[str], labels: Sequence[str]
) -> tuple[str, str, tuple[str, ...]]:
    """The columns to read, from the heads of parquet files.

    Args:
        files: Parquet files, all of which must have the columns.
        images: Names that the column of images may have; the first one that is there counts.
        labels: Names that the column of labels may have; the first one that is there counts.

    Returns:
        Column of images, column of labels, and the names of the classes, if the first file says them.

    Raises:
        BadReference: A file that is no parquet, or a column that is missing or of another type.
    """
    first = _opened(files[0]).schema_arrow
    image, label = _column(files[0], first, images), _column(files[0], first, labels)
    for file in files:
        schema = _opened(file).schema_arrow
        kind = schema.field(_column(file, schema, [image])).type
        if pyarrow.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
            kind = kind.field("bytes").type
        if not (pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind)):
            raise BadReference(
                f"column {image!r} of {file} is {kind}; it must hold encoded images, or a struct of them"
            )
        kind = schema.field(_column(file, schema, [label])).type
        if not pyarrow.types.is_integer(kind):
            raise BadReference(f"column {label!r} of {file} is {kind}; it must hold whole numbers from 0")
    return image, label, _class_names(first, label)


def _opened(file: Path) -> Any:
    try:
        opened = pyarrow.parquet.ParquetFile(file, buffer_size=2**20)
        if opened.metadata.num_rows > MAX_ROWS:
            raise BadReference(f"{file} has {opened.metadata.num_rows:,} rows; more than {MAX_ROWS:,} are not read")
        return opened
    except DAMAGE as error:
        raise BadReference(f"{file} cannot be read as parquet: {_reason(error)}; get it anew") from None


def _chunks(file: Path) -> list[list[ColumnChunk]]:
    try:
        return parquet_footer.read(file)
    except (BadFooter, OSError) as error:
        raise BadReference(f"{file} cannot be read as parquet: {_reason(error)}; get it anew") from None


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:100]


def _column(file: Path, schema: Any, names: Sequence[str]) -> str:
    for name in names:
        if name in schema.names:
            return name
    wanted = " or ".join(map(repr, names))
    there = ", ".join(map(shortened, schema.names)) or "none"
    raise BadReference(f"{file} has no column {wanted}; its columns: {there}")


def _class_names(schema: Any, label: str) -> tuple[str, ...]:
    """Names of the classes, which Hugging Face writes beside the columns; none when they are missing or malformed."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return tuple(str(name) for name in features[label]["names"])
    except (KeyError, TypeError, ValueError, RecursionError):
        return ()
