from netwright.core import seeds
from netwright.core.records import Proposal, Result, Trial
from netwright.strategies.random import RandomSearch
from netwright.testing.toys import ToySpace

SPACE = ToySpace()


def test_proposals_are_the_spaces_samples_and_nothing_else():
    strategy = RandomSearch(SPACE)
    for n in range(5):
        assert strategy.ask(seeds.rng_for(0, seeds.ASK, n), ()) == Proposal(
            SPACE.sample(seeds.rng_for(0, seeds.ASK, n))
        )


def test_what_happened_and_what_is_pending_change_nothing():
    strategy, rng = RandomSearch(SPACE), seeds.rng_for
    before = strategy.ask(rng(0, seeds.ASK, 1), ())
    row = Trial(1, before, "key", 1, "done", Result({"valid_accuracy": 1.0}), (1.0,), 1)
    strategy.tell(row, rng(0, seeds.TELL, 1))
    assert strategy.ask(rng(0, seeds.ASK, 1), (row,) * 7) == before
    assert strategy == RandomSearch(SPACE)
