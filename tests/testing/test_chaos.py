"""Faults done to real searches: survived, told in a table, and found where something does not survive them."""

import json
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from netwright.testing import chaos
from netwright.testing.chaos import Case, Survived
from netwright.testing.faults import searching
from netwright.testing.faults.killing import Signaled
from netwright.testing.stepped import SteppedEvaluator
from tests.verified import VERIFIED


@pytest.mark.parametrize("times", [4, pytest.param(40, marks=VERIFIED)])
def test_a_search_survives_faults_at_random(tmp_path, capsys, times):
    said = tmp_path / "said.json"
    words = ["--quick", "--times", str(times), "--folder", str(tmp_path), "--json", str(said)]
    assert chaos.main(words) == 0, capsys.readouterr().out
    [found] = json.loads(said.read_text())
    assert found["injected"] == times
    assert found["asked"] == found["final"] >= times + chaos.AFTER
    assert (found["doubled"], found["left"], found["wrong"]) == (0, 0, [])
    assert [path.name for path in tmp_path.iterdir()] == ["said.json"], "its own folder is gone"


@VERIFIED
def test_what_goes_wrong_is_found_and_named(tmp_path, capsys):
    """An evaluator that answers otherwise the second time it is asked, as one that is interrupted might."""
    words = ["--evaluator", "tests.testing.test_chaos:Forgetful", "--workers", "1", "--folder", str(tmp_path)]
    assert chaos.main([*words, "--only", "worker SIGKILL", "--times", "3"]) == 1
    said = capsys.readouterr().out
    assert "WRONG: worker SIGKILL | yours | 3 times" in said
    assert "and undisturbed" in said
    assert "again: python -m netwright.testing.chaos --seed 0 --only 'worker SIGKILL' --setting 'yours'" in said


class Forgetful(SteppedEvaluator):
    """Goes on from a checkpoint as if it had none of the steps before."""

    def evaluate(self, trial, context):
        had_begun = (context.folder / "begun").exists()
        (context.folder / "begun").touch()
        found = super().evaluate(trial, context)
        return replace(found, metrics={"valid_accuracy": found.metrics["valid_accuracy"] + 0.5 * had_begun})


def test_plans_are_of_more_than_500_faults_in_each_setting_and_have_names_of_their_own():
    cases = chaos.planned()
    assert sum(case.times for case in cases) > 500
    assert sum(case.times for case in cases if "two controllers" in case.name) == 100
    names = [(case.name, case.subject.name) for case in cases]
    assert len(set(names)) == len(names), "--only and --setting find each"
    for fault, setting in (("SIGKILL", "inline"), ("disk full", "processes, 2"), ("reply lost", "served, 2")):
        assert any(fault in case.name and case.subject.name == setting for case in cases)


def test_the_table_adds_up():
    rows = [
        Survived("disk full", "inline", 10, 36, 36, 0, 0, 9.6),
        Survived("none", "inline", 0, 6, 5, 1, 2, 1.0, ("x",)),
    ]
    text = chaos.table(rows).splitlines()
    assert text[0].split() == ["fault", "setting", "injected", "asked", "final", "doubled", "left", "seconds"]
    assert text[-1].split() == ["all", "10", "42", "41", "1", "2", "11"]


@pytest.mark.parametrize(("words", "code"), [(["--list"], 0), (["--only", "no such fault"], 2)])
def test_options(words, code, capsys):
    assert chaos.main(words) == code
    said = capsys.readouterr()
    assert ("worker SIGKILL  |  processes, 1  |  20" in said.out) == (code == 0)
    assert ("--list shows them" in said.err) == (code == 2)


def test_plug_ins_of_others_take_the_place_of_processes(capsys):
    assert chaos.main(["--list", "--executor", "mylab:Cluster", "--only", "worker SIGKILL"]) == 0
    assert capsys.readouterr().out == "worker SIGKILL  |  yours  |  20\n"


def test_a_command_that_ends_as_it_should_not_is_named_with_its_words(tmp_path, monkeypatch):
    def refused(words, environment, said):
        assert words[0] == "search" and environment[searching.MARK]
        with said.open("ab") as output:
            return subprocess.Popen([sys.executable, "-c", "import sys; sys.exit('netwright: no')"], stderr=output)

    monkeypatch.setattr(chaos, "command", refused)
    case = Case(Signaled("worker", signal.SIGKILL), chaos.ONE, 1)
    outcome = chaos.play(case, 0, tmp_path / "case")
    assert outcome.wrong == ("the command ended with code 1: 'netwright: no'",)
    assert (outcome.injected, outcome.asked) == (0, 0)
    assert not (tmp_path / "case").exists()
