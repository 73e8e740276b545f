import itertools

import numpy as np
import pytest

from netwright.core import genes, seeds
from netwright.core.errors import BadReference, InvalidGenotype
from netwright.core.genes import Choice, Integer, Real
from netwright.core.records import Trial
from netwright.strategies import predictor
from netwright.strategies.local_search import LocalSearch
from netwright.strategies.predictor import Predictor
from netwright.testing.toys import ToySpace
from tests.strategies.playing import play, trial_of

RNGS = [np.random.default_rng(n) for n in range(200)]


class Plain:
    """Any genes; no network."""

    def __init__(self, *space):
        self.genes = space

    def sample(self, rng):
        return genes.sample(self.genes, rng)

    def mutate(self, genotype, rng):
        return genes.mutate(self.genes, genotype, rng)

    def check(self, genotype):
        genes.check(self.genes, genotype)

    def key(self, genotype):
        return genes.to_json(genotype)


def _rugged(genotype):
    """Neighbors that must fit each other, and a pool that spoils what follows it."""
    pairs = itertools.pairwise(genotype)
    return sum((3 * a + b) % 4 for a, b in pairs) - 4.0 * (genotype[0] == 2)


def test_it_finds_in_60_trials_what_local_search_does_not():
    space = ToySpace(length=10)

    def mean(make):
        return np.mean([max(value for _, value in play(space, make(), _rugged, 60, seed)) for seed in range(4)])

    assert mean(lambda: Predictor(space)) > mean(lambda: LocalSearch(space)) + 1


def test_numbers_are_searched_as_well_as_choices():
    space = Plain(Real("x", -1.0, 1.0), Integer("n", 0, 50), Choice("c", ("a", "b", "c")))
    found = play(space, Predictor(space), lambda g: -((g[0] - 0.3) ** 2) - ((g[1] - 17) / 50) ** 2 - (g[2] != 1), 60)
    (x, n, c), _ = max(found, key=lambda pair: pair[1])
    assert abs(x - 0.3) < 0.1
    assert abs(n - 17) <= 3
    assert c == 1


def test_no_network_is_asked_twice_and_a_space_comes_to_its_end():
    space = Plain(Choice("a", ("x", "y", "z")), Choice("b", ("x", "y", "z")))
    found = play(space, Predictor(space, initial=4), sum, 20)
    assert sorted(genotype for genotype, _ in found) == [(a, b) for a in range(3) for b in range(3)]


def test_pending_trials_are_neither_asked_again_nor_ignored():
    space = ToySpace(length=8)
    strategy = Predictor(space, initial=10)
    play(space, strategy, _rugged, 20)
    pending = []
    for n in range(21, 31):
        proposal = strategy.ask(seeds.rng_for(0, seeds.ASK, 21), tuple(pending))  # the same randomness each time
        pending.append(Trial(n, proposal, space.key(proposal.genotype), 0, "running"))
    assert len({trial.key for trial in pending}) == 10
    model, _ = strategy._posterior([])
    with_pending, _ = strategy._posterior([trial.proposal.genotype for trial in pending])
    asked = strategy._encoder.encode([pending[0].proposal.genotype])
    assert with_pending.predict(asked)[1] < model.predict(asked)[1]
    assert with_pending.predict(asked)[0] == pytest.approx(model.predict(asked)[0], abs=0.05)


def test_a_region_that_fails_is_left():
    space = ToySpace(length=6)
    found = play(space, Predictor(space), lambda g: None if g[0] == 3 else float(sum(g)), 60)
    late = [value for _, value in found[30:]]
    assert sum(value is None for value in late) < len(late) / 4
    assert max(value for value in late if value is not None) >= 16


def test_nothing_but_failures_is_random_search():
    space = ToySpace(length=6)
    assert len(play(space, Predictor(space), lambda _g: None, 30)) == 30


def test_equal_scores_are_no_fault():
    space = ToySpace(length=6)
    assert len(play(space, Predictor(space), lambda _g: 1.0, 30)) == 30


def test_parameters_depend_on_what_was_told_and_not_on_when_it_was_asked():
    space = ToySpace(length=6)
    played = Predictor(space)
    history = play(space, played, _rugged, 40)
    fresh = Predictor(space)
    for n, (genotype, value) in enumerate(history, start=1):
        fresh.tell(trial_of(space, n, genotype, value), seeds.rng_for(0, seeds.TELL, n))
    rng = seeds.rng_for(0, seeds.ASK, 41)
    assert fresh.ask(rng, ()) == played.ask(seeds.rng_for(0, seeds.ASK, 41), ())


def test_of_equal_scores_the_same_are_seen_whenever_it_is_asked():
    space = ToySpace(length=6)
    played, rng = Predictor(space), np.random.default_rng(0)
    for n in range(1, 131):
        genotype = space.sample(rng)
        played.tell(trial_of(space, n, genotype, float(sum(genotype) // 4)), rng)
    best = predictor.LEARN_FROM // 2
    prompt = played._positions(best, 0, best)
    played.tell(trial_of(space, 131, space.sample(rng), 0.0), rng)
    assert played._positions(best, 0, best, 130) == prompt


def test_a_sparse_table_is_searched_by_the_model_to_its_end():
    class Sparse(Plain):
        rows = frozenset(genes.sample([Choice(f"g{n}", tuple("abcdefgh")) for n in range(4)], rng) for rng in RNGS)

        def sample(self, rng):
            return sorted(self.rows)[int(rng.random() * len(self.rows))]

        def mutate(self, genotype, rng):
            return self.sample(rng)

        def check(self, genotype):
            if genotype not in self.rows:
                raise InvalidGenotype("no row")

    space = Sparse(*(Choice(f"g{n}", tuple("abcdefgh")) for n in range(4)))
    strategy = Predictor(space)
    play(space, strategy, sum, 20)
    rng = np.random.default_rng(1)
    model, best = strategy._posterior([])
    ranked = strategy._ranked(model, best, [strategy._told[-1][1]], rng)
    first = next(genotype for genotype in ranked if genotype in space.rows)
    assert strategy._best_new(np.random.default_rng(2), (), set()) is not None
    assert sum(genotype in space.rows for genotype in ranked) > 30
    assert first not in strategy._seen


def test_the_model_sees_a_bounded_part_of_a_long_history():
    space = ToySpace(length=12)
    strategy = Predictor(space)
    rng = np.random.default_rng(0)
    for n in range(1, 2001):
        genotype = space.sample(rng)
        strategy.tell(trial_of(space, n, genotype, float(sum(genotype))), rng)
    seen = strategy._positions(predictor.BEST, predictor.LATEST, predictor.OTHERS)
    assert len(seen) <= predictor.BEST + predictor.LATEST + predictor.OTHERS
    best = sorted(range(2000), key=lambda n: -strategy._told[n][0])[:50]
    assert set(best) <= set(seen)
    assert {1999, 1950, 0} <= set(seen)
    assert strategy.ask(seeds.rng_for(0, seeds.ASK, 2001), ()) is not None


def test_targets_are_ranks_and_failures_stand_at_the_lower_quartile():
    space = ToySpace(length=6)
    strategy = Predictor(space)
    scores = [1.0, 2.0, 3.0, 4000.0, None]
    for n, score in enumerate(scores, start=1):
        strategy.tell(trial_of(space, n, space.sample(np.random.default_rng(n)), score), np.random.default_rng(0))
    targets = strategy._targets(range(5))
    assert targets.mean() == pytest.approx(0)
    assert targets.std() == pytest.approx(1)
    assert targets[3] - targets[2] == pytest.approx(targets[1] - targets[0])
    assert targets[0] < targets[4] < targets[1]


def test_expected_improvement_of_a_normal_variable():
    draws = np.random.default_rng(0).normal(0.5, 2.0, 1_000_000)
    expected = np.maximum(draws - 1.0, 0.0).mean()
    assert predictor.gain(np.array([0.5]), np.array([2.0]), 1.0) == pytest.approx([expected], rel=5e-3)


def test_on_a_plateau_every_third_choice_is_a_posterior_draw():
    space = ToySpace(length=6)
    strategy = Predictor(space)
    play(space, strategy, lambda g: float(g == (0,) * 6), 12 + predictor.PATIENCE + 1)
    told = len(strategy._told)
    model, best = strategy._posterior([])
    drawn = []
    for extra in range(3):
        strategy._told.extend([strategy._told[-1]] * (1 if extra else 0))
        first = strategy._ranked(model, best, [(0,) * 6], np.random.default_rng(0))
        drawn.append(first)
    assert len(strategy._told) == told + 2
    assert sum(a != b for a, b in itertools.pairwise(drawn)) >= 1


@pytest.mark.parametrize(
    ("options", "message"),
    [({"objectives": ("a", "-b")}, "models one objective, the run has 2"), ({"initial": 1}, "must be at least 2")],
)
def test_options_that_make_no_search_are_refused(options, message):
    with pytest.raises(BadReference, match=message):
        Predictor(ToySpace(), **options)
