"""What a comparison on a toy task says, against sums done here."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from netwright.comparison.contests import cell_runs, standings
from netwright.core.records import Result
from tests.comparison.contests import toy_contests as contests
from tests.comparison.tables import small

AGING = "aging(population=4,sample=2)"


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("standings")
    contest = contests.prepared(contests.write(folder / "toy.toml", trials=30), seeds="3", is_full=True)
    outcome = contests.carried_out(contest, folder / "out")
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


def test_of_searches_in_rounds_full_trainings_alone_are_compared(compared):
    contest, outcome, _ = compared
    rounds = contests.in_rounds(outcome, 30)
    [standing] = standings.summarize(contest, rounds, np.random.default_rng(0), (0.5,)).recipes
    assert {pair.measure for pair in standing.pairs} == {"test"}
    for row in standing.rows:
        assert row.best.seeds == row.test.seeds == 3 and row.reached[0.5][0].seeds == 0
        assert any("do not compare with those of another search; full trainings do" in text for text in row.warnings)


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
    contest = contests.prepared(contests.write(tmp_path / "cells.toml", "nasnet", 8, contests.PICTURES), seeds="2")
    outcome = contests.carried_out(contest, tmp_path / "out")
    [standing] = standings.summarize(contest, outcome, np.random.default_rng(0)).recipes
    center, spread = standing.random_fan_in
    assert 2 < center < 3.5 and 0.3 < spread < 1
    assert sum(each.score.seeds for each in standing.fan_ins) == 32
    for row in standing.rows:
        assert row.deviations == pytest.approx((row.fan_in.mean - center) / spread)


def test_fan_ins_are_grouped_as_they_are():
    """Means over two cells end in halves, which must not be rounded up here and down there."""
    edges, scores = np.array([1.5, 2.5, 2.5, 3.0, np.nan]), np.array([0.1, 0.2, 0.4, 0.5, 0.9])
    path = SimpleNamespace(fan_in=edges, scores=scores)
    found = standings._by_fan_in([path], -1)
    assert [(each.edges, each.score.seeds) for each in found] == [(1.5, 1), (2.5, 2), (3.0, 1)]
    assert found[1].score.mean == pytest.approx(-0.3)


def of(contest, outcome):
    """The one standing of a contest on one recipe."""
    [standing] = standings.summarize(contest, outcome, np.random.default_rng(0)).recipes
    return standing


def test_what_must_be_said_of_searches_is_said(tmp_path):
    """An early end, failed trials, seeds without success, failed full trainings and another program."""
    kind = f"{small.STRANGE}:Untrainable"
    ending, failing = f"{small.STRANGE}:Remembering", "random"
    recipe = contests.write(tmp_path / "toy.toml", trials=6, kind=kind, fails_at=0)
    contest = contests.prepared(recipe, f"{failing},{ending}", "2", is_full=True)
    outcome = contests.carried_out(contest, tmp_path / "out")
    early, _ = reversed(of(contest, outcome).rows)
    assert "the space is exhausted after 3 trials" in early.warnings
    random = next(row for row in of(contest, outcome).rows if row.strategy == failing)
    failures = sum(
        trial.scores is None for cell, rows in outcome.trials.items() if cell.strategy == failing for trial in rows
    )
    assert failures and f"{failures} of 12 trials failed" in random.warnings
    assert any(
        "full trainings failed in 2 of 2 searches; the first: the full training failed" in w for w in random.warnings
    )
    everything = standings.summarize(contest, outcome, np.random.default_rng(0))
    assert {(strategy, seed) for strategy, _, seed, _ in everything.failed} >= {(failing, 0), (failing, 1)}
    assert all("to train again" in why for *_, why in everything.failed)
    changed = replace(contest, sources={failing: "another", ending: contest.sources[ending]})
    found = {row.strategy: row.warnings for row in of(changed, outcome).rows}
    assert any(text.startswith("its program has changed since 2 of 2 searches") for text in found[failing])
    assert not any("its program" in text for text in found[ending])


def test_seeds_without_success_are_said(tmp_path):
    recipe = contests.write(tmp_path / "toy.toml", trials=3, kind=f"{small.STRANGE}:Untrainable", fails_at=99)
    contest = contests.prepared(recipe, "random", "1")
    row = of(contest, contests.carried_out(contest, tmp_path / "out")).rows[0]
    assert row.warnings == ("no trial succeeded with 1 of 1 seeds", "3 of 3 trials failed")
    assert np.isnan(row.best.mean)


def test_of_several_budgets_the_largest_is_judged(tmp_path):
    contest = contests.prepared(
        contests.write(tmp_path / "toy.toml", trials=30), "random,asha(max_budget=4,eta=2)", "2"
    )
    outcome = contests.carried_out(contest, tmp_path / "out")
    standing = of(contest, outcome)
    row = standing.rows[1]
    trials = [rows for cell, rows in outcome.trials.items() if cell.strategy == row.strategy]
    best = [max(each.scores[0] for each in rows if each.proposal.budget == 4) for rows in trials]
    assert row.best.mean == pytest.approx(np.mean(best))
    assert standing.has_budgets and row.repeated == 0, "a promotion is no repeat"
    assert any(text.startswith("its trials have budgets 1, 2, 4: the") for text in row.warnings)
    for rows in trials:
        [chosen] = cell_runs.best_of(rows)
        assert next(each for each in rows if each.id == chosen.trial_id).proposal.budget == 4


def test_a_seed_whose_trials_of_the_judged_budget_failed_has_not_failed(tmp_path):
    contest = contests.prepared(contests.write(tmp_path / "toy.toml", trials=30), "asha(max_budget=4,eta=2)", "2")
    outcome = contests.carried_out(contest, tmp_path / "out")
    one, other = contest.cells
    failed = [
        replace(each, result=Result(failure="error"), scores=None) if each.proposal.budget == 4 else each
        for each in outcome.trials[one]
    ]
    [row] = of(contest, replace(outcome, trials={one: failed, other: outcome.trials[other]})).rows
    assert "no trial of the judged budget, 4, succeeded with 1 of 2 seeds" in row.warnings
    assert not any(text.startswith("no trial succeeded") for text in row.warnings)
    assert row.best.seeds == 1, "what was measured at another budget does not compare"
    [chosen] = cell_runs.best_of(failed)
    assert next(each for each in failed if each.id == chosen.trial_id).proposal.budget == 2


def test_another_recipe_changes_no_interval(compared, tmp_path):
    contest, outcome, found = compared
    recipes = {"another": contest.recipes["toy"], **contest.recipes}
    cells = {replace(cell, problem="another"): trials for cell, trials in outcome.trials.items()}
    more = replace(outcome, trials={**cells, **outcome.trials})
    both = standings.summarize(replace(contest, recipes=recipes), more, np.random.default_rng(0), (0.5, 0.99))
    assert both.recipes[1].pairs == found.recipes[0].pairs


def test_the_toy_space_has_no_fan_in_to_speak_of(compared):
    [standing] = compared[2].recipes
    assert standing.random_fan_in is None and not standing.fan_ins
    assert all(np.isnan(row.deviations) for row in standing.rows)
