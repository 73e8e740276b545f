from collections import Counter

import pytest

from netwright.core import seeds
from netwright.core.records import Proposal, Result, Trial
from netwright.strategies.aging import AgingEvolution
from netwright.testing.toys import ToySpace

SPACE = ToySpace()
STREAMS = seeds.Streams(0)


def _rng(n=0):
    return seeds.rng_for(0, seeds.ASK, n)


def _pending(count, first=1):
    return tuple(Trial(n, Proposal((0,) * 12), str(n), n, "pending") for n in range(first, first + count))


def _tell(strategy, trial_id, score, genotype=(0,) * 12, finish=None):
    status, scores = ("failed", None) if score is None else ("done", (score,))
    result = Result(failure="error") if score is None else Result({"valid_accuracy": score})
    row = Trial(trial_id, Proposal(genotype), str(trial_id), 1, status, result, scores, finish or trial_id)
    strategy.tell(row, seeds.rng_for(0, seeds.TELL, trial_id))


def _parents(strategy, draws=400):
    """How often each trial is the parent, over many asks in the same state."""
    return Counter(strategy.ask(STREAMS.rng(seeds.ASK, n), ()).parents for n in range(draws))


def test_the_start_population_is_sampled_and_has_no_parents():
    strategy = AgingEvolution(SPACE, population=3, sample=2)
    for waiting in range(3):
        assert strategy.ask(_rng(waiting), _pending(waiting)) == Proposal(SPACE.sample(_rng(waiting)))


def test_as_many_as_the_population_are_sampled_whether_they_finished_or_not():
    strategy = AgingEvolution(SPACE, population=4, sample=1)
    _tell(strategy, 1, 0.5)
    assert strategy.ask(_rng(), _pending(2, first=2)).parents == ()
    assert strategy.ask(_rng(), _pending(3, first=2)).parents == (1,), "no barrier: the first to finish is a parent"


def test_no_worker_waits_for_the_first_to_finish():
    strategy = AgingEvolution(SPACE, population=2)
    assert strategy.ask(_rng(), _pending(50)) == Proposal(SPACE.sample(_rng()))


def test_after_every_later_arrival_the_oldest_is_gone_however_good():
    population = 5
    strategy = AgingEvolution(SPACE, population=population, sample=3)
    for n in range(1, 30):
        _tell(strategy, n, 1.0 / n)  # the older the better
        alive = set(range(max(1, n - population + 1), n + 1))
        assert {member.trial_id for member in strategy._members} == alive
        if n >= population:
            assert {parent for (parent,) in _parents(strategy)} <= alive


def test_age_is_the_order_of_finishing_not_of_asking():
    strategy = AgingEvolution(SPACE, population=2, sample=2)
    for finish, trial_id in enumerate((3, 1, 2), start=1):
        _tell(strategy, trial_id, 0.5, finish=finish)
    assert {member.trial_id for member in strategy._members} == {1, 2}


def test_a_failed_trial_neither_enters_nor_ages_the_others():
    strategy = AgingEvolution(SPACE, population=2, sample=1)
    for trial_id, score in ((1, 0.1), (2, 0.2), (3, None), (4, None)):
        _tell(strategy, trial_id, score)
    assert set(_parents(strategy)) == {(1,), (2,)}


def test_a_child_is_the_spaces_mutant_of_its_parent_which_stays_as_it_was():
    strategy = AgingEvolution(SPACE, population=3, sample=3, replacement=False)
    genotypes = [(n,) * 12 for n in range(3)]
    for trial_id, score in enumerate((0.2, 0.9, 0.4), start=1):
        _tell(strategy, trial_id, score, genotypes[trial_id - 1])
    for n in range(20):
        child = strategy.ask(_rng(n), ())
        assert child.parents == (2,), "all compete: the fittest wins"
        assert sum(a != b for a, b in zip(child.genotype, genotypes[1], strict=True)) <= 1
    assert [member.genotype for member in strategy._members] == genotypes


@pytest.mark.parametrize(("population", "sample"), [(100, 25), (10, 3), (7, 1)])
def test_with_replacement_the_best_wins_as_often_as_it_is_drawn_at_all(population, sample):
    """1 - (1 - 1 / population) ** sample: 0.2222 for the paper's 100 and 25."""
    strategy = AgingEvolution(SPACE, population=population, sample=sample)
    for n in range(1, population + 1):
        _tell(strategy, n, 1.0 if n == 4 else n / 1000)
    draws = 6000
    chance = 1 - (1 - 1 / population) ** sample
    assert abs(_parents(strategy, draws)[(4,)] / draws - chance) < 4 * (chance * (1 - chance) / draws) ** 0.5


def test_without_replacement_the_best_wins_as_often_as_it_is_in_a_random_subset():
    strategy = AgingEvolution(SPACE, population=10, sample=3, replacement=False)
    for n in range(1, 11):
        _tell(strategy, n, n / 10)
    wins = _parents(strategy, 6000)
    assert abs(wins[(10,)] / 6000 - 0.3) < 4 * (0.3 * 0.7 / 6000) ** 0.5
    assert wins[(1,)] == wins[(2,)] == 0, "the two worst never are the best of three"


@pytest.mark.parametrize("replacement", [True, False])
def test_equals_win_equally_often(replacement):
    strategy = AgingEvolution(SPACE, population=4, sample=3, replacement=replacement)
    for n in range(1, 5):
        _tell(strategy, n, 0.5)
    wins = _parents(strategy, 4000)
    assert all(abs(wins[(n,)] - 1000) < 4 * (4000 * 0.25 * 0.75) ** 0.5 for n in range(1, 5))


def test_negative_scores_rank_as_numbers():
    """A minimized metric arrives as a negative score."""
    strategy = AgingEvolution(SPACE, objectives=("-params",), population=2, sample=2, replacement=False)
    _tell(strategy, 1, -1000.0)
    _tell(strategy, 2, -10.0)
    assert set(_parents(strategy, 50)) == {(2,)}


def test_the_history_is_not_kept():
    strategy = AgingEvolution(SPACE, population=10)
    for n in range(1, 1000):
        _tell(strategy, n, 0.5)
    assert len(strategy._members) == 10
