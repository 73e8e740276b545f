"""Which samples each process takes. What processes do together is tested in tests/test_ranks.py."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from netwright.core.errors import BadReference
from netwright.data.augment import Augmentation
from netwright.tasks.digits import digits
from netwright.training import parallel
from netwright.training.parallel import ALONE, Team


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 5))
def test_the_parts_of_all_processes_are_the_parts_of_one(size, accumulate, share):
    """Part n of the batch is the same samples however many processes share it, in order of rank."""
    batch = size * accumulate * share
    everything, own = list(range(batch)), [Team(rank, size).shares(batch, accumulate) for rank in range(size)]
    for number, whole in enumerate(ALONE.shares(batch, accumulate)):
        assert [n for shares in own for n in everything[shares[number]]] == everything[whole]


@pytest.mark.parametrize(
    ("size", "accumulate", "message"),
    [
        (2, 1, "a batch of 25 examples cannot be divided among 2 processes; give a multiple of 2"),
        (
            2,
            3,
            "a batch of 25 examples cannot be divided among 2 processes times 3 accumulated parts; give a multiple of "
            "6",
        ),
    ],
)
def test_a_world_that_does_not_divide_the_batch_is_one_clear_sentence(size, accumulate, message):
    with pytest.raises(BadReference, match=f"^{re.escape(message)}$"):
        Team(0, size).shares(25, accumulate)


def test_alone_nothing_is_exchanged():
    value, network = torch.ones(2), nn.Linear(1, 1)
    assert ALONE.mean(value) is value
    assert ALONE.agree(False) is False
    assert ALONE.hand_out(b"x") == b"x"
    assert ALONE.join(network, network, value) is network


class Whole:
    """A task that makes whole batches only."""

    def __init__(self, task):
        self.task = task

    def batches(self, split, size, rng):
        return self.task.batches(split, size, rng)


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("wrap", [lambda task: task, Whole], ids=["parts are made", "parts are cut out"])
def test_the_batches_of_all_processes_are_those_of_one(wrap, accumulate):
    """Augmented, and in the same order within each accumulated part."""
    task = wrap(replace(digits(train_limit=100), augmentation=Augmentation(padding=2, flip=True, brightness=0.5)))
    rng = lambda: np.random.default_rng(5)  # noqa: E731
    whole = list(ALONE.batches(task, "train", 20, rng(), accumulate))
    parts = [list(Team(rank, 2).batches(task, "train", 20, rng(), accumulate)) for rank in range(2)]
    assert len(whole) == len(parts[0]) == 5
    for together, *own in zip(whole, *parts, strict=True):
        assert {size for *_, size in (together, *own)} == {20}
        for number in range(2):
            chunks = [
                piece for x in zip(*(batch[number].chunk(accumulate) for batch in own), strict=True) for piece in x
            ]
            torch.testing.assert_close(torch.cat(chunks), together[number])


@pytest.mark.parametrize(
    ("places", "backend"),
    [
        (["", ""], "gloo"),
        (["GPU-a", "GPU-b"], "nccl"),
        (["GPU-a", "GPU-a"], "gloo"),
        (["GPU-a", ""], "gloo"),
        (["GPU-a", "GPU-b", "GPU-a", "GPU-b"], "gloo"),
    ],
)
def test_nccl_is_for_those_who_have_a_gpu_each(monkeypatch, places, backend):
    monkeypatch.setattr(torch.distributed, "is_nccl_available", lambda: True)
    assert parallel.backend_of(places) == backend
    monkeypatch.setattr(torch.distributed, "is_nccl_available", lambda: False)
    assert parallel.backend_of(places) == "gloo"
