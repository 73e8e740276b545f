"""Ru, Esperanca, Carlucci 2020, "Neural Architecture Generator Optimization": the search for several objectives.

What the paper reports of its surrogate is a lower negative log-likelihood at a comparable error; of its batches, that
they are of 8, kept apart by local penalization.
"""

from functools import cache

import numpy as np

from netwright.core import front, seeds
from netwright.core.records import IO, Proposal, Result, Trial
from netwright.spaces.hnag import HnagSpace
from netwright.strategies.nago_mobo import NagoMobo
from netwright.surrogates import noisy_network
from netwright.surrogates.features import Encoder
from netwright.surrogates.hamiltonian import Chains

SPACE = HnagSpace(n_top=(3, 5), n_mid=(1, 2), n_bottom=(3, 5), limit=20_000)
SMALL = IO(3, 16, 16, 10)


def _quality(is_heteroscedastic):
    """Negative log-likelihood and error on trials whose noise grows along the second of two genes."""
    rng = np.random.default_rng(0)
    x = rng.random((500, 2))
    f, noise = np.sin(4 * x[:, 0]), 0.05 + 0.7 * x[:, 1] ** 3
    y = f + noise * rng.standard_normal(500)
    f, y = ((values - y[:100].mean()) / y[:100].std() for values in (f, y))
    belief = noisy_network.learn(x[:100], y[:100, None], is_heteroscedastic, Chains(steps=600), 0).predict(x[100:])
    mean, variance = belief.mean[:, 0], belief.variance[:, 0]
    surprise = 0.5 * np.log(variance) + 0.5 * (y[100:] - mean) ** 2 / variance
    return surprise.mean(), np.sqrt(np.mean((mean - f[100:]) ** 2))


def test_27_knowing_the_noise_makes_measurements_less_surprising_at_no_larger_error():
    (noisy, noisy_error), (equal, equal_error) = _quality(True), _quality(False)
    assert noisy < equal - 0.1
    assert noisy_error < 1.2 * equal_error


def _value(genotype):
    """An accuracy that is made up, and the memory of the network of that generator, to be minimized."""
    x = noisy_network.inputs(Encoder(SPACE.genes), [genotype])[0]
    accuracy = 0.9 - float(((x - 0.4) ** 2).sum()) / 10
    return accuracy, -float(SPACE.count(genotype, SMALL).memory_per_sample or 0)


@cache
def _played():
    """A strategy that was told 18 trials, and these."""
    strategy, trials = NagoMobo(SPACE, chain_steps=200), []
    for n in range(1, 19):
        genotype = strategy.ask(seeds.rng_for(0, seeds.ASK, n), ()).genotype
        scores = _value(genotype)
        result = Result({"valid_accuracy": scores[0]})
        trials.append(Trial(n, Proposal(genotype), SPACE.key(genotype), n, "done", result, scores, n))
        strategy.tell(trials[-1], seeds.rng_for(0, seeds.TELL, n))
    return strategy, trials


def _nearest(genotypes):
    x = noisy_network.inputs(Encoder(SPACE.genes), genotypes)
    distances = np.linalg.norm(x[:, None] - x[None], axis=2)
    return distances[np.triu_indices(len(x), 1)].min()


def test_28_a_batch_of_8_has_no_duplicate_and_is_farther_apart_than_8_unpenalized_maximizers():
    strategy, trials = _played()
    pending = []
    for n in range(8):
        proposal = strategy.ask(seeds.rng_for(0, seeds.ASK, 19 + n), pending)
        pending.append(Trial(19 + n, proposal, SPACE.key(proposal.genotype), 0, "pending"))
    batch = [trial.proposal.genotype for trial in pending]
    assert len({trial.key for trial in pending}) == 8
    ranked = strategy._candidates(strategy._lesson).ranked(np.zeros((0, 8)))
    distinct = {SPACE.key(genotype): genotype for genotype in reversed(ranked[:100])}
    told = {trial.key for trial in trials}
    best_first = sorted(distinct.items(), key=lambda item: ranked.index(item[1]))
    unpenalized = [genotype for key, genotype in best_first if key not in told][:8]
    assert _nearest(batch) > _nearest(unpenalized)


def test_29_no_point_of_the_front_is_dominated_and_memory_is_the_architectures():
    _, trials = _played()
    scores = np.array([trial.scores for trial in trials])
    on_front = scores[front.nondominated(scores)]
    assert len(on_front)
    for point in on_front:
        assert not ((scores >= point).all(1) & (scores > point).any(1)).any()
    for trial in trials[:4]:
        counted = [SPACE.seeded(3).count(trial.proposal.genotype, SMALL).memory_per_sample for _ in range(2)]
        assert counted[0] == counted[1] and counted[0]
