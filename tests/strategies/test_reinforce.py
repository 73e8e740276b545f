import itertools
import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from netwright.core import genes, seeds
from netwright.core.errors import BadReference, InvalidGenotype
from netwright.core.genes import Choice, Integer, Real
from netwright.core.records import Proposal, Result, Trial
from netwright.strategies.reinforce import LOG_PROBABILITY, Reinforce
from netwright.testing.strategies import check_strategy
from netwright.testing.toys import ToySpace
from tests.verified import VERIFIED

BITS = ToySpace(length=20, options=2)
UNIFORM = -20 * math.log(2)  # log-probability of 20 bits


@dataclass(frozen=True)
class Only(ToySpace):
    """Admits genotypes of which at most `most` genes are not zero; samples one."""

    length: int = 20
    options: int = 2
    most: int = 0

    def sample(self, rng):
        return (0,) * self.length

    def check(self, genotype):
        super().check(genotype)
        if sum(genotype) > self.most:
            raise InvalidGenotype(f"{sum(genotype)} genes are not zero; at most {self.most} may be")


@dataclass(frozen=True)
class Mixed(ToySpace):
    """One gene of each sort."""

    @property
    def genes(self):
        return Choice("a", ("x", "y")), Integer("b", 3, 7), Real("c", -1.0, 1.0, bins=5)

    def sample(self, rng):
        return genes.sample(self.genes, rng)


def _row(n, proposal, score, finish=None):
    status, scores = ("failed", None) if score is None else ("done", (score,))
    result = Result(failure="error") if score is None else Result({"valid_accuracy": score})
    return Trial(n, proposal, str(n), 1, status, result, scores, finish or n)


def _play(strategy, trials, seed=0, in_flight=1, score=None):
    """Rows in the order they are told, which with more than one in flight is not that of asking."""
    score = score or (lambda genotype, n: sum(genotype) / len(genotype))
    streams, waiting, told = seeds.Streams(seed), [], []
    for n in range(1, trials + in_flight):
        if n <= trials:
            waiting.append((n, strategy.ask(streams.rng(seeds.ASK, n), ())))
        if len(waiting) == in_flight or n > trials:
            number, proposal = waiting.pop(n % len(waiting))
            told.append(_row(number, proposal, score(proposal.genotype, number), len(told) + 1))
            strategy.tell(told[-1], streams.rng(seeds.TELL, len(told)))
    return told


def _weights(strategy):
    return torch.cat([parameter.detach().flatten() for parameter in strategy._controller.parameters()]).clone()


def _tell(strategy, n, score, genotype=(1,) * 20, log_probability=UNIFORM):
    proposal = Proposal(genotype, notes={LOG_PROBABILITY: log_probability})
    strategy.tell(_row(n, proposal, score), seeds.rng_for(0, seeds.TELL, n))


class NoGenes(ToySpace):
    """One genotype, which is empty."""

    genes = ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objectives": ("valid_accuracy", "-params")}, "reinforce is rewarded by one objective, the run has 2"),
        ({"batch": 0}, "strategy.batch is 0; it must be at least 1"),
        ({"hidden": 0}, "strategy.hidden is 0; it must be at least 1"),
        ({"epochs": 0}, "strategy.epochs is 0; it must be at least 1"),
        ({"lr": 0.0}, "strategy.lr is 0.0; it must be above 0 and below 1"),
        ({"clip": math.nan}, "strategy.clip is nan; it must be above 0 and below 1"),
        ({"decay": 1.0}, "strategy.decay is 1.0; it must be at least 0 and below 1"),
        ({"entropy": -1.0}, "strategy.entropy is -1.0; it must be at least 0, and finite"),
        ({"space": NoGenes()}, "this space has none; give a space to search in"),
        ({"algorithm": "a2c"}, "strategy.algorithm is 'a2c'; it must be 'ppo' or 'reinforce'"),
    ],
)
def test_options_that_make_no_search_are_refused(options, message):
    with pytest.raises(BadReference, match=message):
        Reinforce(**{"space": BITS, **options})


@pytest.mark.parametrize("algorithm", ["ppo", "reinforce"])
def test_keeps_the_contracts_when_it_learns_often(algorithm):
    check_strategy(lambda space: Reinforce(space, algorithm=algorithm, batch=5, hidden=20), seeds_tried=4)


@pytest.mark.parametrize(
    ("algorithm", "lr", "in_flight"),
    [
        ("ppo", 0.001, 1),
        ("reinforce", 0.005, 8),
        pytest.param("ppo", 0.001, 8, marks=VERIFIED),
        pytest.param("reinforce", 0.005, 1, marks=VERIFIED),
    ],
)
def test_learns_what_is_good(algorithm, lr, in_flight):
    """The share of ones in 20 bits; at the start it is a half on average, with a standard deviation of 0.11."""
    told = _play(Reinforce(BITS, algorithm=algorithm, lr=lr), 500, in_flight=in_flight)
    scores = [row.scores[0] for row in told]
    assert abs(np.mean(scores[:20]) - 0.5) < 0.1
    assert np.mean(scores[-100:]) > 0.9


def test_learns_what_depends_on_another_gene():
    """Neighboring bits that differ: each bit by itself is worth nothing."""
    told = _play(
        Reinforce(ToySpace(length=6, options=2), lr=0.002),
        1200,
        score=lambda genotype, n: np.mean([a != b for a, b in itertools.pairwise(genotype)]),
    )
    assert np.mean([row.scores[0] for row in told[-100:]]) > 0.9


def test_a_score_to_be_minimized_is_learned_from_whatever_its_scale():
    told = _play(Reinforce(BITS, ("-params",), lr=0.001), 500, score=lambda genotype, n: -1e6 * sum(genotype))
    assert np.mean([sum(row.proposal.genotype) for row in told[-100:]]) < 2


def test_before_the_first_trial_is_told_every_genotype_is_equally_likely():
    strategy = Reinforce(BITS)
    for n in range(20):
        proposal = strategy.ask(seeds.rng_for(0, seeds.ASK, n), ())
        assert proposal.genotype == BITS.sample(seeds.rng_for(0, seeds.ASK, n)), "as random search draws it"
        assert math.isclose(proposal.notes[LOG_PROBABILITY], UNIFORM, rel_tol=1e-6)


@pytest.mark.parametrize("algorithm", ["ppo", "reinforce"])
def test_a_resumed_search_learned_bit_for_bit_the_same_with_any_number_of_threads(algorithm):
    """Out of order, with failures, and cut in the middle of a batch."""
    first, again = (Reinforce(BITS, algorithm=algorithm, batch=7) for _ in range(2))
    told = _play(first, 60, in_flight=5, score=lambda genotype, n: None if n % 6 == 0 else sum(genotype) / 20)
    threads, streams = torch.get_num_threads(), seeds.Streams(0)
    try:
        torch.set_num_threads(threads + 1)
        for row in told:
            again.tell(row, streams.rng(seeds.TELL, row.finish))
        assert torch.equal(_weights(first), _weights(again))
        asked = [strategy.ask(seeds.rng_for(0, seeds.ASK, 99), ()) for strategy in (first, again)]
        assert asked[0] == asked[1]
    finally:
        torch.set_num_threads(threads)


def test_searches_with_different_seeds_start_with_different_weights():
    strategies = [Reinforce(BITS) for _ in range(2)]
    for seed, strategy in enumerate(strategies):
        strategy.tell(_row(1, Proposal((0,) * 20), 0.5), seeds.rng_for(seed, seeds.TELL, 1))
    one, other = map(_weights, strategies)
    assert not torch.equal(one, other)
    assert float(one.abs().max()) <= 0.1


def test_learns_at_multiples_of_the_batch_only_failures_counted():
    strategy, changes = Reinforce(BITS, batch=4), []
    for n, score in enumerate((0.1, None, 0.9, 0.5, 0.2, None, None, 0.4, None, None, None, None), start=1):
        before = _weights(strategy)
        _tell(strategy, n, score, tuple(int(n >> bit & 1) for bit in range(20)))
        if n > 1 and not torch.equal(before, _weights(strategy)):
            changes.append(n)
    assert changes == [4, 8], "the third batch has no score"


def test_from_a_failed_trial_nothing_is_learned():
    """Another genotype that failed makes no difference."""
    weights = []
    for failed in ((0,) * 20, (1,) * 20):
        strategy = Reinforce(BITS, batch=3)
        _tell(strategy, 1, 0.3, (0,) * 20)
        _tell(strategy, 2, None, failed)
        _tell(strategy, 3, 0.9)
        weights.append(_weights(strategy))
    assert torch.equal(*weights)


def test_what_was_drawn_long_ago_is_weighed_by_its_probability_then():
    """Where the controller has come to ask for it ever more often, PPO has nothing left to follow."""
    moved = {}
    for old in (UNIFORM, UNIFORM - math.log(2)):
        strategy = Reinforce(BITS, batch=2, epochs=1, entropy=0.0)
        strategy._baseline = 0.5
        _tell(strategy, 1, 1.0, log_probability=old)
        before = _weights(strategy)
        _tell(strategy, 2, 1.0, log_probability=old)
        moved[old] = not torch.equal(before, _weights(strategy))
    assert moved == {UNIFORM: True, UNIFORM - math.log(2): False}


def test_what_ppo_increases():
    """Schulman et al. 2017, equation 7 with clip 0.2: the smaller of ratio and clipped ratio, times the advantage."""
    strategy = Reinforce(BITS)
    ratios = torch.tensor([1.5, 1.5, 0.5, 0.5, 1.1, 100.0])
    advantages = torch.tensor([1.0, -1.0, 1.0, -1.0, 2.0, -1.0])
    gain = strategy._gain(ratios.log(), torch.zeros(6), advantages)
    assert torch.allclose(gain, torch.tensor([1.2, -1.5, 0.5, -0.8, 2.2, -10.0]))


def test_what_reinforce_increases():
    """The log-probability times the advantage, weighed by the ratio as if that were a constant."""
    strategy = Reinforce(BITS, algorithm="reinforce")
    now = torch.tensor([-2.0, -1.0], requires_grad=True)
    strategy._gain(now, torch.tensor([-2.0, -1.0 - math.log(3)]), torch.tensor([0.5, -1.0])).sum().backward()
    assert torch.allclose(now.grad, torch.tensor([0.5, -3.0]))


def test_the_baseline_is_a_moving_average_of_the_scores_before():
    strategy = Reinforce(BITS, decay=0.95)
    assert strategy._advantages([1.0, 0.0]) == [0.5, -0.5]
    assert strategy._advantages([1.0]) == pytest.approx([1 - 0.49875])  # 0.5, then 0.525, then 0.49875
    assert strategy._advantages([0.0]) == pytest.approx([-0.5238125])


def test_what_the_space_refuses_is_drawn_again():
    """About 1 in 50 sequences of 20 bits has at most 5 ones."""
    strategy = Reinforce(Only(most=5))
    drawn = [strategy.ask(seeds.rng_for(0, seeds.ASK, n), ()) for n in range(20)]
    assert all(sum(proposal.genotype) <= 5 for proposal in drawn)
    assert sum(LOG_PROBABILITY in proposal.notes for proposal in drawn) > 10, "few had to be sampled by the space"


def test_where_all_draws_are_refused_the_space_samples_one_and_it_counts_as_uniform():
    strategy, other = Reinforce(Only()), Reinforce(Only())
    proposal = strategy.ask(seeds.rng_for(0, seeds.ASK, 1), ())
    assert proposal == Proposal((0,) * 20)
    for n in range(1, 21):
        noted = Proposal((0,) * 20, notes={LOG_PROBABILITY: UNIFORM})
        strategy.tell(_row(n, proposal, n / 20), seeds.rng_for(0, seeds.TELL, n))
        other.tell(_row(n, noted, n / 20), seeds.rng_for(0, seeds.TELL, n))
    assert torch.equal(_weights(strategy), _weights(other))


def test_integers_and_reals_are_chosen_too():
    strategy = Reinforce(Mixed(), batch=10, lr=0.003)
    told = _play(strategy, 600, score=lambda genotype, n: genotype[1] + genotype[2] - genotype[0])
    assert {row.proposal.genotype[2] for row in told} == {-1.0, -0.5, 0.0, 0.5, 1.0}
    assert np.mean([row.scores[0] for row in told[-100:]]) > 7, "8 is the most"
