import numpy as np
import pytest
import torch

from netwright.core import front, seeds
from netwright.core.errors import BadReference
from netwright.core.genes import to_vector
from netwright.core.protocols import LearnsAside
from netwright.core.records import Proposal, Result, Trial
from netwright.spaces.hnag import HnagSpace
from netwright.strategies.nago_mobo import NagoMobo
from netwright.testing.strategies import check_failures, check_pure, check_replay
from netwright.testing.toys import ToySpace
from tests.verified import VERIFIED

SPACE = HnagSpace()
FEW = 40  # steps of a chain: enough where not the model is tested


def scored(genotype):
    """Two objectives that contradict each other along the first gene."""
    return -float(genotype[0]), float(genotype[0]) - 5.0 * float(genotype[2])


def _row(n, genotype, scores):
    done = Result({"valid_accuracy": 0.5}) if scores else Result(failure="error")
    return Trial(n, Proposal(genotype), SPACE.key(genotype), n, "done" if scores else "failed", done, scores, n)


def _told(count, score=scored, **options):
    strategy = NagoMobo(SPACE, **{"chain_steps": FEW, **options})
    for n in range(1, count + 1):
        genotype = SPACE.sample(np.random.default_rng(n))
        strategy.tell(_row(n, genotype, score(genotype)), seeds.rng_for(0, seeds.TELL, n))
    return strategy


def _batch(strategy, count=8):
    pending = []
    for n in range(count):
        proposal = strategy.ask(seeds.rng_for(0, seeds.ASK, 99 + n), pending)
        pending.append(Trial(99 + n, proposal, SPACE.key(proposal.genotype), 1, "pending"))
    return [trial.proposal.genotype for trial in pending]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objectives": ()}, "nago_mobo models at least one objective, the run has none"),
        ({"initial": 1}, "strategy.initial is 1; it must be at least 2"),
        ({"batch": 0}, "strategy.batch is 0; it must be at least 1"),
        ({"chain_steps": 19}, "strategy.chain_steps is 19; it must be at least 20"),
        ({"noise": "none"}, 'strategy.noise is "none"; it must be "heteroscedastic" or "homoscedastic"'),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(BadReference, match=message):
        NagoMobo(ToySpace(), **options)


@pytest.mark.parametrize("check", [check_pure, check_replay, check_failures])
def test_keeps_the_contracts(check):
    check(lambda space: NagoMobo(space, initial=4, batch=3, chain_steps=FEW), 12)


def test_what_is_drawn_depends_on_the_trials_told_alone_whatever_the_threads():
    torch.manual_seed(1)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    first = _batch(_told(18), 2)
    assert torch.equal(torch.get_rng_state(), before) and torch.get_num_threads() == threads
    torch.set_num_threads(threads + 3)
    try:
        assert _batch(_told(18), 2) == first
    finally:
        torch.set_num_threads(threads)
    assert _batch(_told(18, noise="homoscedastic"), 2) != first


def test_one_model_serves_a_batch_and_what_finished_since_is_penalized_like_what_is_pending():
    strategy = _told(18)
    [first, second] = _batch(strategy, 2)
    learned = strategy._learning
    strategy.tell(_row(19, first, scored(first)), seeds.rng_for(0, seeds.TELL, 19))
    assert strategy.ask(seeds.rng_for(0, seeds.ASK, 5), ()).genotype == second
    assert strategy._learning is learned
    for n in range(20, 27):
        genotype = SPACE.sample(np.random.default_rng(n))
        strategy.tell(_row(n, genotype, scored(genotype)), seeds.rng_for(0, seeds.TELL, n))
    assert not isinstance(strategy.ask(seeds.rng_for(0, seeds.ASK, 6), ()), type(None))
    assert strategy._learning is not learned, "another batch has finished"


@pytest.mark.parametrize("objectives", [1, 3])
def test_any_number_of_objectives(objectives):
    [genotype] = _batch(_told(12, lambda genotype: (*scored(genotype), float(genotype[1]))[:objectives]), 1)
    SPACE.check(genotype)


def test_failures_and_objectives_that_never_differ_are_taken():
    assert _batch(_told(12, lambda genotype: None if genotype[3] > 5 else scored(genotype)), 1)
    assert _batch(_told(12, lambda genotype: (1.0, float(genotype[0]))), 1)
    assert _batch(_told(12, lambda _genotype: None), 1), "nothing has scores: random networks"


def test_it_learns_aside():
    strategy = _told(10)
    assert isinstance(strategy, LearnsAside)
    assert _told(5).is_ready(), "nothing to learn yet"
    strategy._begun(strategy._lesson).result()
    strategy._learning[1]._thread.join()
    assert strategy.is_ready()
    assert _batch(strategy, 1) == _batch(_told(10), 1), "who never looks whether it is ready gets the same"


def _near_two(genotype):
    """Nearness to two places, both with small probabilities and bottom graphs: the front is what lies between them."""
    x = to_vector(SPACE.genes, genotype)
    low, wide = np.full(8, 0.2), np.array([0.8, 0.8, *[0.2] * 6])
    return -float(((x - low) ** 2).sum()), -float(((x - wide) ** 2).sum())


def _searched(score, seed, count, **options):
    """Scores of a search and, for comparison, of its random start with the random networks of 10 searches."""
    strategy, found = NagoMobo(SPACE, **options), []
    for n in range(1, count + 1):
        genotype = strategy.ask(seeds.rng_for(seed, seeds.ASK, n), ()).genotype
        found.append(score(genotype))
        strategy.tell(_row(n, genotype, found[-1]), seeds.rng_for(seed, seeds.TELL, n))
    others = []
    for other in range(10):
        rng = np.random.default_rng([seed, other])
        others.append(found[:10] + [score(SPACE.sample(rng)) for _ in range(count - 10)])
    return np.array(found), np.array(others)


def test_it_covers_more_than_random_networks():
    reference = np.array([-2.0, -2.0])
    for seed in range(2):
        found, others = _searched(_near_two, seed, 26, chain_steps=300)
        volumes = [front.hypervolume(each, reference) for each in others]
        assert front.hypervolume(found, reference) > 1.1 * np.mean(volumes)


@VERIFIED
@pytest.mark.parametrize(
    ("score", "reference", "gain"), [(_near_two, (-2.0, -2.0), 1.2), (scored, (-11.0, -2.0), 1.02)]
)
def test_it_covers_more_than_random_networks_after_42_trials(score, reference, gain):
    """All of the second problem's first gene is on its front, so random ones are half of the way."""
    shares = []
    for seed in range(3):
        found, others = _searched(score, seed, 42)
        volumes = [front.hypervolume(each, np.array(reference)) for each in others]
        shares.append(front.hypervolume(found, np.array(reference)) / np.mean(volumes))
        print(f"seed {seed}: {shares[-1]:.3f} of random, whose best has {max(volumes) / np.mean(volumes):.3f}")
    assert min(shares) > 1.0
    assert np.mean(shares) > gain
