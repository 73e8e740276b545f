import math
from dataclasses import replace

import numpy as np
import pytest

from netwright.core.errors import BadReference, NetwrightError
from netwright.core.table import Table
from netwright.testing.toys import ToySpace

SPACE = ToySpace(length=2, options=2)
ROWS = {(0, 0): 0, (0, 1): 1, (1, 0): 2}
COLUMNS = {
    "error": np.array([0.5, 0.2, math.nan]),
    "test": np.array([50.0, 80.0, 70.0]),
    "cost": np.array([10.0, 20.0, 30.0]),
    "long": np.array([0.4, 0.1, 0.3]),
    "long cost": np.array([100.0, 200.0, 300.0]),
    "error_seed1": np.array([0.4, 0.1, math.nan]),
    "error_seed2": np.array([0.6, 0.3, math.nan]),
    "cost_seed1": np.array([9.0, 19.0, 29.0]),
    "cost_seed2": np.array([11.0, math.nan, 31.0]),
    "empty": np.full(3, math.nan),
}


def table(**options):
    return Table(**{"name": "toy", "space": SPACE, "rows": ROWS, "columns": COLUMNS, **options})


def test_a_row_as_it_stands():
    found = table(signal="-error", final="test", seconds="cost")
    assert found.lookup((0, 1)) == {"signal": 0.2, "final": 80.0, "seconds": 20.0}
    assert math.isnan(found.lookup((1, 0))["signal"])
    assert len(found) == 3
    assert table(signal="test", final="test").lookup((0, 0)) == {"signal": 50.0, "final": 50.0, "seconds": 0.0}


def test_scores_have_the_sign_applied():
    found = table(signal="-error", final="test")
    np.testing.assert_array_equal(found.scores("signal"), [-0.5, -0.2, math.nan])
    np.testing.assert_array_equal(found.scores("final"), [50, 80, 70])
    assert found.objective == "-signal"
    assert table(signal="test", final="-error").objective == "signal"


def test_budgets_have_columns_and_costs_of_their_own():
    found = table(
        signal="-error",
        final="test",
        seconds="cost",
        budgets={1: "-error", 5: "-long"},
        budget_seconds={5: "long cost"},
    )
    assert found.lookup((0, 0), 5) == {"signal": 0.4, "final": 50.0, "seconds": 100.0}
    assert found.lookup((0, 0), 1) == found.lookup((0, 0))
    with pytest.raises(NetwrightError, match="has no budget 3; it has 1, 5"):
        found.lookup((0, 0), 3)
    with pytest.raises(NetwrightError, match="has no budget 3; it has its own alone"):
        table(signal="-error", final="test").lookup((0, 0), 3)


def test_a_seed_picks_one_measurement_and_its_cost():
    repeats = {"error": ("error_seed1", "error_seed2"), "cost": ("cost_seed1", "cost_seed2")}
    found = table(signal="-error", final="test", seconds="cost", repeats=repeats)
    assert [found.lookup((0, 0), seed=n) for n in (0, 1, 2)] == [
        {"signal": 0.4, "final": 50.0, "seconds": 9.0},
        {"signal": 0.6, "final": 50.0, "seconds": 11.0},
        {"signal": 0.4, "final": 50.0, "seconds": 9.0},
    ]
    assert [found.lookup((0, 1), seed=n)["seconds"] for n in (0, 1)] == [19.0, 19.0], "one of those that are there"
    assert math.isnan(found.lookup((1, 0))["signal"]), "no measurement: the mean, missing too"


def test_a_genotype_without_a_row_is_named():
    with pytest.raises(NetwrightError, match=r"table 'toy' has no row for the genotype \(1, 1\); it has 3 rows"):
        table(signal="test", final="test").lookup((1, 1))


@pytest.mark.parametrize(
    "options",
    [
        {"signal": "acc", "final": "test"},
        {"signal": "test", "final": "-acc"},
        {"signal": "test", "final": "test", "seconds": "acc"},
        {"signal": "test", "final": "test", "budgets": {3: "acc"}},
        {"signal": "test", "final": "test", "budget_seconds": {3: "acc"}},
    ],
)
def test_an_unknown_column_is_named_with_those_there_are(options):
    with pytest.raises(BadReference, match="has no column 'acc'; its columns of numbers: error, test, cost"):
        table(**options)


def test_a_column_without_numbers_is_refused():
    with pytest.raises(BadReference, match="column 'empty' of table 'toy' holds no number"):
        table(signal="empty", final="test")


MEASURED = Table(
    "toy",
    ToySpace(length=1, options=4),
    {(0,): 0, (1,): 1, (2,): 2},
    {"v": np.array([5.0, 9.0, 9.0]), "t": np.array([50.0, 20.0, 60.0]), "s": np.array([7.0, 8.0, 9.0])},
    "v",
    "t",
    "s",
)


@pytest.mark.parametrize(
    "changes",
    [
        {"signal": "-v"},
        {"final": "v"},
        {"seconds": None},
        {"space": ToySpace(length=1, options=5)},
        {"rows": {(0,): 1, (1,): 0, (2,): 2}},
        {"columns": {**MEASURED.columns, "t": np.array([50.0, 20.0, 60.5])}},
        {"columns": {**MEASURED.columns, "s": np.array([7.0, 8.0, np.nan])}},
        {"budgets": {3: "t"}},
        {"repeats": {"v": ("t",)}},
    ],
    ids=str,
)
def test_whatever_a_search_reads_makes_another_fingerprint(changes):
    assert replace(MEASURED, **changes).fingerprint() != MEASURED.fingerprint()


def test_the_columns_of_budgets_and_of_single_measurements_count():
    columns = MEASURED.columns | {name: np.zeros(3) for name in "xyz"}
    found = replace(MEASURED, columns=columns, budgets={3: "x"}, budget_seconds={3: "y"}, repeats={"v": ("z",)})
    prints = {replace(found, columns=columns | {name: np.ones(3)}).fingerprint() for name in "xyz"}
    assert len(prints | {found.fingerprint()}) == 4


def test_what_nobody_reads_makes_no_other_fingerprint():
    same = replace(MEASURED, name="other", remarks=("mended",), columns={**MEASURED.columns, "x": np.zeros(3)})
    assert same.fingerprint() == MEASURED.fingerprint()
    copied = {name: column.copy() for name, column in MEASURED.columns.items()}
    assert replace(MEASURED, columns=copied).fingerprint() == MEASURED.fingerprint()
