"""Attempts at a trial, and what the table remembers of them."""

import pytest

from netwright.core import attempts
from netwright.core.attempts import Attempt
from netwright.stores.memory import MemoryStore


def test_three_attempts_each_with_more_room():
    first = Attempt()
    alone = first.next
    halved = alone.next
    assert [(each.is_alone, each.is_in_parts) for each in (first, alone, halved)] == [
        (False, False),
        (True, False),
        (True, True),
    ]
    assert halved.next is None


def test_a_result_says_how_it_came_about():
    assert Attempt().noted("anew") == "anew"
    assert "to itself; anew" in Attempt(1).noted("anew")
    assert "saw halves" in Attempt(2).noted("")


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_table_remembers_each_trial_by_itself(number):
    store = MemoryStore()
    attempts.note(store, 7, Attempt(number))
    assert attempts.of(store, 7) == Attempt(number)
    assert attempts.of(store, 70) == Attempt()


@pytest.mark.parametrize(("text", "number"), [("x", 0), ("-1", 0), ("", 0), ("9", 2)])
def test_what_stands_there_is_not_believed(text, number):
    store = MemoryStore()
    store.remember("memory ran out 7", text)
    assert attempts.of(store, 7).ran_out == number
