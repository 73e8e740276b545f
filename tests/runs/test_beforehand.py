import numpy as np
import pytest

from netwright.core.errors import BadReference, InvalidGenotype
from netwright.evaluators.training import Training
from netwright.runs import beforehand
from netwright.strategies.asha import Asha
from netwright.strategies.random import RandomSearch
from netwright.testing.toys import ToyEvaluator, ToySpace, ToyTask


class Fussy:
    """Refuses genotypes that begin with a 0."""

    def __init__(self):
        self.asked = []

    def check_settings(self, genotype, *, budget=None, data_is_ready=False):
        self.asked.append((genotype, budget, data_is_ready))
        if genotype[0] == 0:
            raise BadReference(f"{genotype} is refused")


def test_settings_are_refused_when_all_networks_are():
    with pytest.raises(BadReference, match=r"^\(0, 1\) is refused$"):
        beforehand.check(Fussy(), [(0, 1), (0, 2)])


def test_one_refused_network_among_others_is_a_failed_trial_later():
    evaluator = Fussy()
    beforehand.check(evaluator, [(0, 1), (1, 1), (0, 2)], data_is_ready=True)
    assert evaluator.asked == [((0, 1), None, True), ((1, 1), None, True)], "one that is not refused is enough"


def test_the_largest_budget_of_the_strategy_is_asked_for():
    evaluator = Fussy()
    beforehand.check(evaluator, [(1, 1)], Asha(ToySpace(), max_budget=27))
    assert evaluator.asked == [((1, 1), 27, False)]


def test_promotions_that_begin_anew_are_said_before():
    def said(strategy, **options):
        return beforehand.promotions(Training(ToySpace(), ToyTask(), **options), strategy)

    asha, random = Asha(ToySpace(), max_budget=27), RandomSearch(ToySpace())
    assert said(asha) == "promotions begin anew: give --evaluator.horizon 27 for them to go on"
    assert said(asha, horizon=27) == said(random) == ""
    assert beforehand.promotions(ToyEvaluator(ToySpace(), ToyTask()), asha) == "", "it trains nothing"


def test_an_evaluator_that_cannot_tell_refuses_nothing():
    beforehand.check(ToyEvaluator(ToySpace(), ToyTask()), [(0, 1)])


def test_what_does_not_fit_is_left_out_unless_nothing_fits():
    def doubled(genotype):
        if genotype[0] == 0:
            raise InvalidGenotype(f"{genotype} does not fit")
        return genotype[0] * 2

    assert beforehand.of_those_that_fit([(0,), (1,), (0,), (3,)], doubled) == [2, 6]
    with pytest.raises(InvalidGenotype, match=r"^\(0, 1\) does not fit$"):
        beforehand.of_those_that_fit([(0, 1), (0, 2)], doubled)
    assert beforehand.of_those_that_fit([], doubled) == []


def test_samples_are_those_of_the_search_to_come():
    space = ToySpace()
    found = beforehand.samples(space, 3)
    assert len(found) == beforehand.SAMPLES
    assert found == beforehand.samples(space, 3) != beforehand.samples(space, 4)
    assert all(len(genotype) == len(space.genes) for genotype in found)
    assert not np.array_equal(found[0], found[1])
