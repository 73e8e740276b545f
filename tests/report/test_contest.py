"""The page of a comparison on real tasks, and its files."""

import csv
import json

import numpy as np
import pytest

from netwright.comparison import standings
from netwright.report import contest as report
from tests.comparison import contests


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    recipe = contests.write(folder / "cells.toml", "nasnet", trials=8)
    contest = contests.prepared(recipe, seeds="2", is_full=True)
    outcome = contests.carried_out(contest, folder / "out")
    found = standings.summarize(contest, outcome, np.random.default_rng(0), (0.9, 0.99))
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
    assert facts == json.loads(json.dumps(report.as_json(found, out)))
    rows = list(csv.DictReader((out / "bench.csv").open()))
    assert [row["strategy"] for row in rows] == ["random", "aging(population=4,sample=2)"]
    for row, other, shown in zip(rows, facts["rows"], found.recipes[0].rows, strict=True):
        assert float(row["mean_best"]) == other["mean_best"] == shown.best.mean
        assert float(row["trials_to_0.9"]) == other["reached"]["0.9"]["trials"]
        assert len(report.cells(shown, found.recipes[0])) == len(report.columns(found.recipes[0], (0.9, 0.99)))
    pairs = list(csv.DictReader((out / "pairs.csv").open()))
    assert {row["measure"] for row in pairs} == {"best", "population", "test"}


def test_a_comparison_in_which_everything_failed(tmp_path):
    contest = contests.prepared(contests.write(tmp_path / "toy.toml"), "tests.comparison.strange:Raising", "2")
    outcome = contests.carried_out(contest, tmp_path / "out")
    found = standings.summarize(contest, outcome, np.random.default_rng(0))
    text = report.write(tmp_path / "out", found).read_text()
    assert "Failed searches" in text and "KeyError" in text
    assert json.loads((tmp_path / "out" / "bench.json").read_text())["rows"][0]["mean_best"] is None
