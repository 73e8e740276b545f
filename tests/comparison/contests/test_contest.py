"""Every cell is a run of its own with exactly the budget; what is there is not searched again."""

import json
from pathlib import Path

import pytest

from netwright.comparison import command_line, pool, strategy_refs
from netwright.comparison.contests import recipes
from netwright.comparison.contests.contest import StrategyContest, prepare
from netwright.comparison.contests.outcome import carry_out
from netwright.comparison.courses import SearchCell
from netwright.core import seeds
from netwright.core.errors import BadReference, BadRunFile, InvalidGenotype, NetwrightError, StoreError
from netwright.core.records import IO
from netwright.core.trust import Trust
from netwright.runs import run_folder
from netwright.spaces.hnag import HnagSpace
from tests.comparison.contests import toy_contests as contests
from tests.comparison.tables import small


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


def test_scores_by_what_each_search_shares_are_not_compared(tmp_path):
    recipe = contests.write(tmp_path / "toy.toml", kind=f"{contests.TOYS}:ToySharedEvaluator")
    with pytest.raises(BadReference, match=r"so that scores of several searches do not compare; give --full, and the"):
        contests.prepared(recipe)
    assert contests.prepared(recipe, "random", "1").cells, "one search by itself"


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
    monkeypatch.setattr("netwright.comparison.contests.player.PROGRAM", "nowhere")
    assert contests.rows(contests.carried_out(contests.prepared(recipe), out, 1)) == contests.rows(outcome)


def test_processes_side_by_side_change_nothing(recipe, tmp_path):
    contest = contests.prepared(recipe)
    one, two = (contests.rows(contests.carried_out(contest, tmp_path / str(n), n)) for n in (None, 2))
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


def test_full_trainings_test_the_best_of_each_search(recipe, tmp_path):
    contest = contests.prepared(recipe, is_full=True)
    outcome = contests.carried_out(contest, tmp_path / "out")
    assert set(outcome.finals) == set(contest.cells)
    for cell, final in outcome.finals.items():
        best = max(outcome.trials[cell], key=lambda trial: trial.scores[0])
        assert (final.trial_id, final.genotype, final.metric) == (best.id, best.proposal.genotype, "test_accuracy")


def test_a_strategy_that_fails_leaves_the_others_whole(recipe, tmp_path):
    contest = contests.prepared(recipe, f"{small.STRANGE}:Dying,random,{small.STRANGE}:Raising", "1")
    outcome = contests.carried_out(contest, tmp_path / "out", 1)
    assert set(outcome.trials) == {SearchCell("random", "toy", 0)}
    assert "its process was killed by SIGKILL (9)" in outcome.faults[SearchCell(f"{small.STRANGE}:Dying", "toy", 0)]
    assert outcome.faults[SearchCell(f"{small.STRANGE}:Raising", "toy", 0)].startswith("KeyError: 'two\\nlines'")


def test_two_strategies_whose_labels_differ_at_the_end_alone_are_two(recipe, tmp_path):
    """One command each: the name of a folder cannot depend on what else is compared."""
    for count, last in enumerate((7, 8), 1):
        strategy = f"{small.STRANGE}:Remembering(told={[0] * 40 + [last]})"
        outcome = contests.carried_out(contests.prepared(recipe, strategy, "1"), tmp_path / "out")
        assert len(outcome.trials) == 1 and not outcome.faults
        assert len(list((tmp_path / "out" / "runs" / "toy").glob("*-0"))) == count


def test_a_folder_with_the_search_of_another_strategy_or_seed_is_refused(recipe, tmp_path):
    contest = contests.prepared(recipe, "random", "1")
    contests.carried_out(contest, tmp_path / "out")
    runs = tmp_path / "out" / "runs" / "toy"
    (runs / "random-0").rename(runs / "random-1")
    with pytest.raises(StoreError, match=r"random-1 holds another search: its seed is 0, not 1; move it away"):
        contests.carried_out(contests.prepared(recipe, "random", "2"), tmp_path / "out")
    (runs / "random-1").rename(runs / "local_search-0")
    with pytest.raises(StoreError, match="its strategy is random, not local_search"):
        contests.carried_out(contests.prepared(recipe, "local_search", "1"), tmp_path / "out")


def test_data_that_changed_between_two_commands_is_refused(tmp_path):
    data = tmp_path / "data"
    data.write_text("one")
    task = f'"{small.STRANGE}:Stamped", path = {json.dumps(str(data))}'
    recipe = contests.write(tmp_path / "toy.toml", trials=2, task=task)
    out = tmp_path / "out"
    contests.carried_out(contests.prepared(recipe, "random", "1"), out)
    assert (out / "runs" / "toy" / "data.txt").read_text().startswith("one\n")
    data.write_text("two")
    contests.carried_out(contests.prepared(recipe, "random", "1"), out)  # nothing is searched, so nothing is mixed
    with pytest.raises(StoreError, match=r"task of recipe 'toy' have changed since the searches in .*toy began"):
        contests.carried_out(contests.prepared(recipe, "random", "2"), out)
    (out / "runs" / "toy" / "data.txt").unlink()  # as in a folder of an earlier version
    with pytest.raises(StoreError, match="have changed since"):
        contests.carried_out(contests.prepared(recipe, "random", "2"), out)
    data.write_text("one")
    assert len(contests.carried_out(contests.prepared(recipe, "random", "2"), out).trials) == 2


def test_what_is_complete_answers_for_no_data_that_lies_elsewhere(tmp_path):
    def written(name, content):
        (tmp_path / name).write_text(content)
        return contests.write(
            tmp_path / "toy.toml",
            trials=2,
            task=f'"{small.STRANGE}:Placed", path = {json.dumps(str(tmp_path / name))}',
        )

    out = tmp_path / "out"
    contests.carried_out(contests.prepared(written("a", "one"), "random", "1"), out)
    noted = (out / "runs" / "toy" / "recipe.toml").read_text()
    with pytest.raises(StoreError, match="have changed since"):
        contests.carried_out(contests.prepared(written("b", "two"), "random", "1"), out)
    assert (out / "runs" / "toy" / "recipe.toml").read_text() == noted
    assert len(contests.carried_out(contests.prepared(written("c", "one"), "random", "1"), out).trials) == 1


@pytest.mark.parametrize(("name", "before", "after"), [("recipe.toml", "toy", "tox"), ("data.txt", "one", "onf")])
def test_what_is_noted_beside_the_runs_is_not_believed_when_it_was_damaged(tmp_path, name, before, after):
    (tmp_path / "data").write_text("one")
    task = f'"{small.STRANGE}:Stamped", path = {json.dumps(str(tmp_path / "data"))}'
    recipe = contests.write(tmp_path / "toy.toml", trials=1, task=task)
    contests.carried_out(contests.prepared(recipe, "random", "1"), tmp_path / "out")
    noted = tmp_path / "out" / "runs" / "toy" / name
    for damage in (lambda text: text.replace(before, after, 1), lambda text: text[:-9], lambda _: "\udcff"):
        whole = noted.read_text()
        noted.write_text(damage(whole), errors="surrogateescape")
        with pytest.raises(StoreError, match=rf"{name} is damaged or was changed; restore it, or give another folder"):
            contests.carried_out(contests.prepared(recipe, "random", "2"), tmp_path / "out")
        noted.write_text(whole)
    assert len(contests.carried_out(contests.prepared(recipe, "random", "2"), tmp_path / "out").trials) == 2


def test_a_strategy_that_ends_early_is_done(recipe, tmp_path):
    out, strategy = tmp_path / "out", f"{small.STRANGE}:Remembering"
    outcome = contests.carried_out(contests.prepared(recipe, strategy, "1"), out)
    [cell] = outcome.trials
    assert len(outcome.trials[cell]) == 3 and outcome.exhausted == {cell}
    more = contests.prepared(recipe, strategy, "1", trials=20)
    assert contests.rows(_unplayed(more, out)) == contests.rows(outcome)


def test_the_program_of_a_strategy_is_remembered(recipe, tmp_path, monkeypatch):
    out = tmp_path / "out"
    now = contests.prepared(recipe, "random", "1", trials=3)
    outcome = contests.carried_out(now, out)
    [cell] = outcome.trials
    assert outcome.sources[cell] == (now.sources["random"],) != ("",)
    monkeypatch.setattr(strategy_refs, "source_of", lambda _reference: "another")
    later = contests.prepared(recipe, "random", "1", trials=3)
    assert contests.carried_out(later, out).sources[cell] == (now.sources["random"],)
    more = contests.prepared(recipe, "random", "1", trials=5)
    assert contests.carried_out(more, out).sources[cell] == (now.sources["random"], "another")


def test_a_full_training_that_failed_is_said_and_not_begun_again(tmp_path):
    recipe = contests.write(tmp_path / "toy.toml", trials=3, kind=f"{small.STRANGE}:Untrainable")
    contest, out = contests.prepared(recipe, "random", "1", is_full=True), tmp_path / "out"
    outcome = contests.carried_out(contest, out)
    [cell] = outcome.trials
    sentence = outcome.untrained[cell]
    assert sentence.startswith("the full training failed: ValueError: no memory for so long a training; remove ")
    place = sentence.split("remove ")[1].removesuffix(" to train again")
    assert run_folder.holds_run(Path(place)) and not outcome.finals and not outcome.faults
    again = _unplayed(contest, out)
    assert again.untrained == outcome.untrained


def test_a_kill_during_a_full_training_costs_that_training_alone(tmp_path):
    mark = str(tmp_path / "mark")
    recipe = contests.write(tmp_path / "toy.toml", trials=3, kind=f"{small.STRANGE}:Mortal", mark=mark)
    contest, out = contests.prepared(recipe, "random", "1", is_full=True), tmp_path / "out"
    outcome = contests.carried_out(contest, out, 1)
    [cell] = contest.cells
    assert "killed by SIGKILL (9)" in outcome.faults[cell] and not outcome.finals
    assert len(outcome.trials[cell]) == 3, "the search was whole before"
    again = contests.carried_out(contest, out)
    assert not again.faults and again.finals[cell].metric == "test_accuracy"
    assert contests.rows(again) == contests.rows(outcome)


def test_another_number_of_workers_is_another_recipe(tmp_path):
    path = contests.write(tmp_path / "toy.toml", trials=2)
    contests.carried_out(contests.prepared(path, "random", "1"), tmp_path / "out")
    path.write_text(path.read_text().replace('{ref = "inline"}', '{ref = "processes"}'))
    runs = recipes.read([path], {"executor": {"workers": 2}}, None)
    contest = prepare(StrategyContest(command_line.read_strategies("random"), runs, (0,)))
    with pytest.raises(StoreError, match=r"its executor\.workers is 1, not 2"):
        contests.carried_out(contest, tmp_path / "out")


def test_nothing_is_written_where_one_of_several_recipes_is_refused(tmp_path):
    one, other = (contests.write(tmp_path / f"{name}.toml", trials=2) for name in ("one", "other"))
    contests.carried_out(contests.prepared(other, "random", "1"), tmp_path / "out")
    contests.write(other, trials=2, noise=0.5)
    runs = recipes.read([one, other], {}, None)
    contest = prepare(StrategyContest(command_line.read_strategies("random"), runs, (0,)))
    with pytest.raises(StoreError, match="called 'other'"):
        contests.carried_out(contest, tmp_path / "out")
    assert not (tmp_path / "out" / "runs" / "one").exists()


def test_an_objective_that_nobody_measures_is_refused(recipe):
    recipe.write_text('objectives = ["valid_acuracy"]\n' + recipe.read_text())
    with pytest.raises(BadRunFile, match="'valid_acuracy' is measured by nobody here; there are valid_accuracy"):
        contests.prepared(recipe, "random", "1")


def _unplayed(contest, out):
    """The outcome of a folder in which nothing is left to play."""

    def play(order, cells, *_):
        assert not cells
        yield from ()

    with contests.folder.taken(out, "recipes"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "play", play)
        return carry_out(contest, out, 1)


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


def test_a_limit_that_some_networks_fit_is_no_reason_to_refuse_a_recipe(tmp_path):
    def recipe(limit):
        space = f'hnag", rule = "strict", limit = {limit}, searched = "wiring'
        return contests.write(tmp_path / f"{limit}.toml", space, task='"digits"', kind="training", steps=1)

    space = HnagSpace(limit=24_000, rule="strict")
    with pytest.raises(InvalidGenotype):
        space.count(space.sample(seeds.rng_for(0, seeds.ASK)), IO(1, 8, 8, 10))
    assert contests.prepared(recipe(24_000), "random").recipes.keys() == {"24000"}
    with pytest.raises(InvalidGenotype, match=r"with one channel and space.limit is 2,000"):
        contests.prepared(recipe(2_000), "random")


def test_errors_name_the_recipe_where_there_are_several(recipe, tmp_path):
    other = contests.write(tmp_path / "other.toml", space=f"{small.STRANGE}:Uncountable")
    with pytest.raises(BadReference, match=r"^recipe other: the recipe names .* for its space, .* add --trust"):
        recipes.read([recipe, other], {}, None)
    runs = recipes.read([recipe, other], {}, None, Trust(is_full=True))
    with pytest.raises(BadReference, match=r"^recipe other: space\.length is 12; no such network fits"):
        prepare(StrategyContest(command_line.read_strategies("random"), runs, (0,)))
    with pytest.raises(BadReference, match=r"^space\.length is 12"):
        contests.prepared(other, "random")


def test_of_two_objectives_hypervolume_judges(recipe):
    recipe.write_text('objectives = ["valid_accuracy", "-params"]\n' + recipe.read_text())
    contest = contests.prepared(recipe, "random")
    assert contest.remarks["toy"] == ("its searches are judged by hypervolume: valid_accuracy, -params",)
    assert {each.name for each in recipes.standard_strategies(contest.recipes)} <= {"random", "nsga2"}


@pytest.mark.parametrize(
    ("own", "names"),
    [
        ([], ["random", "aging", "non_aging", "reinforce"]),
        (['"aging", population = 7'], ["random", "aging(population=7)", "non_aging", "reinforce"]),
        (['"reinforce", batch = 5'], ["random", "reinforce(batch=5)", "non_aging"]),
        (['"aging", population = 7', '"nao"'], ["random", "aging(population=7)", "nao", "non_aging", "reinforce"]),
    ],
)
def test_without_strategies_those_of_the_recipes_are_among_the_usual_ones(tmp_path, own, names):
    paths = [contests.write(tmp_path / f"{n}.toml") for n in range(max(1, len(own)))]
    for path, text in zip(paths, own, strict=False):
        path.write_text(f"strategy = {{ref = {text}}}\n{path.read_text()}")
    assert [strategy_refs.label(each) for each in recipes.standard_strategies(recipes.read(paths, {}, None))] == names


def test_a_random_start_that_is_all_there_is_is_said(recipe):
    contest = contests.prepared(recipe, "aging(population=12,sample=2),random")
    assert contest.warnings["random", "toy"] == ()
    assert "its random start is all there is" in contest.warnings["aging(population=12,sample=2)", "toy"][0]


def test_budgets_that_do_not_compare_and_promotions_that_begin_anew_are_said(tmp_path):
    path = tmp_path / "digits.toml"
    path.write_text(
        'space = {ref = "flat", channels = 2}\ntask = {ref = "digits"}\n'
        'evaluator = {ref = "training", epochs = 2}\nlimits = {trials = 4}\n'
    )
    asked = "asha(eta=2,max_budget=4)"
    contest = contests.prepared(path, f"random,{asked}")
    assert contest.warnings["random", "digits"] == ()
    anew, differing = contest.warnings[asked, "digits"]
    assert anew == "promotions begin anew: give --evaluator.horizon 4 for them to go on"
    assert differing.startswith("it is judged by its trials with budget 4, random with 2 epochs: such scores do not")
    path.write_text(path.read_text().replace("epochs = 2", "epochs = 4, horizon = 4"))
    assert not any(contests.prepared(path, f"random,{asked}").warnings.values())


def test_searches_have_one_worker_unless_told(tmp_path):
    path = contests.write(tmp_path / "toy.toml")
    path.write_text(path.read_text().replace('{ref = "inline"}', '{ref = "processes", workers = 450}'))
    from_recipe = contests.prepared(path).recipes["toy"]
    assert from_recipe.executor.options == {"workers": 1}
    told = recipes.read([path], {"executor": {"workers": 3}}, None)["toy"]
    assert told.executor.options == {"workers": 3}
    with pytest.raises(BadRunFile, match="two recipes are called 'toy'"):
        recipes.read([path, path], {}, None)
    path.write_text(path.read_text().replace('"processes"', '"nowhere"'))
    with pytest.raises(BadReference, match="there is no executor 'nowhere'"):
        contests.prepared(path)
