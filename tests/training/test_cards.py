"""What is said of a card whose memory ran out; and nothing of a machine without one."""

import pytest
import torch

from netwright.training import cards
from netwright.training.cards import Full

FAULT = """CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 79.11 GiB of which 1.2 GiB
is free. If reserved but unallocated memory is large try setting PYTORCH_ALLOC_CONF"""


def test_all_sizes_are_said():
    full = Full("NVIDIA H100", 80e9, 2e9, 12e9, 31.5e9)
    said = full.sentence("a network of 4,321 parameters, 64 images a step", FAULT)
    assert said == (
        "the memory of NVIDIA H100 ran out for a network of 4,321 parameters, 64 images a step, estimated at 31.5 GB: "
        "of 80.0 GB, its process held 12.0 GB, other processes and contexts 66.0 GB; Tried to allocate 20.00 GiB; give "
        "a smaller batch, more evaluator.accumulate or fewer executor.trials_per_gpu"
    )


@pytest.mark.parametrize(
    ("visible", "device", "name"),
    [
        (None, "cuda:1", "cuda-1"),
        (None, "cuda", "cuda-0"),
        ("3,5", "cuda:1", "cuda-5"),
        ("GPU-8932f937, GPU-12", "cuda:1", "cuda-GPU-12"),
        ("3", "cuda:1", "cuda-1"),
        ("3", "cpu", None),
    ],
)
def test_a_card_has_one_name_whichever_cards_a_process_sees(visible, device, name):
    assert cards.name_of(torch.device(device), {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}) == name


def test_a_process_that_uses_no_card_holds_none():
    if not torch.cuda.is_initialized():
        assert cards.memory() is None
        cards.leave()
