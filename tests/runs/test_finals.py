"""What is made of the results of full trainings."""

import math
from dataclasses import replace

import pytest

from netwright.core.finals import BEST, PLAIN, RANDOM, SEARCHED, TRIVIAL, Candidate
from netwright.core.records import Proposal, Result, Trial
from netwright.core.refs import Reference
from netwright.core.run_file import RunFile
from netwright.runs import finals
from netwright.stores.memory import MemoryStore


def final_row(n, genotype, value, metric="test_accuracy"):
    result = Result(failure="error") if value is None else Result({metric: value, "params": 7})
    return Trial(n, Proposal(genotype), "k", n, "done", result, None, n)


def _note(store, chosen):
    for name, text in finals.facts(chosen, "netwright train x", 5.0).items():
        store.remember(name, text)


def _stored(rows, chosen):
    store = MemoryStore()
    for row in rows:
        store.add(row.proposal, row.key, row.seed, row.result)
    _note(store, chosen)
    return store


def test_results_are_means_of_the_measure_itself(tmp_path):
    chosen = [Candidate(BEST, (1,), 4), Candidate(TRIVIAL, (0,)), Candidate(RANDOM, (2,), is_reference=True)]
    rows = [final_row(1, (1,), 0.8), final_row(2, (0,), None), final_row(3, (1,), 0.9), final_row(4, (2,), 0.5)]
    run = RunFile(objectives=("test_accuracy",), evaluator=Reference("training", {"epochs": 1000}))
    best, random = finals.results(_stored(rows, chosen), run, tmp_path)
    assert (best.mean, best.sd, best.n, best.params) == (pytest.approx(0.85), pytest.approx(0.0707, abs=1e-4), 2, 7)
    assert (best.label, best.trial_id, best.reference) == (BEST, 4, False)
    assert (best.command, best.setting) == ("netwright train x", "1,000 epochs")
    assert best.folder == tmp_path / "trials" / "000001"
    assert (random.mean, random.sd, random.n, random.reference) == (0.5, None, 1, True)
    losses = _stored([final_row(1, (1,), 2.5, metric="test_loss")], chosen[:1])
    [loss] = finals.results(losses, RunFile(objectives=("-test_loss",)), tmp_path)
    assert (loss.metric, loss.mean) == ("test_loss", 2.5)


def test_a_broken_off_end_whose_length_an_earlier_release_did_not_note_is_said_without_it(tmp_path):
    row = final_row(1, (1,), 0.8)
    row.result.metrics.update(broken_off=1.0, steps_1=90, span_1=0, steps_2=70, span_2=70)
    [found] = finals.results(
        _stored([row], [Candidate(SEARCHED, (1,))]), RunFile(objectives=("test_accuracy",)), tmp_path
    )
    assert found.broken_off == "the deadline broke off the cooldown"


def test_the_accuracy_is_known_whatever_the_objective(tmp_path):
    rows = [final_row(n, (1,), 2.5, metric="test_loss") for n in (1, 2)]
    for row, accuracy in zip(rows, (0.8, 0.9), strict=True):
        row.result.metrics["test_accuracy"] = accuracy
    run = RunFile(objectives=("-test_loss",))
    [found] = finals.results(_stored(rows, [Candidate(BEST, (1,))]), run, tmp_path)
    assert (found.mean, found.accuracy) == (2.5, pytest.approx(0.85))
    [without] = finals.results(_stored([final_row(1, (1,), 2.5, "test_loss")], [Candidate(BEST, (1,))]), run, tmp_path)
    assert without.accuracy is None


def test_a_cooldown_that_a_deadline_broke_off_is_noted(tmp_path):
    rows = [final_row(n, (genotype,), 0.8) for n, genotype in ((1, 1), (2, 2), (3, 2), (4, 0))]
    for row, steps in zip(rows, ((1900, 2000), (95, 100), (90, 100), (50, 50)), strict=True):
        row.result.metrics.update(broken_off=float(steps[0] < steps[1]), steps_1=steps[0], span_1=steps[1])
    rows[3].result.metrics.update(span_1=60, bend_1_1=40)  # shortened, as every second step was left out
    chosen = [Candidate(BEST, (genotype,)) for genotype in (1, 2, 0)]
    found = finals.results(_stored(rows, chosen), RunFile(objectives=("test_accuracy",)), tmp_path)
    assert [each.broken_off for each in found] == [
        "the deadline broke off the cooldown at step 1,900 of 2,000",
        "the deadline broke off the cooldown of 2 trainings, one at step 90 of 100",
        "",
    ]


def test_a_length_that_was_measured_stands_in_place_of_the_one_that_was_given(tmp_path):
    chosen = [Candidate(SEARCHED, (1,), 4), Candidate(SEARCHED, (0,), 6), Candidate(PLAIN, (2,), is_reference=True)]
    rows = [final_row(n, (genotype,), 0.8) for n, genotype in ((1, 1), (2, 1), (3, 0), (4, 2))]
    counts = (1200, 980, 1100, math.nan)
    for row, steps in zip(rows, counts, strict=True):
        row.result.metrics["steps"] = steps
    run = RunFile(objectives=("test_accuracy",), evaluator=Reference("training", {"pace": [1.0]}))
    found = finals.results(_stored(rows, chosen), run, tmp_path)
    assert [final.setting for final in found] == ["980 to 1,200 steps", "1,100 steps", ""]
    assert [final.name for final in found] == ["searched network, trial 4", "searched network, trial 6", PLAIN]
    assert finals.result(found[1]).endswith(": searched network, trial 6")


def test_networks_of_a_generator_are_each_of_a_size_of_their_own(tmp_path):
    rows = [
        Trial(n, Proposal((1,)), "k", 10 + n, "done", Result({"test_accuracy": value, "params": params}), None, 4 - n)
        for n, value, params in ((3, 0.9, 40), (1, 0.8, 10), (2, 0.7, 11))
    ]
    store = MemoryStore()
    for row in sorted(rows, key=lambda row: row.id):
        store.add(row.proposal, row.key, row.seed, row.result)
    _note(store, [Candidate(BEST, (1,), 4)])
    [final] = finals.results(store, RunFile(objectives=("test_accuracy",)), tmp_path)
    assert [(each.seed, each.params, each.value) for each in final.repetitions] == [
        (11, 10, 0.8),
        (12, 11, 0.7),
        (13, 40, 0.9),
    ]
    assert final.params == 20
    assert finals.size(final) == "20 parameters on average (10 to 40)"
    assert finals.size(replace(final, repetitions=final.repetitions[:1])) == "20 parameters"
