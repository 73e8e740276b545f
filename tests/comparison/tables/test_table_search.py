"""A cell is a search by the real controller; its course is what the table of trials says."""

import time
from dataclasses import dataclass, replace

import numpy as np
import pytest

from netwright.comparison.tables import table_search
from netwright.controller import Search
from netwright.core import refs
from netwright.core.protocols import SearchSpace
from netwright.core.records import Proposal, Trial
from netwright.core.run_file import Limits
from netwright.core.table import Table
from netwright.evaluators.lookup import Lookup
from netwright.executors.inline import Inline
from netwright.stores.memory import MemoryStore
from netwright.testing.toys import ToySpace
from tests.comparison.strange import Remembering
from tests.comparison.tables import small

NAN = np.nan
SPACE = ToySpace(length=1, options=4)
ROWS = {(n,): n for n in range(4)}
TABLE = Table(
    "toy", SPACE, ROWS, {"v": np.array([5.0, NAN, 3.0, 4.0]), "t": np.array([50.0, 20.0, NAN, 40.0])}, "-v", "t"
)


def limits(trials, **more):
    return Limits(trials=trials, failures_in_a_row=0, **more)


@dataclass
class Scripted:
    """Proposes what it is given, then nothing."""

    space: SearchSpace
    proposals: tuple[Proposal, ...] = ()
    told: int = 0

    def ask(self, rng, pending):
        return self.proposals[self.told] if self.told < len(self.proposals) else None

    def tell(self, trial, rng):
        self.told += 1


@dataclass
class Slow(Scripted):
    """Thinks before its second proposal."""

    def ask(self, rng, pending):
        if self.told == 1:
            time.sleep(0.2)
        return Proposal((self.proposals[self.told],))


def scripted(*values, budget=None):
    return Scripted(SPACE, tuple(Proposal((value,), budget=budget) for value in values))


def test_a_course_by_hand():
    course = table_search.play(TABLE, scripted(0, 1, 2, 0, 2), limits(10), 3, "source")
    np.testing.assert_array_equal(course.signals, [5, NAN, 3, 5, 3])
    np.testing.assert_array_equal(course.finals, [50, NAN, NAN, 50, NAN])
    np.testing.assert_array_equal(course.is_repeat, [False, False, False, True, True])
    np.testing.assert_array_equal(course.is_failed, [False, True, False, False, False])
    assert (course.ending, course.source) == ("exhausted", "source")
    assert course.message == "the signal of genotype (1,) is missing in table 'toy'"
    assert len(course.elapsed) == 5 and course.elapsed[0] >= 0 and (np.diff(course.elapsed) >= 0).all()
    assert not len(course.costs) and not len(course.values)


def test_a_promotion_is_no_repetition():
    asked = [((0,), 1), ((1,), 1), ((0,), 3), ((0,), 3), ((1,), 1)]
    trials = [Trial(n, Proposal(g, budget=b), str(g), 0, "done") for n, (g, b) in enumerate(asked)]
    assert table_search._repeats(trials).tolist() == [False, False, False, True, True]


def test_a_search_that_proposes_nothing_has_no_trials():
    course = table_search.play(TABLE, scripted(), limits(10), 0)
    assert len(course) == 0 and course.ending == "exhausted"


def test_trials_at_another_budget_are_no_measure_of_the_same():
    table = replace(
        TABLE, columns={**TABLE.columns, "early": np.array([1.0, 2.0, 3.0, 4.0])}, budgets={5: "early", 9: "-v"}
    )
    np.testing.assert_array_equal(table_search.play(table, scripted(0, 2, budget=5), limits(9), 0).signals, [NAN, NAN])
    np.testing.assert_array_equal(table_search.play(table, scripted(0, 2, budget=9), limits(9), 0).signals, [5, 3])
    assert table_search.play(table, scripted(0, budget=5), limits(9), 0).is_failed.tolist() == []


def test_where_a_network_has_several_measurements_their_mean_is_kept():
    singles = {"v1": np.array([4.0, NAN, 3.0, 4.0]), "v2": np.array([6.0, NAN, 3.0, 4.0])}
    table = replace(TABLE, columns=TABLE.columns | singles, repeats={"v": ("v1", "v2")})
    course = table_search.play(table, scripted(*[0] * 20), limits(20), 0)
    assert set(course.signals) == {4.0, 6.0}
    np.testing.assert_array_equal(course.values, [5.0] * 20)


def test_costs_end_a_search():
    table = replace(TABLE, columns={**TABLE.columns, "s": np.array([7.0, 8.0, 9.0, 2.0])}, seconds="s")
    course = table_search.play(table, scripted(0, 1, 2, 3), Limits(table_seconds=15.0, failures_in_a_row=0), 0)
    np.testing.assert_array_equal(course.costs, [7, 8])
    assert course.ending == "table_seconds"


@pytest.mark.parametrize("name", ["random", "local_search", "aging(population=5,sample=2)"])
def test_the_course_is_that_of_the_search(name, tmp_path):
    prepared = small.prepared(small.write(tmp_path / "t.csv"))
    table = refs.load("table", prepared.plan.tables[0])
    reference = refs.parse(name)
    course = table_search.play(table, table_search.strategy_of(reference, table), limits(30), 11)
    store = MemoryStore()
    strategy = refs.load("strategy", reference, space=table.space, objectives=("signal",))
    Search(table.space, strategy, store, Inline(Lookup(table)), ("signal",), limits(30), 11).run()
    assert course.signals.tolist() == [trial.result.metrics["signal"] for trial in store.finished()]
    assert course.finals.tolist() == [trial.result.metrics["final"] for trial in store.finished()]


def test_a_strategy_made_anew_has_heard_nothing():
    """Also one that keeps what it hears in what it was constructed with; the space is shared, not copied."""
    first = table_search.strategy_of(refs.parse(f"{small.STRANGE}:Remembering"), TABLE)
    lengths = [len(table_search.play(TABLE, table_search.anew(first, SPACE), limits(9), seed)) for seed in range(3)]
    assert lengths == [3, 3, 3]
    assert table_search.anew(Remembering(SPACE), SPACE).space is SPACE


def test_the_time_of_each_trial_is_that_at_which_it_was_told():
    """The second ask takes 0.2 s: what came before it is not charged with it."""
    course = table_search.play(TABLE, Slow(SPACE, (0, 1, 2)), limits(3), 0)
    assert course.elapsed[1] - course.elapsed[0] >= 200_000 > course.elapsed[0]
