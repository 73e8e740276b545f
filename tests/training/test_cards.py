"""Names of cards, whichever a process sees; and nothing of a machine without one."""

import pytest
import torch

from netwright.training import cards


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
