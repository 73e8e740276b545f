"""Every strategy of the package runs on every kind of table, and can be taken up again on it."""

import importlib.util
import inspect
from functools import lru_cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netwright.comparison.tables import table_search
from netwright.controller import ATTEMPTS, Search
from netwright.core import refs, seeds
from netwright.core.errors import InvalidGenotype
from netwright.core.objectives import with_scores
from netwright.core.protocols import NamesBudgets
from netwright.core.run_file import Limits
from netwright.evaluators.lookup import Lookup
from netwright.executors.inline import Inline
from netwright.spaces.nats import NatsTopology
from netwright.spaces.nats_size import NatsSize
from netwright.stores.memory import MemoryStore
from netwright.tables.csv import csv
from tests.comparison.tables import small
from tests.verified import IS_VERIFIED, VERIFIED

HAS_BOTORCH = importlib.util.find_spec("botorch") is not None and IS_VERIFIED
MOBO = pytest.param("mobo", marks=pytest.mark.skipif(not HAS_BOTORCH, reason="part of `make verify`, with BoTorch"))
STRATEGIES = [
    MOBO if name == "mobo" else name
    for name in refs.available("strategy")
    if name not in ("listed", "auto")  # the one needs genotypes of the space, the other is `predictor`
]
# so that what follows a random start is seen within few trials, and soon
SMALL = {"initial": 6, "population": 6, "sample": 3, "chain_steps": 40}
RUNGS = (1, 3, 9)  # of the strategies that promote; here every budget gives the same
TABLES = ("genes", "genes, lower is better", "texts, few rows of many", "sizes")


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """A small table of each kind, by name."""
    folder = tmp_path_factory.mktemp("tables")

    @lru_cache
    def table(kind):
        if kind.startswith("genes"):
            path = str(small.write(folder / "t.csv"))
            signal = "-val" if "lower" in kind else "val"
            return csv(path, small.GENES, signal, "test", "cost", budgets=dict.fromkeys(RUNGS, signal))
        space = NatsSize() if kind == "sizes" else NatsTopology()
        drawn = {space.sample(seeds.rng_for(0, seeds.ASK, n)) for n in range(400)}
        path = folder / f"{kind}.csv"
        path.write_text("arch,val\n" + "".join(f"{space.text(each)},{sum(each) + each[0]}\n" for each in sorted(drawn)))
        return csv(str(path), text="arch", space=space, signal="val", budgets=dict.fromkeys(RUNGS, "val"))

    return table


def made(name, table, small_start=True):
    plugin = refs.locate("strategy", name)
    taken = SMALL if small_start else {}
    options = {option: value for option, value in taken.items() if option in inspect.signature(plugin).parameters}
    return table_search.strategy_of(refs.Reference(name, options), table)


def searched(name, table, seed, trials, store=None):
    store = MemoryStore() if store is None else store
    limits = Limits(trials=trials, failures_in_a_row=0)
    strategy = made(name, table)
    ending = Search(table.space, strategy, store, Inline(Lookup(table)), (table.objective,), limits, seed).run()
    return store, ending


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("small_start", [True, pytest.param(False, marks=VERIFIED)], ids=["small start", "as it is"])
def test_every_strategy_runs_on_every_table(tables, name, kind, small_start):
    table = tables(kind)
    course = table_search.play(table, made(name, table, small_start), Limits(trials=30, failures_in_a_row=0), 1)
    assert course.ending == "trials" and len(course) == 30
    if kind.startswith("genes"):
        assert not course.is_failed.any(), "what has no row is no network of the space"


@pytest.mark.parametrize("name", STRATEGIES)
def test_more_trials_than_networks_end_or_repeat(tables, name):
    strategy = made(name, tables("genes"))
    course = table_search.play(tables("genes"), strategy, Limits(trials=75, failures_in_a_row=0), 1)
    if course.ending == "exhausted":
        assert len(course) == 60 and not course.is_repeat.any()
    else:
        assert len(course) == 75 and (course.is_repeat.sum() >= 15 or isinstance(strategy, NamesBudgets))


@pytest.mark.parametrize("name", STRATEGIES)
@settings(max_examples=6)
@given(seed=st.integers(0, 2**31), cut=st.integers(1, 29), kind=st.sampled_from(TABLES))
def test_a_replay_equals_the_continued_run(tables, name, seed, cut, kind):
    """A fresh strategy that is told the rows proposes what the undisturbed one did, whatever was cut off where."""
    table = tables(kind)
    whole, _ = searched(name, table, seed, 30)
    resumed, _ = searched(name, table, seed, 30, searched(name, table, seed, cut)[0])
    rows = whole.finished()
    assert [row.proposal for row in resumed.finished()] == [row.proposal for row in rows]
    fresh = made(name, table)
    for row in with_scores(rows[:cut], (table.objective,)):
        fresh.tell(row, seeds.rng_for(seed, seeds.TELL, row.finish))
    attempts = (fresh.ask(seeds.rng_for(seed, seeds.ASK, cut + 1, attempt), ()) for attempt in range(ATTEMPTS))
    assert rows[cut].proposal == next(asked for asked in attempts if has_row(table, asked.genotype))


def has_row(table, genotype):
    """Whether the space admits it; what it does not costs the search an attempt."""
    try:
        table.space.check(genotype)
    except InvalidGenotype:
        return False
    return True
