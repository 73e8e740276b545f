import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from netwright.core import parquet_footer
from netwright.core.parquet_footer import BadFooter
from netwright.tables import columns
from tests.fuzzing import refusal

ROWS = pa.table(
    {
        "text": [str(n) for n in range(100)],
        "number": pa.array(range(100)),
        "image": [{"bytes": b"12", "path": None}] * 100,
    }
)


def _written(**options):
    stream = io.BytesIO()
    pq.write_table(ROWS, stream, **options)
    return stream.getvalue()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "zstd", "row_group_size": 10, "use_dictionary": False},
        {"use_dictionary": False, "column_encoding": {"text": "DELTA_BYTE_ARRAY"}},
        {"data_page_version": "2.0", "write_page_index": True, "sorting_columns": [pq.SortingColumn(1)]},
        {"version": "1.0"},
    ],
)
def test_sizes_are_those_that_the_library_finds(options, tmp_path):
    path = tmp_path / "t.parquet"
    path.write_bytes(_written(**options))
    known = pq.read_metadata(path)
    found = parquet_footer.read(path)
    assert len(found) == known.num_row_groups
    for group, chunks in enumerate(found):
        for place, chunk in enumerate(chunks):
            other = known.row_group(group).column(place)
            assert (chunk.path, chunk.values) == (other.path_in_schema, other.num_values)
            assert (chunk.packed, chunk.unpacked) == (other.total_compressed_size, other.total_uncompressed_size)
            assert chunk.is_delta == ("DELTA_BYTE_ARRAY" in other.encodings)
        assert [chunk.column for chunk in chunks] == ["text", "number", "image", "image"]


def test_every_changed_footer_is_read_or_refused(tmp_path):
    """Where the library's own look at a column ends the process, for one."""
    path, whole = tmp_path / "t.parquet", _written()
    length = int.from_bytes(whole[-8:-4], "little")
    refused = 0
    for place in range(len(whole) - 8 - length, len(whole)):
        data = bytearray(whole)
        data[place] ^= 1 << place % 4
        path.write_bytes(data)
        refused += bool(refusal(lambda: (found := columns.opened(path)).read(found.names[:1], 1)))
    assert refused > 100


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "too short"),
        (_written()[:-1], "the end of the file is missing"),
        (_written()[:-4] + b"PARE", "encrypted"),
        (b"PAR1" + b"\xff\xff\xff\xffPAR1", "its footer would have 4,294,967,295 bytes"),
        (b"PAR1" + b"\x1c" * 100 + (100).to_bytes(4, "little") + b"PAR1", "its footer is damaged"),
        (b"PAR1" + b"\x19\xff\xff\xff\xff\x7f" + (6).to_bytes(4, "little") + b"PAR1", "its footer is damaged"),
    ],
)
def test_what_is_no_footer_is_refused(data, reason, tmp_path):
    (tmp_path / "t.parquet").write_bytes(data)
    with pytest.raises(BadFooter, match=reason):
        parquet_footer.read(tmp_path / "t.parquet")
