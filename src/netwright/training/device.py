"""The device that a training uses, and the setup in which it gives the same bits each time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from netwright.core.errors import BadReference


def pick(name: str, index: int) -> torch.device:
    """The device of process `index` of this machine: the one of that name or, for "auto", its own GPU, else the CPU."""
    if name != "auto":
        return torch.device(name)
    if torch.cuda.is_available():
        return torch.device("cuda", index % torch.cuda.device_count())
    return torch.device("cpu")


def check_name(name: str, processes: int) -> None:
    """Raise BadReference for a name of no device, or of one that so many processes cannot share."""
    if name == "auto":
        return
    try:
        torch.device(name)
    except RuntimeError:
        raise BadReference(f"evaluator.device is {name!r}; give auto, cpu, cuda or cuda:0") from None
    if processes > 1 and name != "cpu":
        raise BadReference(f"evaluator.device is {name!r}, which {processes} processes cannot share; give auto or cpu")


def check_is_here(name: str) -> None:
    """Raise BadReference for a device that this machine does not have."""
    device = pick(name, 0)
    known = {"cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available()), "meta": 0}
    if (device.index or 0) >= known.get(device.type, 1):
        raise BadReference(f"evaluator.device is {name!r}, which this machine does not have; give auto or cpu")


@contextmanager
def repeatable(threads: int) -> Iterator[None]:
    """Use `threads` threads of torch within the block, and convolutions that give the same bits each time."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.backends.cudnn.flags(enabled=True, deterministic=True, benchmark=False):
            yield
    finally:
        torch.set_num_threads(before)
