import math
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pytest

from netwright.controller import Search
from netwright.core import front, genes, objectives, seeds
from netwright.core.constraints import Constrained, parse
from netwright.core.errors import BadReference, InvalidGenotype
from netwright.core.genes import Real
from netwright.core.records import Proposal, Result, Trial
from netwright.core.run_file import Limits
from netwright.executors.simulated import Simulated
from netwright.stores.memory import MemoryStore
from netwright.strategies.nsga2 import Nsga2
from netwright.testing.strategies import check_strategy
from netwright.testing.toys import ToyEvaluator, ToySpace, ToyTask

SPACE = ToySpace()
ALL = (1.0, -1.0)  # what the front's ends of ZDT1 score


@dataclass(frozen=True)
class Reals(ToySpace):
    """Real genes, for the test problems of multi-objective optimization."""

    @property
    def genes(self):
        return tuple(Real(f"x{n}", 0.0, 1.0) for n in range(self.length))

    def key(self, genotype):
        return genes.digest(genes.to_json(genotype))


def zdt1(genotype):
    """Zitzler, Deb and Thiele 2000, with the signs turned, as scores are maximized."""
    x = np.array(genotype)
    g = 1 + 9 * x[1:].mean()
    return -float(x[0]), -float(g * (1 - math.sqrt(x[0] / g)))


def leading(genotype):
    """Three objectives that contradict each other: how many genes have each of the first three values."""
    counts = Counter(genotype)
    return tuple(float(counts[value]) for value in range(3))


def _row(n, proposal, scores, space=SPACE):
    done = Result({"valid_accuracy": 0.5}) if scores else Result(failure="error")
    return Trial(n, proposal, space.key(proposal.genotype), n, "done" if scores else "failed", done, scores, n)


def _told(strategy, *scores, genotypes=None):
    for n, each in enumerate(scores, 1):
        genotype = genotypes[n - 1] if genotypes else (n % 4, n // 4 % 4, *[0] * 10)
        strategy.tell(_row(n, Proposal(genotype), each), seeds.rng_for(0, seeds.TELL, n))
    return strategy


def _parents(strategy, asks=200):
    """How often each trial is a parent, over many asks in the same state."""
    asked = [strategy.ask(seeds.rng_for(0, seeds.ASK, n), ()) for n in range(asks)]
    return Counter(parent for proposal in asked for parent in proposal.parents)


def _volume(make, score, space, trials, seed, reference):
    strategy, found = make(space), []
    for n in range(1, trials + 1):
        proposal = strategy.ask(seeds.rng_for(seed, seeds.ASK, n), ())
        space.check(proposal.genotype)
        found.append(score(proposal.genotype))
        strategy.tell(_row(n, proposal, found[-1], space), seeds.rng_for(seed, seeds.TELL, n))
    return front.hypervolume(np.unique(found, axis=0), np.array(reference))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objectives": ()}, "nsga2 ranks by at least one objective, the run has none"),
        ({"population": 0}, "strategy.population is 0; it must be at least 1"),
        ({"crossover": 1.5}, r"strategy.crossover is 1.5; it must be in \[0, 1\]"),
    ],
)
def test_options_that_make_no_evolution_are_refused(options, message):
    with pytest.raises(BadReference, match=message):
        Nsga2(SPACE, **options)


@pytest.mark.parametrize("options", [{}, {"crossover": 0.0}, {"crossover": 1.0, "aging": True}], ids=str)
def test_keeps_the_contracts_with_a_small_population(options):
    check_strategy(lambda space: Nsga2(space, population=8, **options))


@pytest.mark.parametrize("options", [{}, {"aging": True}, {"crossover": 0.0}], ids=str)
def test_its_hypervolume_is_above_that_of_random_search_on_zdt1(options):
    gains = []
    for seed in range(5):
        found, drawn = (
            _volume(
                lambda space, size=size: Nsga2(space, population=size, **options), zdt1, Reals(8), 400, seed, (-1.1, -7)
            )
            for size in (30, 1000)  # a population that is never full is random search
        )
        gains.append(found - drawn)
    assert min(gains) > 0.1, gains


def test_networks_that_are_known_or_pending_are_not_asked_again_once_one_came_twice():
    space, keys, pending = ToySpace(5, 3), [], []
    strategy = Nsga2(space, population=8)
    for n in range(1, 121):
        proposal = strategy.ask(seeds.rng_for(0, seeds.ASK, n), pending)
        keys.append(space.key(proposal.genotype))
        for trial in pending:  # it finishes behind what was asked meanwhile
            row = _row(trial.id, trial.proposal, leading(trial.proposal.genotype), space)
            strategy.tell(row, seeds.rng_for(0, seeds.TELL, trial.id))
        pending = [Trial(n, proposal, keys[-1], 0, "pending")]
    repeats = [n for n, key in enumerate(keys) if key in keys[:n]]
    assert 0 < len(repeats) <= 8, "of 243 networks; without this there are 50"


def test_three_objectives_spread_over_the_whole_front():
    found, drawn = (
        _volume(lambda space, size=size: Nsga2(space, population=size), leading, ToySpace(9, 4), 400, 0, (-1, -1, -1))
        for size in (30, 1000)
    )
    assert found > 1.15 * drawn


def test_the_worst_leaves_a_full_population_and_the_rest_have_children():
    strategy = _told(Nsga2(SPACE, population=3), (0.0, 3.0), (3.0, 0.0), (1.0, 1.0), (2.0, 2.0))
    assert set(_parents(strategy)) == {1, 2, 4}, "trial 3 is dominated by trial 4"
    strategy = _told(Nsga2(SPACE, population=3), (0.0, 3.0), (3.0, 0.0), (2.0, 2.0), (1.0, 1.0))
    assert set(_parents(strategy)) == {1, 2, 3}, "the child itself is the worst"


def test_with_aging_the_oldest_leaves_however_good_it_is():
    strategy = _told(Nsga2(SPACE, population=3, aging=True), (9.0, 9.0), (3.0, 0.0), (2.0, 2.0), (1.0, 1.0))
    assert set(_parents(strategy)) == {2, 3, 4}


def test_parents_are_the_better_of_two_by_layer_and_then_by_crowding():
    strategy = _told(Nsga2(SPACE, population=4, crossover=0.0), (0.0, 9.0), (9.0, 0.0), (8.0, 1.0), (0.0, 0.0))
    found = _parents(strategy, 1600)
    # of 16 pairs the last wins only against itself, the crowded one against both of these
    assert found[4] / 1600 == pytest.approx(1 / 16, abs=0.02)
    assert found[3] / 1600 == pytest.approx(3 / 16, abs=0.03)


def test_a_network_found_again_counts_by_its_new_measurement_alone():
    first, second = (0,) * 12, (1,) * 12
    strategy = _told(Nsga2(SPACE, population=2), (9.0,), (5.0,), (1.0,), genotypes=[first, second, first])
    assert set(_parents(strategy)) == {2, 3}
    assert _parents(strategy)[2] > _parents(strategy)[3], "the lucky measurement is gone"


def test_failed_trials_never_have_children_and_count_as_asked():
    strategy = _told(Nsga2(SPACE, population=3), None, None, None)
    assert strategy.ask(seeds.rng_for(0, seeds.ASK, 4), ()).parents == (), "nobody has scores"
    strategy.tell(_row(4, Proposal((1,) * 12), (1.0, 1.0)), seeds.rng_for(0, seeds.TELL, 4))
    assert set(_parents(strategy)) == {4}


def test_children_are_crossed_where_the_space_admits_it():
    zeros, ones = (0,) * 12, (1,) * 12

    @dataclass(frozen=True)
    class Uniform(ToySpace):
        def check(self, genotype):
            if len(set(genotype)) > 1:
                raise InvalidGenotype("all values must be equal")

        def mutate(self, genotype, rng):
            return genotype

    @dataclass(frozen=True)
    class Kept(ToySpace):
        def mutate(self, genotype, rng):
            return genotype

    def asked(space):
        strategy = _told(Nsga2(space, population=2, crossover=1.0), (0.0, 1.0), (1.0, 0.0), genotypes=[zeros, ones])
        return [strategy.ask(seeds.rng_for(0, seeds.ASK, n), ()) for n in range(60)]

    mixed = [proposal for proposal in asked(Kept()) if len(set(proposal.genotype)) == 2]
    assert len(mixed) > 15 and all(sorted(proposal.parents) == [1, 2] for proposal in mixed)
    assert all(len(proposal.parents) == 1 for proposal in asked(Uniform()))


def test_constraints_hold_for_every_proposal_and_a_search_with_workers_replays():
    space = Constrained(SPACE, ToyTask.io, (parse("params <= 14"),))
    names = ("valid_accuracy", "-params")

    def searched(store, trials):
        strategy = Nsga2(space, names, population=10)
        cluster = Simulated(ToyEvaluator(SPACE, ToyTask()), workers=4, seconds=3600.0, sigma=0.5)
        Search(space, strategy, store, cluster, names, limits=Limits(trials=trials)).run()
        return [(row.id, row.proposal, row.finish) for row in store.finished()]

    halves, whole = MemoryStore(), MemoryStore()
    searched(halves, 60)
    assert all(sum(row.proposal.genotype) <= 14 for row in halves.finished())
    searched(whole, 60)
    resumed = Nsga2(space, names, population=10)
    rows = objectives.with_scores(halves.finished(), names)
    for row in rows:
        resumed.tell(row, seeds.rng_for(0, seeds.TELL, row.finish))
    fresh = Nsga2(space, names, population=10)
    for row in objectives.with_scores(whole.finished(), names):
        fresh.ask(seeds.rng_for(9, seeds.ASK, row.id), ())
        fresh.tell(row, seeds.rng_for(0, seeds.TELL, row.finish))
    rng = seeds.rng_for
    assert resumed.ask(rng(0, seeds.ASK, 61), ()) == fresh.ask(rng(0, seeds.ASK, 61), ())


def test_what_it_keeps_does_not_grow_with_the_history():
    strategy = _told(Nsga2(SPACE, population=5))
    for n in range(1, 300):
        proposal = strategy.ask(seeds.rng_for(0, seeds.ASK, n), ())
        row = replace(_row(n, proposal, (float(n % 7), float(n % 5))), key=str(n))
        strategy.tell(row, seeds.rng_for(0, seeds.TELL, n))
    assert len(strategy._members) == len(strategy._places) == 5
    assert sum(layer.bit_count() for layer in strategy._ranking.layers) == 5
