"""A search by latency as a user gives it: measured once, kept in the run's table, on every row."""

import json
from contextlib import closing

import pytest

from netwright.core.errors import BadRunFile
from netwright.runs import run_folder
from netwright.runs.run import Run
from netwright.training.latency import operations, table
from netwright.training.latency.table import FACT
from tests.cli.test_bad_input import TOYS, refused

SEARCH = ["search", "--space", "nats", "--space.channels", "2", "--space.repeats", "1", "--strategy", "random"]
SEARCH += ["--task", f"{TOYS}:ToyTask", "--evaluator", f"{TOYS}:ToyEvaluator", "--executor", "inline"]


@pytest.fixture(autouse=True)
def measured(monkeypatch):
    """Every operation takes 1 ms; the texts of those that were measured."""
    found = []
    monkeypatch.setattr(table, "WHOLE", 2)
    monkeypatch.setattr(table, "AHEAD", 2)
    monkeypatch.setattr(operations, "seconds", lambda occurrence, *_: found.append(occurrence.text) or 0.001)
    monkeypatch.setattr(table.LatencyTable, "_seconds_of", lambda *_: 0.03)
    return found


def rows(folder):
    with closing(run_folder.open_table(folder, "read")) as store:
        return store.finished(), store.recall(FACT)


def search(folder, trials, **options):
    given = {"space": "nats(channels=2, repeats=1)", "task": f"{TOYS}:ToyTask", "evaluator": f"{TOYS}:ToyEvaluator"}
    run = Run(folder, **given, strategy="random", executor="inline", trials=trials, **options)
    run.search(is_stage=True)


def test_a_search_by_latency_measures_once_and_goes_on_by_what_it_measured(capsys, tmp_path, measured):
    names, changes = ("valid_accuracy", "-latency_ms"), {"latency": {"batch": 8}}
    search(tmp_path / "run", 6, objectives=names, changes=changes)
    told = capsys.readouterr().out
    assert "latency_ms: of batch 8 on cpu with 1 thread, by " in told and "over 2 whole networks" in told
    first, text = rows(tmp_path / "run")
    assert len(measured) == len(set(measured)) == len(json.loads(text)["operations"])
    for row in first:
        assert row.result.metrics["latency_ms"] == row.proposal.notes["latency_ms"] > 0
    measured.clear()
    search(tmp_path / "run", 9, objectives=names, changes=changes)
    later, again = rows(tmp_path / "run")
    assert [row.result for row in later[:6]] == [row.result for row in first]
    known = json.loads(text)["operations"]
    assert set(measured) == json.loads(again)["operations"].keys() - known.keys()
    assert json.loads(again)["fitted"] == json.loads(text)["fitted"]
    with pytest.raises(BadRunFile, match="its latency is of batch 8 on cpu with 1 thread, not of batch 1 on cpu"):
        search(tmp_path / "run", 9, objectives=names, changes={"latency": {"batch": 1}})


def test_a_metric_beside_the_objective_is_estimated_too(tmp_path):
    search(tmp_path / "run", 2, metrics=("latency_ms",))
    found, text = rows(tmp_path / "run")
    assert text and all(row.result.metrics["latency_ms"] > 0 for row in found)


def test_a_front_trained_anew_at_another_scale_has_another_latency(tmp_path, monkeypatch):
    monkeypatch.setattr(operations, "seconds", lambda occurrence, *_: 0.001 * occurrence.shapes[0][0])
    given = {"space": "nats(channels=2, repeats=1)", "task": "digits(train_limit=60)", "strategy": "random"}
    changes = {"evaluator": {"ref": "training", "steps": 1}}
    goals = ("valid_accuracy", "-latency_ms")
    run = Run(tmp_path / "run", **given, executor="inline", trials=2, objectives=goals, changes=changes)
    run.search(is_stage=True)
    found = run.train(front=True, reference=False, changes={"space": {"channels": 6}, "evaluator": {"steps": 1}})
    _, text = rows(found[-1].folder.parent.parent)
    assert text, "a table of its own"
    for point in run.retrained_front().points:
        assert point.new[1].value == point.metrics["latency_ms"] != point.old[1]


def test_no_trial_is_beyond_a_bound_on_the_latency(tmp_path):
    search(tmp_path / "free", 8, objectives=("valid_accuracy", "-latency_ms"))
    found = sorted(row.result.metrics["latency_ms"] for row in rows(tmp_path / "free")[0])
    bound = (found[3] + found[-1]) / 2
    search(tmp_path / "bound", 8, constraints=(f"latency_ms<={bound:.6f}", "params<=1e6"))
    bounded = [row.result.metrics["latency_ms"] for row in rows(tmp_path / "bound")[0]]
    assert len(bounded) == 8 and max(bounded) <= bound < found[-1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--latency.device", "cuda:77"], "latency.device is 'cuda:77', "),
        (["--latency.batch", "0"], "latency is {batch = 0}: batch must be at least 1, got 0"),
        (["--latency.bathc", "1"], "no setting 'latency.bathc'; it takes device, batch, threads"),
        (["--space", f"{TOYS}:ToySpace"], "latency_ms is estimated from layer plans, and the space writes none"),
        (["--constraint", "latency_ms<=0.001"], "the smallest latency_ms found was "),
    ],
)
def test_refuses_before_anything_is_written(capsys, tmp_path, words, message):
    given = SEARCH[:1] + SEARCH[7:] if "--space" in words else SEARCH
    asked = [*given, "--objectives", "valid_accuracy,-latency_ms", "--trials", "2", *words, "--out", tmp_path / "run"]
    assert message in refused(capsys, *asked)
    assert not (tmp_path / "run" / "trials.sqlite").exists()


def test_settings_of_a_latency_that_nothing_asks_for_are_said_to_be_unused(capsys, tmp_path, measured):
    search(tmp_path / "run", 1, changes={"latency": {"threads": 2}})
    told = " ".join(capsys.readouterr().out.split())
    assert (
        "the settings of the latency (of batch 1 on cpu with 2 threads) are not used: no objective, metric or" in told
    )
    assert not measured
