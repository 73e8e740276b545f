"""Searches on tables by several objectives are judged by the hypervolume that they cover of the exact front's."""

import json
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest

from netwright.comparison import folder, measures
from netwright.comparison.tables import comparison, exact_front, json_and_csv, problems, summary, table_search
from netwright.comparison.tables import page as report
from netwright.core import front, refs
from netwright.core.errors import BadReference, BadRunFile
from netwright.core.records import IO
from netwright.core.refs import Reference
from netwright.core.run_file import Limits
from netwright.core.table import Table
from netwright.spaces.nats import NatsTopology
from netwright.strategies.listed import Listed
from netwright.strategies.random import RandomSearch
from netwright.testing.toys import ToySpace
from tests.comparison.tables import small

GOALS = ("signal", "-final")
NAN = np.nan
ROWS = {(n,): n for n in range(5)}
SPACE = ToySpace(length=1, options=5)
SIGNALS, COSTS = np.array([5.0, 7.0, 9.0, 6.0, NAN]), np.array([10.0, 20.0, 60.0, 40.0, 5.0])
TABLE = Table("toy", SPACE, ROWS, {"v": SIGNALS, "cost": COSTS}, "v", "-cost")


@pytest.fixture
def prepared(tmp_path):
    path = small.write(tmp_path / "my.csv")
    return small.prepared(path, "random,listed(genotypes=[(3,2,2),(0,2,2)])", objectives=GOALS, final="-cost")


def test_the_front_of_a_table_and_the_share_of_it():
    found = exact_front.exact_front(TABLE, GOALS)
    assert found.networks == 3 and found.reference == pytest.approx((4.6, 65.0))
    assert found.hypervolume == pytest.approx(0.4 * 55 + 2.0 * 45 + 2.0 * 5)
    shares = found.shares(np.array([[6.0, 40.0], [NAN, NAN], [9.0, 60.0], [7.0, 20.0], [5.0, 10.0]]))
    assert shares[-1] == pytest.approx(1.0) and shares[0] == shares[1] == pytest.approx(1.4 * 25 / 122)
    assert (np.diff(shares) >= 0).all()


def test_an_objective_that_is_turned_round_has_its_own_front():
    """`!` insists on minimizing what the table says is better when higher, or the other way round."""
    table = replace(TABLE, final="v")
    found = exact_front.exact_front(table, ("signal", "-final!"))
    measured = np.column_stack((SIGNALS, SIGNALS))[:4]
    assert found.networks == 4, "whatever one gains, the other loses"
    assert found.shares(measured)[-1] == pytest.approx(1.0)


def test_what_is_counted_is_an_objective_too_of_the_front_and_of_searches():
    cells = [(3, 3, 3, 3, 3, 3), (3, 3, 3, 3, 0, 0), (1, 1, 1, 1, 1, 1)]  # of the second, edges that nobody reads
    space, io, goals = NatsTopology(4, 1), IO(3, 8, 8, 10), ("signal", "-params")
    signals = np.array([90.0, 80.0, 85.0])
    table = Table("t", space, {cell: n for n, cell in enumerate(cells)}, {"v": signals}, "v", "v", io=io)
    sizes = np.array([space.count(cell, io).params for cell in cells], float)
    found = exact_front.exact_front(table, goals)
    assert sizes[1] < sizes[0] and found.networks == 1 + (sizes[2] < sizes[0])
    limits = Limits(trials=3, failures_in_a_row=0)
    course = table_search.play(table, Listed(space, tuple(cells)), limits, 0, objectives=goals)
    assert course.others[:, 0].tolist() == sizes.tolist()
    assert found.shares(np.column_stack([course.signals, course.others]))[-1] == pytest.approx(1.0)


@dataclass
class Foreseeing(RandomSearch):
    """Takes several objectives, and keeps what tells it of networks before they are evaluated."""

    takes_several: ClassVar[bool] = True
    foretell: Any = None


def test_strategies_are_told_before_what_is_counted_and_copies_share_the_table():
    cell, io = (1, 1, 1, 1, 1, 1), IO(3, 8, 8, 10)
    table = Table("t", NatsTopology(4, 1), {cell: 0}, {"v": np.array([85.0])}, "v", "v", io=io)
    strategy = table_search.strategy_of(Reference(f"{__name__}:Foreseeing"), table, ("signal", "-params"))
    assert strategy.foretell(cell) == {"params": table.count(cell).params}
    assert table_search.anew(strategy, table.space).foretell is strategy.foretell


def test_a_network_without_one_of_the_values_fails_and_the_search_goes_on():
    table = Table("gaps", SPACE, ROWS, {"v": np.arange(5.0), "c": np.array([1.0, NAN, 3.0, 4.0, 5.0])}, "v", "-c")
    listed = Listed(SPACE, ((0,), (1,), (2,)))
    course = table_search.play(table, listed, Limits(trials=3, failures_in_a_row=0), 0, objectives=GOALS)
    assert course.is_failed.tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("goals", "error", "message"),
    [
        (("signal", "final"), BadRunFile, "final is better when lower; write -final"),
        (("signal", "-weight"), BadRunFile, "objective '-weight' is measured by nobody here; there are signal, -final"),
        (("-final", "signal"), BadReference, "the first objective on table 'toy' is '-final'.* so write signal, and"),
        (("signal", "signal"), BadRunFile, "objectives name signal twice"),
    ],
)
def test_objectives_that_do_not_go_with_the_table_are_refused(goals, error, message):
    with pytest.raises(error, match=message):
        problems.describe(TABLE, Reference("csv"), goals)


def test_a_comparison_by_hypervolume(prepared, tmp_path):
    [problem] = prepared.problems
    assert problem.name == "my by signal, -final"
    assert problem.searched == "val (higher is better) and cost (lower is better)"
    with folder.taken(tmp_path / "out"):
        outcome = comparison.carry_out(prepared, tmp_path / "out", 1)
        again = comparison.carry_out(prepared, tmp_path / "out", 1)
    assert not outcome.faults and again.courses.keys() == outcome.courses.keys()
    found = summary.summarize(prepared, outcome, np.random.default_rng(0))
    listed = found.rows[1]
    points = np.array([[50 + 9 + 2.5, -13.0], [50 + 2.5, -10.0]])
    reference = np.array(problem.front.reference) * [1, -1]
    assert listed.hypervolume.mean == pytest.approx(front.hypervolume(points, reference) / problem.front.hypervolume)
    pairs = {pair.measure: pair.difference for pair in found.pairs}
    assert pairs["hypervolume"].mean == pytest.approx(found.rows[0].hypervolume.mean - listed.hypervolume.mean)
    assert pairs["hypervolume"].low <= pairs["hypervolume"].mean <= pairs["hypervolume"].high
    assert found.curves[0].hypervolume[-1] == pytest.approx(found.rows[0].hypervolume.mean)
    facts = json.loads(json.dumps(json_and_csv.as_json(found, tmp_path)))
    assert facts["rows"][0]["objectives"] == list(GOALS) and 0 < facts["rows"][0]["mean_hypervolume"] < 1
    assert facts["rows"][0]["reference_point"] == list(problem.front.reference)
    assert report.columns(problem)[1] == "hypervolume" and len(report.cells(listed)) == len(report.columns(problem))
    html = report.write(tmp_path / "page", found).read_text()
    assert html.count("<svg") == 3 and (tmp_path / "page" / "my-by-signal--final-hypervolume.png").exists()
    assert "by hypervolume" in html and report.winner(found.rows, found).label == "hypervolume"


def test_a_strategy_of_one_objective_says_which_take_several(tmp_path):
    path = small.write(tmp_path / "my.csv")
    with pytest.raises(BadReference, match="aging ranks by one objective, the run has 2: signal, -final; give one, or"):
        small.prepared(path, "random,aging", objectives=GOALS, final="-cost")
    with pytest.raises(BadRunFile, match="objectives name signal alone; name several"):
        small.prepared(path, "random", objectives=("signal",))


def test_measurements_of_another_budget_cover_nothing():
    columns = {"v": SIGNALS, "w": SIGNALS, "cost": COSTS}
    table = Table("toy", SPACE, ROWS, columns, "v", "-cost", budgets={1: "w", 9: "v"})
    reference = refs.parse("listed(genotypes=[(2,)], budget=1)")
    strategy = table_search.strategy_of(reference, table, GOALS)
    course = table_search.play(table, strategy, Limits(trials=1), 0, objectives=GOALS)
    assert np.isnan(measures.points(course)[:, 0]).all() and course.others.tolist() == [[60.0]]
    assert exact_front.exact_front(table, GOALS).shares(measures.points(course)).tolist() == [0.0]
