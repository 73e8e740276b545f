"""Networks that are new."""

import numpy as np

from netwright.core.errors import InvalidGenotype
from netwright.strategies.novelty import first_new, new_sample
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
