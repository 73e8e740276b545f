import math
import os
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from netwright.controller import Search
from netwright.core import refs, seeds
from netwright.core.errors import BadReference, NetwrightError
from netwright.core.genes import Choice, Integer, Real
from netwright.core.records import Proposal, Trial
from netwright.core.run_file import Limits
from netwright.evaluators.lookup import Lookup
from netwright.executors.inline import Inline
from netwright.executors.simulated import Simulated
from netwright.stores.memory import MemoryStore
from netwright.strategies.bohb import bohb
from netwright.strategies.hyperband import Finished
from netwright.tables.csv import csv
from netwright.testing.toys import ToySpace
from tests.strategies.halving import SPACE, Played, check_promotions

NAGO = {"min_budget": 30, "max_budget": 120, "eta": 2}


def _places(trials):
    return [(int(t.proposal.notes["bracket"]), t.proposal.budget) for t in trials]


def test_one_worker_plays_the_brackets_of_nago_one_after_another():
    played = Played(bohb(SPACE, **NAGO))
    found = _places(played.run(13))
    assert found == [
        *[(0, 30)] * 4,
        *[(0, 60)] * 2,
        (0, 120),
        *[(1, 60)] * 2,
        (1, 120),
        *[(2, 120)] * 3,
    ]
    assert sum(budget for _, budget in found) == 960
    assert sum(trial.proposal.continues is None for trial in played.finished) == 9
    check_promotions(played.finished, (30, 60, 120))
    assert played.ask().notes["bracket"] == 3


def test_the_best_of_a_rung_rise_by_their_score_at_its_budget():
    """Not by the one before: the second rung turns the order round."""
    scores = {30: [1.0, 4.0, 3.0, 2.0], 60: [0.1, 0.9], 120: [0.0]}
    played = Played(bohb(SPACE, **NAGO))
    for _ in range(7):
        played.ask()
        budget = played.pending[0].proposal.budget
        played.score = lambda _genotype, budget=budget: scores[budget].pop(0)
        played.finish()
    risen = [trial.proposal.continues for trial in played.finished]
    assert risen == [None] * 4 + [2, 3] + [6]


def test_a_rung_that_waits_makes_nobody_wait():
    played = Played(bohb(SPACE, **NAGO))
    asked = [played.ask() for _ in range(12)]
    assert [proposal.notes["bracket"] for proposal in asked] == [0] * 4 + [1] * 2 + [2] * 3 + [3] * 3
    for _ in range(3):
        played.finish()  # three of the four of bracket 0
    assert played.ask().notes["bracket"] == 3
    played.finish()
    assert [(p.notes["bracket"], p.continues is None) for p in (played.ask(), played.ask())] == [(0, False)] * 2
    played.run(300, workers=9)
    check_promotions([*played.finished, *played.pending], (30, 60, 120))
    per_rung = defaultdict(Counter)
    for trial in [*played.finished, *played.pending]:
        per_rung[int(trial.proposal.notes["bracket"])][trial.proposal.budget] += 1
    for number, counts in per_rung.items():
        if number < max(per_rung) - 8:
            assert counts == [{30: 4, 60: 2, 120: 1}, {60: 2, 120: 1}, {120: 3}][number % 3], number


def test_failures_never_rise_and_no_bracket_waits_for_them():
    played = Played(bohb(SPACE, **NAGO), lambda genotype: None if genotype[0] else float(sum(genotype)))
    played.run(300, workers=3)
    assert sum(trial.scores is None for trial in played.finished) > 30
    check_promotions(played.finished, (30, 60, 120))
    assert len(played.strategy.hyperband.open) < 6, "brackets end"


def test_nothing_but_failures_goes_on():
    played = Played(bohb(SPACE), lambda _genotype: None)
    assert len(played.run(100, workers=2)) == 100
    assert all(trial.proposal.continues is None for trial in played.finished)


def test_the_model_finds_what_samples_do_not():
    def best(fraction):
        space = ToySpace(length=12)
        runs = [Played(bohb(space, random_fraction=fraction), space=space) for _ in range(3)]
        found = []
        for number, played in enumerate(runs):
            played.asked = 1000 * number  # other random numbers
            played.run(200)
            found.append(max(trial.scores[0] for trial in played.finished))
        return np.mean(found)

    assert best(1 / 3) > best(1.0) + 3


def test_the_model_is_of_the_largest_budget_with_enough_trials():
    strategy, rng = bohb(SPACE, min_points=4), np.random.default_rng(0)

    def tell(budget, count):
        ranked = strategy.model._ranked[(1, 3, 9).index(budget)]
        ranked.update(Finished(rng.random(), number, SPACE.sample(rng)) for number in range(count))
        strategy.model._densities()
        return strategy.model._model[0] if strategy.model._model else None

    assert tell(1, 5) is None
    assert tell(1, 1) == (0, 6)
    assert tell(9, 5) == (0, 6)
    assert tell(3, 6) == (1, 6)
    assert tell(9, 1) == (2, 6)
    assert tell(1, 60) == (2, 6)


def test_the_best_share_and_the_others_are_modeled_and_failures_are_others():
    strategy, rng = bohb(ToySpace(length=1, options=4), min_points=2, best_share=0.5), np.random.default_rng(0)
    for number, score in enumerate([9.0, 8.0, 1.0, None, None, 7.0], start=1):
        proposal = Proposal((number % 4,), budget=1, notes={"bracket": 0, "rung": 0})
        scores = None if score is None else (score,)
        strategy.tell(Trial(number, proposal, str(number), 0, "done", scores=scores, finish=number), rng)
    good, others = strategy.model._densities()
    assert (good.points[:, 0] * 4 - 0.5).tolist() == [1, 2, 2]  # trials 1, 2 and 6
    assert (others.points[:, 0] * 4 - 0.5).tolist() == [3, 0, 1]  # trial 3, then the failed ones, 4 and 5


def test_a_third_of_the_new_trials_is_random():
    played = Played(bohb(SPACE))
    played.run(400)
    fresh = [t.proposal.notes["modeled"] for t in played.finished[100:] if t.proposal.continues is None]
    assert 0.55 < np.mean(fresh) < 0.78
    keys = [trial.key for trial in played.finished if trial.proposal.continues is None]
    assert len(set(keys)) == len(keys)


def test_numbers_are_modeled_as_well_as_choices():
    class Plain(ToySpace):
        genes = (Real("x", -1.0, 1.0), Integer("n", 0, 50), Choice("c", ("a", "b", "c")))

    space = Plain()
    score = lambda g: -((g[0] - 0.3) ** 2) - ((g[1] - 17) / 50) ** 2 - 0.2 * (g[2] != 1)  # noqa: E731
    played = Played(bohb(space), score, space)
    modeled = [trial for trial in played.run(250) if trial.proposal.notes.get("modeled")]
    late = [trial.scores[0] for trial in modeled[-40:]]
    random = [t.scores[0] for t in played.finished if t.proposal.notes.get("modeled") == 0]
    assert np.median(late) > np.quantile(random, 0.9)


def test_asking_depends_on_what_was_told_alone():
    played = Played(bohb(SPACE))
    history = played.run(150, workers=5)
    fresh = bohb(SPACE)
    for trial in history:
        fresh.tell(trial, seeds.rng_for(0, seeds.TELL, trial.finish))
    assert fresh == played.strategy
    pending = tuple(played.pending)
    for n in range(5):
        rngs = seeds.rng_for(0, seeds.ASK, n), seeds.rng_for(0, seeds.ASK, n)
        assert fresh.ask(rngs[0], pending) == played.strategy.ask(rngs[1], pending)
    assert fresh == played.strategy


def test_a_small_space_ends_when_all_promotions_are_done():
    space = ToySpace(length=2, options=3)
    played = Played(bohb(space), space=space)
    played.run(100)
    assert Counter(_places(played.finished)) == {(0, 1): 9, (0, 3): 3, (0, 9): 1}
    assert played.ask() is None


def test_a_budget_that_is_on_no_rung_is_refused_and_nothing_is_lost():
    strategy = bohb(SPACE)
    odd = Trial(3, Proposal((0,) * 12, budget=2, notes={"bracket": 0, "rung": 1}), "key", 0, "done", finish=1)
    with pytest.raises(
        NetwrightError, match="trial 3 was measured at the budget 2, which is not on the ladder 1, 3, 9"
    ):
        strategy.tell(odd, seeds.rng_for(0, seeds.TELL, 1))
    assert strategy == bohb(SPACE)


def test_a_long_history_is_seen_in_part():
    strategy, rng = bohb(SPACE), np.random.default_rng(0)
    strategy.model._ranked[0].update(Finished(-float(number), number, SPACE.sample(rng)) for number in range(3000))
    good, others = strategy.model._densities()
    assert (len(good.points), len(others.points)) == (450, 500)


def test_a_table_with_budgets_keeps_a_cluster_busy(tmp_path):
    path = tmp_path / "table.csv"
    rows = [(a, b, a + b, 10 * (a + b)) for a in range(12) for b in range(12)]
    path.write_text("\n".join(["a,b,early,late", *(",".join(map(str, row)) for row in rows)]))
    table = csv(str(path), genes=("a", "b"), signal="early", final="late", budgets={12: "early", 200: "late"})
    cluster = Simulated(Lookup(table), workers=8, seconds=10.0, sigma=1.0)
    store = MemoryStore()
    strategy = bohb(table.space, ("signal",), budgets=(12, 200))
    search = Search(table.space, strategy, store, cluster, ("signal",), Limits(trials=80))
    assert search.run() == "trials"
    found = store.finished()
    assert all(trial.status == "done" for trial in found)
    assert cluster.utilization > 0.98
    for trial in found:
        column = {12: 1, 200: 10}[trial.proposal.budget]
        assert trial.result.metrics["signal"] == column * sum(trial.proposal.genotype)
    check_promotions([Trial(t.id, t.proposal, t.key, t.seed, t.status, t.result, (0.0,)) for t in found], (12, 200))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objectives": ("a", "-b")}, "bohb ranks by one objective, the run has 2"),
        ({"random_fraction": 1.5}, "strategy.random_fraction is 1.5; it must be in"),
        ({"best_share": -0.1}, "strategy.best_share is -0.1; it must be in"),
        ({"samples": 0}, "strategy.samples is 0; it must be greater than 0"),
        ({"min_points": 0}, "strategy.min_points is 0; it must be greater than 0"),
        ({"bandwidth_factor": 0.0}, "strategy.bandwidth_factor is 0.0; it must be"),
        ({"bandwidth_factor": math.inf}, "strategy.bandwidth_factor is inf; it must be greater than 0, and finite"),
        ({"min_bandwidth": math.nan}, "strategy.min_bandwidth is nan; it must be"),
        ({"min_bandwidth": 1.0}, "strategy.min_bandwidth is 1.0; it must be below 1"),
        ({"min_budget": 10}, "min_budget and max_budget are 10 and 9"),
    ],
)
def test_options_that_make_no_search_are_refused(options, message):
    with pytest.raises(BadReference, match=message):
        bohb(SPACE, **options)


@pytest.mark.parametrize("strategy", ["bohb", "asha"])
def test_12_and_200_epochs_of_nats_are_budgets(strategy):
    """The table has no validation accuracy after 200 epochs, so that its upper budget is the test accuracy."""
    path = Path(os.environ.get("NETWRIGHT_DATA", "")) / "nats-tss" / "nats_tss.csv"
    if not path.is_file():
        pytest.skip("needs nats-tss/nats_tss.csv in the folder NETWRIGHT_DATA")
    columns = {12: "cifar10_val_acc_12ep", 200: "cifar10_test_acc_200ep"}
    lookup = Lookup(f"csv(path={str(path)!r}, text='arch', signal={columns[12]!r}, budgets={columns!r})")
    space = refs.load("table", refs.parse(lookup.table)).space
    made = refs.load("strategy", refs.parse(f"{strategy}(budgets=(12, 200))"), space=space, objectives=("signal",))
    store = MemoryStore()
    Search(space, made, store, Inline(lookup), ("signal",), Limits(trials=100)).run()
    best = {budget: max(_signals(store, budget)) for budget in columns}
    assert len(_signals(store, 12)) + len(_signals(store, 200)) == 100
    assert best[12] > 80
    assert best[200] > 93


def _signals(store, budget):
    return [t.result.metrics["signal"] for t in store.finished() if t.proposal.budget == budget]


def test_a_trial_of_another_strategy_is_refused_in_one_sentence():
    strategy = bohb(SPACE, max_budget=1)
    row = Trial(1, Proposal((0,) * 12, budget=1), "key", 1, "done", scores=(0.5,), finish=1)
    with pytest.raises(
        NetwrightError, match=r"has no bracket and rung in its notes, so that a strategy without brackets"
    ):
        strategy.tell(row, seeds.rng_for(0, seeds.TELL))
