"""Whatever goes wrong is one sentence, from the first moment on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from netwright.cli import app
from netwright.cli.main import BAD_INPUT, OWN_FAULT, main
from netwright.core.errors import NetwrightError


def undecodable():
    "\udcff".encode()


def nested():
    raise RecursionError("maximum recursion depth exceeded")


def digits():
    int("9" * 5000)


def raising(error):
    def run(*_):
        raise error

    return run


def told(capfd, monkeypatch, run):
    """The exit code, and the one line that stands on standard error."""
    monkeypatch.setattr(app, "run", run)
    with pytest.raises(SystemExit) as left:
        main(["list", "spaces"])
    out, err = capfd.readouterr()
    assert out == "" and err.startswith("netwright: ") and err.count("\n") == 1 and "Traceback" not in err
    return left.value.code, err


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (raising(NetwrightError("no such thing")), "netwright: no such thing"),
        (raising(OSError(28, "No space left on device", "runs/x")), "runs/x cannot be written: No space left"),
        (raising(MemoryError()), "memory ran out"),
        (lambda *_: undecodable(), "a word of the command is no text"),
        (lambda *_: nested(), "nested too deeply"),
        (lambda *_: digits(), "a number of thousands of digits"),
    ],
)
def test_bad_input_is_one_sentence_with_exit_code_2(capfd, monkeypatch, run, words):
    code, err = told(capfd, monkeypatch, run)
    assert code == BAD_INPUT and words in err


class Odd(BaseException):
    pass


@pytest.mark.parametrize(
    "error", [SystemError("bad call"), KeyError("two\nlines"), OSError(5, "I/O"), AssertionError(), Odd("\udcff\x1b")]
)
def test_a_fault_of_its_own_is_said_so_and_its_traceback_is_in_a_file(capfd, monkeypatch, tmp_path, error):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code, err = told(capfd, monkeypatch, raising(error))
    assert code == OWN_FAULT
    assert f"met a fault of its own, {type(error).__name__}" in err and "please report it" in err
    [path] = tmp_path.iterdir()
    assert str(path) in err and "Traceback" in path.read_text()


def test_a_fault_is_said_where_nothing_can_be_written_and_raised_where_that_is_asked_for(capfd, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.mkstemp", lambda **_: (tmp_path / "none" / "file").touch())
    assert "set NETWRIGHT_TRACEBACK=1" in told(capfd, monkeypatch, raising(ValueError("odd")))[1]
    monkeypatch.setenv("NETWRIGHT_TRACEBACK", "1")
    monkeypatch.setattr(app, "run", raising(ValueError("odd")))
    with pytest.raises(ValueError, match="odd"):
        main([])


def test_exit_codes_of_commands_stay_and_signals_are_handed_back(monkeypatch):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(app, "run", raising(SystemExit(7)))
    with pytest.raises(SystemExit) as left:
        main([])
    assert left.value.code == 7
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


IMPORTING = """
import sys, time
class Slow:
    def find_spec(self, name, path, target=None):
        if name == "netwright.cli.app":
            print("now", flush=True)
            while True:
                try:
                    time.sleep(600)
                except KeyboardInterrupt:  # as libraries do
                    raise ImportError("interrupted")
sys.meta_path.insert(0, Slow())
from netwright.cli.main import main
main()
"""
WORKING = """
import sys, time, types
app = types.ModuleType("netwright.cli.app")
class Finalized:
    def __del__(self):
        print("now", flush=True)
        time.sleep(600)
def run(*_):
    HOW
app.run = run
import netwright.cli
netwright.cli.app = sys.modules["netwright.cli.app"] = app
from netwright.cli.main import main
main()
"""
PLAIN = 'print("now", flush=True)\n    time.sleep(600)'
TURNED = (
    'print("now", flush=True)\n    try:\n        time.sleep(600)\n    except BaseException:\n        raise OSError(5)'
)


@pytest.mark.parametrize(
    "code",
    [
        IMPORTING,
        WORKING.replace("HOW", PLAIN),
        WORKING.replace("HOW", TURNED),
        WORKING.replace("HOW", "Finalized()"),
    ],
    ids=["importing", "working", "turned into an error", "in a finalizer"],
)
@pytest.mark.parametrize(
    ("number", "left", "said"),
    [
        (signal.SIGINT, 130, "netwright: stopped; the same command goes on\n"),
        (signal.SIGTERM, 143, "netwright: ended by SIGTERM; the same command goes on\n"),
    ],
)
def test_a_signal_at_any_moment_is_one_line(code, number, left, said):
    if number == signal.SIGTERM and ("Finalized()" in code or "raise OSError" in code):
        pytest.skip("Ctrl-C alone is turned into an exception that others may catch")
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout.readline() == "now\n"
        process.send_signal(number)
        _, err = process.communicate()
    assert process.returncode == left
    assert err in (said, "" if number == signal.SIGTERM else said)


def test_the_entry_imports_next_to_nothing_before_signals_are_in_hand():
    """Each package that it imported would be a time in which Ctrl-C shows a traceback."""
    code = "import sys; from netwright.cli import main; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, env=path_env()
    )
    assert not {"typer", "numpy", "rich", "json", "pathlib", "click"} & set(done.stdout.split())


def path_env():
    source = str(Path(app.__file__).parents[2])
    return {**os.environ, "PYTHONPATH": source}


def test_python_m_netwright_is_the_command():
    done = subprocess.run([sys.executable, "-m", "netwright", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("0.")


@pytest.mark.parametrize(
    "words",
    [
        ["--workers", "0"],
        ["--workers", "-1"],
        ["--workers", "1e9"],
        ["--workers", str(10**30)],
        ["--workers", "1000000"],
        ["--executor.workers", "1e9"],
        ["--executor.workers", "many"],
        ["--workers", "9" * 5000],
    ],
)
def test_numbers_of_workers_that_cannot_be_are_refused_before_anything_is_there(tmp_path, capfd, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("netwright.executors.processes.Processes._launch", None)
    toys = "netwright.testing.toys"
    given = ["--space", f"{toys}:ToySpace", "--task", f"{toys}:ToyTask", "--evaluator", f"{toys}:ToyEvaluator"]
    with pytest.raises(SystemExit) as left:
        main(["search", *given, "--strategy", "random", "--trials", "5", "--out", "run", *words])
    assert left.value.code == 2 and "Traceback" not in capfd.readouterr().err
    assert not list(tmp_path.iterdir())


def test_fewer_workers_are_started_than_asked_for_where_there_is_less_to_do(tmp_path, capsys):
    toys = "netwright.testing.toys"
    given = ["--space", f"{toys}:ToySpace", "--task", f"{toys}:ToyTask", "--evaluator", f"{toys}:ToyEvaluator"]
    with pytest.raises(SystemExit) as left:
        main(["search", *given, "--strategy", "random", "--trials", "1", "--workers", "5", "--out", str(tmp_path)])
    assert left.value.code == 0
    assert "5 workers for 1 trial left: 1 is started" in capsys.readouterr().out
    assert [log.name for log in (tmp_path / "logs").iterdir()] == ["w0.log"]
