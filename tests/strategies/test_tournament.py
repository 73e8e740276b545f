import numpy as np
import pytest

from netwright.core import seeds
from netwright.core.errors import BadReference
from netwright.core.records import Proposal, Result, Trial
from netwright.strategies.tournament import Tournament, tournament_size, winning_rank
from netwright.testing.toys import ToySpace

SPACE = ToySpace()


def _rng(n=0):
    return seeds.rng_for(0, seeds.ASK, n)


def _pending(count, first=1):
    return tuple(Trial(n, Proposal((0,) * 12), str(n), n, "pending") for n in range(first, first + count))


def _tell(strategy, trial_id, score, genotype=(0,) * 12, finish=None):
    status, scores = ("failed", None) if score is None else ("done", (score,))
    result = Result(failure="error") if score is None else Result({"valid_accuracy": score})
    row = Trial(trial_id, Proposal(genotype), str(trial_id), 1, status, result, scores, finish or trial_id)
    strategy.tell(row, seeds.rng_for(0, seeds.TELL, trial_id))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objectives": ("valid_accuracy", "-params")}, "tournament ranks by one objective, the run has 2"),
        ({"objectives": ()}, "tournament ranks by one objective, the run has 0"),
        ({"initial": 0}, "strategy.initial is 0; it must be at least 1"),
        ({"share": 0.0}, r"strategy.share is 0.0; it must be in \(0, 1\]"),
        ({"share": 1.5}, "strategy.share is 1.5"),
        ({"probability": 0.0}, "strategy.probability is 0.0"),
        ({"probability": float("nan")}, "strategy.probability is nan"),
    ],
)
def test_options_that_make_no_tournament_are_refused(options, message):
    with pytest.raises(BadReference, match=message):
        Tournament(SPACE, **options)


def test_the_start_population_is_sampled_and_has_no_parents():
    strategy = Tournament(SPACE, initial=3)
    for waiting in range(3):
        proposal = strategy.ask(_rng(waiting), _pending(waiting))
        assert proposal == Proposal(SPACE.sample(_rng(waiting)))


def test_waits_while_the_whole_start_population_is_in_flight():
    strategy = Tournament(SPACE, initial=3)
    assert strategy.ask(_rng(), _pending(3)) is None
    _tell(strategy, 1, 0.5)
    assert strategy.ask(_rng(), _pending(2, first=2)).parents == (1,), "no barrier: the first to finish is a parent"


def test_waits_while_only_failures_have_finished():
    strategy = Tournament(SPACE, initial=2)
    _tell(strategy, 1, None)
    assert strategy.ask(_rng(), _pending(1, first=2)) is None


def test_samples_on_when_the_whole_start_population_failed():
    strategy = Tournament(SPACE, initial=2)
    for trial_id in (1, 2):
        _tell(strategy, trial_id, None)
    assert strategy.ask(_rng(), ()) == Proposal(SPACE.sample(_rng()))


def test_the_fittest_of_all_is_the_parent_when_all_compete():
    strategy = Tournament(SPACE, initial=3, share=1.0)
    genotypes = [(n,) * 12 for n in range(3)]
    for trial_id, score in enumerate((0.2, 0.9, 0.4), start=1):
        _tell(strategy, trial_id, score, genotypes[trial_id - 1])
    for n in range(20):
        child = strategy.ask(_rng(n), ())
        assert child.parents == (2,)
        assert sum(a != b for a, b in zip(child.genotype, genotypes[1], strict=True)) <= 1


def test_of_equal_scores_the_first_to_finish_ranks_higher():
    strategy = Tournament(SPACE, initial=3, share=1.0)
    for trial_id, finish in ((1, 3), (2, 1), (3, 2)):
        _tell(strategy, trial_id, 0.5, finish=finish)
    assert strategy.ask(_rng(), ()).parents == (2,)


def test_a_failed_trial_is_never_a_parent():
    strategy = Tournament(SPACE, initial=4, share=0.01)
    for trial_id in range(1, 5):
        _tell(strategy, trial_id, None if trial_id % 2 else 0.1)
    assert {strategy.ask(_rng(n), ()).parents for n in range(40)} == {(2,), (4,)}


def test_negative_scores_rank_as_numbers():
    """A minimized metric arrives as a negative score."""
    strategy = Tournament(SPACE, objectives=("-params",), initial=2, share=1.0)
    _tell(strategy, 1, -1000.0)
    _tell(strategy, 2, -10.0)
    assert strategy.ask(_rng(), ()).parents == (2,)


def test_equal_scores_and_genotypes_of_any_length_can_be_ranked():
    strategy = Tournament(SPACE, initial=1)
    for trial_id, genotype in enumerate(((1, 2.5), (1,), ()), start=1):
        _tell(strategy, trial_id, 0.5, genotype)
    assert len(strategy._ranking) == 3


@pytest.mark.parametrize(
    ("population", "share", "size"), [(1, 0.05, 1), (29, 0.05, 1), (31, 0.05, 2), (10, 1.0, 10), (100, 0.001, 1)]
)
def test_tournament_sizes(population, share, size):
    assert tournament_size(population, share) == size


@pytest.mark.parametrize("probability", [0.3, 1.0])
def test_a_winner_is_always_of_the_population(probability):
    for population in range(1, 12):
        for size in range(1, population + 1):
            for n in range(20):
                assert 0 <= winning_rank(population, size, probability, _rng(n)) < population


def test_the_worst_possible_draws_stay_within_the_population():
    """The largest number below 1, over and over: never past the last rank."""

    class Edge:
        def random(self):
            return np.nextafter(1.0, 0.0)

    assert winning_rank(10, 3, 1.0, Edge()) <= 7
    assert winning_rank(10, 3, 0.5, Edge()) <= 9
    assert winning_rank(7, 7, 1.0, Edge()) == 0
