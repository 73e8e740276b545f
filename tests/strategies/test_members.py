"""What both evolutions of a population of constant size have in common: start, options, tournament."""

import pytest

from netwright.controller import Search
from netwright.core import objectives, seeds
from netwright.core.errors import BadReference
from netwright.core.records import Proposal, Result, Trial
from netwright.core.run_file import Limits
from netwright.executors.simulated import Simulated
from netwright.stores.memory import MemoryStore
from netwright.strategies.aging import AgingEvolution
from netwright.strategies.members import Member, tournament
from netwright.strategies.non_aging import NonAgingEvolution
from netwright.testing.strategies import check_strategy
from netwright.testing.toys import ToyEvaluator, ToySpace, ToyTask

SPACE = ToySpace()
STREAMS = seeds.Streams(0)
BOTH = pytest.mark.parametrize("made", [AgingEvolution, NonAgingEvolution])


def _rng(n=0):
    return seeds.rng_for(0, seeds.ASK, n)


def _pending(count, first=1):
    return tuple(Trial(n, Proposal((0,) * 12), str(n), n, "pending") for n in range(first, first + count))


def _tell(strategy, trial_id, score):
    status, scores = ("failed", None) if score is None else ("done", (score,))
    result = Result(failure="error") if score is None else Result({"valid_accuracy": score})
    row = Trial(trial_id, Proposal((0,) * 12), str(trial_id), 1, status, result, scores, trial_id)
    strategy.tell(row, seeds.rng_for(0, seeds.TELL, trial_id))


@BOTH
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objectives": ("valid_accuracy", "-params")}, "NAME ranks by one objective, the run has 2"),
        ({"objectives": ()}, "NAME ranks by one objective, the run has 0"),
        ({"population": 0}, "strategy.population is 0; it must be at least 1"),
        ({"sample": 0}, "strategy.sample is 0; it must be at least 1"),
        (
            {"population": 10, "sample": 11, "replacement": False},
            "strategy.sample is 11; without replacement it must be at most the population, 10",
        ),
    ],
)
def test_options_that_make_no_evolution_are_refused(made, options, message):
    name = {AgingEvolution: "aging", NonAgingEvolution: "non_aging"}[made]
    with pytest.raises(BadReference, match=rf"^{message.replace('NAME', name)}"):
        made(SPACE, **options)


@BOTH
@pytest.mark.parametrize("options", [{}, {"replacement": False}, {"fill_first": True}], ids=str)
def test_keeps_the_contracts_with_a_small_population(made, options):
    check_strategy(lambda space: made(space, population=8, sample=4, **options))


@BOTH
def test_the_population_can_be_filled_before_a_child_is_made(made):
    strategy = made(SPACE, population=3, sample=2, fill_first=True)
    assert strategy.ask(_rng(2), _pending(2)) == Proposal(SPACE.sample(_rng(2)))
    assert strategy.ask(_rng(), _pending(3)) is None, "all of it is on its way"
    _tell(strategy, 2, 0.5)
    assert strategy.ask(_rng(), _pending(2, first=3)) is None
    _tell(strategy, 1, None)
    assert strategy.ask(_rng(), _pending(1, first=3)) == Proposal(SPACE.sample(_rng())), "one failed: another is drawn"
    _tell(strategy, 3, 0.2)
    assert strategy.ask(_rng(), _pending(1, first=4)) is None
    _tell(strategy, 4, 0.1)
    for waiting in range(5):
        assert strategy.ask(_rng(), _pending(waiting, first=5)).parents[0] in (2, 3, 4)


@BOTH
@pytest.mark.parametrize("workers", [1, 3, 8, 450])
def test_any_number_of_workers_fills_the_population_first_and_a_replay_goes_on(made, workers):
    """On a simulated cluster, whose trials take more or less long: exactly 20 networks without parents."""
    store = MemoryStore()
    strategy = made(SPACE, population=20, sample=5, fill_first=True)
    cluster = Simulated(ToyEvaluator(SPACE, ToyTask()), workers=workers, seconds=3600.0, sigma=0.5)
    Search(SPACE, strategy, store, cluster, limits=Limits(trials=60)).run()
    rows = objectives.with_scores(store.finished(), None)
    assert sorted(row.id for row in rows[:20]) == list(range(1, 21)), "no child was evaluated beside them"
    assert [row.id for row in sorted(rows, key=lambda row: row.id) if not row.proposal.parents] == list(range(1, 21))
    resumed = made(SPACE, population=20, sample=5, fill_first=True)
    for row in rows:
        resumed.tell(row, STREAMS.rng(seeds.TELL, row.finish))
    assert resumed.ask(_rng(), ()) == strategy.ask(_rng(), ())


@BOTH
def test_samples_on_when_the_whole_start_population_failed(made):
    strategy = made(SPACE, population=2)
    for trial_id in (1, 2):
        _tell(strategy, trial_id, None)
    assert strategy.ask(_rng(), ()) == Proposal(SPACE.sample(_rng()))


def test_a_tournament_takes_the_members_that_there_are():
    members = [Member(0.5, n, ()) for n in range(3)]
    drawn = tournament(members, 5, False, _rng())
    assert {member.trial_id for member in drawn} == {0, 1, 2}
    assert len(drawn) == 3
    assert len(tournament(members, 5, True, _rng())) == 5
