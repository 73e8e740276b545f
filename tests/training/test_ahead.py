"""Batches made ahead are the same batches."""

import threading
from contextlib import suppress
from itertools import count, islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwright.training.ahead import ahead


@given(st.lists(st.integers()), st.integers(1, 5))
def test_the_items_are_the_same_in_the_same_order(items, number):
    with ahead(iter(items), number) as coming:
        assert list(coming) == items


def test_no_more_than_a_few_are_made_ahead_and_none_after_the_block():
    made = []
    with ahead((made.append(n) or n for n in count()), 2) as coming:
        assert list(islice(coming, 5)) == [0, 1, 2, 3, 4]
    assert made == list(range(len(made)))
    assert 5 <= len(made) <= 7
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("batches")]


def test_an_error_comes_up_where_its_item_would_have():
    def items():
        yield 1
        yield 2
        raise OSError("the disk is gone")

    with ahead(items()) as coming:
        assert list(islice(coming, 2)) == [1, 2]
        with pytest.raises(OSError, match="the disk is gone"):
            next(coming)


def test_an_error_in_the_block_ends_the_thread():
    with suppress(KeyError), ahead(count()) as coming:
        next(coming)
        raise KeyError
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("batches")]
