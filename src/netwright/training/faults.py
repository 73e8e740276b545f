"""What goes wrong on a GPU: errors of torch and CUDA as one sentence, and what is to become of the trial.

| what | the trial |
|---|---|
| memory ran out | fails as `out_of_memory`, its worker replaced |
| the card answers this process no more | is put back (`DeviceLost`), its worker replaced |
| torch has no code for the card, or the driver is too old | fails as `error` |
| a precision that the card lacks | fails as `error`; `device.check_has` refuses the run where it is known before |

Any other error is none of these, and keeps its traceback.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import torch

from netwright.core.records import Failure

_MEMORY: Final = ("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
_MEMORY_OF_MPS: Final = "MPS backend out of memory"
_OLD_DRIVER: Final = ("driver on your system is too old", "driver version is insufficient")
_NO_CODE: Final = "no kernel image is available"
_OF_CUDA: Final = ("CUDA", "cuDNN", "CUDNN", "CUBLAS", "NCCL")
_WANTED: Final = re.compile(r"Tried to allocate ([\d.]+ [KMGT]?i?B)")
GB: Final = 1e9
REMEDY: Final = "give a smaller evaluator.batch, a larger evaluator.accumulate, or fewer workers"


@dataclass(frozen=True)
class Fault:
    """What went wrong.

    Args:
        failure: Failure of the trial's row, where it is to fail.
        message: One sentence: what, with sizes, and the remedy.
        is_lost: Whether this process can use the device no more, so that the row is to be put back for another one.
    """

    failure: Failure
    message: str
    is_lost: bool = False


def of(error: BaseException, device: torch.device, remedy: str = REMEDY) -> Fault | None:
    """What an error of a training says about its device; None: nothing, it is an error like any other.

    Args:
        error: The error.
        device: What the training works on.
        remedy: What to do where its memory ran out.
    """
    text = str(error)
    if device.type == "mps" and _MEMORY_OF_MPS in text:
        return Fault("out_of_memory", f"the GPU's memory ran out; {remedy}")
    if device.type != "cuda":
        return None
    if isinstance(error, torch.OutOfMemoryError) or any(words in text for words in _MEMORY):
        return Fault("out_of_memory", _out_of_memory(text, device, remedy))
    if any(words in text for words in _OLD_DRIVER):
        return Fault("error", f"{_old_driver(text)}, or give evaluator.device cpu")
    if _NO_CODE in text:
        return Fault(
            "error",
            f"this build of torch has no code for {_name(device)}; install another, or give evaluator.device cpu",
        )
    if any(word in text for word in _OF_CUDA) and not _answers(device):
        first = text.splitlines()[0].removeprefix("CUDA error: ")
        return Fault(
            "error",
            f"{_name(device)} answers this process no more: {first}; the trial is put back, and the same command goes "
            "on with it where no other worker does",
            is_lost=True,
        )
    return None


def of_memory(error: BaseException, device: torch.device, remedy: str = REMEDY) -> str:
    """What is to be said where memory ran out, of the device or of the machine; "" where the error is another one."""
    fault = of(error, device, remedy)
    if fault is not None:
        return fault.message if fault.failure == "out_of_memory" else ""
    is_machine = isinstance(error, MemoryError) or "can't allocate memory" in str(error)  # torch's own allocator
    return f"the machine's memory ran out; {remedy}" if is_machine else ""


def why_no_gpu() -> str:
    """Why torch cannot use the GPU that this machine has, with the remedy; "" where it can, or where there is none."""
    if torch.cuda.is_available() or not torch.backends.cuda.is_built():
        return ""
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:
        text = str(error)
        if any(words in text for words in _OLD_DRIVER):
            return _old_driver(text)
        return "" if _is_none(text) else f"CUDA does not start ({text.splitlines()[0]}); start the machine anew"
    return ""


def release() -> None:
    """Give back the GPU memory that a failed training has left to torch, for whoever comes next in this process."""
    torch.cuda.empty_cache()


def _is_none(text: str) -> bool:
    return "no NVIDIA driver" in text or "no CUDA-capable device" in text or "No CUDA GPUs" in text


def _old_driver(text: str) -> str:
    found = re.search(r"found version (\d+)", text)
    version = f" {int(found[1]) // 1000}.{int(found[1]) % 1000 // 10}" if found else ""
    has = f", and has that of{version}" if version else ""
    return f"the NVIDIA driver is too old: this torch needs one for CUDA {torch.version.cuda}{has}; update the driver"


def _out_of_memory(text: str, device: torch.device, remedy: str) -> str:
    wanted = _WANTED.search(text)
    what = f"{wanted[1]} more were wanted" if wanted else "more was wanted"
    sizes = ""
    try:
        free, total = torch.cuda.mem_get_info(device)
        held = torch.cuda.memory_reserved(device)
        others = max(0, total - free - held)
        sizes = (
            f" with {free / GB:.1f} of {total / GB:.1f} GB free, {held / GB:.1f} GB held by this training and "
            f"{others / GB:.1f} GB by others"
        )
    except RuntimeError:  # of a card so full that CUDA does not start
        pass
    return f"the memory of {_name(device)} ran out: {what}{sizes}; {remedy}"


def _answers(device: torch.device) -> bool:
    """Whether this process can still compute on the device: after some errors, CUDA refuses whatever comes."""
    try:
        return float(torch.ones((), device=device)) == 1
    except RuntimeError:
        return False


def _name(device: torch.device) -> str:
    try:
        return f"{device} ({torch.cuda.get_device_name(device)})"
    except (RuntimeError, AssertionError):  # of a card that is gone
        return str(device)
