"""Which networks are trained in full, and how."""

from dataclasses import replace

import numpy as np
import pytest

from netwright.core.errors import BadReference, BadRunFile
from netwright.core.finals import BEST, RANDOM, TRIVIAL, Candidate
from netwright.core.records import Proposal, Result, Trial
from netwright.core.refs import Reference
from netwright.core.run_file import RunFile
from netwright.report.history import History
from netwright.runs import candidates, finals, retraining
from netwright.runs.run import Run
from netwright.testing.toys import ToySpace


def trial(n, score, genotype=(1,) * 12, parents=()):
    scores = None if score is None else (score,)
    return Trial(n, Proposal(genotype, parents), str(n), n, "done", Result({"valid_accuracy": score}), scores, n)


def test_the_best_and_its_two_references():
    rows = [trial(1, 0.5), trial(2, 0.7), trial(3, None), trial(4, 0.9, (2,) * 12, (2,)), trial(5, 0.9, parents=(2,))]
    chosen = candidates.of_search(ToySpace(), History.of(rows))
    assert [(c.label, c.trial_id, c.is_reference) for c in chosen] == [
        (BEST, 4, False),
        (RANDOM, 2, True),
        (TRIVIAL, None, True),
    ]


def test_a_best_that_is_of_the_first_population_is_trained_once():
    chosen = candidates.of_search(ToySpace(), History.of([trial(1, 0.5), trial(2, 0.7, (3,) * 12)]))
    assert [c.label for c in chosen] == [BEST, TRIVIAL]


def test_their_run_file():
    run = RunFile(
        objectives=("valid_accuracy",),
        evaluator=Reference("training", {"steps": 500, "batch": 64, "repeats": 4}),
        executor=Reference("processes", {"workers": 8}),
        constraints=("params <= 9",),
        reuse="network",
        threads_per_trial=1,
        final={"epochs": 30, "repeats": 2},
    )
    same = [Candidate(BEST, (1, 2)), Candidate(RANDOM, (1, 2)), Candidate(TRIVIAL, (0, 0))]
    final = retraining.run_of(run, same, {})
    kept = {"checkpoint_minutes": 5.0, "save": True, "split": "test"}
    assert final.evaluator.options == {"batch": 64, "epochs": 30, **kept}
    assert final.strategy.options == {"genotypes": [[1, 2], [0, 0]], "repeats": 2}
    assert final.objectives == ("test_accuracy",)
    assert (final.limits.trials, final.constraints, final.reuse, final.keep) == (4, (), False, "all")
    assert (final.executor.options["workers"], final.threads_per_trial) == (4, None), "no worker without a training"
    assert retraining.run_of(replace(run, executor=Reference("inline")), same, {}).threads_per_trial == 1
    changes = {"space": {"channels": 64}, "evaluator": {"steps": 9}, "final": {"repeats": 1}, "task": {"padding": 2}}
    changed = retraining.run_of(run, same, changes, "valid")
    assert changed.evaluator.options == {"batch": 64, "steps": 9, **kept, "split": "valid"}
    assert changed.space.options == {"channels": 64}
    assert changed.task.options == {"padding": 2}
    assert changed.objectives == ("valid_accuracy",)
    assert finals.setting(changed) == "9 steps, channels 64"


def test_a_search_s_budget_is_not_that_of_a_full_training():
    run = RunFile(evaluator=Reference("training", {"steps": 9}))
    options = retraining.run_of(run, [Candidate(BEST, ())], {}).evaluator.options
    assert options["epochs"] == 30
    assert "steps" not in options


def test_an_evaluator_of_ones_own_gets_no_options_it_does_not_take():
    run = RunFile(evaluator=Reference("netwright.testing.toys:ToyEvaluator", {"noise": 0.5}))
    assert retraining.run_of(run, [Candidate(BEST, ())], {}).evaluator.options == {"noise": 0.5, "split": "test"}


@pytest.mark.parametrize(
    ("final", "error"),
    [({"repeats": 0}, BadRunFile), ({"repeats": "two"}, BadRunFile), ({"bogus": 3}, BadReference)],
)
def test_a_table_that_could_not_be_used_is_refused(final, error):
    with pytest.raises(error, match=r"repeats is|no option 'bogus'"):
        retraining.check(RunFile(final=final), {})


def test_other_settings_stand_in_another_folder():
    runs = [RunFile(final={"epochs": n}) for n in (1, 2)]
    names = {
        retraining.folder_name(retraining.run_of(run, [Candidate(BEST, genotype)], {}))
        for run in runs
        for genotype in ((1,), (2,))
    }
    assert len(names) == 4
    more_workers = replace(runs[0], executor=Reference("processes", {"workers": 7}), threads_per_trial=3)
    same = [
        retraining.folder_name(retraining.run_of(run, [Candidate(BEST, (1,))], {})) for run in (runs[0], more_workers)
    ]
    assert same[0] == same[1] in names


def test_the_reference_is_trained_without_what_it_has_no_place_for(tmp_path):
    """An auxiliary head, drop path, dropout; it still counts as trained the same way."""
    rng = np.random.default_rng(0)
    labels = np.arange(100) % 4
    np.savez(tmp_path / "x.npz", images=rng.integers(256, size=(100, 16, 16, 1), dtype=np.uint8), labels=labels)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        f'task = {{ref = "arrays", path = "{tmp_path}/x.npz", cache = "{tmp_path}/cache"}}\nexecutor = "inline"\n'
        'space = {ref = "nasnet", channels = 4, repeats = 1, auxiliary = true}\n'
        'evaluator = {ref = "training", steps = 1, batch = 20, auxiliary = 0.4, drop_path_keep = 0.7, dropout = 0.5}\n'
    )
    found = Run(tmp_path / "run", recipe).train(published="amoebanet_a")
    assert [final.reference for final in found] == [False, True]
    assert found[0].way == found[1].way


def test_the_data_of_a_recipe_may_lie_elsewhere(tmp_path):
    """Its path, which is another machine's, is read nowhere: not to learn what the task measures, either."""
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 4
    np.savez(tmp_path / "here.npz", images=rng.integers(256, size=(40, 16, 16, 3), dtype=np.uint8), labels=labels)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        f'task = {{ref = "arrays", path = "{tmp_path}/not-there.npz", cache = "{tmp_path}/cache"}}\n'
        'executor = "inline"\nspace = {ref = "nasnet", channels = 4, repeats = 1}\n'
        'evaluator = {ref = "training", steps = 1, batch = 10}\n'
    )
    changes = {"task": {"path": str(tmp_path / "here.npz")}}
    [found] = Run(tmp_path / "run", recipe).train(published="amoebanet_a", reference=False, changes=changes)
    assert found.metric == "test_accuracy"
