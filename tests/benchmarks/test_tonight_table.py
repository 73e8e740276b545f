"""The table of `benchmarks/tonight.py`: differences, intervals, criteria."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.tonight import cells, data, table
from benchmarks.tonight.cells import COLUMNS, Cell, Line

SEEDS = 3


def lines_of(values, **more):
    """Lines by {(data, column): accuracies of the seeds}."""
    return {
        Cell(name, column, seed): Line(name, column, seed, 600, 630, value, value, 1000, **more)
        for (name, column), each in values.items()
        for seed, value in enumerate(each)
    }


def all_at(ours, plain, reference, small=(0.8, 0.7)):
    """All cells of the criteria, the seeds a little apart."""
    values = {}
    for name in data.REPORTED:
        for column, value in (("netwright", ours), ("P0", plain), ("P1", reference)):
            values[name, column] = [value + 0.001 * seed for seed in range(SEEDS)]
    for name in cells.ON_TWO:
        for column, value in zip(("netwright-50k", "P0-50k"), small, strict=True):
            values[name, column] = [value] * SEEDS
    return lines_of(values)


def verdicts(lines):
    return [each.met for each in table.criteria(lines, {}, SEEDS)]


def test_all_criteria_are_met_or_not():
    assert verdicts(all_at(0.80, 0.75, 0.79)) == [True] * 7
    assert verdicts(all_at(0.75, 0.80, 0.79, small=(0.7, 0.69))) == [False] * 6 + [True]
    # 1.4 points above P0 are too few; 0.9 below P1 is not yet too low for each, but no mean above it
    assert verdicts(all_at(0.764, 0.75, 0.773)) == [False, True, True, True, False, True, True]


def test_what_is_missing_leaves_a_criterion_open():
    lines = all_at(0.80, 0.75, 0.79)
    del lines[Cell("gray90", "P0", 1)], lines[Cell("digits", "P1", 2)]
    assert verdicts(lines) == [None, None, True, None, None, True, True]
    assert "1 of 12 pairs are missing" in table.criteria(lines, {}, SEEDS)[0].found
    assert verdicts({}) == [None] * 7
    assert "| digits | - |" in table.markdown({}, COLUMNS, {}, SEEDS)


def test_digits_count_alone_and_a_loss_on_one_set_is_seen():
    lines = all_at(0.80, 0.75, 0.79) | lines_of(
        {("gray90", "netwright"): [0.73] * 3, ("digits", "netwright"): [0.7] * 3}
    )
    assert verdicts(lines)[:3] == [True, False, False]


def test_one_late_search_breaks_the_promise_of_time():
    lines = all_at(0.80, 0.75, 0.79)
    cell = Cell("digits", "netwright", 0)
    lines[cell] = Line("digits", "netwright", 0, 600, 661, 0.8, 0.8)
    assert verdicts(lines)[-1] is False
    assert verdicts({cell: lines[cell]})[-1] is False
    fine = all_at(0.80, 0.75, 0.79)
    ended = table.criteria(fine, {}, SEEDS, [cell])[-1]
    assert ended.met is False, "also where it was played again in time"
    assert ended.found.endswith("ended as they took far too long: digits-netwright-0")
    assert table.criteria(fine, {}, SEEDS, [Cell("digits", "P0", 0)])[-1].met is True


def test_over_seeds_the_interval_is_students():
    found = table.difference(
        lines_of({("digits", "a"): [0.52, 0.53, 0.57], ("digits", "b"): [0.5] * 3}), "digits", "a", "b", None
    )
    half = 4.302653 * np.std([2, 3, 7], ddof=1) / np.sqrt(3)
    assert (found.mean, found.low, found.high) == pytest.approx((4, 4 - half, 4 + half), rel=1e-5)
    assert found.over == "seeds" and found.n == 3
    alone = table.difference(lines_of({("digits", "a"): [0.52], ("digits", "b"): [0.5]}), "digits", "a", "b", None)
    assert alone.low is None and str(alone) == "+2.00"


def test_of_one_seed_the_interval_is_over_images():
    right = {"a": np.arange(100) < 60, "b": np.arange(100) < 50}
    lines = {
        Cell("digits", name, 0): Line("digits", name, 0, 600, 600, each.mean(), None, None, cells.packed(each))
        for name, each in right.items()
    }
    found = table.difference(lines, "digits", "a", "b", np.zeros(100, int))
    half = 1.984217 * np.std(100.0 * right["a"] - 100.0 * right["b"], ddof=1) / 10
    assert (found.mean, found.high - found.mean) == pytest.approx((10, half), rel=1e-5) and found.over == "images"


def test_an_interval_over_seeds_and_images_covers_a_true_difference():
    """Networks of other seeds on other images: the truth lies within about 95 of 100 intervals, where both vary."""
    rng, within = np.random.default_rng(0), 0
    for _ in range(300):
        effects = rng.normal(0, 2.0, (3, 1)) + rng.normal(0, 8.0, (1, 60)) + rng.normal(0, 8.0, (3, 60))
        half, _ = table._half_crossed(effects)
        within += abs(effects.mean()) <= half
    assert 0.92 <= within / 300 <= 0.995


@given(st.data())
def test_weights_of_images_give_the_metric(draw):
    labels = draw.draw(st.lists(st.integers(0, 2), min_size=1, max_size=30).map(np.array))
    right = draw.draw(st.lists(st.booleans(), min_size=len(labels), max_size=len(labels)).map(np.array))
    assert (table._weights(labels, "balanced") * right).mean() == pytest.approx(cells.balanced(right, labels))
    assert (table._weights(labels, "accuracy") * right).mean() == pytest.approx(right.mean())


def test_rows_of_the_table_of_all_benchmarks():
    rows = table.rows(all_at(0.80, 0.75, 0.79), COLUMNS, {})
    by_subject = {row[0]: row for row in rows}
    _, n, middle, low, high, unit, ratio = by_subject["netwright; gray90"]
    assert (n, middle, low, high) == pytest.approx((3, 80.1, 80, 80.2)) and unit == "% balanced accuracy"
    assert ratio.startswith("+5.00 (") and ratio.endswith("points to P0") and by_subject["P0; digits"][-1] == ""
    assert by_subject["netwright-50k; cifar4to7"][-1].endswith("points to P0-50k")


def test_everything_that_was_found_stands_on_the_page():
    lines = all_at(0.80, 0.75, 0.79) | lines_of({("cifar4to7", "random"): [0.78] * 3})
    facts = {"shipped": "searched", "reference_test_accuracy": 0.79}
    lines[Cell("digits", "netwright", 0)] = Line("digits", "netwright", 0, 600, 600, 0.8, 0.8, facts=facts)
    choice = {"choice": {"rate": 2.0, "width": 0.7}}
    lines[Cell("digits", "P1-choice", 0)] = Line("digits", "P1-choice", 0, 600, 1200, facts=choice)
    page = table.markdown(lines, COLUMNS, {}, SEEDS)
    for part in (
        "| random | cifar4to7 | 78.00 ± 0.00 (3) | -2.10 (",
        "In 1 of 15 runs a searched network was shipped",
        "is +1.00 points from the reference",
        "digits 2 and 0.7",
        "| gray90 (balanced) |",
        "P0 took 1.05 to 1.05 times its time, 1.05 on average.",
        "netwright took 1.00 to 1.05 times its time",
    ):
        assert part in page


def test_searches_on_two_cores_stand_beside_the_reference_that_each_trained_alike():
    facts = {"reference_test_accuracy": 0.76, "shipped": "searched"}
    found = table.markdown(lines_of({("cifar5000", "two-cores"): [0.77, 0.79]}, facts=facts), COLUMNS, {}, SEEDS)
    assert "| two-cores | cifar5000 | 78.00 | 76.00 | +2.00 (-10.71 to +14.71) | 2 of 2 |" in found
    facts = {"reference_test_accuracy": 0.8, "shipped": "reference"}
    found = table.markdown(lines_of({("cifar4to7", "two-cores"): [0.8]}, facts=facts), COLUMNS, {}, SEEDS)
    assert "| two-cores | cifar4to7 | 80.00 | 80.00 | +0.00 | 0 of 1 |" in found
