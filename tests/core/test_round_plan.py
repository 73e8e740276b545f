import pytest

from netwright.core.errors import BadReference
from netwright.core.records import Proposal, Trial
from netwright.core.round_plan import Rounds


def test_published_rounds_have_their_sizes():
    balanced = Rounds(4, 1000, 300, keeps="all", trains="new")
    assert Rounds(5, 1000, 500, 50).rows() == 5000
    assert [Rounds(5, 1000, 500, 50).survivors(number) for number in (1, 2, 5)] == [0, 450, 450]
    assert [balanced.size(number) for number in (1, 2, 3, 4)] == [1000, 1300, 1600, 1900]
    assert [balanced.survivors(number) for number in (1, 2, 4)] == [0, 1000, 1600]
    assert (balanced.rows(2), balanced.rows()) == (2300, 5800)


def test_whom_a_round_trains():
    ages = (0.0, 2.0, 0.0, 1.0)
    members = [Trial(n, Proposal((n,), notes={"age": age}), "", 0, "pending") for n, age in enumerate(ages, 1)]
    assert Rounds(2, 4, 1).trained(members) == members
    assert [trial.id for trial in Rounds(2, 4, 1, trains="new").trained(members)] == [1, 3]


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ((0, 4, 1), "the number of rounds is 0; it must be at least 1"),
        ((2, 0, 1), "the pool of rounds is 0; it must be at least 1"),
        ((2, 4, -1), "the new of rounds is -1; it must be at least 0"),
        ((2, 4, 0), "rounds bring 0 new and 0 fresh networks"),
        ((2, 4, 3, 2), "rounds bring 3 new and 2 fresh networks to a pool of 4"),
    ],
)
def test_numbers_that_make_no_rounds_are_refused(numbers, message):
    with pytest.raises(BadReference, match=f"^{message}"):
        Rounds(*numbers)


def test_one_round_brings_nothing_and_a_growing_pool_may_bring_more_than_it_has():
    assert Rounds(1, 4, 0).rows() == 4
    assert Rounds(2, 4, 5, keeps="all").rows() == 13
