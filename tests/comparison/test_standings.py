"""What a comparison on a toy task says, against sums done here."""

import numpy as np
import pytest

from netwright.comparison import standings
from tests.comparison import contests

AGING = "aging(population=4,sample=2)"


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("standings")
    contest = contests.prepared(contests.write(folder / "toy.toml", trials=30), seeds="3", is_full=True)
    outcome = contests.carried_out(contest, folder / "out", 2)
    return contest, outcome, standings.summarize(contest, outcome, np.random.default_rng(0), (0.5, 0.99))


def test_rows_are_means_over_seeds(compared):
    contest, outcome, found = compared
    [standing] = found.recipes
    for row in standing.rows:
        cells = [cell for cell in contest.cells if cell.strategy == row.strategy]
        scores = np.array([[trial.scores[0] for trial in outcome.trials[cell]] for cell in cells])
        assert (row.trials, row.seeds, row.size) == (30, 3, 4)
        assert row.best.mean == pytest.approx(scores.max(axis=1).mean())
        assert row.population.mean == pytest.approx(scores[:, -4:].mean())
        assert row.test.mean == pytest.approx(np.mean([outcome.finals[cell].mean for cell in cells]))
        chosen = scores.argmax(axis=1)
        params = [outcome.trials[cell][at].result.metrics["params"] for cell, at in zip(cells, chosen, strict=True)]
        assert row.params.mean == pytest.approx(np.mean(params))
    assert standing.best == max(row.scores.max() for paths in standing.paths.values() for row in paths)


def test_somebody_reaches_the_best_of_all(compared):
    [standing] = compared[2].recipes
    assert sum(row.reached[0.99][0].seeds for row in standing.rows) >= 1
    for row in standing.rows:
        early, late = row.reached[0.5], row.reached[0.99]
        assert early[0].seeds == 3 and early[0].mean >= 1
        assert late[0].seeds <= 3
        assert early[1].mean >= 0


def test_evolution_beats_random_search_on_a_sum(compared):
    """The toy's objective is a sum over genes, with little noise: the population of evolution climbs it."""
    [standing] = compared[2].recipes
    by_name = {row.strategy: row for row in standing.rows}
    assert by_name[AGING].population.mean > by_name["random"].population.mean
    [pair] = [pair for pair in standing.pairs if pair.measure == "population"]
    difference = by_name["random"].population.mean - by_name[AGING].population.mean
    assert (pair.strategy, pair.other) == ("random", AGING)
    assert pair.difference.mean == pytest.approx(difference)
    assert {pair.measure for pair in standing.pairs} == {"best", "population", "test"}


def test_a_minimized_objective_is_shown_as_measured(tmp_path):
    recipe = contests.write(tmp_path / "small.toml", trials=20)
    recipe.write_text('objectives = ["-params"]\n' + recipe.read_text())
    contest = contests.prepared(recipe, seeds="2")
    outcome = contests.carried_out(contest, tmp_path / "out")
    [standing] = standings.summarize(contest, outcome, np.random.default_rng(0)).recipes
    lowest = min(trial.result.metrics["params"] for trials in outcome.trials.values() for trial in trials)
    assert (standing.objective, standing.sign, standing.best) == ("params", -1, lowest)
    assert all(row.best.mean >= lowest > 0 for row in standing.rows)


def test_fan_in_of_a_space_that_varies(tmp_path):
    contest = contests.prepared(contests.write(tmp_path / "cells.toml", "nasnet", trials=8), seeds="2")
    outcome = contests.carried_out(contest, tmp_path / "out")
    [standing] = standings.summarize(contest, outcome, np.random.default_rng(0)).recipes
    center, spread = standing.random_fan_in
    assert 2 < center < 3.5 and 0.3 < spread < 1
    assert sum(each.score.seeds for each in standing.fan_ins) == 32
    for row in standing.rows:
        assert row.deviations == pytest.approx((row.fan_in.mean - center) / spread)


def test_the_toy_space_has_no_fan_in_to_speak_of(compared):
    [standing] = compared[2].recipes
    assert standing.random_fan_in is None and not standing.fan_ins
    assert all(np.isnan(row.deviations) for row in standing.rows)
