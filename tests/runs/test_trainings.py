"""Which networks are trained in full, how, and what is made of the results."""

from dataclasses import replace

import numpy as np
import pytest

from netwright.core.errors import BadReference, BadRunFile
from netwright.core.finals import BEST, RANDOM, TRIVIAL, Candidate
from netwright.core.records import Proposal, Result, Trial
from netwright.core.refs import Reference
from netwright.core.run_file import RunFile
from netwright.runs import retraining, trainings
from netwright.runs.run import Run
from netwright.stores.memory import MemoryStore
from netwright.testing.toys import ToySpace


def trial(n, score, genotype=(1,) * 12, parents=()):
    scores = None if score is None else (score,)
    return Trial(n, Proposal(genotype, parents), str(n), n, "done", Result({"valid_accuracy": score}), scores, n)


def final_row(n, genotype, value, metric="test_accuracy"):
    result = Result(failure="error") if value is None else Result({metric: value, "params": 7})
    return Trial(n, Proposal(genotype), "k", n, "done", result, None, n)


def test_the_best_and_its_two_references():
    rows = [trial(1, 0.5), trial(2, 0.7), trial(3, None), trial(4, 0.9, (2,) * 12, (2,)), trial(5, 0.9, parents=(2,))]
    chosen = trainings.candidates(ToySpace(), rows)
    assert [(c.label, c.trial_id, c.is_reference) for c in chosen] == [
        (BEST, 4, False),
        (RANDOM, 2, True),
        (TRIVIAL, None, True),
    ]


def test_a_best_that_is_of_the_first_population_is_trained_once():
    chosen = trainings.candidates(ToySpace(), [trial(1, 0.5), trial(2, 0.7, (3,) * 12)])
    assert [c.label for c in chosen] == [BEST, TRIVIAL]


def test_their_run_file():
    run = RunFile(
        evaluator=Reference("training", {"steps": 500, "batch": 64, "repeats": 4}),
        executor=Reference("processes", {"workers": 8}),
        constraints=("params <= 9",),
        reuse=True,
        threads_per_trial=1,
        final={"epochs": 30, "repeats": 2},
    )
    same = [Candidate(BEST, (1, 2)), Candidate(RANDOM, (1, 2)), Candidate(TRIVIAL, (0, 0))]
    final = trainings.run_of(run, same, {})
    kept = {"checkpoint_minutes": 5.0, "save": True, "split": "test"}
    assert final.evaluator.options == {"batch": 64, "epochs": 30, **kept}
    assert final.strategy.options == {"genotypes": [[1, 2], [0, 0]], "repeats": 2}
    assert final.objectives == ("test_accuracy",)
    assert (final.limits.trials, final.constraints, final.reuse, final.keep) == (4, (), False, "all")
    assert (final.executor.options["workers"], final.threads_per_trial) == (4, None), "no worker without a training"
    assert trainings.run_of(replace(run, executor=Reference("inline")), same, {}).threads_per_trial == 1
    changes = {"space": {"channels": 64}, "evaluator": {"steps": 9}, "final": {"repeats": 1}, "task": {"padding": 2}}
    changed = trainings.run_of(run, same, changes, "valid")
    assert changed.evaluator.options == {"batch": 64, "steps": 9, **kept, "split": "valid"}
    assert changed.space.options == {"channels": 64}
    assert changed.task.options == {"padding": 2}
    assert changed.objectives == ("valid_accuracy",)
    assert trainings.setting(changed) == "9 steps, channels 64"


def test_a_search_s_budget_is_not_that_of_a_full_training():
    run = RunFile(evaluator=Reference("training", {"steps": 9}))
    options = trainings.run_of(run, [Candidate(BEST, ())], {}).evaluator.options
    assert options["epochs"] == trainings.FULL_EPOCHS
    assert "steps" not in options


def test_an_evaluator_of_ones_own_gets_no_options_it_does_not_take():
    run = RunFile(evaluator=Reference("netwright.testing.toys:ToyEvaluator", {"noise": 0.5}))
    assert trainings.run_of(run, [Candidate(BEST, ())], {}).evaluator.options == {"noise": 0.5, "split": "test"}


@pytest.mark.parametrize(
    ("final", "error"),
    [({"repeats": 0}, BadRunFile), ({"repeats": "two"}, BadRunFile), ({"bogus": 3}, BadReference)],
)
def test_a_table_that_could_not_be_used_is_refused(final, error):
    with pytest.raises(error, match=r"repeats is|no option 'bogus'"):
        trainings.check(RunFile(final=final), {})


def test_other_settings_stand_in_another_folder():
    runs = [RunFile(final={"epochs": n}) for n in (1, 2)]
    names = {
        trainings.folder_name(trainings.run_of(run, [Candidate(BEST, genotype)], {}))
        for run in runs
        for genotype in ((1,), (2,))
    }
    assert len(names) == 4
    more_workers = replace(runs[0], executor=Reference("processes", {"workers": 7}), threads_per_trial=3)
    same = [
        trainings.folder_name(trainings.run_of(run, [Candidate(BEST, (1,))], {})) for run in (runs[0], more_workers)
    ]
    assert same[0] == same[1] in names


def _stored(rows, chosen):
    store = MemoryStore()
    for row in rows:
        store.add(row.proposal, row.key, row.seed, row.result)
    trainings.remember(store, chosen, "netwright train x", 5.0)
    return store


def test_results_are_means_of_the_measure_itself(tmp_path):
    chosen = [Candidate(BEST, (1,), 4), Candidate(TRIVIAL, (0,)), Candidate(RANDOM, (2,), is_reference=True)]
    rows = [final_row(1, (1,), 0.8), final_row(2, (0,), None), final_row(3, (1,), 0.9), final_row(4, (2,), 0.5)]
    run = RunFile(objectives=("test_accuracy",), evaluator=Reference("training", {"epochs": 1000}))
    best, random = trainings.results(_stored(rows, chosen), run, tmp_path)
    assert (best.mean, best.sd, best.n, best.params) == (pytest.approx(0.85), pytest.approx(0.0707, abs=1e-4), 2, 7)
    assert (best.label, best.trial_id, best.reference) == (BEST, 4, False)
    assert (best.command, best.setting) == ("netwright train x", "1,000 epochs")
    assert best.folder == tmp_path / "trials" / "000001"
    assert (random.mean, random.sd, random.n, random.reference) == (0.5, None, 1, True)
    losses = _stored([final_row(1, (1,), 2.5, metric="test_loss")], chosen[:1])
    [loss] = trainings.results(losses, RunFile(objectives=("-test_loss",)), tmp_path)
    assert (loss.metric, loss.mean) == ("test_loss", 2.5)


def test_networks_of_a_generator_are_each_of_a_size_of_their_own(tmp_path):
    rows = [
        Trial(n, Proposal((1,)), "k", 10 + n, "done", Result({"test_accuracy": value, "params": params}), None, 4 - n)
        for n, value, params in ((3, 0.9, 40), (1, 0.8, 10), (2, 0.7, 11))
    ]
    store = MemoryStore()
    for row in sorted(rows, key=lambda row: row.id):
        store.add(row.proposal, row.key, row.seed, row.result)
    trainings.remember(store, [Candidate(BEST, (1,), 4)], "", 0.0)
    [final] = trainings.results(store, RunFile(objectives=("test_accuracy",)), tmp_path)
    assert [(each.seed, each.params, each.value) for each in final.trained] == [
        (11, 10, 0.8),
        (12, 11, 0.7),
        (13, 40, 0.9),
    ]
    assert final.params == 20
    assert retraining.size(final) == "20 parameters on average (10 to 40)"
    assert retraining.size(replace(final, trained=final.trained[:1])) == "20 parameters"


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
    finals = Run(tmp_path / "run", recipe).train(published="amoebanet_a")
    assert [final.reference for final in finals] == [False, True]
    assert finals[0].way == finals[1].way
