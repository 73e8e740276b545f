"""What goes wrong on a GPU, as one sentence, and what becomes of the trial."""

import pytest
import torch

from netwright.training import faults

CPU, CARD = torch.device("cpu"), torch.device("cuda", 0)
FULL = (
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.10 GiB of which 1.10 GiB is "
    "free. Process 17 has 8.00 GiB memory in use."
)


@pytest.fixture
def card(monkeypatch):
    """As if there were a card, which answers or does not."""

    def pretend(answers=True):
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: "NVIDIA H100")
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (1_200_000_000, 85_000_000_000))
        monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _device: 70_000_000_000)
        monkeypatch.setattr(faults, "_answers", lambda _device: answers)

    return pretend


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (torch.OutOfMemoryError(FULL), "2.00 GiB more were wanted"),
        (RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be reported"), "more was wanted"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), "more was wanted"),
    ],
    ids=["torch", "CUDA", "cuBLAS"],
)
def test_memory_that_ran_out_is_told_with_sizes(card, error, wanted):
    card()
    found = faults.of(error, CARD)
    assert (found.failure, found.is_lost) == ("out_of_memory", False)
    assert found.message == (
        f"the memory of cuda:0 (NVIDIA H100) ran out: {wanted} with 1.2 of 85.0 GB free, 70.0 GB held by this training "
        "and 13.8 GB by others; give a smaller evaluator.batch, a larger evaluator.accumulate, or fewer workers"
    )


def test_a_card_too_full_for_cuda_to_start_is_told_without_sizes(card, monkeypatch):
    card()

    def refuse(_device):
        raise RuntimeError("CUDA error: out of memory")

    monkeypatch.setattr(torch.cuda, "mem_get_info", refuse)
    found = faults.of(RuntimeError("CUDA error: out of memory"), CARD)
    assert found.message.startswith("the memory of cuda:0 (NVIDIA H100) ran out: more was wanted; give a smaller")


@pytest.mark.parametrize(
    "said",
    [
        "CUDA error: an illegal memory access was encountered",
        "CUDA error: all CUDA-capable devices are busy or unavailable",
        "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED",
    ],
)
def test_a_card_that_answers_no_more_puts_the_trial_back(card, said):
    card(answers=False)
    found = faults.of(RuntimeError(f"{said}\nCompile with `TORCH_USE_CUDA_DSA`"), CARD)
    assert found.is_lost
    assert found.message == (
        f"cuda:0 (NVIDIA H100) answers this process no more: {said.removeprefix('CUDA error: ')}; the trial is put "
        "back, and the same command goes on with it where no other worker does"
    )


def test_an_error_after_which_the_card_answers_is_one_like_any_other(card):
    card()
    assert faults.of(RuntimeError("CUDA error: invalid argument"), CARD) is None
    assert faults.of(RuntimeError("mat1 and mat2 shapes cannot be multiplied"), CARD) is None


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (
            "CUDA error: no kernel image is available for execution on the device",
            "this build of torch has no code for cuda:0 (NVIDIA H100); install another, or give evaluator.device cpu",
        ),
        (
            "CUDA driver version is insufficient for CUDA runtime version",
            "the NVIDIA driver is too old: this torch needs one for CUDA 13.0; update the driver, or give "
            "evaluator.device cpu",
        ),
    ],
)
def test_what_fails_every_trial_is_not_put_back(card, monkeypatch, said, message):
    card(answers=False)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    assert faults.of(RuntimeError(said), CARD) == faults.Fault("error", message)


def test_on_the_cpu_no_error_is_one_of_a_gpu():
    for said in (FULL, "CUDA error: unknown error"):
        assert faults.of(RuntimeError(said), CPU) is None
    assert faults.of(torch.OutOfMemoryError("out of memory"), CPU) is None


def test_without_a_gpu_there_is_nothing_to_say_of_one():
    assert faults.why_no_gpu() == ""


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU", ""),
        ("No CUDA GPUs are available", ""),
        (
            "CUDA unknown error - this may be due to an incorrectly set up machine\nmore",
            "CUDA does not start (CUDA",
        ),
    ],
)
def test_why_torch_uses_no_gpu_is_told_only_where_there_is_one(monkeypatch, said, told):
    def init():
        raise RuntimeError(said)

    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "init", init)
    assert faults.why_no_gpu().startswith(told) and bool(faults.why_no_gpu()) == bool(told)


@pytest.mark.gpu
def test_a_full_card_is_told_with_its_sizes_and_can_be_used_again():
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**50, dtype=torch.uint8, device=CARD)
    found = faults.of(raised.value, CARD)
    assert found.failure == "out_of_memory" and "GB free" in found.message and "more were wanted" in found.message
    faults.release()
    assert faults._answers(CARD)
