"""`netwright search DATA` as a user gives it: what it plays, prints and refuses; the parts are tested by themselves."""

import json

import numpy as np
import pytest

from netwright.core.refs import Reference
from netwright.core.run_file import Limits, RunFile
from netwright.runs import ownership
from netwright.runs.run import Run
from netwright.runs.session import Drained
from netwright.runs.timed import play as playing
from tests.cli.test_bad_input import refused, run
from tests.tiny_data import photos


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def plays(monkeypatch):
    """What timed runs are asked for, in place of playing them; what is in `ends` is raised or returned."""
    asked, ends = [], [{"seconds": 1.0, "shipped": "searched"}]

    def play(wish, session, watch, *_):
        asked.append(wish)
        print("a plug-in prints")
        if isinstance(ends[0], BaseException):
            watch.then = "this is what comes next"
            raise ends[0]
        return ends[0]

    monkeypatch.setattr(playing, "play", play)
    return asked, ends


def test_data_is_all_that_is_needed(tmp_path, capsys, plays):
    photos(tmp_path / "photos")
    code, out, _ = run(capsys, "search", "photos/", "--json")
    assert code == 0 and json.loads(out) == {"seconds": 1.0, "shipped": "searched"}
    wish = plays[0][0]
    assert (str(wish.folder), wish.task, wish.hours) == (
        "runs/photos",
        Reference("image_folder", {"path": "photos"}),
        None,
    )


def test_options_reach_the_run(capsys, plays):
    words = ["--hours", "0.1", "--out", "o", "--strategy", "random", "--constraint", "params <= 5e4", "--workers", "1"]
    words += ["--objectives", "valid_loss", "--task.split_seed", "3", "--reference", "mylab:net", "--seed", "0"]
    assert run(capsys, "search", "digits", *words)[0] == 0
    wish = plays[0][0]
    assert (str(wish.folder), wish.task, wish.hours, wish.workers) == ("o", Reference("digits"), 0.1, 1)
    assert wish.given == {
        "strategy": "random",
        "seed": 0,
        "constraints": ["params <= 5e4"],
        "objectives": ["valid_loss"],
    }
    assert wish.changes == {"task": {"split_seed": 3}} and wish.reference == "mylab:net"
    assert run(capsys, "search", "--task", "digits", "--limits.hours", "0.2")[0] == 0
    assert plays[0][1].task == Reference("digits") and plays[0][1].hours == 0.2


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (Drained("runs/digits"), "stopped; the same command goes on in runs/digits"),
        (KeyboardInterrupt(), "stopped; this is what comes next"),
    ],
)
def test_what_comes_after_a_stop_is_said(capsys, plays, end, said):
    plays[1][0] = end
    code, out, _ = run(capsys, "search", "digits")
    assert code == 130 and said in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "nothing says what to search on; give a folder of one folder of images for each class"),
        (["--space", "residual"], "nothing says what to search on"),
        (["nowhere"], "'nowhere' is neither there nor the name of a task"),
        (["digits", "--task", "digits"], "digits and --task digits both say what to search on"),
        (["digits", "--trials", "3", "--reference", "a:b"], "--reference goes with a run on images"),
        (["a.toml", "--timetable", "t.toml"], "--timetable goes with a run on images"),
        (["digits", "--final.epochs", "3"], "--final.OPTION goes with a run file or --trials"),
        (["digits", "--timetable", "t.toml"], "the timetable t.toml cannot be read: No such file"),
        (["few", "--hours", "0.1"], "class 'dark' has 2 training images; it needs at least 3"),
        (["digits", "--hours", "0.0005"], "0.0005 hours (2 s) are too few for one training in full"),
        (
            ["digits", "--objectives", "valid_accuracy,-params"],
            "--objectives names 2, and a timed run ships one network",
        ),
    ],
)
def test_bad_input_is_one_sentence_at_once(tmp_path, capsys, words, said):
    photos(tmp_path / "few", images=2)
    assert said in refused(capsys, "search", *words)
    assert not (tmp_path / "runs").exists()


@pytest.fixture
def alone(monkeypatch):
    """The run files of searches alone, in place of searching."""
    found = []

    def search(self):
        found.append(self.settings)
        raise Drained("x")

    monkeypatch.setattr(Run, "search", search)
    return found


@pytest.mark.parametrize(
    "words", [("a.npz", "--trials", "3"), ("--task", "arrays(path='a.npz')", "--limits.trials", "3")]
)
def test_with_a_count_of_trials_the_search_stands_alone(tmp_path, capsys, plays, alone, words):
    np.savez(tmp_path / "a.npz", images=np.zeros((4, 8, 8), np.uint8), labels=np.arange(4) % 2)
    assert run(capsys, "search", *words, "--hours", "2")[0] == 130 and not plays[0]
    assert alone[0].task == Reference("arrays", {"path": str(tmp_path / "a.npz")})
    assert (alone[0].limits.trials, alone[0].limits.hours) == (3, 2.0)


def test_a_task_is_put_over_that_of_a_run_file(tmp_path, capsys, plays, alone):
    (tmp_path / "r.toml").write_text('task = "digits"\nspace = "flat"\n')
    assert run(capsys, "search", "r.toml", "--task", "digits(split_seed=3)")[0] == 130 and not plays[0]
    assert alone[0].task == Reference("digits", {"split_seed": 3}) and alone[0].space == Reference("flat")


def test_a_folder_of_a_search_alone_goes_on_as_one(tmp_path, capsys, plays, alone):
    begun = RunFile(space=Reference("residual"), limits=Limits(hours=0.1))
    with ownership.opened(tmp_path / "r", begun) as opened, opened.table():
        pass
    assert run(capsys, "search", "digits", "--hours", "1", "--out", "r")[0] == 130
    assert alone[0].space == begun.space and alone[0].limits.hours == 1.0 and not plays[0]
