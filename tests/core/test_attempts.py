"""Attempts at a trial, and what the table remembers of them."""

import pytest

from netwright.core import attempts
from netwright.core.attempts import Attempt
from netwright.stores.memory import MemoryStore


def test_three_attempts_each_with_more_room():
    first = Attempt()
    alone = first.next("machine", "1 GB free")
    halved = alone.next("card", "x" * 9000)
    assert [(each.is_alone, each.is_in_parts) for each in (first, alone, halved)] == [
        (False, False),
        (True, False),
        (True, True),
    ]
    assert halved.next("card") is None
    assert (alone.place, alone.sizes, halved.place, len(halved.sizes)) == ("machine", "1 GB free", "card", 500)


def test_a_result_says_how_it_came_about():
    assert Attempt().noted("anew") == "anew"
    assert Attempt(1, "machine", "1 GB free").noted("anew") == (
        "the machine's memory ran out beside other trials (1 GB free); measured with the machine to itself; anew"
    )
    assert Attempt(1).noted("anew").startswith("the card's memory ran out beside other trials; measured with the card")
    assert "saw halves" in Attempt(2).noted("")


def test_a_failure_says_what_was_tried():
    assert Attempt().failed("no", "machine", ", by an estimate of 5 GB", "it has no batches") == (
        "no; by an estimate of 5 GB; it has no batches"
    )
    assert Attempt(1).failed("no\n", "machine") == "no; that was with the machine to itself"
    assert Attempt(2).failed("no", "card", ", by an estimate of 5 GB") == (
        "no; that was with the card to itself and half a batch at a time, by an estimate of 5 GB"
    )


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_table_remembers_each_trial_by_itself(number):
    store = MemoryStore()
    attempts.note(store, 7, Attempt(number, "machine", "sizes"))
    assert attempts.of(store, 7) == Attempt(number, "machine", "sizes")
    assert attempts.of(store, 70) == Attempt()


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *(("x", 0), ("-1", 0), ("", 0), ("9", 2), ("[]", 0), ('{"ran_out": 9}', 2), ('{"ran_out": -1}', 0)),
        *(('{"ran_out": true}', 0), ('{"ran_out": 1, "place": "moon"}', 0), ('{"ran_out": 1, "sizes": 3}', 0)),
        *(('{"ran_out": 1, "more": 3}', 0), ("[" * 9999, 0)),
    ],
)
def test_what_stands_there_is_not_believed(text, number):
    store = MemoryStore()
    store.remember("memory ran out 7", text)
    assert attempts.of(store, 7).ran_out == number
