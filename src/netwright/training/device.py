"""The device that a training uses, and how exactly it computes there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import torch

from netwright.core.errors import BadReference
from netwright.training import faults

HALF: Final = {"bfloat16": (8, 0), "float16": (5, 3)}  # the least compute capability of cards that compute in these
WORKSPACE: Final = ("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # with which cuBLAS gives the same bits, see NVIDIA's manual


def pick(name: str, index: int) -> torch.device:
    """The device of process `index` of this machine.

    Args:
        name: Name of a device; "cuda" is the process's own GPU, "auto" as well, or the CPU where there is none. Where
            processes are more than GPUs, they share them.
        index: Number of the process, from 0.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    found = torch.device(name)
    if found.type == "cuda" and found.index is None:
        return torch.device("cuda", index % max(1, torch.cuda.device_count()))
    return found


def check_name(name: str, processes: int) -> None:
    """Raise BadReference for a name of no device, or of one that so many processes cannot share."""
    if name == "auto":
        return
    try:
        device = torch.device(name)
    except RuntimeError:
        raise BadReference(f"evaluator.device is {name!r}; give auto, cpu, cuda or cuda:0") from None
    if processes > 1 and device.type not in ("cpu", "cuda"):
        raise BadReference(f"evaluator.device is {name!r}, which {processes} processes cannot share; give auto or cpu")


def check_is_here(name: str) -> None:
    """Raise BadReference for a device that this machine does not have, or that torch cannot use."""
    _check_is_here(name, pick(name, 0), "evaluator.device", "auto or cpu")


def timed(name: str, option: str) -> torch.device:
    """The device of that name, on which networks are timed: a CPU or a GPU by CUDA that is here.

    Args:
        name: cpu, cuda or cuda:0.
        option: What the user names it by, for the message.

    Raises:
        BadReference: It is no such device, or not here.
    """
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda"):
        raise BadReference(f"{option} is {name!r}, where latency is not measured; give cpu, cuda or cuda:0")
    _check_is_here(name, device, option, "cpu")
    return pick(name, 0)


def _check_is_here(name: str, device: torch.device, option: str, instead: str) -> None:
    if device.type == "cuda" and (why := faults.why_no_gpu()):
        raise BadReference(f"{option} is {name!r}, but {why}, or give {instead}")
    cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    known = {"cuda": cards, "mps": int(torch.backends.mps.is_available()), "meta": 0}
    if (device.index or 0) >= known.get(device.type, 1):
        raise BadReference(f"{option} is {name!r}, which this machine does not have; give {instead}")


def has(device: torch.device, precision: str) -> bool:
    """Whether the device computes in a precision; the CPU computes in any, if slowly."""
    if device.type != "cuda" or precision not in HALF or torch.version.hip:
        return True
    return bool(torch.cuda.get_device_capability(device) >= HALF[precision])


def check_has(device: torch.device, precision: str) -> None:
    """Raise BadReference for a precision that a GPU does not have."""
    if not has(device, precision):
        version = ".".join(map(str, torch.cuda.get_device_capability(device)))
        raise BadReference(
            f"evaluator.precision is {precision!r}, which {torch.cuda.get_device_name(device)} (compute capability "
            f"{version}) does not have; give auto or float32"
        )


def is_exact(device: torch.device, deterministic: bool) -> bool:
    """Whether the same training gives the same bits each time: on the CPU always, elsewhere where it is asked for."""
    return device.type == "cpu" or deterministic


@contextmanager
def working(device: torch.device, threads: int, deterministic: bool) -> Iterator[None]:
    """Use `threads` threads of torch within the block, and the device as is asked for.

    On a GPU, `deterministic` takes algorithms that give the same bits each time and no TF32; of an operation that has
    no such algorithm, torch warns. Otherwise others are taken too, and single precision means TF32. cuDNN never tries
    algorithms out: each trial has shapes of its own, and to try them is thought to take longer than a short training
    gains (not measured).
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with ExitStack() as stack:
            if device.type == "cuda":
                if deterministic:
                    os.environ.setdefault(*WORKSPACE)  # read where cuBLAS is first used
                    stack.enter_context(_deterministic())
                cudnn = {"enabled": True, "deterministic": deterministic, "benchmark": False}
                stack.enter_context(_set(torch.backends.cudnn, **cudnn))
                stack.enter_context(_tf32(not deterministic))
                stack.enter_context(torch.cuda.device(device))
            yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def in_single_precision(device: torch.device) -> Iterator[None]:
    """Compute within the block in single precision, without TF32: what is measured is the same on any device."""
    with _tf32(False) if device.type == "cuda" else ExitStack():
        yield


@contextmanager
def _tf32(allowed: bool) -> Iterator[None]:
    # by the names that torch 2.6 knows too: once they are used, those of 2.9 must not be, as torch then refuses both
    with (
        _set(torch.backends.cudnn, allow_tf32=allowed),
        _set(torch.backends.cuda.matmul, allow_tf32=allowed),
    ):
        yield


@contextmanager
def _deterministic() -> Iterator[None]:
    """Torch's own operations by algorithms that give the same bits, as far as there are any."""
    was, warned = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with _set(torch.utils.deterministic, fill_uninitialized_memory=False):  # nothing reads it
            yield
    finally:
        torch.use_deterministic_algorithms(was, warn_only=warned)


@contextmanager
def _set(place: Any, **values: bool) -> Iterator[None]:
    """Give a module of torch these attributes within the block."""
    before = {name: getattr(place, name) for name in values}
    try:
        for name, value in values.items():
            setattr(place, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(place, name, value)
