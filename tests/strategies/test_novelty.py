"""Networks that are new."""

import numpy as np
import pytest

from netwright.core import refs, seeds
from netwright.core.errors import InvalidGenotype
from netwright.core.records import Result, Trial
from netwright.core.refs import Reference
from netwright.strategies.novelty import first_new, new_sample, nth_sample
from netwright.testing.toys import ToySpace


def test_samples_are_new_until_none_is():
    space, rng = ToySpace(length=1, options=3), np.random.default_rng(0)
    known, taken = {space.key((0,))}, {space.key((1,))}
    assert new_sample(space, known, taken, rng) == (2,)
    assert new_sample(space, known | {space.key((2,))}, taken, rng) is None


def test_of_candidates_the_first_is_taken_that_is_admitted_and_new():
    class Picky(ToySpace):
        def check(self, genotype):
            if genotype == (0,):
                raise InvalidGenotype("not this one")

    space = Picky(length=1, options=4)
    known, taken, candidates = {space.key((1,))}, {space.key((2,))}, [(0,), (1,), (2,), (3,), (0,)]
    assert first_new(space, candidates, known, taken) == (3,)
    assert first_new(space, iter(candidates[:3]), known, taken) is None


class Started(ToySpace):
    """A toy space with networks that are known to work."""

    def starts(self):
        return ((3,) * self.length, (2,) * self.length, (1,) * self.length)


def test_starts_come_before_samples_in_their_order():
    space, rng = Started(), np.random.default_rng(0)
    first, second, third = space.starts()
    assert new_sample(space, set(), set(), rng) == first
    assert new_sample(space, {space.key(first)}, {space.key(third)}, rng) == second
    assert new_sample(space, set(map(space.key, space.starts())), set(), rng) not in space.starts()
    assert [nth_sample(space, asked, rng) for asked in range(3)] == [first, second, third]
    assert nth_sample(space, 3, rng) not in space.starts()


def test_a_space_without_starts_draws_what_it_always_drew():
    plain, started = ToySpace(), Started()
    expected = plain.sample(np.random.default_rng(0))
    assert new_sample(plain, set(), set(), np.random.default_rng(0)) == expected
    assert nth_sample(plain, 0, np.random.default_rng(0)) == expected
    known = set(map(started.key, started.starts()))
    assert new_sample(started, known, set(), np.random.default_rng(0)) == expected, "starts use no random numbers"


@pytest.mark.parametrize(
    "name",
    [
        *("aging", "asha", "auto", "bayes", "bohb", "local_search", "nao", "non_aging", "predictor", "random"),
        *("tournament", "vega_bohb"),
    ],
)
@pytest.mark.parametrize("is_parallel", [False, True])
def test_every_strategy_begins_with_the_starts(name, is_parallel):
    """With one worker, and with as many as there are proposals; a start that fails is not repeated."""
    space = Started()
    strategy = refs.load("strategy", Reference(name), space=space)
    pending, found = [], []
    for n in range(1, 5):
        proposal = strategy.ask(seeds.rng_for(0, seeds.ASK, n), tuple(pending))
        found.append(proposal.genotype)
        result = Result(failure="error") if n == 1 else Result({"valid_accuracy": 0.5})
        scores = None if n == 1 else (0.5,)
        status = "failed" if n == 1 else "done"
        trial = Trial(n, proposal, space.key(proposal.genotype), 0, status, result, scores, n)
        if is_parallel:
            pending.append(trial)
        else:
            strategy.tell(trial, seeds.rng_for(0, seeds.TELL, n))
    assert tuple(found[:3]) == space.starts()
    assert proposal.continues is not None or found[3] not in space.starts(), "a promotion, or a sample"
