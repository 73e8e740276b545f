import numpy as np
import pytest

from netwright.core import genes, seeds
from netwright.core.errors import BadReference
from netwright.core.genes import Choice, Integer, Real
from netwright.core.records import Trial
from netwright.strategies import bayes
from netwright.strategies.bayes import Bayes
from netwright.surrogates import improvement
from netwright.testing.toys import ToySpace
from tests.strategies.playing import play, trial_of

# Surjanovic and Bingham, Virtual Library of Simulation Experiments: the Branin function, least 0.397887
BRANIN = (Real("x", -5.0, 10.0), Real("y", 0.0, 15.0))


class Plain:
    """Any genes; no network."""

    def __init__(self, *space):
        self.genes = space

    def sample(self, rng):
        return genes.sample(self.genes, rng)

    def check(self, genotype):
        genes.check(self.genes, genotype)

    def key(self, genotype):
        return genes.to_json(genotype)


def _branin(g):
    x, y = g
    bowl = y - 5.1 / (4 * np.pi**2) * x**2 + 5 / np.pi * x - 6
    return -(bowl**2 + 10 * (1 - 1 / (8 * np.pi)) * np.cos(x) + 10)


@pytest.mark.parametrize("seed", range(3))
def test_it_finds_the_least_of_branin_in_40_trials(seed):
    space = Plain(*BRANIN)
    best = max(value for _, value in play(space, Bayes(space), _branin, 40, seed))
    assert best > -0.397887 - 0.01


def test_numbers_and_choices_are_searched_together():
    space = Plain(Real("x", -1.0, 1.0), Integer("n", 0, 50), Choice("c", ("a", "b", "c")))
    found = play(space, Bayes(space), lambda g: -((g[0] - 0.3) ** 2) - ((g[1] - 17) / 50) ** 2 - (g[2] != 1), 45)
    (x, n, c), _ = max(found, key=lambda pair: pair[1])
    assert abs(x - 0.3) < 0.05
    assert abs(n - 17) <= 2
    assert c == 1


def test_the_gradient_leads_uphill_in_the_reals_alone():
    space = Plain(*BRANIN, Integer("n", 0, 5), Choice("c", ("a", "b", "c")))
    strategy, rng = Bayes(space), np.random.default_rng(0)
    play(space, strategy, lambda g: _branin(g[:2]) + g[2] + g[3], 25)
    model, best = strategy._posterior([])
    starts = [space.sample(rng) for _ in range(5)]
    ends = [strategy._climbed(model, best, genotype) for genotype in starts]
    found = [improvement.log_improvement(*model.predict(strategy._vectors(part)), best) for part in (starts, ends)]
    assert (found[1] >= found[0]).all()
    assert (found[1] - found[0]).mean() > 1
    assert [genotype[2:] for genotype in ends] == [genotype[2:] for genotype in starts]


def test_what_is_proposed_is_at_the_top_of_its_hill():
    space = Plain(*(Real(f"x{n}", 0.0, 1.0) for n in range(6)))
    strategy = Bayes(space)
    play(space, strategy, lambda g: -sum((x - 0.4) ** 2 * (n + 1) for n, x in enumerate(g)), 12)
    model, best = strategy._posterior([])
    first = strategy._ranked(model, best, np.random.default_rng(1))[0]
    x = strategy._vectors([first, strategy._climbed(model, best, first)])
    top, climbed = improvement.log_improvement(*model.predict(x), best)
    assert climbed - top < 1e-3


def test_no_network_is_asked_twice_and_a_space_comes_to_its_end():
    space = Plain(Choice("a", ("x", "y", "z")), Choice("b", ("x", "y", "z")))
    found = play(space, Bayes(space, initial=4), sum, 20)
    assert sorted(genotype for genotype, _ in found) == [(a, b) for a in range(3) for b in range(3)]


def test_pending_trials_count_as_what_is_expected_of_them():
    space = Plain(*BRANIN)
    strategy = Bayes(space)
    play(space, strategy, _branin, 13)
    pending = []
    for n in range(14, 20):
        proposal = strategy.ask(seeds.rng_for(0, seeds.ASK, 14), tuple(pending))  # the same randomness each time
        pending.append(Trial(n, proposal, space.key(proposal.genotype), 0, "running"))
    x = strategy._vectors([trial.proposal.genotype for trial in pending])
    apart = np.abs(x[:, None] - x[None]).max(-1)[np.triu_indices(6, 1)]
    assert apart.min() > 0.02, "no two at one place"
    (before, _), (after, _) = strategy._posterior([]), strategy._posterior([t.proposal.genotype for t in pending])
    assert (after.predict(x)[1] < 0.6 * before.predict(x)[1]).all()
    assert after.predict(x)[0] == pytest.approx(before.predict(x)[0], abs=0.05)


def test_a_region_that_fails_is_left():
    space = ToySpace(length=6)
    found = play(space, Bayes(space), lambda g: None if g[0] == 3 else float(sum(g)), 50)
    late = [value for _, value in found[30:]]
    assert sum(value is None for value in late) < len(late) / 4
    assert max(value for value in late if value is not None) >= 16


@pytest.mark.parametrize("score", [lambda _g: None, lambda _g: 1.0])
def test_nothing_to_learn_from_is_no_fault(score):
    space = ToySpace(length=6)
    assert len(play(space, Bayes(space), score, 25)) == 25


def test_targets_are_standardized_and_failures_the_worst():
    space = ToySpace(length=6)
    strategy = Bayes(space)
    for n, score in enumerate([1.0, 2.0, 6.0, None], start=1):
        genotype = space.sample(np.random.default_rng(n))
        strategy.tell(trial_of(space, n, genotype, score), np.random.default_rng(0))
    targets = strategy._targets(range(4))
    assert targets == pytest.approx((np.array([1, 2, 6, 1]) - 2.5) / np.std([1, 2, 6, 1]))


def test_asking_depends_on_what_was_told_alone():
    space = Plain(*BRANIN)
    played, fresh = Bayes(space), Bayes(space)
    for n, (genotype, value) in enumerate(play(space, played, _branin, 33), start=1):
        fresh.tell(trial_of(space, n, genotype, value), seeds.rng_for(0, seeds.TELL, n))
    rngs = seeds.rng_for(0, seeds.ASK, 34), seeds.rng_for(0, seeds.ASK, 34)
    assert fresh.ask(rngs[0], ()) == played.ask(rngs[1], ())


def test_the_model_sees_a_bounded_part_of_a_long_history():
    space = ToySpace(length=12)
    strategy, rng = Bayes(space), np.random.default_rng(0)
    for n in range(1, 2001):
        genotype = space.sample(rng)
        strategy.tell(trial_of(space, n, genotype, float(sum(genotype))), rng)
    seen = strategy._positions(bayes.BEST, bayes.LATEST, bayes.OTHERS)
    assert len(seen) <= bayes.BEST + bayes.LATEST + bayes.OTHERS
    best = sorted(range(2000), key=lambda n: -strategy._told[n][0])[:50]
    assert {*best, 1999, 1950, 0} <= set(seen)
    assert strategy.ask(seeds.rng_for(0, seeds.ASK, 2001), ()) is not None


@pytest.mark.parametrize(
    ("options", "message"),
    [({"objectives": ("a", "-b")}, "bayes ranks by one objective, the run has 2"), ({"initial": 1}, "at least 2")],
)
def test_options_that_make_no_search_are_refused(options, message):
    with pytest.raises(BadReference, match=message):
        Bayes(ToySpace(), **options)
