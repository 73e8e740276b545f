"""Metrics that a run reports beside its objective: measured, shown and tested, and searched by none of them."""

import json

import pytest

from netwright.core.errors import BadRunFile
from netwright.runs.run import Run
from tests.cli.test_bad_input import run as command

NAMES = ("valid_top5", "valid_macro_f1")
TINY = {
    "task": {"train_limit": 60},
    "evaluator": {"steps": 1, "batch": 8},
}


def _run(folder, **settings):
    options = {
        "space": "flat(nodes=3,channels=2)",
        "task": "digits",
        "strategy": "aging(population=2,sample=1)",
        "executor": "inline",
        "trials": 2,
    }
    return Run(folder, changes=TINY, **options, **{"metrics": NAMES, **settings})


def test_they_stand_beside_the_objective_wherever_a_run_is_shown(tmp_path, capsys):
    """A strategy that takes one objective searches such a run, and a training in full tests them."""
    run = _run(tmp_path / "run")
    found = run.search()
    best = found.best
    assert run.settings.objectives == ("valid_accuracy",) and len(best.scores) == 1
    measured = {name: best.result.metrics[name] for name in NAMES}
    said = capsys.readouterr().out
    assert "; ".join(f"{name} {value:.4f}" for name, value in measured.items()) in said
    assert json.loads(command(capsys, "status", tmp_path / "run", "--json")[1])["best"]["metrics"] == measured
    assert f"valid_top5 {measured['valid_top5']:.4f}" in command(capsys, "status", tmp_path / "run")[1]
    [final] = run.train(repeats=1, reference=False, changes={"evaluator": {"steps": 1}})
    assert [each.objective.name for each in final.further] == ["test_top5", "test_macro_f1"]
    assert final.metric == "test_accuracy" and final.further[0].value >= final.mean
    assert all(each.objective.is_share for each in final.further)
    page = run.report().read_text()
    assert "Reported beside: valid_top5, valid_macro_f1." in page
    assert "<th>valid top5</th>" in page.replace(' class="number"', "").replace(' class="n"', "")


def test_without_any_nothing_more_is_measured(tmp_path):
    run = _run(tmp_path / "run", metrics=None)
    assert not set(NAMES) & set(run.search().best.result.metrics)
    with pytest.raises(BadRunFile, match="its metrics are none, not valid_top5"):
        _run(tmp_path / "run", metrics=NAMES[:1]).search()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("-valid_loss", "metrics name '-valid_loss'; write the name of a metric alone"),
        ("valid_top5,valid_top5", "metrics name valid_top5 twice; name it once"),
        ("valid_accuracy", "metrics name valid_accuracy, which is an objective and so reported"),
        ("valid_nothing", "metric 'valid_nothing' is measured by nobody here; there are valid_accuracy, valid_loss"),
        ("valid_top5,", "--metrics is 'valid_top5,', which has an empty name"),
    ],
)
def test_what_says_nothing_is_refused(words, sentence, tmp_path, capsys):
    code, _, said = command(capsys, "search", "--task", "digits", "--trials", 1, "--metrics", words, "--out", tmp_path)
    assert (code, sentence in said) == (2, True), said
