"""A search from Python: on images in memory, told to observers, shown in a notebook, read as a frame."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import netwright
from netwright.core.errors import NetwrightError
from netwright.core.refs import Reference

RNG = np.random.default_rng(1)
LABELS = np.arange(40) % 2
IMAGES = RNG.integers(0, 99, (40, 8, 8), dtype=np.uint8) + (100 * LABELS).astype(np.uint8)[:, None, None]
SMALL = {"executor": "inline", "space": "flat(nodes=4,channels=2)", "changes": {"evaluator": {"steps": 4}}}


class Listens:
    def __init__(self):
        self.heard = []

    def on_begin(self, run):
        self.heard.append(("begin", run.finished, [trial.id for trial in run.earlier()], run.objectives))

    def on_step(self, trial_id, step, total, values):
        self.heard.append(("step", trial_id, step, total))

    def on_trial(self, trial):
        self.heard.append(("trial", trial.id, len(trial.scores)))

    def on_end(self, facts):
        self.heard.append(("end", facts["ending"], facts["trials"], facts.get("shipped")))


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_a_search_on_arrays_tells_observers_is_shown_and_goes_on(tmp_path):
    listens, calls, steps = Listens(), [], []
    watched = {"observers": [listens], "on_trial": calls.append, "on_step": lambda *step: steps.append(step)}
    run = netwright.search(IMAGES, LABELS, trials=2, **SMALL, **watched)
    assert run.folder == tmp_path / "runs" / "search"
    assert [trial.id for trial in calls] == [trial.id for trial in run.trials] == [1, 2]
    first, *middle, last = listens.heard
    assert first[:3] == ("begin", 0, []) and last == ("end", "trials", 2, None)
    assert [each for each in middle if each[0] == "trial"] == [("trial", 1, 1), ("trial", 2, 1)]
    assert {step[:3] for step in steps} >= {(1, 4, 4), (2, 4, 4)}, "trial, step, of how many"
    assert [each[1:] for each in middle if each[0] == "step"] == [step[:3] for step in steps]

    rows = run.trials_frame("dicts")
    assert [row["trial"] for row in rows] == [1, 2] and 0 <= rows[0]["valid_accuracy"] <= 1
    assert sum(name.startswith("gene ") for name in rows[0]) == len(run.best.proposal.genotype)
    shown = run._repr_html_()
    assert f"best: trial {run.best.id}, valid accuracy" in shown and shown.count("<img ") == 2
    assert shown.count('<picture><source media="(max-width: 560px)" srcset="data:image/svg+xml;') == 1
    assert "2 finished trials" in repr(run)

    listens = Listens()
    netwright.search(IMAGES, LABELS, trials=3, **SMALL, observers=[listens])
    assert listens.heard[0] == ("begin", 2, [1, 2], ("valid_accuracy",))
    assert listens.heard[-1] == ("end", "trials", 3, None)
    with pytest.raises(NetwrightError, match="other data than what is given now"):
        netwright.search(255 - IMAGES, LABELS, trials=4, **SMALL)


def test_a_run_takes_data_in_place_of_a_task(tmp_path):
    run = netwright.Run("r", data={"train": (IMAGES, LABELS)}, size=4, trials=1, **SMALL)
    run.search()
    assert run.best is not None and (tmp_path / "r" / "data.npz").exists()
    with pytest.raises(NetwrightError, match="data is given too"):
        netwright.Run("s", task="digits", data=(IMAGES, LABELS))


def test_without_trials_it_is_a_timed_run(tmp_path, monkeypatch):
    played = []
    monkeypatch.setattr("netwright.runs.timed.play.play", lambda wish, session, *rest: played.append((wish, session)))
    run = netwright.search(IMAGES, LABELS, test=(IMAGES[:4] ^ 1, LABELS[:4]), hours=0.2, out="timed", workers=2, seed=3)
    [(wish, _)] = played
    assert (wish.hours, wish.workers, wish.given, wish.folder) == (
        0.2,
        2,
        {"seed": 3},
        run.folder.relative_to(tmp_path),
    )
    assert wish.task.name == "arrays" and wish.task.options == {"path": str(tmp_path / "timed" / "data.npz")}
    assert wish.taken.startswith("images given: 40 to train and validate, 4 to test; 8x8, 1 channel, 2 classes (0, 1)")
    netwright.search("digits", hours=0.1, size=8)
    assert played[1][0].task.name == "digits" and played[1][0].changes == {"task": {"size": 8}}


def test_data_of_a_run_that_did_not_begin_makes_way_for_other_data(tmp_path):
    images, labels = np.arange(6 * 64, dtype=np.uint16).reshape(6, 8, 8) % 251, [0, 1] * 3
    for count in (4, 6):
        with pytest.raises(NetwrightError, match="--hours is 0; it must be above 0"):
            netwright.search(images[:count], labels[:count], hours=0.0, out=tmp_path / "run")
        assert not (tmp_path / "run").exists()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("kept")
    with pytest.raises(NetwrightError, match="--hours is 0"):
        netwright.search(images, labels, hours=0.0, out=tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"strategy": "aging(population=-3)"}, "population"),
        (
            {"changes": {"evaluator": {"steps": 4, "drop_path_keep": 0.5}}},
            "networks of this space have no place for it",
        ),
        ({"changes": {"space": {"with": ["nothing"]}}}, "nothing"),
        ({"changes": {"evaluator": {"batch": -1}}}, "batch"),
    ],
)
def test_settings_that_are_refused_leave_no_data(tmp_path, given, message):
    settings = {**SMALL, "trials": 1, **given}
    with pytest.raises(NetwrightError, match=message):
        netwright.search(IMAGES, LABELS, out="one", **settings)
    with pytest.raises(NetwrightError, match=message):
        netwright.Run("two", data=(IMAGES, LABELS), **settings).search()
    assert [path.name for path in tmp_path.iterdir() if path.name in ("one", "two")] == []


def test_a_run_that_was_refused_writes_its_data_again(tmp_path):
    run = netwright.Run("two", data=(IMAGES, LABELS), trials=1, **SMALL)
    with pytest.raises(NetwrightError, match="no part 'limits' to change"):
        run.train(changes={"limits": {"trials": 1}})
    assert not (tmp_path / "two").exists()
    assert run.search(is_stage=True).best is not None and (tmp_path / "two" / "data.npz").exists()


@pytest.mark.parametrize("word", ["./photos", Path("photos")])
def test_a_task_may_be_a_folder_as_for_the_command(tmp_path, word):
    for name, value in (("a", 9), ("b", 200)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(2):
            Image.new("L", (8, 8), value + number).save(tmp_path / "photos" / name / f"{number}.png")
    run = netwright.Run("r", task=word)
    assert run.settings.task == Reference("image_folder", {"path": str(tmp_path / "photos")})
    with pytest.raises(NetwrightError, match=r"'\./nowhere' is neither there nor the name of a task"):
        netwright.Run("r", task="./nowhere")


def test_an_observer_that_fails_is_named_once_and_stops_nothing(capsys):
    def fails(_trial):
        raise OSError("no space left")

    run = netwright.search(IMAGES, LABELS, trials=2, **SMALL, on_trial=fails)
    assert run.progress.finished == 2
    text = capsys.readouterr().out
    assert text.count("failed (OSError: no space left); it is told nothing more") == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"data": "digits", "labels": [1]}, "says itself what its labels are"),
        ({"data": {"train": (IMAGES, LABELS)}, "valid": (IMAGES, LABELS)}, "put them into the mapping"),
        ({"data": "run.toml"}, "is a run file; give it to netwright.Run"),
        ({"data": IMAGES, "labels": LABELS, "trials": 1, "reference": "a:b"}, "go with a run on images"),
        ({"data": "nowhere"}, "neither there nor the name of a task"),
    ],
)
def test_what_does_not_go_together_is_refused(given, message):
    with pytest.raises(NetwrightError, match=message):
        netwright.search(**given)


def test_frames_are_made_by_what_is_installed(monkeypatch):
    run = netwright.search(IMAGES, LABELS, trials=1, **SMALL)

    def made(name):
        return SimpleNamespace(DataFrame=lambda rows, **options: (name, len(rows), options))

    monkeypatch.setitem(sys.modules, "pandas", made("pandas"))
    monkeypatch.setitem(sys.modules, "polars", made("polars"))
    assert run.trials_frame() == ("pandas", 1, {})
    assert run.trials_frame("polars")[:2] == ("polars", 1)
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert run.trials_frame()[0] == "polars"
    monkeypatch.setitem(sys.modules, "polars", None)
    assert isinstance(run.trials_frame(), list)
    with pytest.raises(NetwrightError, match="pandas is not installed"):
        run.trials_frame("pandas")


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_a_frame_of_the_real_library_has_the_numbers(kind):
    pytest.importorskip(kind)
    run = netwright.search(IMAGES, LABELS, trials=2, **SMALL)
    found = run.trials_frame(kind)
    assert list(found["trial"]) == [1, 2]
    assert list(found["valid_accuracy"]) == [trial.result.metrics["valid_accuracy"] for trial in run.trials]
