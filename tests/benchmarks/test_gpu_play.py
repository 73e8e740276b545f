"""Jobs of `benchmarks/gpu.py`: which are played, what ends them, how a later command goes on."""

import os
import sys
import time

import pytest

from benchmarks.gpu import play
from benchmarks.gpu.play import Job, Outcome


def _python(code):
    return lambda _folder: [sys.executable, "-c", code]


def _play(jobs, folder, seconds=60.0):
    return play.play(jobs, folder, seconds, environment=os.environ, say=lambda _text: None, shortest=1.0)


def test_one_job_that_fails_or_lacks_something_keeps_no_other_from_being_played(tmp_path):
    def nothing(_folder):
        raise LookupError("nothing to go on from")

    jobs = [
        Job("bad", "", _python("import sys; sys.exit('this went wrong')"), 60),
        Job("absent", "", nothing, 60),
        Job("no-card", "", nothing, 60, skipped="needs a card"),
        Job("later", "", _python("print('x')"), 60, after="bad"),
        Job("good", "a number", _python("print('7')"), 60, found=lambda text: f"found {int(text)}"),
        Job("mute", "says nothing", _python(""), 60, found=lambda text: text.splitlines()[-1]),
    ]
    found = _play(jobs, tmp_path)
    assert {name: outcome.state for name, outcome in found.items()} == {
        "bad": "failed",
        "absent": "skipped",
        "no-card": "skipped",
        "later": "skipped",
        "good": "done",
        "mute": "done",
    }
    assert [found[name].found for name in ("bad", "absent", "no-card", "later", "good")] == [
        "this went wrong",
        "nothing to go on from",
        "needs a card",
        "bad was not done",
        "found 7",
    ]
    lines = play.table(jobs, found).splitlines()
    assert len(lines) == 1 + len(jobs) and "needs a card" in lines[3] and lines[6].endswith("says nothing")


COUNTS = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
path = pathlib.Path(sys.argv[1])
while (number := int(path.read_text()) if path.exists() else 0) < 20:
    path.write_text(str(number + 1))
    time.sleep(0.1)
print(number)
"""


def test_what_was_stopped_goes_on_and_what_is_done_is_not_played_again(tmp_path, monkeypatch):
    monkeypatch.setattr(play, "GRACE", 5.0)
    began = _python(f"open({str(tmp_path / 'began')!r}, 'a').write('x')")

    def counts(folder):
        return [sys.executable, "-c", COUNTS, str(folder / "n")]

    jobs = [
        Job("once", "", began, 60),
        Job(
            "long",
            "",
            counts,
            6,
            is_resumable=True,
            found=str.strip,
        ),
    ]
    first = _play(jobs, tmp_path)
    reached = int((tmp_path / "n").read_text())
    assert first["long"].state == "stopped" and 0 < reached < 20
    for _ in range(4):
        found = _play(jobs, tmp_path)
        if found["long"].state == "done":
            break
    assert found["long"] == play.read(tmp_path)["long"] and found["long"].found == "20"
    assert found["long"].seconds > first["long"].seconds
    assert (tmp_path / "began").read_text() == "x"


def test_a_job_that_does_not_listen_is_killed_with_what_it_started(tmp_path, monkeypatch):
    monkeypatch.setattr(play, "GRACE", 0.5)
    code = (
        "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
        f"open({str(tmp_path / 'child')!r}, 'w').write(str(child.pid)); time.sleep(60)"
    )
    found = _play([Job("deaf", "", _python(code), 2)], tmp_path)
    assert found["deaf"].state == "cut" and found["deaf"].seconds < 30
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 10
    while _is_alive(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _is_alive(child)


def _is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_nothing_is_begun_for_which_no_time_is_left(tmp_path):
    found = _play(
        [Job("late", "", _python(""), 60), Job("large", "", _python(""), 60, is_resumable=True)], tmp_path, 20.0
    )
    assert found["late"].state == "done"
    assert found["large"].state == "skipped" and "no time is left" in found["large"].found


@pytest.mark.parametrize("kept", ["", '{"name": "a", "sta', "[]\n", '{"other": 1}\n'])
def test_a_line_that_was_cut_is_left_out(tmp_path, kept):
    (tmp_path / play.LINES).write_text('{"name": "b", "state": "done", "seconds": 1, "found": ""}\n' + kept)
    assert play.read(tmp_path) == {"b": Outcome("b", "done", 1, "")}


def test_files_that_cannot_be_carried_are_named(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "large").write_bytes(bytes(play.LARGEST + 1))
    (tmp_path / "run" / "small").write_bytes(bytes(10))
    assert play.large_files(tmp_path) == ["run/large (16.0 MB)"]
