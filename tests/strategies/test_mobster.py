import itertools
from dataclasses import dataclass, replace

import numpy as np
import pytest

from netwright.core import seeds
from netwright.core.errors import BadReference
from netwright.core.records import Proposal, Result, Trial
from netwright.strategies import mobster
from netwright.strategies.asha import Asha
from netwright.strategies.mobster import Mobster
from netwright.testing.toys import ToySpace
from tests.strategies.halving import SPACE, Played, check_promotions

LADDER = (1, 3, 9)


@dataclass(frozen=True)
class Started(ToySpace):
    """A toy space that knows networks that work."""

    def starts(self):
        return ((3,) * 6 + (0,) * 6, (0,) * 6 + (3,) * 6, (2,) * 12)


def _rugged(genotype):
    """Neighbors that must fit each other."""
    return sum((3 * a + b) % 4 for a, b in itertools.pairwise(genotype)) / 33


def _curve(genotype, rung, rng):
    """What is measured: long trainings are better, and slower networks gain more; short ones are noisy."""
    return _rugged(genotype) - 0.3 * 0.5**rung * (1 + 0.1 * genotype[0]) + rng.normal(0, 0.02 / (1 + rung))


def _best_for(budget, make, seed):
    """The true score of the best on the highest rung after so many epochs, and how many trials it took."""
    strategy, spent, number, found = make(), 0, 0, (-np.inf, 0.0)
    while True:
        number += 1
        proposal = strategy.ask(seeds.rng_for(seed, seeds.ASK, number), ())
        rung = int(proposal.notes["rung"])
        spent += LADDER[rung] - (LADDER[rung - 1] if rung else 0)
        if spent > budget:
            return found[1], number
        score = _curve(proposal.genotype, rung, seeds.rng_for(seed, seeds.TRAIN, number))
        if rung == len(LADDER) - 1:
            found = max(found, (score, _rugged(proposal.genotype)))
        key, result = SPACE.key(proposal.genotype), Result({"score": score})
        trial = Trial(number, proposal, key, 0, "done", result, (score,), number)
        strategy.tell(trial, seeds.rng_for(seed, seeds.TELL, number))


def test_at_equal_cost_it_finds_better_networks_than_asha():
    ours, asha = (np.mean([_best_for(250, lambda c=c: c(SPACE), s)[0] for s in range(6)]) for c in (Mobster, Asha))
    assert ours > asha + 0.04


def test_the_starts_come_first_then_networks_near_them():
    space = Started()
    played = Played(Mobster(space, random_fraction=0.0, eta=9), space=space)
    fresh = [trial.proposal for trial in played.run(7) if trial.proposal.continues is None]
    assert [each.genotype for each in fresh[:3]] == list(space.starts())
    for each in fresh[3:]:
        assert each.parents
        apart = [
            sum(a != b for a, b in zip(each.genotype, played.by_id(n).proposal.genotype, strict=True))
            for n in each.parents
        ]
        assert 1 <= min(apart) <= 3
    assert not any(each.notes["modeled"] for each in fresh)


def test_starts_are_not_asked_twice_by_several_workers():
    space = Started()
    played = Played(Mobster(space), space=space)
    assert {played.ask().genotype for _ in range(3)} == set(space.starts())
    assert played.ask().genotype not in space.starts()


def test_the_stated_share_of_fresh_networks_is_random():
    played = Played(Mobster(SPACE, random_fraction=0.5, eta=1000))
    fresh = [trial.proposal for trial in played.run(100)][10:]
    assert 30 < sum(each.notes["modeled"] for each in fresh) < 60


def test_promotions_are_those_of_successive_halving():
    played = Played(Mobster(SPACE, least_chance=0.0))
    check_promotions(played.run(80, workers=4), LADDER)
    assert {trial.proposal.budget for trial in played.finished} == set(LADDER)


def _row(n, score, budget=1, before=None, **metrics):
    proposal = Proposal((n % 4, *divmod(n, 4)) + (0,) * 9, (), budget, before, {"rung": LADDER.index(budget)})
    if before is not None:
        proposal = replace(proposal, genotype=(before % 4, *divmod(before, 4)) + (0,) * 9)
    return Trial(n, proposal, SPACE.key(proposal.genotype), 0, "done", Result(metrics), (score,), n)


def _told(strategy, rows):
    for row in rows:
        strategy.tell(row, seeds.rng_for(0, seeds.TELL, row.finish))
    return strategy


def _with_known_gains():
    """Five networks on the upper of two rungs, each with about 10 points more than below; and one that waits."""
    below = [_row(n, 80.0 + n) for n in range(1, 6)]
    above = [_row(5 + n, 90.0 + n + 0.2 * (n % 2), 3, n) for n in range(1, 6)]
    return [*below, *above, *(_row(10 + n, 10.0) for n in range(1, 10))]


@pytest.mark.parametrize(("score", "is_promoted"), [(84.9, True), (70.0, False)])
def test_a_trial_that_cannot_become_the_best_is_not_promoted(score, is_promoted):
    told = [*_with_known_gains(), _row(20, score)]
    strategy = _told(Mobster(SPACE, budgets=(1, 3), eta=2), told)
    assert (strategy.ask(seeds.rng_for(0, seeds.ASK, 21), ()).continues == 20) == is_promoted
    patient = _told(Mobster(SPACE, budgets=(1, 3), eta=2, least_chance=0.0), told)
    assert patient.ask(seeds.rng_for(0, seeds.ASK, 21), ()).continues == 20


@pytest.mark.parametrize("plugin", [Mobster, Asha])
def test_a_training_that_ended_by_itself_is_not_promoted(plugin):
    told = [_row(1, 0.9, stopped_early=1.0), _row(2, 0.5), _row(3, 0.4), _row(4, 0.3), _row(5, 0.2), _row(6, 0.1)]
    assert _told(plugin(SPACE), told).ask(seeds.rng_for(0, seeds.ASK, 7), ()).continues == 2


def test_a_small_space_ends_when_all_promotions_are_done_the_hopeless_too():
    space = ToySpace(length=2, options=3)
    played = Played(Mobster(space), space=space, score=lambda _genotype: 1.0)
    played.run(100)
    assert sorted(trial.proposal.budget for trial in played.finished) == [1] * 9 + [3] * 3 + [9]
    assert played.ask() is None


def test_what_an_ask_looks_at_is_bounded():
    strategy = Mobster(SPACE)
    rng = np.random.default_rng(0)
    for n in range(1, 1500):
        genotype = SPACE.sample(rng)
        row = Trial(n, Proposal(genotype, budget=1), str(n), 0, "done", Result(), (_rugged(genotype),), n)
        strategy.tell(row, rng)
    seen = strategy._chosen(mobster.BEST, mobster.LATEST, mobster.OTHERS).observations
    assert len(seen) <= mobster.BEST + mobster.LATEST + mobster.OTHERS
    assert max(_rugged(genotype) for genotype in strategy._trial_of) == max(each.score for each in seen)
    assert len(strategy._lesson.observations) <= mobster.LEARN_FROM


def test_scores_as_large_as_floating_point_has_them_end_nothing():
    scores = itertools.cycle([1e308, -1e308, 0.0, 1.0, None])
    played = Played(Mobster(SPACE, eta=2), score=lambda _genotype: next(scores))
    assert len(played.run(60, workers=2)) == 60


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"initial": 1}, "strategy.initial is 1; it must be at least 2"),
        ({"random_fraction": 1.5}, r"strategy.random_fraction is 1.5; it must be in \[0, 1\]"),
        ({"least_chance": 0.5}, "strategy.least_chance is 0.5; it must be at least 0, and below 0.5"),
        ({"least_chance": float("nan")}, "strategy.least_chance is nan"),
        ({"budgets": (3, 1)}, "strategy.budgets is"),
        (
            {"objectives": ("a", "-b")},
            "mobster ranks by one objective, the run has 2.*takes several: mobo, nago_mobo, nsga2, random",
        ),
    ],
)
def test_options_that_make_no_search_are_refused(options, message):
    with pytest.raises(BadReference, match=message):
        Mobster(SPACE, **options)
