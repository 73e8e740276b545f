"""Turns on a card, between processes: side by side, alone, and what a kill leaves."""

import signal
import subprocess
import sys

from netwright.core import turns

HOLDER = """
import sys, time
from pathlib import Path
from netwright.core import turns
with turns.Turns(Path(sys.argv[1]), ["GPU-1", "machine"]).taken(alone=sys.argv[2:]) as has_come:
    print(has_come, flush=True)
    sys.stdin.readline()
"""


def holder(folder, *alone):
    """Another process, which holds the card and the machine once it has said so, some of it alone."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", HOLDER, str(folder), *alone], **pipes)


def is_free(folder, *, alone, card="GPU-1"):
    """Whether a trial that would not wait has its turn at once."""
    mine = turns.Turns(folder, [card])
    with mine.taken(alone=[card] if alone else (), is_wanted=lambda: False) as has_come:
        found = has_come
    mine.close()
    return found


def test_trials_share_a_card_until_one_is_to_have_it_alone_whom_a_kill_ends(tmp_path):
    beside = holder(tmp_path)
    assert beside.stdout.readline() == "True\n"
    assert is_free(tmp_path, alone=False)
    assert not is_free(tmp_path, alone=True)
    assert is_free(tmp_path, alone=True, card="GPU-2")
    beside.communicate("\n")
    assert is_free(tmp_path, alone=True)
    alone = holder(tmp_path, "GPU-1")
    assert alone.stdout.readline() == "True\n"
    assert not is_free(tmp_path, alone=False)
    alone.send_signal(signal.SIGKILL)
    alone.communicate()
    assert is_free(tmp_path, alone=False)


def test_no_trial_begins_while_another_waits_to_be_alone(tmp_path):
    """Else it might wait for ever, as there is always one beside."""
    beside = holder(tmp_path)
    assert beside.stdout.readline() == "True\n"
    alone, asked = holder(tmp_path, "GPU-1"), 0
    while is_free(tmp_path, alone=False):
        asked += 1
    beside.communicate("\n")
    assert alone.stdout.readline() == "True\n"
    alone.communicate("\n")
    assert is_free(tmp_path, alone=False)


def test_one_has_alone_what_it_needs_and_shares_the_rest(tmp_path):
    alone = holder(tmp_path, "machine")
    assert alone.stdout.readline() == "True\n"
    assert is_free(tmp_path, alone=False)
    assert not is_free(tmp_path, alone=True)
    assert not is_free(tmp_path, alone=False, card="machine")
    alone.communicate("\n")


def test_its_files_stay_open_and_are_free_between_two_turns(tmp_path):
    mine = turns.Turns(tmp_path, ["GPU-1"])
    for _ in range(2):
        with mine.taken() as has_come:
            assert has_come and not is_free(tmp_path, alone=True)
        assert is_free(tmp_path, alone=True)
    mine.close()


def test_nobody_waits_where_files_of_locks_cannot_be_made(tmp_path):
    (tmp_path / "turns").touch()
    with turns.Turns(tmp_path / "turns", ["GPU-1"]).taken(alone=["GPU-1"]) as has_come:
        assert has_come
