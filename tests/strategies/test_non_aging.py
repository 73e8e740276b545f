from dataclasses import replace

from netwright.core import seeds
from netwright.core.records import Proposal, Result, Trial
from netwright.strategies.non_aging import WORST, NonAgingEvolution
from netwright.testing.toys import ToySpace

SPACE = ToySpace()


def _rng(n=0):
    return seeds.rng_for(0, seeds.ASK, n)


def _pending(count, first=1):
    return tuple(Trial(n, Proposal((0,) * 12), str(n), n, "pending") for n in range(first, first + count))


def _tell(strategy, trial_id, score, proposal=Proposal((0,) * 12)):
    status, scores = ("failed", None) if score is None else ("done", (score,))
    result = Result(failure="error") if score is None else Result({"valid_accuracy": score})
    row = Trial(trial_id, proposal, str(trial_id), 1, status, result, scores, trial_id)
    strategy.tell(row, seeds.rng_for(0, seeds.TELL, trial_id))


def _alive(strategy):
    return {member.trial_id for member in strategy._members}


def _started(scores, **options):
    strategy = NonAgingEvolution(SPACE, population=len(scores), **options)
    for n, score in enumerate(scores, start=1):
        _tell(strategy, n, score)
    return strategy


def test_the_start_population_is_sampled_and_has_no_parents():
    strategy = NonAgingEvolution(SPACE, population=3)
    for waiting in range(5):  # the last two because nothing has finished
        assert strategy.ask(_rng(waiting), _pending(waiting)) == Proposal(SPACE.sample(_rng(waiting)))


def test_the_worst_of_the_tournament_that_chose_the_parent_dies():
    strategy = _started([0.5, 0.1, 0.9, 0.3], sample=4, replacement=False)
    proposal = strategy.ask(_rng(), ())
    assert proposal.parents == (3,)
    assert proposal.notes == {WORST: 2}
    _tell(strategy, 5, 0.0, proposal)
    assert _alive(strategy) == {1, 3, 4, 5}, "the child enters, though it is worse than the one that it replaces"


def test_whoever_was_the_worst_of_the_tournament_dies_and_nobody_else():
    for n in range(50):
        strategy = _started([0.5, 0.1, 0.9, 0.3], sample=2)
        proposal = strategy.ask(_rng(n), ())
        _tell(strategy, 5, 0.5, proposal)
        assert _alive(strategy) == {1, 2, 3, 4, 5} - {proposal.notes[WORST]}


def test_parent_and_victim_are_of_one_sample():
    strategy = _started([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], sample=2)
    rank = dict(enumerate((0.1, 0.2, 0.3, 0.4, 0.5, 0.6), start=1))
    together = 0
    for n in range(2000):
        proposal = strategy.ask(_rng(n), ())
        (best,), worst = proposal.parents, proposal.notes[WORST]
        assert rank[best] >= rank[worst]
        together += best == worst
    assert abs(together / 2000 - 1 / 6) < 4 * (1 / 6 * 5 / 6 / 2000) ** 0.5, "both draws hit the same member"


def test_the_best_dies_only_in_a_sample_of_itself_alone():
    strategy = _started([0.1, 0.2, 0.3, 0.9], sample=2)
    assert any(strategy.ask(_rng(n), ()).notes[WORST] == 4 for n in range(200))
    without = _started([0.1, 0.2, 0.3, 0.9], sample=2, replacement=False)
    assert all(without.ask(_rng(n), ()).notes[WORST] != 4 for n in range(200))


def test_the_best_stays_however_old():
    strategy = _started([0.2, 0.99, 0.3, 0.4], sample=2, replacement=False)
    for n in range(5, 200):
        _tell(strategy, n, 0.5, strategy.ask(_rng(n), ()))
    assert 2 in _alive(strategy)
    assert len(_alive(strategy)) == 4


def test_when_the_worst_has_died_meanwhile_the_worst_of_another_tournament_does():
    strategy = _started([0.5, 0.1, 0.9, 0.3], sample=4, replacement=False)
    first, second = strategy.ask(_rng(1), ()), strategy.ask(_rng(2), _pending(1, first=5))
    assert first.notes == second.notes == {WORST: 2}
    _tell(strategy, 5, 0.8, first)
    _tell(strategy, 6, 0.7, second)
    assert _alive(strategy) == {1, 3, 5, 6}


def test_a_sample_that_comes_when_the_population_is_full_takes_the_place_of_a_worst():
    strategy = _started([0.5, 0.1, 0.9], sample=3, replacement=False)
    _tell(strategy, 4, 0.6)
    assert _alive(strategy) == {1, 3, 4}


def test_while_the_population_is_not_full_nobody_dies():
    strategy = NonAgingEvolution(SPACE, population=3, sample=1)
    _tell(strategy, 1, 0.5)
    child = strategy.ask(_rng(), _pending(2, first=2))
    assert child.notes == {WORST: 1}
    _tell(strategy, 4, 0.4, child)
    assert _alive(strategy) == {1, 4}


def test_a_failed_child_takes_nobodys_place():
    strategy = _started([0.5, 0.1, 0.9], sample=3)
    _tell(strategy, 4, None, strategy.ask(_rng(), ()))
    assert _alive(strategy) == {1, 2, 3}


def test_notes_that_came_back_from_a_table_name_the_same_trial():
    """A table holds notes as floating-point numbers."""
    strategy = _started([0.5, 0.1, 0.9, 0.3], sample=4, replacement=False)
    proposal = strategy.ask(_rng(), ())
    _tell(strategy, 5, 0.8, replace(proposal, notes={WORST: 2.0}))
    assert _alive(strategy) == {1, 3, 4, 5}
