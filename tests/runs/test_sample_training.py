"""A sample of a search, the worst to the best, trained alone: by commands and from Python."""

import io
import json

import numpy as np
import pytest
from rich.console import Console

from netwright.core import ranking
from netwright.core.errors import BadRunFile
from netwright.core.finals import SAMPLED
from netwright.core.records import Proposal, Result, Trial
from netwright.report.history import History
from netwright.runs import run_folder, sample_training
from netwright.runs.run import Run
from tests.cli.test_bad_input import TOY, refused
from tests.cli.test_bad_input import run as command


def trial(number, score, key=None, budget=None):
    """Trial `number`; a score of None: it failed."""
    result = Result({}, failure="error") if score is None else Result({"valid_accuracy": score})
    scores = None if score is None else (score,)
    status = "failed" if score is None else "done"
    proposal = Proposal((number,), budget=budget)
    return Trial(number, proposal, key or str(number), number, status, result, scores, number)


def test_every_part_of_the_scores_has_one():
    scores = np.random.default_rng(0).permutation(100) / 100
    history = History.of([trial(n, score) for n, score in enumerate(scores, 1)])
    for count in (3, 7, 30, 100):
        found = history.scores[sample_training.drawn(history, count, np.random.default_rng(0))]
        parts = np.array_split(np.arange(100)[::-1] / 100, count)
        assert all(score in part for score, part in zip(found, parts, strict=True))
    draws = {tuple(sample_training.drawn(history, 30, np.random.default_rng(seed))) for seed in (1, 1, 2)}
    assert len(draws) == 2, "by the generator alone"


def test_a_network_stands_where_its_newest_score_put_it():
    """At the judged budget: of rounds, the last."""
    rows = [trial(1, 0.9, "a", 1), trial(2, 0.8, "b", 1), trial(3, 0.5, "a", 2), trial(4, None, "b", 2)]
    rows += [trial(5, 0.4, "c", 2), trial(6, 0.6, "a", 2), trial(7, 0.3, "d", 2)]
    history = History.of(rows)
    assert history.ids[sample_training.newest(history)].tolist() == [5, 6, 7]
    assert history.ids[sample_training.drawn(history, 3, np.random.default_rng(0))].tolist() == [6, 5, 7]
    with pytest.raises(BadRunFile, match="--sample is 4, but the search has 3 networks with a score to compare; give"):
        sample_training.drawn(history, 4, np.random.default_rng(0))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A search with noisy scores, a sample of which was trained without noise, and what that said."""
    out = io.StringIO()
    folder = tmp_path_factory.mktemp("sample") / "run"
    toys = {part: f"netwright.testing.toys:Toy{part.capitalize()}" for part in ("space", "task")}
    given = {"evaluator": "netwright.testing.toys:ToyEvaluator(noise=0.1)", "strategy": "random", "executor": "inline"}
    run = Run(folder, **toys, **given, trials=40, console=Console(file=out, width=300))
    run.search(is_stage=True)
    found = run.train(sample=12, changes={"evaluator": {"noise": 0.0}})
    return run, found, out.getvalue()


def test_a_sample_is_trained_beside_the_search(trained):
    run, found, said = trained
    assert [final.label for final in found] == [SAMPLED] * 12
    assert all(final.objective.name == "valid_accuracy" and final.n == 1 for final in found)
    told = run.ranking()
    by_id = {trial.id: trial for trial in run.trials}
    assert not {final.repetitions[0].seed for final in found} & {trial.seed for trial in by_id.values()}, "fresh"
    assert set(told.trials) <= by_id.keys() and len(set(told.trials)) == 12
    assert told.searched.values.tolist() == [by_id[number].scores[0] for number in told.trials]
    truth = [sum(by_id[number].proposal.genotype) / 36 for number in told.trials]
    assert told.truth == pytest.approx(truth)
    assert told.searched.agreement.kendall.value == ranking.kendall(told.searched.values, told.truth)
    counted = told.orders[1]
    assert counted.name == "parameters"
    assert counted.agreement.kendall.value == pytest.approx(1), "toys are as good as they are large"
    assert "Kendall's tau" in said and "the score knows no more of their order than counting parameters" in said
    assert run.finals() == [], "none of them is to be used"


def test_the_same_command_trains_nothing_anew(trained):
    run, found, _ = trained
    assert [final.mean for final in run.train(sample=12, changes={"evaluator": {"noise": 0.0}})] == [
        final.mean for final in found
    ]
    assert len(run_folder.trainings(run.folder)) == 1


def test_the_report_shows_it(trained, capsys):
    run, _, _ = trained
    page = run.report().read_text(encoding="utf-8")
    assert "Whether scores order networks as training does" in page
    assert (run_folder.report_in(run.folder) / "ranking.png").exists()
    code, out, _ = command(capsys, "report", run.folder, "--json")
    facts = json.loads(out)["runs"][0]
    assert code == 0 and facts["finals"] == []
    assert [order["by"] for order in facts["ranking"]["orders"]] == ["score of the search", "parameters"]
    assert facts["ranking"]["orders"][0]["kendall"]["low"] < 1 and len(facts["ranking"]["networks"]) == 12


def test_from_the_command_line(tmp_path, capsys):
    """Any search, whatever its strategy; the networks as before, and what they say of its scores."""
    assert command(capsys, "search", *TOY, "--out", tmp_path / "run")[0] == 0
    err = refused(capsys, "train", tmp_path / "run", "--sample", "7")
    assert "--sample is 7, but the search has 6 networks with a score to compare; give at most that" in err
    assert "--sample is 2; it must be at least 3" in refused(capsys, "train", tmp_path / "run", "--sample", "2")
    assert "more than one is given" in refused(capsys, "train", tmp_path / "run", "--sample", "4", "--top", "2")
    assert "--knee does not go with --sample" in refused(capsys, "train", tmp_path / "run", "--sample", "4", "--knee")
    assert not run_folder.trainings(tmp_path / "run")
    code, out, err = command(capsys, "train", tmp_path / "run", "--sample", "4", "--json")
    told = json.loads(out)
    assert code == 0 and len(told["networks"]) == 4 and told["ranking"]["orders"][0]["networks"] == 4
    settings = run_folder.settings_in(run_folder.trainings(tmp_path / "run")[0])
    assert settings.evaluator.options["split"] == "valid", "the test data is for what ships"
