"""Which networks train in a step: alike, by size, at both ends, or every option as often."""

from collections import Counter

import numpy as np
import pytest

from netwright.core.records import IO
from netwright.spaces.nats import NatsTopology
from netwright.training.path_sampling import Paths

SPACE, SHAPE = NatsTopology(channels=4, repeats=1), IO(3, 8, 8, 10)
SMALL, MIDDLE, LARGE = (1,) * 6, (2,) * 6, (3,) * 6  # skip connections, 1x1, 3x3


def _drawn(way, steps, members=(MIDDLE, SMALL, LARGE), count=1, seed=3, space=SPACE):
    paths = Paths(space, SHAPE, members, way, count, seed)
    return [paths.of(step) for step in range(steps)]


@pytest.mark.parametrize("way", ["uniform", "params", "fair", "sandwich"])
def test_a_step_draws_the_same_whatever_was_drawn_before(way):
    whole = _drawn(way, 9, count=3)
    assert Paths(SPACE, SHAPE, (MIDDLE, SMALL, LARGE), way, 3, 3).of(8) == whole[8]
    assert _drawn(way, 9, count=3, seed=4) != whole
    assert all(len(step) == 3 for step in whole)


def test_members_are_drawn_alike_or_by_their_parameters():
    found = Counter(path for (path,) in _drawn("uniform", 600))
    assert all(150 < found[each] < 250 for each in (SMALL, MIDDLE, LARGE))
    found = Counter(path for (path,) in _drawn("params", 600))
    params = np.array([SPACE.count(each, SHAPE).params for each in (SMALL, MIDDLE, LARGE)])
    shares = np.array([found[each] for each in (SMALL, MIDDLE, LARGE)]) / 600
    assert shares == pytest.approx(params / params.sum(), abs=0.06)


def test_a_sandwich_has_the_largest_and_the_smallest_in_each_step():
    for step in _drawn("sandwich", 5, count=3):
        assert step[:2] == (LARGE, SMALL)


def test_fair_steps_have_every_option_of_every_gene_as_often():
    (first, second), whole = _drawn("fair", 2, count=5), _drawn("fair", 10)
    assert (*first, *second) == tuple(path for (path,) in whole)  # whether they share steps or not
    for step in (first, second):
        for options in zip(*step, strict=True):
            assert sorted(options) == [0, 1, 2, 3, 4]
    assert len(set(first)) == 5


def test_where_a_fair_network_is_none_a_member_trains():
    class Picky(NatsTopology):
        def check(self, genotype):
            super().check((9,))

    assert {path for (path,) in _drawn("fair", 5, (SMALL,), space=Picky(channels=4, repeats=1))} == {SMALL}
