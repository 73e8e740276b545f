"""Rows as JSON and CSV take them."""

import math

from netwright.comparison.rows import as_csv, flat, number


def test_what_is_no_number_is_none():
    assert (number(math.nan), number(0.5)) == (None, 0.5)


def test_rows_in_rows_become_columns_and_lists_texts():
    row = {"strategy": "aging", "reached": {"1%": {"trials": 20.0, "seeds": 3}}, "warnings": ["one", "two"]}
    assert flat(row) == {"strategy": "aging", "trials_to_1%": 20.0, "seeds_to_1%": 3, "warnings": "one; two"}


def test_no_rows_are_a_header_alone():
    assert as_csv([], ("a", "b")) == "a,b\n"
    assert as_csv([{"a": 1, "b": "x,y"}, {"a": None, "b": ""}], ("a", "b")) == 'a,b\n1,"x,y"\n,\n'
