from dataclasses import replace

import numpy as np
import pytest

from netwright.controller import Search
from netwright.core import building, refs, run_file
from netwright.core.errors import BadReference
from netwright.core.records import IO, Proposal, Result, Trial
from netwright.core.refs import Reference
from netwright.core.run_file import Limits
from netwright.core.table import Table
from netwright.evaluators.lookup import Lookup
from netwright.executors.inline import Inline
from netwright.spaces.nats import NatsTopology
from netwright.stores.memory import MemoryStore
from netwright.strategies.random import RandomSearch
from netwright.testing.evaluators import check_evaluator
from netwright.testing.toys import ToySpace, ToyTask
from tests.cli.test_commands import published

SPACE = ToySpace(length=1, options=4)
NAN = float("nan")
NEVER = object()  # is asked for no latency
TABLE = Table(
    "toy",
    SPACE,
    {(0,): 0, (1,): 1, (2,): 2},
    {"v": np.array([5.0, NAN, 3.0]), "t": np.array([50.0, 20.0, NAN]), "s": np.array([7.0, 8.0, NAN])},
    "-v",
    "t",
    "s",
)


def evaluate(*genotype, budget=None, table=TABLE):
    trial = Trial(1, Proposal(genotype, budget=budget), "key", 5, "running")
    return Lookup(table).evaluate(trial, None)


def test_a_row_is_a_result():
    assert evaluate(0) == Result({"signal": 5.0, "final": 50.0}, seconds=7.0)
    assert evaluate(2) == Result({"signal": 3.0}), "no final measure, no cost"


def test_what_is_missing_is_a_failure_that_says_so():
    nothing = evaluate(1)
    assert (nothing.failure, nothing.seconds, dict(nothing.metrics)) == ("error", 8.0, {})
    assert nothing.message == "the signal of genotype (1,) is missing in table 'toy'"
    assert evaluate(3).message.startswith("table 'toy' has no row for the genotype (3,)")
    assert "has no budget 9" in evaluate(0, budget=9).message


def test_a_missing_final_measure_fails_where_an_objective_names_it_and_the_others_go_on():
    needing = Lookup(TABLE).measuring(["final"])
    trial = Trial(1, Proposal((2,)), "key", 5, "running")
    assert needing.evaluate(trial, None).message == "the final measure of genotype (2,) is missing in table 'toy'"
    assert needing.evaluate(replace(trial, proposal=Proposal((0,))), None).metrics == {"signal": 5.0, "final": 50.0}
    assert needing.metrics == Lookup(TABLE).metrics


def test_the_seed_of_the_trial_picks_the_measurement():
    columns = {"v": np.array([2.0]), "v1": np.array([1.0]), "v2": np.array([3.0])}
    table = Table("toy", SPACE, {(0,): 0}, columns, "v", "v", repeats={"v": ("v1", "v2")})
    trials = [Trial(1, Proposal((0,)), "key", seed, "running") for seed in (0, 1)]
    assert [Lookup(table).evaluate(trial, None).metrics["signal"] for trial in trials] == [1.0, 3.0]


def test_from_a_run_file(tmp_path):
    (tmp_path / "t.csv").write_text("g,v\na,1\nb,2\n")
    reference = f"csv(path='{tmp_path / 't.csv'}', genes=['g'], signal='v')"
    space = Lookup(reference)._table.space
    made = refs.load("evaluator", Reference("lookup", {"table": reference}), space=space, task=ToyTask())
    assert made.evaluate(Trial(1, Proposal((1,)), "key", 5, "running"), None).metrics == {"signal": 2.0, "final": 2.0}


def test_wrong_tables_are_named():
    with pytest.raises(BadReference, match=r"there is no table 'nats_ts'; did you mean 'nats_tss'\?"):
        Lookup("nats_ts(path='x')")
    with pytest.raises(BadReference, match=r"evaluator\.table is a int; give a Table or the reference of one"):
        Lookup(3)
    with pytest.raises(BadReference) as refused:
        Lookup(TABLE, NatsTopology())
    assert "its genes are gene 0, those of the search 0->1, 0->2, 1->2" in str(refused.value)


def test_a_search_on_a_table_minimizes_and_goes_past_gaps():
    executor = Inline(Lookup(TABLE))
    store = MemoryStore()
    search = Search(
        SPACE, RandomSearch(SPACE), store, executor, (TABLE.objective,), Limits(trials=40, failures_in_a_row=0)
    )
    assert search.run() == "trials"
    rows = store.finished()
    assert {row.proposal.genotype for row in rows if row.result.failure} == {(1,), (3,)}
    assert {row.result.metrics["signal"] for row in rows if not row.result.failure} == {5.0, 3.0}


def test_what_is_counted_is_of_the_real_network_and_given_where_it_is_asked_for(tmp_path):
    whole, dead = (3, 3, 3, 3, 3, 3), (3, 3, 3, 3, 0, 0)  # of the second, edges into nodes that nothing reads
    space, io = NatsTopology(4, 1), IO(3, 8, 8, 10)
    table = Table("t", space, {whole: 0, dead: 1}, {"v": np.array([1.0, 2.0])}, "v", "v", io=io)
    lookup = Lookup(table).measuring(["params", "memory_per_sample"])
    assert [str(each) for each in lookup.metrics] == ["signal", "final", "-params", "-memory_per_sample"]
    found = lookup.evaluate(Trial(1, Proposal(dead), "key", 5, "running"), None).metrics
    counts = space.count((0, 0, 0, 3, 0, 0), io)
    assert found["params"] == counts.params < space.count(whole, io).params
    assert found["memory_per_sample"] == counts.memory_per_sample
    assert table.counted("multiply_adds").tolist() == [space.count(each, io).multiply_adds for each in (whole, dead)]


def test_constraints_count_the_networks_of_the_table_and_not_those_of_the_task(tmp_path):
    """A run that looks results up has a task all the same, whose images are smaller."""
    path = tmp_path / "nats.parquet"
    published(path, NatsTopology().text((1,) * 6), 200)
    run = run_file.from_tables(
        {
            "space": "nats",
            "evaluator": {"ref": "lookup", "table": f"nats_tss(path={str(path)!r})"},
            "constraints": ["memory_per_sample <= 1e6", "latency_ms <= 5"],
        }
    )
    asked = []
    parts = building.build(run, lambda _space, io: asked.append(io) or NEVER)
    io = IO(3, 32, 32, 10)
    assert asked == [io] and parts.space.io == parts.io == io != parts.task.io


def test_keeps_the_contract_and_foretells_what_is_counted():
    cell, io = (3, 3, 3, 3, 3, 3), IO(3, 8, 8, 10)
    table = Table("t", NatsTopology(4, 1), {cell: 0}, {"v": np.array([90.0])}, "v", "v", io=io)
    lookup = Lookup(table).measuring(["params"])
    check_evaluator(lookup, [cell])
    assert lookup.foretell(cell).keys() == {"params"} and Lookup(table).foretell(cell) == {}


def test_a_key_is_counted_once():
    class Counting(ToySpace):
        counted = 0

        def count(self, genotype, io):
            Counting.counted += 1
            return super().count(genotype, io)

        def key(self, genotype):
            return "same"

    table = Table("t", Counting(1, 4), {(0,): 0, (1,): 1}, {"v": np.zeros(2)}, "v", "v", io=IO(1, 2, 2, 2))
    lookup = Lookup(table, counted=("params",))
    for value in (0, 1, 0):
        lookup.evaluate(Trial(1, Proposal((value,)), "key", 5, "running"), None)
    assert Counting.counted == 1


def test_a_table_that_does_not_say_what_went_in_counts_nothing():
    assert [each.name for each in Lookup(TABLE).offered] == ["final"]
    with pytest.raises(BadReference, match="does not say what went into its networks"):
        TABLE.count((0,))
    with pytest.raises(BadReference, match=r"evaluator\.counted names 'params'; what can be counted is"):
        Lookup(TABLE, counted=("params",))
