"""Peak memory of a piece of work."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import torch

PROCESS_MB = 250.0  # a worker with torch and nothing to do

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def reset_peak(device: torch.device) -> None:
    """Reset the peak: that of the GPU, else, on Linux, that of this process."""
    if device.type == "cuda":
        torch.zeros((), device=device)  # starts CUDA, before which there are no statistics to reset
        torch.cuda.reset_peak_memory_stats(device)
        return
    try:
        _CLEAR.write_text("5")  # resets the high-water mark of resident memory, see proc(5)
    except OSError:
        return


def peak_mb(device: torch.device) -> float:
    """Peak since `reset_peak`, in 10**6 bytes: memory allocated on the GPU, else resident memory of this process.

    Where the mark cannot be reset (not Linux), the peak is that of the whole process so far.
    """
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device)) / 1e6
    try:
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
