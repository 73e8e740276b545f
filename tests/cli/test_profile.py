"""`netwright profile` as a user gives it, on a CPU."""

import json
import subprocess
import sys

import pytest

from netwright.cli import profile as command
from netwright.data.images import ImageClassification
from netwright.training.profile import floors
from netwright.training.profile.floors import Ceilings
from netwright.training.profile.laps import PHASES
from tests.cli.test_bad_input import TOYS, refused, run
from tests.report.test_step_time import BLIND, CPU, GPU

SMALL = ["profile", "flat(nodes=3)", "--genes", "[1,2,3]", "--space.channels", "2", "--space.repeats", "1"]
SMALL += ["--io", "3x8x8:10", "--batch", "2", "--steps", "1"]


@pytest.fixture(autouse=True)
def ceilings(monkeypatch):
    monkeypatch.setattr(floors, "measured", lambda *_: Ceilings(1e12, 1e11))


def test_an_architecture_as_a_table_and_pictures(drawn, capsys, tmp_path):
    code, out, err = run(capsys, *SMALL, "--out", tmp_path / "new")
    assert code == 0, err
    assert "ms a step of 2" in out and "\ncpu, 1 thread, float32\n" in out
    for name in PHASES:
        assert f"\n{name} " in out
    assert "convolution_backward" in out
    assert max(map(len, out.partition("drawn:")[0].splitlines())) <= 72
    files = {"profile.svg", "profile.png", "profile-narrow.svg", "profile-narrow.png"}
    assert {path.name for path in (tmp_path / "new").iterdir()} == files


def test_a_run_is_measured_as_it_trains(capsys, tmp_path):
    folder = tmp_path / "run"
    search = ["search", "--space", "residual", "--task", "digits", "--executor", "inline", "--trials", "1"]
    search += ["--evaluator.steps", "1", "--evaluator.batch", "8", "--strategy", "random"]
    assert run(capsys, *search, "--out", folder)[0] == 0
    words = ["profile", folder, "--steps", "1", "--threads", "1", "--json"]
    code, out, err = run(capsys, *words)
    assert code == 0, err
    facts = json.loads(out)
    assert (facts["target"], facts["batch"], facts["precision"]) == (str(folder), 8, "float32")
    assert [phase["name"] for phase in facts["phases"]] == list(PHASES)
    assert facts["phases"][0]["seconds"] > 0 and facts["floor"] > 0
    code, out, err = run(capsys, *words, "--batch", "4", "--precision", "bfloat16", "--task", "digits")
    assert code == 0, err
    assert (json.loads(out)["batch"], json.loads(out)["precision"]) == (4, "bfloat16")


def test_batches_are_made_as_the_evaluator_says(capsys, monkeypatch):
    asked = []
    on_device = ImageClassification.on_device
    monkeypatch.setattr(ImageClassification, "on_device", lambda *given: asked.append(given[1:]) or on_device(*given))
    words = ["profile", *SMALL[1:8], "--task", "digits", "--batch", "2", "--steps", "1", "--threads", "1"]
    for maker in ("host", "device"):
        code, _, err = run(capsys, *words, "--evaluator.batches_by", maker)
        assert code == 0, err
        assert bool(asked) == (maker == "device")


def test_a_run_whose_evaluator_trains_nothing_is_trained_by_default(capsys, tmp_path):
    folder = tmp_path / "run"
    search = ["search", "--space", "residual", "--task", "digits", "--evaluator", f"{TOYS}:ToyEvaluator"]
    search += ["--executor", "inline", "--trials", "1", "--strategy", "random"]
    assert run(capsys, *search, "--out", folder)[0] == 0
    code, out, err = run(capsys, "profile", folder, "--steps", "1", "--threads", "1", "--json")
    assert code == 0, err
    assert json.loads(out)["batch"] == 64


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nowhere/"], "there is no space 'nowhere/'"),
        (["flat", "--seed", "-1"], "--seed is -1; it must be at least 0"),
        ([], "give either TARGET or --space"),
        (["zoo:nothing"], "there is no zoo 'nothing'"),
        (["zoo:hierarchical", "--batch", "0"], "evaluator.batch is 0; it must be greater than 0"),
        (["zoo:hierarchical", "--steps", "0"], "--steps is 0; it must be at least 1"),
        (["zoo:hierarchical", "--threads", "0"], "--threads is 0; it must be at least 1"),
        (["zoo:hierarchical", "--device", "abacus"], "evaluator.device is 'abacus'; give auto, cpu, cuda or cuda:0"),
        (["zoo:hierarchical", "--device", "cuda:77"], "'cuda:77', which this machine does not have"),
        (["zoo:hierarchical", "--device", "meta"], "'meta', which this machine does not have"),
        (["zoo:hierarchical", "--precision", "float7"], "evaluator.precision is 'float7'"),
        (["zoo:hierarchical", "--task", "digitz"], "there is no task 'digitz'"),
        (["zoo:hierarchical", "--task", "digits", "--io", "3x8x8:10"], "--io 3x8x8:10 is for random examples"),
        (["zoo:hierarchical", "--task.size", "8"], "--task.OPTION goes with --task"),
        (["zoo:hierarchical", "--batch", "100000000"], "MB are free; give a smaller --batch"),
        (["zoo:hierarchical", "--evaluator.auxiliary", "0.4"], "no auxiliary head"),
        (["zoo:hierarchical", "--strategy.initial", "3"], "unknown option --strategy.initial"),
    ],
)
def test_bad_input_is_one_sentence(capsys, monkeypatch, tmp_path, words, sentence):
    monkeypatch.chdir(tmp_path)
    assert sentence in refused(capsys, "profile", *words)


def test_a_device_that_runs_out_of_memory_is_one_sentence(capsys, monkeypatch):
    def full(*_):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    monkeypatch.setattr(floors, "measured", full)
    assert "a step of 2 examples does not fit on cpu; give a smaller --batch" in refused(capsys, *SMALL)


def test_tables_of_a_gpu():
    lines = "\n".join(command._lines(GPU, "zoo:naonet"))
    assert "host ms" in lines and "launches: 5,000 a step, which take the host 20.0 ms" in lines
    assert "the host waits 100.0 ms for the GPU,\n       which is idle for 80.0 ms" in lines
    assert "kernel " in lines and "operator" not in lines
    assert "for a time unknown" in "\n".join(command._lines(BLIND, "x")) and "none were seen" in "\n".join(
        command._lines(BLIND, "x")
    )
    for found in (GPU, CPU, BLIND):
        assert max(map(len, command._lines(found, "zoo:naonet"))) <= 72


def test_the_profiler_says_nothing_of_its_own():
    code = (
        "from netwright.cli.main import main\nfrom netwright.training.profile import floors\n"
        f"floors.measured = lambda *_: floors.Ceilings(1e12, 1e11)\nmain({SMALL!r})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.startswith("flat(nodes=3): ")
