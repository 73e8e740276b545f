"""Runs by several objectives: front, hypervolume and reference point, wherever a run is shown."""

import io
import json
import math
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import pytest
from rich.console import Console

from netwright.core import front, run_file
from netwright.core.errors import BadReference, BadRunFile, StoreError
from netwright.core.finals import BEST, Candidate
from netwright.core.protocols import SearchSpace, Task
from netwright.core.records import Result
from netwright.report import progress
from netwright.runs import retraining, run_folder
from netwright.runs.run import Run
from tests.cli.test_bad_input import run as command

HERE = __name__
GOALS = ("valid_accuracy", "-params")
TOY = {
    "space": "netwright.testing.toys:ToySpace",
    "strategy": "random",
    "executor": "inline",
    "task": "netwright.testing.toys:ToyTask",
}


@dataclass(frozen=True)
class Balance:
    """Accuracy rises with the first half of the genes, size with all; some sizes are no number."""

    space: SearchSpace
    task: Task
    split: str = "valid"
    broken: int = 0  # genotypes that begin with less have no size
    flat: bool = False

    def evaluate(self, trial, context):
        genes = trial.proposal.genotype
        size = math.nan if genes[0] < self.broken else 1000.0 + (0 if self.flat else sum(genes))
        return Result({f"{self.split}_accuracy": 0.5 if self.flat else 0.5 + sum(genes[:6]) / 100, "params": size})


def made(folder, trials=24, **settings):
    out = Console(file=io.StringIO(), width=300)
    options = {**TOY, "evaluator": f"{HERE}:Balance", "trials": trials, "objectives": GOALS, **settings}
    return Run(folder, console=out, **options), out.file


def scores(trials):
    return np.array([trial.scores for trial in trials if trial.scores])


def values(trials):
    return scores(trials) * [1, -1]


def test_front_hypervolume_and_reference_point_stand_beside_the_best(tmp_path, capsys):
    run, said = made(tmp_path / "run")
    found = run.search(is_stage=True)
    points = scores(found.trials)
    facts = json.loads(command(capsys, "status", tmp_path / "run", "--json")[1])
    listed = np.array([(row["valid_accuracy"], -row["params"]) for row in facts["front"]])
    expected = np.unique(points[front.nondominated(points)], axis=0)[::-1]
    assert (listed == expected).all(), "as measured, best by the first objective first, each pair of values once"
    by_id = {trial.id: trial for trial in found.trials}
    assert all(by_id[row["trial"]].scores == (row["valid_accuracy"], -row["params"]) for row in facts["front"])
    first = values(found.trials[:10])
    worst, span = np.array([first[:, 0].min(), first[:, 1].max()]), np.ptp(first, axis=0)
    assert facts["reference_point"] == pytest.approx(worst + span * [-0.1, 0.1]), "behind the first ten trials"
    reference = np.array(facts["reference_point"]) * [1, -1]
    assert facts["hypervolume"] == pytest.approx(front.hypervolume(points, reference)) and facts["hypervolume"] > 0
    assert facts["best"]["trial"] == found.best.id == facts["front"][0]["trial"]
    assert by_id[facts["knee"]].scores == tuple(listed[front.knee(listed)])
    text = command(capsys, "status", tmp_path / "run")[1]
    knee = next(row for row in facts["front"] if row["trial"] == facts["knee"])
    told = f"knee of the front: trial {knee['trial']}, valid_accuracy {knee['valid_accuracy']:.4f}, params"
    assert f"front: {len(listed)} trials, hypervolume " in text and told in text
    assert told in said.getvalue() and f" {knee['params']:,.0f}" in said.getvalue()
    assert "trial 1: valid_accuracy 0." in said.getvalue() and "  on the front" in said.getvalue()


def test_from_python_a_run_has_its_front(tmp_path):
    run, _ = made(tmp_path / "run")
    assert run.front() == [] and run.trials_frame("dicts") == []
    run.search(is_stage=True)
    found = run.front()
    points = scores(run.trials)
    expected = np.unique(points[front.nondominated(points)], axis=0)[::-1]
    assert [trial.scores for trial in found] == list(map(tuple, expected))
    rows = run.trials_frame("dicts")
    assert {row["trial"] for row in rows if row["on_front"]} == {trial.id for trial in found}
    assert {type(row["on_front"]) for row in rows} == {bool}
    alone, _ = made(tmp_path / "alone", objectives=GOALS[:1], trials=4)
    alone.search(is_stage=True)
    assert alone.front() == [alone.best] and "on_front" not in alone.trials_frame("dicts")[0]


def test_the_reference_point_stays_when_a_run_goes_on(tmp_path, capsys):
    made(tmp_path / "run", trials=12)[0].search(is_stage=True)
    before = json.loads(command(capsys, "status", tmp_path / "run", "--json")[1])
    run, said = made(tmp_path / "run", trials=40)
    found = run.search(is_stage=True)
    after = json.loads(command(capsys, "status", tmp_path / "run", "--json")[1])
    assert after["reference_point"] == before["reference_point"] and after["hypervolume"] >= before["hypervolume"]
    marks = [line.split(":")[0] for line in said.getvalue().splitlines() if line.endswith(("the front", "so far"))]
    points = scores(found.trials)
    known = [row.id for n, row in enumerate(found.trials) if front.nondominated(points[: n + 1])[n] and row.id > 12]
    assert set(marks) <= {f"trial {number}" for number in known}, "earlier trials count"


def test_a_short_run_has_a_reference_point_at_its_end_alone(tmp_path, capsys):
    run, _ = made(tmp_path / "run", trials=4)
    progress = run.progress
    assert progress.front is None
    run.search(is_stage=True)
    assert json.loads(command(capsys, "status", tmp_path / "run", "--json")[1])["hypervolume"] > 0


def test_the_user_may_give_the_reference_point(tmp_path, capsys):
    recipe = {**TOY, "evaluator": f"{HERE}:Balance", "objectives": GOALS, "reference_point": [0.4, 2000]}
    out = Console(file=io.StringIO())
    run = Run(tmp_path / "run", recipe, trials=12, console=out, trust=True)
    run.search(is_stage=True)
    facts = json.loads(command(capsys, "status", tmp_path / "run", "--json")[1])
    assert facts["reference_point"] == [0.4, 2000]
    assert facts["hypervolume"] == pytest.approx(front.hypervolume(scores(run.trials), np.array([0.4, -2000])))
    assert run_file.from_tables(run_file.read(tmp_path / "run" / "run.toml")).reference_point == (0.4, 2000)
    in_full = retraining.run_of(run.settings, [Candidate(BEST, run.best.proposal.genotype, run.best.id)], {})
    assert (in_full.objectives, in_full.reference_point) == (("test_accuracy",), None), "trained by the first objective"


@pytest.mark.parametrize("given", [[0.4], [0.4, math.inf]])
def test_a_reference_point_that_does_not_go_with_the_objectives_is_refused(given):
    with pytest.raises(BadRunFile, match="reference_point must have a finite number for each of several objectives"):
        run_file.from_tables({"objectives": GOALS, "reference_point": given})
    with pytest.raises(BadRunFile, match="reference_point must have"):
        run_file.from_tables({"objectives": GOALS[:1], "reference_point": [0.4]})


def test_a_damaged_reference_point_is_named(tmp_path):
    run, _ = made(tmp_path / "run", trials=4)
    run.search(is_stage=True)
    store = run_folder.open_table(tmp_path / "run", "write")
    store.remember("reference_point", "[1.0]")
    store.close()
    with pytest.raises(StoreError, match=r"its fact 'reference_point' is .* which is no list of 2 numbers"):
        _ = run.progress


def test_a_value_that_is_no_number_fails_that_trial_alone_and_names_the_metric(tmp_path, capsys):
    run, said = made(tmp_path / "run", evaluator=f"{HERE}:Balance(broken=1)")
    found = run.search(is_stage=True)
    failed = [trial for trial in found.trials if trial.scores is None]
    assert failed and len(failed) < len(found.trials)
    assert f"trial {failed[0].id} failed: diverged: metric 'params' is nan" in said.getvalue()
    facts = json.loads(command(capsys, "status", tmp_path / "run", "--json")[1])
    assert facts["failed"] == len(failed) and not {row["trial"] for row in facts["front"]} & {t.id for t in failed}


def test_a_front_of_one_point_is_a_front(tmp_path, capsys):
    run, said = made(tmp_path / "run", evaluator=f"{HERE}:Balance(flat=True)", trials=5)
    run.search(is_stage=True)
    facts = json.loads(command(capsys, "status", tmp_path / "run", "--json")[1])
    assert facts["front"] == [{"trial": 1, "valid_accuracy": 0.5, "params": 1000.0}] and facts["knee"] == 1
    assert facts["hypervolume"] == pytest.approx(0.05 * 100) and "front: 1 trial, hypervolume 5" in said.getvalue()


def test_objectives_that_contradict_a_run_or_each_other_are_refused(tmp_path):
    made(tmp_path / "run", trials=4)[0].search(is_stage=True)
    other, _ = made(tmp_path / "run", objectives=("valid_accuracy",))
    with pytest.raises(BadRunFile, match="its objectives are valid_accuracy, -params, not valid_accuracy; give"):
        other.search(is_stage=True)
    with pytest.raises(BadRunFile, match="objectives name params twice; name it once"):
        made(tmp_path / "twice", objectives=("-params", "params!"))[0].search(is_stage=True)
    with pytest.raises(BadRunFile, match="objective '-weight' was not measured; the evaluator measures: params, valid"):
        made(tmp_path / "none", objectives=("valid_accuracy", "-weight"))[0].search(is_stage=True)
    with pytest.raises(BadReference, match=r"aging ranks by one.*takes several: mobo, nago_mobo, nsga2, random"):
        made(tmp_path / "single", strategy="aging")[0].search(is_stage=True)


def test_of_trials_that_are_equal_in_the_first_objective_the_best_stands_on_the_front(tmp_path, capsys):
    """Accuracies of few examples are often equal, and the earliest network may be the largest of them."""
    run, _ = made(tmp_path / "run", trials=30, evaluator=f"{HERE}:Tied")
    found = run.search(is_stage=True)
    assert len({trial.scores[0] for trial in found.trials}) == 1, "all are as accurate"
    smallest = max(found.trials, key=lambda trial: trial.scores[1])
    assert run.best.id == smallest.id == run.front()[0].id and smallest.id > 1
    facts = json.loads(command(capsys, "status", tmp_path / "run", "--json")[1])
    assert facts["best"]["trial"] == smallest.id
    with closing(run_folder.open_table(tmp_path / "run", "read")) as store:
        assert progress.best_of(store, GOALS).id == smallest.id, "the display goes on from it"


@dataclass(frozen=True)
class Tied(Balance):
    """All are as accurate."""

    def evaluate(self, trial, context):
        size = super().evaluate(trial, context).metrics["params"]
        return Result({f"{self.split}_accuracy": 0.5, "params": size})
