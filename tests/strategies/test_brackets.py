import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwright.core.errors import BadReference, NetwrightError
from netwright.core.records import Proposal, Trial
from netwright.strategies.brackets import ladder, rung_of, single_sizes, sizes


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((30, 120, 2), (30, 60, 120)),  # NAGO on CIFAR
        ((100, 400, 2), (100, 200, 400)),  # and on the small data sets
        ((1, 81, 3), (1, 3, 9, 27, 81)),  # Hyperband's example
        ((1, 10, 3), (1, 3, 10)),
        ((2, 10, 3), (3, 10)),
        ((5, 5, 2), (5,)),
        ((1, 9, 3, (12, 200)), (12, 200)),
    ],
)
def test_the_ladder_ends_at_the_largest_budget(given, expected):
    assert ladder(*given) == expected


@given(st.integers(1, 50), st.integers(1, 2000), st.integers(2, 5))
def test_every_ladder_ascends_within_its_ends(low, high, eta):
    if low > high:
        return
    found = ladder(low, high, eta)
    assert found[-1] == high
    assert all(a < b for a, b in itertools.pairwise(found))
    assert found[0] >= low
    assert found[0] < low * eta + eta  # no rung is missing at the bottom


def test_brackets_are_those_of_nago():
    """Section 6.1 of the specification: 4, 2, 1 then 2, 1 then 3; 960 epochs a cycle if nothing is continued."""
    found = [sizes(3, number, 2) for number in range(6)]
    assert found[:3] == [{0: 4, 1: 2, 2: 1}, {1: 2, 2: 1}, {2: 3}]
    assert found[3:] == found[:3]
    epochs = [sum((30, 60, 120)[rung] * count for rung, count in bracket.items()) for bracket in found[:3]]
    assert epochs == [360, 240, 360]


def test_brackets_of_nagos_program_end_with_one_trial():
    """Section 6.1 of the specification: 7 networks in 11 trials, 720 epochs."""
    found = [single_sizes(3, number, 2) for number in range(6)]
    assert found[:3] == [{0: 4, 1: 2, 2: 1}, {1: 2, 2: 1}, {2: 1}]
    assert found[3:] == found[:3]


@given(st.integers(1, 6), st.integers(0, 20), st.integers(2, 5))
def test_every_bracket_shrinks_to_the_highest_rung(rungs, number, eta):
    found = sizes(rungs, number, eta)
    counts = list(found.values())
    assert list(found) == list(range(rungs - len(found), rungs))
    assert all(later == max(1, counts[0] // eta**k) for k, later in enumerate(counts))
    assert counts[-1] >= 1
    assert len(found) == rungs - number % rungs


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((0, 9, 3), "min_budget and max_budget are 0 and 9; the first must be at least 1"),
        ((10, 9, 3), "min_budget and max_budget are 10 and 9"),
        ((1, 9, 1), "strategy.eta is 1; it must be at least 2"),
        ((1, 9, 3, (12, 12)), r"strategy.budgets is \[12, 12\]; they must ascend"),
        ((1, 9, 3, (0, 12)), "they must ascend, from 1 or more"),
    ],
)
def test_budgets_that_make_no_ladder_are_refused(options, message):
    with pytest.raises(BadReference, match=message):
        ladder(*options)


@pytest.mark.parametrize("budget", [5, None])
def test_a_budget_outside_the_ladder_is_one_clear_sentence(budget):
    trial = Trial(17, Proposal((0,), budget=budget), "key", 0, "done")
    with pytest.raises(NetwrightError, match=f"trial 17 was measured at the budget {budget}, .* ladder 1, 3, 9; go on"):
        rung_of(trial, (1, 3, 9))
    assert rung_of(Trial(17, Proposal((0,), budget=3), "key", 0, "done"), (1, 3, 9)) == 1
