"""Runs whose task's main measure is to be minimized, shown as a number, from the first trial to the last page."""

import io
import re
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from rich.console import Console

from netwright.comparison.contests import standings
from netwright.core import building, run_file
from netwright.core.errors import BadRunFile
from netwright.core.objectives import Objective
from netwright.core.protocols import SearchSpace, Task
from netwright.core.records import Result
from netwright.core.run_file import RunFile
from netwright.runs import run_folder
from netwright.runs.run import Run
from netwright.testing.toys import ToyEvaluator, ToyTask
from tests.cli.test_bad_input import run as command
from tests.comparison.contests import toy_contests as contests

HERE = __name__
TOY = {"space": "netwright.testing.toys:ToySpace", "strategy": "aging(population=4, sample=2)", "executor": "inline"}


@dataclass(frozen=True)
class Lightest(ToyTask):
    """Its main measure is a weight."""

    measures: ClassVar = (Objective("weight", -1), Objective("accuracy", shown="share"))


@dataclass(frozen=True)
class Scale:
    """The sum of the genes, in hundreds, is the weight; does not say what it measures."""

    space: SearchSpace
    task: Task
    split: str = "valid"

    def evaluate(self, trial, context):
        total = float(sum(trial.proposal.genotype))
        return Result({f"{self.split}_weight": 100 * total, f"{self.split}_accuracy": total / 36, "params": int(total)})


@dataclass(frozen=True)
class Silent(ToyTask):
    """Does not say what it measures."""

    measures: ClassVar = ()


def made(folder, task="Lightest", evaluator="Scale", trials=12, **settings):
    out = Console(file=io.StringIO(), width=200)
    options = {**TOY, "task": f"{HERE}:{task}", "evaluator": f"{HERE}:{evaluator}", "trials": trials, **settings}
    return Run(folder, console=out, **options), out.file


def page_text(folder):
    html = (folder / "report" / "report.html").read_text(encoding="utf-8")
    return re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", html))


def test_the_lowest_is_searched_for_and_shown_as_measured(tmp_path, capsys):
    run, said = made(tmp_path / "run")
    assert run.settings.objectives is None
    found = run.search()
    weights = [trial.result.metrics["valid_weight"] for trial in found.trials]
    lowest = min(weights)
    assert found.best.result.metrics["valid_weight"] == lowest and found.best.scores == (-lowest,)
    assert f"best: trial {found.best.id}, valid_weight {lowest:,.0f}" in said.getvalue()
    assert f"trial 1: valid_weight {weights[0]:,.0f}, 1/12 finished  best so far" in said.getvalue()
    stored = run_file.from_tables(run_file.read(tmp_path / "run" / "run.toml"))
    assert stored.objectives == run.settings.objectives == ("-valid_weight",), "the table says what was resolved"
    assert f"best: trial {found.best.id}, valid_weight {lowest:,.0f}" in command(capsys, "status", tmp_path / "run")[1]
    text = page_text(tmp_path / "run")
    assert "Objective: valid_weight, minimized." in text and f"best valid weight {lowest:,.0f}" in text
    assert run.reported().objective == Objective("valid_weight", -1)


def test_trainings_in_full_go_by_it_too(tmp_path):
    run, said = made(tmp_path / "run")
    rows = run.search().trials
    [final] = run.train(top=3, reference=False)
    weights = {trial.proposal.genotype: trial.result.metrics["valid_weight"] for trial in rows}
    assert final.genotype == min(weights, key=weights.get)
    assert (final.objective, final.mean) == (Objective("test_weight", -1), weights[final.genotype])
    assert f"test_weight {final.mean:.4g}, " in said.getvalue() and "%" not in said.getvalue().partition("test_")[2]


def test_a_share_is_a_share_because_the_task_says_so(tmp_path):
    run, said = made(tmp_path / "run")
    run.settings = replace(run.settings, objectives=("valid_accuracy",))
    run.search()
    [final] = run.train(reference=False)
    assert final.objective == Objective("test_accuracy", shown="share")
    assert f"test_accuracy {final.mean:.2%}, " in said.getvalue()
    assert run.reported().objective.is_share
    store = run_folder.open_table(tmp_path / "run", "write")
    store.remember("measures", "[]")
    store.close()
    assert not run.reported().objective.is_share, "nothing says so: a plain number, whatever its name"


def test_a_run_goes_on_with_the_objective_with_which_it_began(tmp_path):
    made(tmp_path / "run")[0].search()
    again, _ = made(tmp_path / "run", trials=14)
    assert len(again.search().trials) == 14
    other, _ = made(tmp_path / "run", task="Silent", trials=16)
    with pytest.raises(BadRunFile, match="its task is"):
        other.search()
    other, _ = made(tmp_path / "run", trials=16)
    other.settings = replace(other.settings, objectives=("-params",))
    with pytest.raises(BadRunFile, match="its objectives are -valid_weight, not -params"):
        other.search()


def test_where_nobody_says_the_first_metric_counts_the_higher_the_better(tmp_path, capsys):
    run, said = made(tmp_path / "run", task="Silent")
    found = run.search()
    highest = max(trial.result.metrics["valid_weight"] for trial in found.trials)
    assert found.best.scores == (highest,)
    assert f"best: trial {found.best.id}, valid_weight {highest:,.0f}" in said.getvalue()
    assert f"best: trial {found.best.id}, valid_weight {highest:,.0f}" in command(capsys, "status", tmp_path / "run")[1]
    assert "Objective: valid_weight, maximized." in page_text(tmp_path / "run")
    again, _ = made(tmp_path / "run", task="Silent", trials=14)
    assert len(again.search().trials) == 14
    [final] = again.train(reference=False)
    assert final.objective == Objective("test_weight")


def test_a_contest_ranks_by_it(tmp_path):
    recipe = contests.write(tmp_path / "light.toml", task=f'"{HERE}:Lightest"', kind=f"{HERE}:Scale")
    contest = contests.prepared(recipe, "random", "1", is_full=True)
    assert contest.recipes["light"].objectives == ("-valid_weight",)
    outcome = contests.carried_out(contest, tmp_path / "out")
    [standing] = standings.summarize(contest, outcome, np.random.default_rng(0)).recipes
    lowest = min(t.result.metrics["valid_weight"] for trials in outcome.trials.values() for t in trials)
    assert (standing.objective, standing.sign, standing.best) == ("valid_weight", -1, lowest)
    assert [standing.test_metric] == ["test_weight"]


def test_what_an_evaluator_says_comes_before_what_its_task_says():
    names = {"space": "netwright.testing.toys:ToySpace", "task": f"{HERE}:Lightest", "executor": "inline"}
    options = {"ref": "netwright.testing.toys:ToyEvaluator", "split": "test"}
    run = run_file.from_tables({**names, "evaluator": options})
    parts = building.build(run)
    assert isinstance(parts.evaluator, ToyEvaluator)
    assert parts.measures == building.measures_of(run) == (Objective("test_accuracy", shown="share"),)
    assert parts.strategy.objectives == building.resolved(run, parts.measures).objectives == ("test_accuracy",)
    assert building.resolved(run, ()) is run and "objectives" not in run_file.to_tables(RunFile())
