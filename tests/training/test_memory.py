import subprocess
import sys

import numpy as np
import pytest
import torch

from netwright.training import memory

CPU = torch.device("cpu")


def _can_reset():
    try:
        memory._CLEAR.write_text("5")
    except OSError:
        return False
    return True


def test_the_peak_sees_what_was_allocated_and_freed():
    memory.reset_peak(CPU)
    before = memory.peak_mb(CPU)
    block = np.ones(40_000_000)  # 320 * 10**6 bytes, more than what the process may have freed before
    del block
    assert memory.peak_mb(CPU) >= before + 200


@pytest.mark.skipif(not _can_reset(), reason="this system does not reset the peak")
def test_a_reset_forgets_the_old_peak():
    block = np.ones(25_000_000)  # 200 * 10**6 bytes
    high = memory.peak_mb(CPU)
    del block
    memory.reset_peak(CPU)
    assert memory.peak_mb(CPU) < high - 150


def test_the_peak_is_in_millions_of_bytes():
    """A process with torch in it holds between 50 MB and 100 GB."""
    assert 50 < memory.peak_mb(CPU) < 100_000


def test_without_proc_the_peak_is_that_of_the_whole_process(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "none")
    monkeypatch.setattr(memory, "_CLEAR", tmp_path / "none" / "none")
    memory.reset_peak(CPU)
    assert 50 < memory.peak_mb(CPU) < 100_000


FRESH = """
import torch
from netwright.training import memory
card = torch.device("cuda", 0)
assert not torch.cuda.is_initialized()
memory.reset_peak(card)
block = torch.ones(10**8, dtype=torch.uint8, device=card)
del block
print(memory.peak_mb(card))
memory.reset_peak(card)
print(memory.peak_mb(card))
"""


@pytest.mark.gpu
def test_the_peak_of_a_gpu_is_known_from_the_very_first_allocation_on():
    """In a process of its own: what failed was to reset it before CUDA was first used."""
    done = subprocess.run([sys.executable, "-c", FRESH], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first, second = map(float, done.stdout.split())
    assert 100 <= first < 110 and second < 10
