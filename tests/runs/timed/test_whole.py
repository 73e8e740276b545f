"""A timed run as a user starts it, all of it real: stopped in a search trial and in the contest, it still ends."""

import json
import signal
from dataclasses import replace
from pathlib import Path

from netwright.core import timetable, trial_folders
from netwright.runs import run_folder
from netwright.runs.timed import contest, heats
from netwright.runs.timed import play as playing
from netwright.worker import WorkerContext
from tests import believed
from tests.cli.test_stopping import TWICE, rows, step_of
from tests.cli.test_train_and_export import run
from tests.core.test_timetable import PLAN

BRIEF = {"rungs": (2,), "search_seconds": 1.0, "contest_seconds": 2.0, "pace": (*(0.0,) * 6, 0.2)}
LOOK = 4  # of a training, whether to stop: after its fourth step


def test_a_timed_run_that_is_stopped_twice_loses_no_step_and_ships(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    folder, given = tmp_path / "r", tmp_path / "plan.toml"
    given.write_text(timetable.to_toml(PLAN))
    words = ["search", "digits", "--timetable", given, "--executor", "inline", "--out", "r", "--json"]
    code, _, err = _signaled(monkeypatch, capsys, False, [signal.SIGTERM] * 2, *words)
    assert code == 143 and "the same command goes on" in err
    assert [row[3:6] for row in rows(folder)] == [("pending", None, 0)] and step_of(folder) == LOOK
    assert timetable.read(folder / timetable.FILE) == replace(PLAN, played={}, reference="")

    code, _, err = _signaled(monkeypatch, capsys, True, TWICE, *words)
    assert code == 130 and "stopped; the same command goes on in r\n" in err
    searched = rows(folder)
    assert timetable.read(folder / timetable.FILE) == replace(PLAN, played={"trials": 3, "cut": 0}, reference="")
    assert [row[3] for row in searched] == ["done"] * 3
    [trained] = run_folder.trainings(folder)
    assert step_of(trained) >= LOOK

    code, out, err = run(capsys, *words)
    assert code == 0, err
    assert rows(folder) == searched, "the search is over"
    facts = json.loads(out)
    assert facts["shipped"] in ("searched", "reference") and facts["metric"] == "test_accuracy"
    assert 0 < facts["test_accuracy"] <= 1 and 0 < facts["reference_test_accuracy"] <= 1
    assert facts["verdict"][1:].partition("%")[0] in (folder / "report.html").read_text(encoding="utf-8")
    assert json.loads((folder / "result.json").read_text()) == facts
    assert Path(facts["report"]) == folder / "report.html" and (Path(facts["export"]) / "model.py").exists()
    assert not list(folder.rglob(trial_folders.ENDS)), "nothing goes on from them"
    code, told, _ = run(capsys, "doctor", folder)
    assert code == 0, told


def test_a_whole_run_is_repeated_by_its_timetable_bit_for_bit(tmp_path, monkeypatch, capsys):
    """Search, contest and verdict of one worker, whose last trainings ended by the clock at steps that nobody knew."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(playing, "GRACE", 2.0)
    monkeypatch.setattr(contest, "SHORTEST", 0.0)
    monkeypatch.setattr(heats, "START_SECONDS", 0.0)
    (tmp_path / "plan.toml").write_text(timetable.to_toml(replace(PLAN, hours=0.001, **BRIEF)))
    words = ["--executor", "inline", "--evaluator.averaging", "0.2", "--json"]
    found = []
    for given, out in (("plan.toml", "one"), ("one/timetable.toml", "two")):
        with believed.exports():
            code, printed, err = run(capsys, "search", "digits", "--timetable", given, "--out", out, *words)
        assert code == 0, err
        facts = json.loads(printed)
        assert err.count(facts["verdict"]) == 1, "said once"
        weights = [p.read_bytes() for w in run_folder.trainings(tmp_path / out) for p in sorted(w.rglob("weights.*"))]
        told = {name: facts[name] for name in ("shipped", "test_accuracy", "reference_test_accuracy", "verdict")}
        found.append((weights, told, timetable.read(tmp_path / out / "timetable.toml")))
    assert len(found[0][0]) > 1 and [heat.name for heat in found[0][2].heats][-1] == "final"
    assert found[0] == found[1]
    places = run_folder.trainings(tmp_path / "two")
    assert all("cuts" in run_folder.settings_in(place).evaluator.options for place in places)


def _signaled(monkeypatch, capsys, is_contest, numbers, *words):
    """Give a command, to which these signals come at a look of a training whether to stop, in search or contest."""
    asked, original = [], WorkerContext.should_stop

    def should_stop(self):
        asked.append((self.trials_folder.parent.name != "r") == is_contest)
        if asked[-1] and sum(asked) == LOOK:
            for number in numbers:
                signal.raise_signal(number)
        return original(self)

    with monkeypatch.context() as patch:
        patch.setattr(WorkerContext, "should_stop", should_stop)
        return run(capsys, *words)
