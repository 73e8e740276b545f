"""The file of cells: what a kill leaves behind, and what is refused."""

import json
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwright.comparison import courses
from netwright.comparison.courses import SearchCell
from netwright.comparison.tables import cell_file
from netwright.core.errors import StoreError
from tests.comparison.tables import small
from tests.comparison.test_courses import made

CELLS = [SearchCell("random", "t", seed) for seed in range(4)]


def filled(where):
    where.mkdir(exist_ok=True, parents=True)
    (where / cell_file.CELLS).unlink(missing_ok=True)
    writer = cell_file.Writer(where)
    for cell in CELLS:
        writer.add(cell, made([cell.seed, 2.5]))
    writer.close()
    return where / cell_file.CELLS


@given(st.data())
def test_wherever_a_kill_cuts_the_file_whole_cells_stay_and_the_next_one_is_whole(tmp_path_factory, data):
    path = filled(tmp_path_factory.mktemp("cut"))
    whole = path.read_bytes()
    size = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:size])
    expected = whole[:size].count(b"\n")
    found = cell_file.read(path.parent)
    assert list(found.cells) == CELLS[:expected]
    assert len(found.damaged) == (not whole[:size].endswith(b"\n") and size > 0)
    writer = cell_file.Writer(path.parent)
    writer.add(SearchCell("next", "t", 9), made([1]))
    writer.close()
    assert list(cell_file.read(path.parent).cells) == [*CELLS[:expected], SearchCell("next", "t", 9)]


@given(st.integers(min_value=0), st.integers(0, 7))
def test_no_flipped_bit_changes_or_loses_a_cell_silently(tmp_path_factory, place, bit):
    path = filled(tmp_path_factory.mktemp("flipped"))
    whole = cell_file.read(path.parent).cells
    data = bytearray(path.read_bytes())
    data[place % len(data)] ^= 1 << bit
    path.write_bytes(data)
    found = cell_file.read(path.parent)
    assert found.damaged and len(found.cells) + len(found.damaged) in (len(CELLS), len(CELLS) - 1, len(CELLS) + 1)
    assert all(
        courses.to_line(cell, course) == courses.to_line(cell, whole[cell]) for cell, course in found.cells.items()
    )


@given(st.integers(min_value=0), st.integers(0, 7))
def test_no_flipped_bit_changes_what_problems_were(tmp_path_factory, place, bit):
    where = tmp_path_factory.mktemp("flipped")
    problems = (SimpleNamespace(name="t", digest="4f" * 16), SimpleNamespace(name="u", digest="a0" * 16))
    cell_file.claim(where, problems)
    path = where / cell_file.PROBLEMS
    data = bytearray(path.read_bytes())
    data[place % len(data)] ^= 1 << bit
    path.write_bytes(data)
    with pytest.raises(StoreError, match=r"problems.json is damaged; restore it"):
        cell_file.claim(where, problems)


def test_damaged_lines_are_left_out_and_counted(tmp_path):
    path = filled(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1][:40] + b"\n" + b"\xff\xfe\n" + lines[3])
    found = cell_file.read(tmp_path)
    assert list(found.cells) == [CELLS[0], CELLS[3]] and found.damaged == (None, None)
    path.write_bytes(lines[0] + lines[1][:-9] + b"\n")
    assert cell_file.read(tmp_path).damaged == (CELLS[1],)


def test_of_one_cell_the_longest_course_counts(tmp_path):
    writer = cell_file.Writer(tmp_path)
    for length in (2, 5, 3):
        writer.add(CELLS[0], made([1.0] * length))
    writer.close()
    assert len(cell_file.read(tmp_path).cells[CELLS[0]]) == 5


def test_of_one_cell_the_last_program_counts(tmp_path):
    writer = cell_file.Writer(tmp_path)
    for length, source in ((5, "old"), (3, "new")):
        writer.add(CELLS[0], made([1.0] * length, source=source))
    writer.close()
    assert cell_file.read(tmp_path).cells[CELLS[0]].source == "new"


def test_cells_of_another_table_are_not_taken_for_those_of_this_one(tmp_path):
    one = small.prepared(small.write(tmp_path / "t.csv")).problems
    cell_file.claim(tmp_path, one)
    cell_file.claim(tmp_path, one)
    other = small.prepared(small.write(tmp_path / "t.csv", shift=0.5)).problems
    with pytest.raises(StoreError, match=r"holds cells of another table called 't'.*give another folder with --out"):
        cell_file.claim(tmp_path, other)
    more = small.prepared(small.write(tmp_path / "u.csv")).problems
    cell_file.claim(tmp_path, more)
    assert set(json.loads((tmp_path / cell_file.PROBLEMS).read_text())["problems"]) == {"t", "u"}


@pytest.mark.parametrize(
    "text", ["{", "[1]", "7", '{"t": "ab"}', '{"problems": {"t": "ab"}, "checksum": 7}', "[" * 100_000]
)
def test_a_damaged_list_of_problems(tmp_path, text):
    (tmp_path / cell_file.PROBLEMS).write_text(text)
    with pytest.raises(StoreError, match=r"problems.json is damaged; restore it"):
        cell_file.claim(tmp_path, ())


def test_cells_of_nobody_knows_what(tmp_path):
    filled(tmp_path)
    with pytest.raises(StoreError, match=r"has cells but no problems.json"):
        cell_file.claim(tmp_path, small.prepared(small.write(tmp_path / "t.csv")).problems)


def test_lines_are_those_of_courses(tmp_path):
    lines = filled(tmp_path).read_text().splitlines()
    assert [courses.from_line(line)[0] for line in lines] == CELLS
