"""A search with shared weights whose processes are killed in the middle of training and of scoring (`make verify`)."""

import signal
import subprocess
import sys
import time
from contextlib import closing

import psutil
import safetensors.torch
import torch

from netwright.core import trained_rounds
from netwright.runs import run_folder
from netwright.training.shared_training import CHECKPOINT, name_of
from tests.verified import VERIFIED

RUN = """
seed = 3
threads_per_trial = 1
space = {ref = "nats", channels = 4, repeats = 1}
strategy = {ref = "aging", population = 6, sample = 3}
task = {ref = "digits", train_limit = 200}
evaluator = {ref = "shared_weights", round_count = 2, pool = 10, new = 4, steps = 100, batch = 20, valid_batch = 300}
executor = {ref = "processes", workers = 1}
"""


def _start(folder):
    (folder / "run.toml").write_text(RUN)
    options = ("--evaluator.checkpoint_minutes", "0.002", "--out", folder / "run")
    command = [sys.executable, "-m", "netwright", "search", folder / "run.toml", *options]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def _killed_when(folder, is_time):
    """Kill all processes of the search at once, as soon as it is time."""
    process = _start(folder)
    while not is_time():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
    for each in family:
        each.send_signal(signal.SIGKILL)
    process.wait()


def _rows(folder):
    with closing(run_folder.open_table(folder / "run", "read")) as store:
        rows = sorted(store.finished(), key=lambda trial: trial.id)
    return [
        (trial.proposal.genotype, {n: v for n, v in trial.result.metrics.items() if n != "seconds"}) for trial in rows
    ]


def _finished(folder):
    try:
        return len(_rows(folder))
    except Exception:  # there is no table yet
        return 0


@VERIFIED
def test_killed_in_training_and_in_scoring_it_ends_alike(tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir(), broken.mkdir()
    assert _start(whole).wait() == 0
    shared = broken / "run" / trained_rounds.SHARED
    _killed_when(broken, (shared / CHECKPOINT).exists)
    assert not (shared / name_of(1)).exists() and _finished(broken) == 0
    _killed_when(broken, lambda: (shared / name_of(1)).exists() and _finished(broken) >= 2)
    assert _finished(broken) < 10
    assert _start(broken).wait() == 0
    assert _rows(broken) == _rows(whole) and len(_rows(whole)) == 20
    one, other = (
        safetensors.torch.load_file(each / "run" / trained_rounds.SHARED / name_of(2)) for each in (whole, broken)
    )
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
