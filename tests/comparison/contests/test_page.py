"""The page of a comparison on real tasks, and its files."""

import csv
import json

import numpy as np
import pytest

from netwright.comparison import numbers
from netwright.comparison.contests import figures, json_and_csv, standings
from netwright.comparison.contests import page as report
from tests import undrawn
from tests.comparison.contests import toy_contests as contests


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    recipe = contests.write(folder / "cells.toml", "nasnet", 8, contests.PICTURES)
    contest = contests.prepared(recipe, seeds="2", is_full=True)
    outcome = contests.carried_out(contest, folder / "out")
    found = standings.summarize(contest, outcome, np.random.default_rng(0), (0.9, 0.99))
    with undrawn.figures(is_drawn=True):
        return folder / "out", found, report.write(folder / "out", found, "netwright bench cells.toml")


def test_all_files_are_there(written):
    out, _, page = written
    for name in ("best", "population", "size", "fan-in"):
        assert (out / f"cells-{name}.png").stat().st_size > 5000
        assert "<svg" in (out / f"cells-{name}.svg").read_text()
    text = page.read_text()
    for part in ("best valid_accuracy", "test_accuracy", "trials to 0.99", "Fan-in of the output", "To repeat this"):
        assert part in text, part
    assert text.count("<svg") == 4


def test_the_same_numbers_in_every_file(written):
    out, found, _ = written
    facts = json.loads((out / "bench.json").read_text())
    assert facts == json.loads(json.dumps(json_and_csv.as_json(found, out)))
    rows = list(csv.DictReader((out / "bench.csv").open()))
    assert [row["strategy"] for row in rows] == ["random", "aging(population=4,sample=2)"]
    for row, other, shown in zip(rows, facts["rows"], found.recipes[0].rows, strict=True):
        assert float(row["mean_best"]) == other["mean_best"] == shown.best.mean
        assert float(row["trials_to_0.9"]) == other["reached"]["0.9"]["trials"]
        assert len(report.cells(shown, found.recipes[0])) == len(report.columns(found.recipes[0], (0.9, 0.99)))
    pairs = list(csv.DictReader((out / "pairs.csv").open()))
    assert {row["measure"] for row in pairs} == {"best", "population", "test"}


def test_one_strategy_has_a_header_of_pairs_alone(written, tmp_path):
    contest = contests.prepared(contests.write(tmp_path / "toy.toml", trials=3), "random", "1")
    found = standings.summarize(contest, contests.carried_out(contest, tmp_path / "out"), np.random.default_rng(0))
    report.write(tmp_path / "out", found)
    assert (tmp_path / "out" / "pairs.csv").read_text() == (written[0] / "pairs.csv").read_text().splitlines(True)[0]


def test_one_seed_has_no_interval(tmp_path):
    contest = contests.prepared(contests.write(tmp_path / "toy.toml", trials=6), seeds="1")
    found = standings.summarize(contest, contests.carried_out(contest, tmp_path / "out"), np.random.default_rng(0))
    shown = [numbers.difference(pair) for pair in found.recipes[0].pairs]
    assert shown and all(each[1:] == ("–", "–", "1") for each in shown)
    assert "nan" not in report.write(tmp_path / "out", found).read_text().replace("nano", "")


def test_fractions_that_differ_have_two_texts(written):
    assert [json_and_csv.share(each) for each in (0.99, 0.9999999, 0.99999991, 1.0)] == [
        "0.99",
        "0.9999999",
        "0.99999991",
        "1",
    ]
    _, found, _ = written
    assert len(set(report.columns(found.recipes[0], (0.9999999, 0.99999991)))) == 11


def test_a_search_that_ended_early_stays_where_it_was():
    lines = [np.array([0.0, 1.0]), np.array([2.0, 3.0, 4.0, 5.0]), np.zeros(0)]
    means, around = figures.mean_and_band(lines, 4)
    np.testing.assert_allclose(means, [1.0, 2.0, 2.5, 3.0])
    # half of the interval of two values by Student's t with one degree of freedom: 12.706 standard errors
    np.testing.assert_allclose(around, 12.7062 * np.array([1.0, 1.0, 1.5, 2.0]), rtol=1e-5)
    alone, without = figures.mean_and_band(lines[:1], 3)
    assert alone.tolist() == [0.0, 1.0, 1.0] and np.isnan(without).all(), "one search says nothing of how they differ"


def test_a_line_begins_where_all_searches_have_something():
    """Where trials at small budgets are not judged, searches come to their first judged one at different times."""
    lines = [np.array([np.nan, 3.0, 3.0, 3.0]), np.array([np.nan, np.nan, 1.0, 2.0])]
    means, around = figures.mean_and_band(lines, 4)
    np.testing.assert_allclose(means, [np.nan, np.nan, 2.0, 2.5])
    np.testing.assert_allclose(around, 12.7062 * np.array([np.nan, np.nan, 1.0, 0.5]), rtol=1e-5)


def test_a_comparison_in_which_everything_failed(tmp_path):
    contest = contests.prepared(contests.write(tmp_path / "toy.toml"), "tests.comparison.strange:Raising", "2")
    outcome = contests.carried_out(contest, tmp_path / "out")
    found = standings.summarize(contest, outcome, np.random.default_rng(0))
    text = report.write(tmp_path / "out", found).read_text()
    assert "What failed" in text and "KeyError" in text
    assert json.loads((tmp_path / "out" / "bench.json").read_text())["rows"][0]["mean_best"] is None
