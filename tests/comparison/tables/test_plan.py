"""What is typed becomes a plan, or one clear sentence."""

import pytest

from netwright.comparison import command_line
from netwright.comparison.tables import plan
from netwright.comparison.tables.plan import ComparisonPlan
from netwright.core import refs
from netwright.core.errors import BadReference, BadRunFile
from netwright.core.refs import Reference

RANDOM, TABLE = (Reference("random"),), (Reference("csv", {"path": "my.csv"}),)


def test_without_strategies_the_standard_ones_that_there_are():
    names = [strategy.name for strategy in plan.standard()]
    assert names[-3:] == ["random", "aging", "local_search"]
    assert set(names) <= set(refs.available("strategy"))


def test_trials():
    assert plan.read_trials("200,100,100", None) == (100, 200)
    assert plan.read_trials(None, None) == (100,)
    assert plan.read_trials(None, 12_000.0) == ()
    with pytest.raises(BadRunFile, match="--trials is '10,x'; write a number, or several"):
        plan.read_trials("10,x", None)


def test_a_file_is_a_csv_table(tmp_path):
    (tmp_path / "table").write_text("a,v\n1,2\n")
    options = {"genes": ["a"], "signal": "v"}
    for name in ("my.csv", "my.TSV", "my.parquet", str(tmp_path / "table")):
        assert plan.read_tables([name], (), options) == (Reference("csv", {"path": name, **options}),)
    assert plan.read_tables(["nats_tss"]) == (Reference("nats_tss"),)
    assert plan.read_tables(["nats_tss(path='my.csv')"]) == (Reference("nats_tss", {"path": "my.csv"}),)
    with pytest.raises(BadReference, match=r"the path of table my.csv is given again as 'other.csv'"):
        plan.read_tables(["my.csv"], (), {"path": "other.csv"})


def test_a_file_may_have_brackets_in_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my (1).csv").write_text("a,v\n1,2\n")
    assert plan.read_tables(["my (1).csv"]) == (Reference("csv", {"path": "my (1).csv"}),)
    long = f"csv(path='{'x' * 300}.csv')"
    assert plan.read_tables([long])[0].options["path"].startswith("xxx"), "longer than a file's name may be"


def test_data_sets_make_a_table_each():
    found = plan.read_tables(["nats_tss", "nats_sss"], ("cifar10", "cifar100"), {"path": "f"})
    assert [(each.name, each.options["dataset"]) for each in found] == [
        *(("nats_tss", "cifar10"), ("nats_tss", "cifar100")),
        *(("nats_sss", "cifar10"), ("nats_sss", "cifar100")),
    ]
    with pytest.raises(BadReference, match="table 'csv' has no data sets to choose from; leave --dataset out"):
        plan.read_tables(["my.csv"], ("cifar10",))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"strategies": ()}, "a comparison needs strategies; there are none"),
        ({"tables": ()}, "a comparison needs tables"),
        ({"seeds": ()}, "a comparison needs seeds"),
        ({"strategies": RANDOM * 2}, "strategy random is given twice; give it once"),
        ({"horizons": ()}, "a comparison needs an end; give --trials or --table-seconds"),
        ({"horizons": (0, 5)}, "trials is 0; it must be at least 1"),
        ({"table_seconds": 0.0}, "table_seconds is 0.0; it must be a number greater than 0"),
        ({"table_seconds": float("nan")}, "table_seconds is nan"),
        ({"seeds": (2**63,)}, "they go from 0 to"),
    ],
)
def test_what_is_no_comparison_is_refused(changes, sentence):
    with pytest.raises((BadReference, BadRunFile)) as refused:
        ComparisonPlan(**{"strategies": RANDOM, "tables": TABLE, "seeds": (0,), "horizons": (5,), **changes})
    assert sentence in str(refused.value)


def test_options_in_another_order_are_the_same_strategy():
    with pytest.raises(BadReference, match="is given twice"):
        ComparisonPlan(
            command_line.read_strategies("aging(sample=3,population=9),aging(population=9,sample=3)"), TABLE, (0,), (5,)
        )
