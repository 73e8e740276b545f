"""SIGTERM and Ctrl-C in the middle of trainings, by the commands: nothing is lost, and the same command goes on."""

import json
import shutil
import signal
import sqlite3
from contextlib import closing

import pytest

from netwright.cli.main import main
from netwright.runs.run import Run
from netwright.training import checkpoint
from netwright.worker import WorkerContext
from tests.cli.test_train_and_export import as_json, run

TWICE, THRICE = (signal.SIGINT,) * 2, (signal.SIGINT,) * 3
STOPPED = {(signal.SIGTERM,) * 2: 143, TWICE: 130}
RECIPE = """
threads_per_trial = 1
task = {ref = "digits", train_limit = 40}
space = {ref = "hierarchical", motifs = [2, 1], nodes = [3, 3], channels = 2}
executor = "inline"
evaluator = {ref = "training", steps = 6, batch = 10}
limits = {trials = 2}
"""


@pytest.fixture(scope="module", autouse=True)
def no_reports():
    """Which take longer than all else here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "report", lambda self: self.folder / "report.html")
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The run file, and a search that nothing disturbed."""
    place = tmp_path_factory.mktemp("whole")
    (place / "small.toml").write_text(RECIPE)
    with pytest.raises(SystemExit) as left:
        main(["search", str(place / "small.toml"), "--out", str(place / "run")])
    assert not left.value.code
    return place


def signaled(monkeypatch, capsys, look, numbers, *words):
    """Give a command, in which these signals come when a training asks for the nth time whether to stop."""
    asked, original = [], WorkerContext.should_stop

    def should_stop(self):
        asked.append(self)
        if len(asked) == look:
            for number in numbers:
                signal.raise_signal(number)
        return original(self)

    with monkeypatch.context() as patch:
        patch.setattr(WorkerContext, "should_stop", should_stop)
        return run(capsys, *words)


def rows(folder):
    """What the table holds, without times."""
    with closing(sqlite3.connect(folder / "trials.sqlite")) as db:
        found = db.execute("SELECT id, key, seed, status, finish, losses, metrics FROM trials ORDER BY id").fetchall()
    in_time = ("seconds", "examples_per_second", "peak_memory_mb")
    measured = [{k: v for k, v in json.loads(row[-1] or "{}").items() if k not in in_time} for row in found]
    return [(*row[:-1], metrics) for row, metrics in zip(found, measured, strict=True)]


def step_of(folder):
    """The step at which the one training under way is to go on."""
    [path] = folder.glob("trials/*/checkpoint.safetensors")
    return checkpoint.read_facts(path)["progress"]["step"]


@pytest.mark.parametrize("numbers", STOPPED)
def test_a_search_that_is_stopped_loses_no_step(whole, tmp_path, monkeypatch, capsys, numbers):
    words = ["search", whole / "small.toml", "--out", tmp_path]
    code, out, err = signaled(monkeypatch, capsys, 3, numbers, *words)
    assert code == STOPPED[numbers]
    assert "write down where they stand" in out and "the same command goes on" in out, (out, err)
    assert [row[3:6] for row in rows(tmp_path)] == [("pending", None, 0)]
    assert step_of(tmp_path) == 3
    assert run(capsys, *words)[0] == 0
    assert rows(tmp_path) == rows(whole / "run")
    assert not list(tmp_path.glob("trials/*"))


def test_a_training_in_full_that_is_stopped_loses_no_step(whole, tmp_path, monkeypatch, capsys):
    words = ["train", tmp_path / "run", "--evaluator.steps", "8", "--no-reference"]
    shutil.copytree(whole / "run", tmp_path / "run")
    assert signaled(monkeypatch, capsys, 5, [signal.SIGTERM], *words)[0] == 143
    [folder] = (tmp_path / "run").glob("train-*")
    assert [row[3:6] for row in rows(folder)] == [("pending", None, 0)]
    assert step_of(folder) == 5
    resumed = as_json(capsys, *words)
    weights = (folder / "trials" / "000001" / "weights.safetensors").read_bytes()
    shutil.rmtree(folder)
    assert as_json(capsys, *words)["networks"] == resumed["networks"]
    assert (folder / "trials" / "000001" / "weights.safetensors").read_bytes() == weights


def test_a_third_ctrl_c_stops_at_once(whole, tmp_path, monkeypatch, capsys):
    words = ["search", whole / "small.toml", "--out", tmp_path]
    assert signaled(monkeypatch, capsys, 3, THRICE, *words)[0] == 130
    assert [row[3:6] for row in rows(tmp_path)] == [("pending", None, 0)]
    assert not list(tmp_path.glob("trials/*/checkpoint*")), "that is what it loses"


@pytest.mark.parametrize("command", ["search", "train"])
def test_minutes_between_checkpoints_that_are_changed_hold_from_then_on(whole, tmp_path, monkeypatch, capsys, command):
    if command == "search":
        words, folder = ["search", whole / "small.toml", "--out", tmp_path], tmp_path
    else:
        shutil.copytree(whole / "run", tmp_path / "run")
        words = ["train", tmp_path / "run", "--evaluator.steps", "8", "--no-reference"]
    assert signaled(monkeypatch, capsys, 2, TWICE, *words)[0] == 130
    if command == "train":
        [folder] = (tmp_path / "run").glob("train-*")
    code, out, _ = signaled(monkeypatch, capsys, 3, THRICE, *words, "--evaluator.checkpoint_minutes", "1e-9")
    assert code == 130
    was = "its default" if command == "search" else "5.0"
    assert f"evaluator.checkpoint_minutes is 1e-09 from now on; it was {was}\n" in out
    assert step_of(folder) == 4, "of steps 3, 4 and 5 the last one was killed"
    assert run(capsys, *words)[0] == 0, "and changed back"
    if command == "search":
        assert rows(folder) == rows(whole / "run")
    assert not list(folder.glob("trials-1*")), "it is the same run"
