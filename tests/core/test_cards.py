"""How many trials share a card, by numbers alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwright.core import cards
from netwright.core.cards import CardMemory

MB = st.floats(1, 200_000)


@given(MB, st.floats(0, 1), st.floats(0, 1), st.none() | MB, st.integers(1, 16))
def test_what_is_admitted_fits(total, share_held, share_free, estimate, most):
    held = share_held * total
    card = CardMemory(total, share_free * (total - held), held)
    found = cards.most_that_fit(card, estimate, most)
    assert 1 <= found <= most
    each = max(card.held, estimate or 0, 1)
    room = card.free + card.held - cards.KEPT * card.total
    assert found == 1 or found * each <= room * (1 + 1e-9)
    assert found == most or (found + 1) * each > room * (1 - 1e-9)


@pytest.mark.parametrize(
    ("held", "estimate", "expected"), [(2_000, None, 16), (9_000, None, 8), (9_000, 20_000, 3), (70_000, None, 1)]
)
def test_the_larger_of_estimate_and_measurement_decides(held, estimate, expected):
    assert cards.most_that_fit(CardMemory(80_000, 80_000 - held, held), estimate) == expected


@pytest.mark.parametrize(("most", "expected"), [(1, (1,)), (2, (1, 2)), (6, (1, 2, 4, 6)), (8, (1, 2, 4, 8))])
def test_doublings_are_tried_and_the_most(most, expected):
    assert cards.numbers(most) == expected


@pytest.mark.parametrize(
    ("rates", "number", "is_more_worth_trying"),
    [
        ({1: 100.0}, 1, True),
        ({1: 100.0, 2: 180.0}, 2, True),
        ({1: 100.0, 2: 105.0}, 1, False),
        ({1: 100.0, 2: 180.0, 4: 250.0, 8: 251.0}, 4, False),
        ({1: 100.0, 2: 90.0}, 1, False),
    ],
)
def test_more_trials_must_bring_clearly_more(rates, number, is_more_worth_trying):
    assert cards.best(rates) == number
    assert cards.goes_on(rates) == is_more_worth_trying


def test_a_step_takes_longer_where_trials_share():
    rates = {1: 100.0, 2: 160.0, 4: 200.0}
    assert [cards.slowdown(rates, number) for number in (1, 2, 4)] == [1.0, 1.25, 2.0]
    assert cards.slowdown({1: 100.0, 2: 230.0}, 2) == 1, "no step is faster for it"


def test_workers_with_the_same_cards_share_them():
    assert cards.shares([("a",), ("b",), ("a",), ()]) == 2
    assert cards.shares([(), ()]) == 0
