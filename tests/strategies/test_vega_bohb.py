import numpy as np
import pytest

from netwright.core import seeds
from netwright.core.errors import BadReference
from netwright.core.genes import Integer, Real
from netwright.strategies.vega_bohb import vega_bohb
from netwright.testing.toys import ToySpace
from tests.strategies.halving import SPACE, Played, check_promotions

RELEASED = {"min_budget": 30, "max_budget": 120, "eta": 2}


class Numbers(ToySpace):
    """Genes such as those of generators of networks."""

    genes = (Real("p", 0.0, 1.0), Real("q", 0.0, 1.0), Integer("n", 0, 40))


def test_an_iteration_is_that_of_the_program():
    """Section 6.1 of the specification: 4, 2 and 1, then 2 and 1, then 1: 11 evaluations, 720 epochs."""
    played = Played(vega_bohb(SPACE, **RELEASED))
    found = [(int(t.proposal.notes["bracket"]), t.proposal.budget) for t in played.run(11)]
    assert found == [*[(0, 30)] * 4, *[(0, 60)] * 2, (0, 120), *[(1, 60)] * 2, (1, 120), (2, 120)]
    assert sum(budget for _, budget in found) == 720
    assert sum(trial.proposal.continues is None for trial in played.finished) == 7
    check_promotions(played.finished, (30, 60, 120))
    assert played.ask().notes["bracket"] == 3


def test_the_first_bracket_is_random_and_every_later_network_the_models():
    played = Played(vega_bohb(SPACE, **RELEASED))
    notes = [trial.proposal.notes for trial in played.run(60) if trial.proposal.continues is None]
    assert [note["modeled"] for note in notes] == [int(note["bracket"] > 0) for note in notes]


def test_a_bracket_learns_from_earlier_ones_at_the_budget_on_which_it_starts():
    played = Played(vega_bohb(SPACE, **RELEASED))
    learned, process = {}, played.strategy.model._learned

    def noted(trials):
        learned[len(played.finished)] = [trial.trial_id for trial in trials]
        return process(trials)

    played.strategy.model._learned = noted
    played.run(12)
    ids = {trial.id: (trial.proposal.notes["bracket"], trial.proposal.budget) for trial in played.finished}
    assert [ids[number] for number in learned[7]] == [(0, 60)] * 2
    assert learned[8] == learned[7], "its own trials are not seen"
    assert [ids[number] for number in learned[10]] == [(0, 120), (1, 120)]
    assert [ids[number] for number in learned[11]] == [(0, 30)] * 4


@pytest.mark.parametrize("seed", range(2))
def test_the_model_finds_what_samples_do_not(seed):
    space, score = Numbers(), lambda g: -((g[0] - 0.3) ** 2) - (g[1] - 0.8) ** 2 - ((g[2] - 17) / 40) ** 2
    played = Played(vega_bohb(space, **RELEASED), score, space, asked=1000 * seed)
    late = [trial.scores[0] for trial in played.run(110)[33:] if trial.proposal.continues is None]
    samples = [score(space.sample(seeds.rng_for(seed, seeds.TELL, n))) for n in range(200)]
    assert np.median(late) > np.quantile(samples, 0.85)
    assert max(late) > max(samples)


def test_failures_are_the_worst_and_no_bracket_waits_for_them():
    played = Played(vega_bohb(SPACE, **RELEASED), lambda genotype: None if genotype[0] else float(sum(genotype)))
    played.run(150, workers=3)
    check_promotions(played.finished, (30, 60, 120))
    assert len(played.strategy.hyperband.open) < 8
    failed = [t.scores is None for t in played.finished if t.proposal.continues is None]
    assert np.mean(failed[60:]) < 0.5 < np.mean(failed[:12]), "of four values of the first gene, three fail"


def test_asking_depends_on_what_was_told_alone():
    played = Played(vega_bohb(SPACE, **RELEASED))
    history = played.run(60, workers=5)
    fresh = vega_bohb(SPACE, **RELEASED)
    for trial in history:
        fresh.tell(trial, seeds.rng_for(0, seeds.TELL, trial.finish))
    assert fresh == played.strategy
    pending = tuple(played.pending)
    for n in range(5):
        rngs = seeds.rng_for(0, seeds.ASK, n), seeds.rng_for(0, seeds.ASK, n)
        assert fresh.ask(rngs[0], pending) == played.strategy.ask(rngs[1], pending)


def test_no_network_is_asked_for_twice_and_a_small_space_ends():
    space = ToySpace(length=2, options=3)
    played = Played(vega_bohb(space), space=space)
    played.run(100)
    fresh = [trial.key for trial in played.finished if trial.proposal.continues is None]
    assert len(fresh) == len(set(fresh)) == 9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objectives": ("a", "-b")}, "vega_bohb ranks by one objective, the run has 2"),
        ({"samples": 0}, "strategy.samples is 0; it must be at least 1"),
        ({"eta": 1}, "strategy.eta is 1"),
    ],
)
def test_options_that_make_no_search_are_refused(options, message):
    with pytest.raises(BadReference, match=message):
        vega_bohb(ToySpace(), **options)
