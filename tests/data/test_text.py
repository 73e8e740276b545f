import pytest

from netwright.data.text import counted, listed, printable, row_name, shortened


def test_names_fit_a_line_and_a_terminal():
    assert shortened("a/b.png") == "a/b.png"
    assert shortened("x" * 61) == f"{'x' * 29}…{'x' * 30}"
    assert len(shortened("é" * 500)) == 60
    assert printable("a\nb\x1b[31m\udcff") == "a\\nb\\x1b[31m\\udcff"
    printable("\udcff").encode()


def test_numbers():
    assert [counted(n, "image") for n in (1, 2, 12000)] == ["1 image", "2 images", "12,000 images"]
    assert listed(list("abcde")) == "a, b, c, d, e"
    assert listed(list("abcdefg")) == "a, b, c, d, e and 2 more"


def test_rows_are_counted_within_their_split():
    counts = {"train": 3, "test": 2}
    assert [row_name(counts, n) for n in (0, 2, 3, 4)] == ["train 0", "train 2", "test 0", "test 1"]
    with pytest.raises(IndexError):
        row_name(counts, 5)
