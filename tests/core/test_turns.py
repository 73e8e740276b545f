"""Turns on a card, between processes: side by side, alone, and what a kill leaves."""

import signal
import subprocess
import sys

from netwright.core import turns

HOLDER = """
import sys, time
from pathlib import Path
from netwright.core import turns
with turns.taken(Path(sys.argv[1]), ["GPU-1"], alone=sys.argv[2] == "alone") as has_come:
    print(has_come, flush=True)
    sys.stdin.readline()
"""


def holder(folder, how):
    """Another process, which holds the card once it has said so."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", HOLDER, str(folder), how], **pipes)


def is_free(folder, *, alone, card="GPU-1"):
    """Whether a trial that would not wait has its turn at once."""
    with turns.taken(folder, [card], alone=alone, is_wanted=lambda: False) as has_come:
        return has_come


def test_trials_share_a_card_until_one_is_to_have_it_alone_whom_a_kill_ends(tmp_path):
    beside = holder(tmp_path, "beside")
    assert beside.stdout.readline() == "True\n"
    assert is_free(tmp_path, alone=False)
    assert not is_free(tmp_path, alone=True)
    assert is_free(tmp_path, alone=True, card="GPU-2")
    beside.communicate("\n")
    assert is_free(tmp_path, alone=True)
    alone = holder(tmp_path, "alone")
    assert alone.stdout.readline() == "True\n"
    assert not is_free(tmp_path, alone=False)
    alone.send_signal(signal.SIGKILL)
    alone.communicate()
    assert is_free(tmp_path, alone=False)


def test_no_trial_begins_while_another_waits_to_be_alone(tmp_path):
    """Else it might wait for ever, as there is always one beside."""
    beside = holder(tmp_path, "beside")
    assert beside.stdout.readline() == "True\n"
    alone, asked = holder(tmp_path, "alone"), 0
    while is_free(tmp_path, alone=False):
        asked += 1
    beside.communicate("\n")
    assert alone.stdout.readline() == "True\n"
    alone.communicate("\n")
    assert is_free(tmp_path, alone=False)
