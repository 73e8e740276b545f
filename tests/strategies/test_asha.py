import itertools
from collections import Counter

import pytest

from netwright.core import seeds
from netwright.core.errors import NetwrightError
from netwright.core.records import Proposal, Trial
from netwright.strategies.asha import Asha
from netwright.testing.toys import ToySpace
from tests.strategies.halving import SPACE, Played, check_promotions


def _scored(scores):
    """Scores in order of genotypes asked; promotions score as before."""
    found, left = {}, iter(scores)
    return lambda genotype: found.setdefault(genotype, None) or found.update({genotype: next(left)}) or found[genotype]


def test_a_trial_rises_when_it_is_in_the_best_third_of_its_rung():
    played = Played(Asha(SPACE), _scored([5.0, 7.0, 6.0, 1.0, 2.0, 3.0, 4.0, *[0.5] * 50]))
    for _ in range(3):
        assert played.ask().continues is None
        played.finish()
    assert played.ask().continues == 2  # 7 is the best of three
    played.finish()
    assert [played.ask().continues for _ in range(3)] == [None] * 3  # 6 and 5 are beyond the best third of three
    for _ in range(3):
        played.finish()
    assert played.ask().continues == 3  # 6 is the second of six


def test_rungs_fill_from_the_top_down():
    played = Played(Asha(SPACE, max_budget=9))
    played.run(120)
    check_promotions(played.finished, (1, 3, 9))
    counts = Counter(trial.proposal.budget for trial in played.finished)
    # a few more than a third: some were within the best third when they rose, and are not any more
    assert counts[1] / 3 - 1 < counts[3] < counts[1] / 2
    assert counts[3] / 3 - 1 < counts[9] < counts[3] / 2
    best = max(trial.scores for trial in played.finished)
    assert best in [trial.scores for trial in played.finished if trial.proposal.budget == 9]


def test_nobody_waits_and_no_trial_rises_twice():
    played = Played(Asha(SPACE))
    played.run(200, workers=8)
    assert len(played.pending) == 7
    check_promotions([*played.finished, *played.pending], (1, 3, 9))
    fresh = [trial.key for trial in played.finished if trial.proposal.continues is None]
    assert len(set(fresh)) == len(fresh)


def test_failures_count_as_the_worst_and_never_rise():
    played = Played(Asha(SPACE), lambda genotype: None if genotype[0] == 3 else float(sum(genotype)))
    played.run(150)
    check_promotions(played.finished, (1, 3, 9))
    counts = Counter(trial.proposal.budget for trial in played.finished)
    assert sum(trial.scores is None for trial in played.finished) > 10
    assert counts[1] / 3 - 1 < counts[3], "a failed trial is one of its rung"


def test_of_equals_the_first_asked_rises():
    played = Played(Asha(SPACE), lambda _genotype: 1.0)
    played.run(3)
    assert played.ask().continues == 1


def test_asking_depends_on_what_was_told_alone():
    played = Played(Asha(SPACE))
    history = played.run(100, workers=5)
    fresh = Asha(SPACE)
    for trial in history:
        fresh.tell(trial, seeds.rng_for(0, seeds.TELL, trial.finish))
    pending = tuple(played.pending)
    for n in range(5):
        rngs = seeds.rng_for(0, seeds.ASK, n), seeds.rng_for(0, seeds.ASK, n)
        assert fresh.ask(rngs[0], pending) == played.strategy.ask(rngs[1], pending)


def test_a_small_space_ends_when_all_promotions_are_done():
    space = ToySpace(length=2, options=3)
    played = Played(Asha(space), space=space)
    played.run(100)
    counts = Counter(trial.proposal.budget for trial in played.finished)
    assert counts == {1: 9, 3: 3, 9: 1}
    assert played.ask() is None


def test_a_budget_that_is_on_no_rung_is_refused_and_nothing_is_lost():
    strategy = Asha(SPACE)
    odd = Trial(3, Proposal((0,) * 12, budget=2), "key", 0, "done", scores=(1.0,), finish=1)
    with pytest.raises(
        NetwrightError, match="trial 3 was measured at the budget 2, which is not on the ladder 1, 3, 9"
    ):
        strategy.tell(odd, seeds.rng_for(0, seeds.TELL, 1))
    assert strategy == Asha(SPACE)


def test_budgets_may_be_those_of_a_table():
    played = Played(Asha(SPACE, budgets=(12, 200), eta=4))
    played.run(50)
    check_promotions(played.finished, (12, 200))
    assert [t.proposal.budget for t in itertools.islice(played.finished, 6)] == [12, 12, 12, 12, 200, 12]
