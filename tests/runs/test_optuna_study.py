import pytest

import netwright
from netwright.core.errors import StoreError
from netwright.core.genes import Choice, Integer, Real
from netwright.runs import optuna_study as module
from netwright.runs.run import Run

optuna = pytest.importorskip("optuna")
TOYS = {part: f"netwright.testing.toys:Toy{part.capitalize()}" for part in ("space", "task", "evaluator")}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A search whose trials have budgets 1, 2 and 4."""
    folder = tmp_path_factory.mktemp("runs") / "toys"
    found = Run(folder, **TOYS, strategy="asha(min_budget=1,max_budget=4,eta=2)", executor="inline", trials=12, seed=1)
    found.search()
    return found


def test_the_best_trial_of_the_study_is_that_of_the_run(run):
    study = netwright.optuna_study(run.folder)
    assert len(study.trials) == len(run.trials)
    assert study.best_trial.user_attrs["trial"] == run.best.id
    assert study.best_value == run.best.scores[0]
    assert study.study_name == "toys" and study.metric_names == ["valid_accuracy"]
    first = study.trials[0]
    assert first.params["gene 0"] == f"option {run.trials[0].proposal.genotype[0]}"
    took = (first.datetime_complete - first.datetime_start).total_seconds()
    assert took == pytest.approx(run.trials[0].result.seconds, abs=1e-5)


def test_smaller_budgets_are_pruned(run):
    budgets = {trial.id: trial.proposal.budget for trial in run.trials}
    assert len(set(budgets.values())) > 1
    top = max(budgets.values())
    for trial in netwright.optuna_study(run.folder).trials:
        is_top = budgets[trial.user_attrs["trial"]] == top
        assert trial.state.name == ("COMPLETE" if is_top else "PRUNED")


def test_a_storage_keeps_it_and_gives_it_back(run, tmp_path):
    journal = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(tmp_path / "journal.log")))
    netwright.optuna_study(run.folder, journal, name="mine")
    again = optuna.load_study(study_name="mine", storage=journal)
    assert [trial.user_attrs["trial"] for trial in again.trials] == [trial.id for trial in run.trials]
    with pytest.raises(StoreError, match="already has a study 'mine'; give another name"):
        netwright.optuna_study(run.folder, journal, name="mine")


def test_optunas_own_analysis_reads_it(run):
    importances = optuna.importance.get_param_importances(
        netwright.optuna_study(run.folder), evaluator=optuna.importance.PedAnovaImportanceEvaluator()
    )
    assert importances.keys() == {f"gene {n}" for n in range(12)}


def test_several_objectives_are_several_directions(tmp_path):
    options = {"strategy": "random", "executor": "inline", "trials": 12, "objectives": ["valid_accuracy", "-params"]}
    several = Run(tmp_path / "run", **TOYS, **options)
    several.search(is_stage=True)
    study = netwright.optuna_study(several.folder)
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert study.metric_names == ["valid_accuracy", "params"]
    values = {tuple(trial.values) for trial in study.best_trials}
    assert values == {(trial.scores[0], -trial.scores[1]) for trial in several.front()}, "the front of the run"


def test_failures_fail_and_lower_is_better_where_it_is(tmp_path):
    options = {"strategy": "random", "executor": "inline", "trials": 3, "objectives": ["-valid_accuracy!"]}
    run = Run(tmp_path / "run", **TOYS, **options)
    run.search()
    study = netwright.optuna_study(run.folder)
    assert study.direction.name == "MINIMIZE"
    assert study.best_value == -run.best.scores[0] == min(t.result.metrics["valid_accuracy"] for t in run.trials)


@pytest.mark.parametrize(
    ("gene", "value", "shown"),
    [(Choice("a", ("x", "y")), 1, "y"), (Integer("b", 2, 5), 3, 3), (Real("c", 0.0, 1.0), 0.5, 0.5)],
)
def test_genes_are_parameters(gene, value, shown):
    distribution = module._distribution(optuna.distributions, gene)
    assert module._value(gene, value) == shown
    assert distribution._contains(distribution.to_internal_repr(shown))
    assert not isinstance(gene, Integer) or (distribution.low, distribution.high) == (2, 5)


def test_where_nothing_was_searched_it_says_so(tmp_path):
    with pytest.raises(StoreError, match="holds no run"):
        netwright.optuna_study(tmp_path)
