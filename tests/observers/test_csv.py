import csv
import json

from netwright.core import refs
from netwright.observers.csv import CsvFile
from netwright.runs.run import Run
from netwright.testing.observers import TRIALS, check_observer, observed


def _lines(folder):
    with (folder / "trials.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_trial_is_a_line_also_those_that_finished_while_nobody_watched(tmp_path):
    check_observer(CsvFile, tmp_path)
    lines = _lines(tmp_path)
    assert [line["trial"] for line in lines] == ["1", "2", "3", "4"]
    assert [line["failure"] for line in lines] == ["", "diverged", "", ""]
    assert [line["valid_accuracy"] for line in lines] == ["0.5", "", "0.75", "0.625"]
    assert [line["gene gene 0"] for line in lines] == ["option 0", "option 1", "option 2", "option 2"]
    assert [json.loads(line["genotype"]) for line in lines] == [list(t.proposal.genotype) for t in TRIALS]
    assert [path.name for path in tmp_path.iterdir()] == ["trials.csv"]


def test_a_new_metric_is_a_new_column_at_the_end(tmp_path):
    watcher = CsvFile()
    watcher.on_begin(observed(tmp_path))
    for trial in TRIALS[:3]:
        watcher.on_trial(trial)
        assert len(_lines(tmp_path)) == trial.id, "each line is there at once"
    assert list(_lines(tmp_path)[0])[-1] == "epochs"
    assert [line["epochs"] for line in _lines(tmp_path)] == ["", "", "2.0"]
    watcher.on_end({})


def test_a_search_that_goes_on_is_written_in_whole(tmp_path):
    """By a real run: with the numbers of its table."""
    toys = {part: f"netwright.testing.toys:Toy{part.capitalize()}" for part in ("space", "task", "evaluator")}
    for trials in (4, 7):
        run = Run(tmp_path / "run", **toys, strategy="random", executor="inline", trials=trials, observers=["csv"])
        run.search()
    lines = _lines(tmp_path / "run")
    assert [int(line["trial"]) for line in lines] == [trial.id for trial in run.trials]
    assert [float(line["valid_accuracy"]) for line in lines] == [trial.scores[0] for trial in run.trials]


def test_it_is_found_by_its_name():
    assert "csv" in refs.available("observer")
