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
