"""Searches on a recipe by several objectives are judged by what they cover of what all found together."""

import csv
import io
import json

import numpy as np
import pytest

from netwright.comparison.contests import common_front, json_and_csv, page, standings
from netwright.comparison.contests.populations import path
from netwright.core import front
from netwright.core.objectives import Objective, with_scores
from netwright.core.records import Proposal, Result, Trial
from netwright.testing.toys import ToySpace
from tests.comparison.contests import toy_contests as contests

GOALS = (Objective("valid_accuracy"), Objective("params", -1))
RECIPE = 'objectives = ["valid_accuracy", "-params"]\n'
KIND = "tests.runs.test_several_objectives:Balance"


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("common")
    recipe = contests.write(folder / "toy.toml", trials=15, kind=KIND)
    recipe.write_text(RECIPE + recipe.read_text())
    # the last one is a list of one network
    contest = contests.prepared(recipe, f"random,listed(genotypes=[{[0] * 12}])", seeds="3")
    outcome = contests.carried_out(contest, folder / "out")
    return contest, outcome, standings.summarize(contest, outcome, np.random.default_rng(0))


def points(trials):
    return np.array([trial.scores for trial in trials])


def test_shares_are_of_the_front_of_all_searches(compared):
    _, outcome, found = compared
    [standing] = found.recipes
    everything = np.concatenate([points(trials) for trials in outcome.trials.values()])
    reference = front.reference_point(everything)
    assert standing.front.reference == pytest.approx(reference * [1, -1])
    whole = front.hypervolume(everything, reference)
    for row in standing.rows:
        cells = [cell for cell in outcome.trials if cell.strategy == row.strategy]
        shares = [front.hypervolume(points(outcome.trials[cell]), reference) / whole for cell in cells]
        assert row.hypervolume.mean == pytest.approx(np.mean(shares)) and row.hypervolume.seeds == 3
        covered = standing.paths[row.strategy][0].covered
        assert covered[-1] == pytest.approx(shares[0]) and (np.diff(covered) >= 0).all()
    assert standing.pairs[0].measure == "hypervolume" and standing.pairs[0].difference.seeds == 3
    assert page.winner(standing).strategy == "random" and page.winner(standing).label == "hypervolume"


def test_searches_in_rounds_have_no_front_in_common_and_no_winner_by_it(compared):
    """Their scores are by weights that each trained by itself."""
    contest, outcome, _ = compared
    rounds = contests.in_rounds(outcome, 15)
    [standing] = standings.summarize(contest, rounds, np.random.default_rng(0)).recipes
    assert standing.front is None and standing.pairs == ()
    assert page.winner(standing) is None


def test_pages_and_files_tell_it(compared, tmp_path):
    _, _, found = compared
    [standing] = found.recipes
    html = page.write(tmp_path, found).read_text()
    assert (tmp_path / "toy-hypervolume.png").exists() and "by hypervolume" in html
    assert "Hypervolumes are measured from valid_accuracy" in html
    assert len(page.cells(standing.rows[0], standing)) == len(page.columns(standing, found.fractions))
    facts = json.loads(json.dumps(json_and_csv.as_json(found, tmp_path)))["rows"][0]
    assert facts["objectives"] == ["valid_accuracy", "-params"] and 0 < facts["mean_hypervolume"] <= 1
    [first, _] = csv.DictReader(io.StringIO(json_and_csv.rows_csv(found)))
    assert float(first["mean_hypervolume"]) == facts["mean_hypervolume"]


def searched(*values):
    results = [Result({"valid_accuracy": a, "params": p}) if a else Result(failure="error") for a, p in values]
    asked = Proposal(ToySpace().trivial())
    rows = [Trial(number, asked, "k", 0, "done", result, None, number) for number, result in enumerate(results, 1)]
    return path(with_scores(rows, ("valid_accuracy", "-params")), 4, ToySpace(), ())


def test_a_search_without_success_covers_nothing_and_one_objective_has_no_front():
    paths = {"a": {0: searched((0.5, 10), (0, 0), (0.9, 30))}, "b": {0: searched((0, 0))}}
    found = common_front.common_front(paths, GOALS, (0.4, 40.0))
    assert found.hypervolume == pytest.approx(0.1 * 30 + 0.4 * 10)
    judged = common_front.judged(paths, found)
    assert judged["a"][0].covered == pytest.approx([3 / 7, 3 / 7, 1.0]) and judged["b"][0].covered.tolist() == [0]
    assert common_front.common_front(paths, GOALS[:1], None) is None
    assert common_front.common_front({"b": paths["b"]}, GOALS, None) is None
    assert common_front.common_front(paths, GOALS, (0.95, 5.0)) is None, "nothing lies before that point"
    assert len(common_front.judged(paths, None)["a"][0].covered) == 0
