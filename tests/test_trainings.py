"""Which networks are trained in full, how, and what is made of the results."""

import pytest

from netwright import trainings
from netwright.core.errors import BadReference, BadRunFile
from netwright.core.records import Proposal, Result, Trial
from netwright.core.refs import Reference
from netwright.core.run_file import RunFile
from netwright.testing.toys import ToySpace
from netwright.trainings import BEST, RANDOM, TRIVIAL, Candidate


def trial(n, score, genotype=(1,) * 12, parents=()):
    scores = None if score is None else (score,)
    return Trial(n, Proposal(genotype, parents), str(n), n, "done", Result({"valid_accuracy": score}), scores, n)


def final_row(n, genotype, value, metric="test_accuracy"):
    result = Result(failure="error") if value is None else Result({metric: value, "params": 7})
    return Trial(n, Proposal(genotype), "k", n, "done", result, None, n)


def test_the_best_and_its_two_references():
    rows = [trial(1, 0.5), trial(2, 0.7), trial(3, None), trial(4, 0.9, (2,) * 12, (2,)), trial(5, 0.9, parents=(2,))]
    chosen = trainings.candidates(ToySpace(), rows)
    assert [(c.label, c.trial_id) for c in chosen] == [(BEST, 4), (RANDOM, 2), (TRIVIAL, None)]


def test_their_run_file():
    run = RunFile(
        evaluator=Reference("training", {"steps": 500, "batch": 64, "repeats": 4}),
        constraints=("params <= 9",),
        reuse=True,
        final={"epochs": 30, "repeats": 2},
    )
    same = [Candidate(BEST, (1, 2)), Candidate(RANDOM, (1, 2)), Candidate(TRIVIAL, (0, 0))]
    final = trainings.run_of(run, same)
    assert final.evaluator.options == {"batch": 64, "epochs": 30, "split": "test"}
    assert final.strategy.options == {"genotypes": [[1, 2], [0, 0]], "repeats": 2}
    assert final.objectives == ("test_accuracy",)
    assert (final.limits.trials, final.constraints, final.reuse) == (4, (), False)


@pytest.mark.parametrize(
    ("final", "error"),
    [({"repeats": 0}, BadRunFile), ({"repeats": "two"}, BadRunFile), ({"bogus": 3}, BadReference)],
)
def test_a_table_that_could_not_be_used_is_refused(final, error):
    with pytest.raises(error, match=r"repeats is|no option 'bogus'"):
        trainings.check(RunFile(final=final))


def test_other_settings_stand_in_another_folder():
    names = {trainings.folder_name(RunFile(final={"epochs": n}), trials) for n in (1, 2) for trials in (6, 9)}
    assert len(names) == 4


def test_results_are_means_of_the_measure_itself():
    chosen = [Candidate(BEST, (1,)), Candidate(TRIVIAL, (0,)), Candidate(RANDOM, (2,))]
    rows = [final_row(1, (1,), 0.8), final_row(2, (0,), None), final_row(3, (1,), 0.9), final_row(4, (2,), 0.5)]
    best, random = trainings.results(RunFile(objectives=("test_accuracy",)), chosen, rows)
    assert (best.mean, best.sd, best.n, best.params) == (pytest.approx(0.85), pytest.approx(0.0707, abs=1e-4), 2, 7)
    assert (random.mean, random.sd, random.n) == (0.5, None, 1)
    [loss] = trainings.results(
        RunFile(objectives=("-test_loss",)), chosen[:1], [final_row(1, (1,), 2.5, metric="test_loss")]
    )
    assert (loss.metric, loss.mean) == ("test_loss", 2.5)
