"""Every cell is a run of its own with exactly the budget; what is there is not searched again."""

from dataclasses import replace

import pytest

from netwright import run_folder
from netwright.comparison import trained
from netwright.comparison.courses import Cell
from netwright.core.errors import BadReference, BadRunFile, NetwrightError, StoreError
from netwright.core.refs import Reference
from tests.comparison import contests, small


@pytest.fixture
def recipe(tmp_path):
    return contests.write(tmp_path / "toy.toml")


def test_cells_have_the_same_budget_and_the_same_start(recipe, tmp_path):
    contest = contests.prepared(recipe)
    outcome = contests.carried_out(contest, tmp_path / "out")
    assert set(outcome.trials) == set(contest.cells) and len(contest.cells) == 4
    assert all(len(trials) == 12 for trials in outcome.trials.values())
    for seed in (0, 1):
        random, aging = (rows[:4] for rows in _of_seed(contest, outcome, seed))
        assert random == aging, "the population that a search begins with is the seed's, whatever the strategy"
    one, other = (_of_seed(contest, outcome, seed)[0] for seed in (0, 1))
    assert one != other


def _of_seed(contest, outcome, seed):
    rows = contests.rows(outcome)
    return [rows[cell] for cell in contest.cells if cell.seed == seed]


def test_more_trials_seeds_and_strategies_only_add(recipe, tmp_path):
    out = tmp_path / "out"
    first = contests.rows(contests.carried_out(contests.prepared(recipe, "random", "1", trials=5), out))
    more = contests.rows(contests.carried_out(contests.prepared(recipe, trials=9), out))
    fresh = contests.rows(contests.carried_out(contests.prepared(recipe, trials=9), tmp_path / "fresh"))
    assert more == fresh
    [cell] = first
    assert first[cell] == more[cell][:5]
    fewer = contests.rows(contests.carried_out(contests.prepared(recipe, "random", "1", trials=5), out))
    assert fewer == first, "a smaller budget is the beginning of the larger one"


def test_what_is_done_is_not_played_again(recipe, tmp_path, monkeypatch):
    out = tmp_path / "out"
    outcome = contests.carried_out(contests.prepared(recipe), out)
    monkeypatch.setattr("netwright.comparison.trained.PLAYER", "nowhere")
    assert contests.rows(contests.carried_out(contests.prepared(recipe), out)) == contests.rows(outcome)


def test_processes_side_by_side_change_nothing(recipe, tmp_path):
    contest = contests.prepared(recipe)
    one, two = (contests.rows(contests.carried_out(contest, tmp_path / str(n), n)) for n in (1, 2))
    assert one == two


def test_a_cell_is_a_run_like_any_other(recipe, tmp_path):
    contest = contests.prepared(recipe, "aging(population=4,sample=2)", "1")
    outcome = contests.carried_out(contest, tmp_path / "out")
    place = tmp_path / "out" / "runs" / "toy" / "aging-population-4-sample-2-0"
    store = run_folder.open_table(place, "read")
    settings = run_folder.stored_run(store, place)
    store.close()
    assert settings == contest.run_of(contest.cells[0])
    assert (settings.threads_per_trial, settings.seed) == (1, 0)
    assert len(outcome.trials[contest.cells[0]]) == 12


def test_labels_that_make_one_folder_name_are_kept_apart(recipe, tmp_path):
    strategies = (*(Reference("mine", {"path": path}) for path in ("a/b", "a-b")), Reference("random"))
    contest = replace(contests.prepared(recipe, seeds="1"), strategies=strategies)
    names = [contest.folder_of(tmp_path, cell).name for cell in contest.cells]
    assert len(set(names)) == 3 and names[2] == "random-0"
    assert all("/" not in name and name.startswith("mine-path-a-b") for name in names[:2])


def test_full_trainings_test_the_best_of_each_search(recipe, tmp_path):
    contest = contests.prepared(recipe, is_full=True)
    outcome = contests.carried_out(contest, tmp_path / "out")
    assert set(outcome.finals) == set(contest.cells)
    for cell, final in outcome.finals.items():
        best = max(outcome.trials[cell], key=lambda trial: trial.scores[0])
        assert (final.trial_id, final.genotype, final.metric) == (best.id, best.proposal.genotype, "test_accuracy")


def test_a_strategy_that_fails_leaves_the_others_whole(recipe, tmp_path):
    contest = contests.prepared(recipe, f"{small.STRANGE}:Dying,random,{small.STRANGE}:Raising", "2")
    outcome = contests.carried_out(contest, tmp_path / "out")
    assert set(outcome.trials) == {Cell("random", "toy", 0), Cell("random", "toy", 1)}
    assert "its process ended with exit code -9" in outcome.faults[Cell(f"{small.STRANGE}:Dying", "toy", 0)]
    assert outcome.faults[Cell(f"{small.STRANGE}:Raising", "toy", 1)].startswith("KeyError: 'two\\nlines'")


def test_runs_of_another_recipe_are_not_mixed_in(recipe, tmp_path):
    contests.carried_out(contests.prepared(recipe, "random", "1"), tmp_path / "out")
    contests.write(recipe, noise=0.5)
    with pytest.raises(StoreError, match=r"holds runs of another recipe called 'toy': its evaluator is .*not.*0\.5"):
        contests.carried_out(contests.prepared(recipe, "random", "1"), tmp_path / "out")


def test_recipes_without_a_common_end_are_refused(recipe):
    recipe.write_text(recipe.read_text().replace("trials = 12", "hours = 1.0"))
    with pytest.raises(BadRunFile, match=r"toy\.toml has no limits\.trials"):
        contests.prepared(recipe)
    assert contests.prepared(recipe, trials=3).recipes["toy"].limits.hours is None


@pytest.mark.parametrize(
    ("strategies", "sentence"),
    [
        ("random,random", "strategy random is given twice"),
        (f"{small.STRANGE}:TwoGoals", "two_goals weighs two objectives, the run has 1"),
        ("aging(population=0)", "strategy.population is 0"),
    ],
)
def test_strategies_that_do_not_fit_are_refused(recipe, strategies, sentence):
    with pytest.raises(NetwrightError, match=sentence):
        contests.prepared(recipe, strategies)


def test_a_random_start_that_is_all_there_is_is_said(recipe):
    contest = contests.prepared(recipe, "aging(population=12,sample=2),random")
    assert contest.warnings["random", "toy"] == ()
    assert "its random start is all there is" in contest.warnings["aging(population=12,sample=2)", "toy"][0]


def test_searches_have_one_worker_unless_told(tmp_path):
    path = contests.write(tmp_path / "toy.toml")
    path.write_text(path.read_text().replace('{ref = "inline"}', '{ref = "processes", workers = 450}'))
    from_recipe = contests.prepared(path).recipes["toy"]
    assert from_recipe.executor.options == {"workers": 1}
    told = trained.read_recipes([path], {"executor": {"workers": 3}}, None)["toy"]
    assert told.executor.options == {"workers": 3}
    with pytest.raises(BadRunFile, match="two recipes are called 'toy'"):
        trained.read_recipes([path, path], {}, None)
    path.write_text(path.read_text().replace('"processes"', '"nowhere"'))
    with pytest.raises(BadReference, match="there is no executor 'nowhere'"):
        contests.prepared(path)
