import time
from contextlib import contextmanager
from itertools import count

import numpy as np
import pytest
import torch

from netwright.core import seeds
from netwright.tasks.digits import digits
from netwright.training.feeding import fed
from netwright.training.parallel import Team

CPU, OTHER = torch.device("cpu"), torch.device("mps")
TASK = digits(train_limit=60, padding=1, cutout=2)


def _rng(seed=0):
    return seeds.rng_for(seed, seeds.TRAIN)


def _fed(task, device, rng=None, **options):
    with fed(task, "train", 20, rng, device, **options) as coming:
        return list(coming)


class Endless:
    """Batches without end, made on the host or on a device, of which both are noted."""

    def __init__(self, is_resident):
        self.is_resident, self.asked, self.drawn, self.made = is_resident, [], [], []

    def wait_for(self, number):
        """Wait until a thread has drawn so many, for a while."""
        for _ in range(500):
            if len(self.drawn) >= number:
                return
            time.sleep(0.01)

    def on_device(self, split, device):
        self.asked.append((split, device))
        return self

    def parts(self, size, rng, shares, start):
        return (self.drawn.append(n) or n for n in count(start))

    def batch(self, part):
        self.made.append(part)
        return part

    def batches(self, split, size, rng):
        return ((self.drawn.append(n) or torch.tensor([n]), torch.tensor([n])) for n in count())


@pytest.mark.parametrize("batches_by", ["auto", "host"])
def test_on_the_cpu_the_task_makes_the_batches(batches_by):
    found = _fed(TASK, CPU, _rng(), batches_by=batches_by)
    for (inputs, targets, size), (images, labels) in zip(found, TASK.batches("train", 20, _rng()), strict=True):
        assert torch.equal(inputs, images) and torch.equal(targets, labels) and size == 20


def test_the_cpu_can_be_taken_for_a_device():
    found, host = _fed(TASK, CPU, _rng(), batches_by="device"), _fed(TASK, CPU, _rng())
    assert all(torch.equal(one[1], other[1]) for one, other in zip(found, host, strict=True))
    assert not torch.equal(found[0][0], host[0][0]), "drawn otherwise"
    plain = zip(_fed(TASK, CPU, batches_by="device"), _fed(TASK, CPU), strict=True)
    assert all(torch.allclose(one, other, atol=1e-5) for (one, *_), (other, *_) in plain)


@pytest.mark.parametrize("batches_by", ["host", "device"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_processes_share_what_one_would_have_made(batches_by, accumulate):
    options = {"batches_by": batches_by, "accumulate": accumulate}
    whole = _fed(TASK, CPU, _rng(), **options)
    parts = [_fed(TASK, CPU, _rng(), team=Team(rank, 2), **options) for rank in range(2)]
    assert len(whole) == len(parts[0]) == 3
    for (inputs, targets, size), *shared in zip(whole, *parts, strict=True):
        rows = [np.concatenate([np.arange(20)[s] for s in Team(rank, 2).shares(20, accumulate)]) for rank in range(2)]
        for own, (images, labels, both) in zip(rows, shared, strict=True):
            assert torch.equal(images, inputs[own]) and torch.equal(labels, targets[own]) and both == size


@pytest.mark.parametrize("batches_by", ["host", "device"])
def test_batches_that_were_used_before_are_left_out(batches_by):
    whole, rest = (_fed(TASK, CPU, _rng(), batches_by=batches_by, start=start) for start in (0, 2))
    assert [targets.tolist() for _, targets, _ in rest] == [targets.tolist() for _, targets, _ in whole[2:]]
    assert torch.equal(rest[0][0], whole[2][0])


@contextmanager
def _first(task, number, device, **options):
    """So many batches, and what had been drawn and made when the last of them came."""
    with fed(task, "valid", 5, None, device, **options) as coming:
        yield [next(coming) for _ in range(number)]


def test_a_device_makes_batches_of_what_lies_there_when_they_are_asked_for():
    task = Endless(is_resident=True)
    with _first(task, 3, OTHER) as found:
        assert (found, task.drawn, task.made) == ([0, 1, 2], [0, 1, 2], [0, 1, 2])
    assert task.asked == [("valid", OTHER)]


def test_a_thread_reads_ahead_what_does_not_lie_there():
    task = Endless(is_resident=False)
    with _first(task, 3, OTHER, start=4) as found:
        assert (found, task.made) == ([4, 5, 6], [4, 5, 6])
        task.wait_for(5)
    assert task.drawn == [4, 5, 6, 7, 8], "two ahead"


def test_a_thread_makes_ahead_what_the_host_makes_for_a_device():
    task = Endless(is_resident=True)
    with _first(task, 3, OTHER, batches_by="host", start=1) as found:
        assert [int(targets) for _, targets, _ in found] == [1, 2, 3]
        task.wait_for(6)
    assert (task.asked, task.drawn) == ([], [0, 1, 2, 3, 4, 5])


def test_a_task_that_cannot_leave_it_to_a_device_is_trained_on_all_the_same():
    class Plain:
        def batches(self, split, size, rng):
            return iter([(torch.zeros(2), torch.ones(2))])

    assert [size for *_, size in _fed(Plain(), CPU, batches_by="device")] == [2]
