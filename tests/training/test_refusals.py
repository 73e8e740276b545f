"""What no training can be made of is said before one begins."""

import pytest
import torch

from netwright.core.errors import BadReference, MissingCapability
from netwright.tasks.digits import digits
from netwright.training import refusals
from netwright.training.options import Options

TASK = digits(train_limit=50)


class Fixed:
    """A task with no other divisions."""

    io = TASK.io


def test_options_that_do_not_go_with_a_task():
    refusals.check_task(Options(splits=2), TASK)
    with pytest.raises(MissingCapability, match=r"evaluator\.splits is 2, but the task cannot divide its examples"):
        refusals.check_task(Options(splits=2), Fixed())


def test_a_schedule_must_end_where_the_last_promotions_do():
    cpu = torch.device("cpu")
    refusals.check_machine(Options(horizon=9), cpu, 9)
    refusals.check_machine(Options(horizon=9, schedule="constant"), cpu, 3)
    with pytest.raises(BadReference, match=r"give --evaluator\.horizon 3"):
        refusals.check_machine(Options(horizon=9), cpu, 3)


def test_teachers_are_refused_where_torchrun_has_several_processes_wait(monkeypatch):
    """The option says one, and only the first of them would learn from the teachers."""
    options = Options(teachers="here", distill=0.5)
    refusals.check_network(options, TASK, None, with_data=False)
    monkeypatch.setattr(refusals.ranks, "size", lambda _processes: 8)
    with pytest.raises(BadReference, match=r"evaluator\.teachers goes with one process"):
        refusals.check_network(options, TASK, None, with_data=False)


def test_a_batch_must_be_dividable_once_the_examples_are_known():
    options = Options(batch=64, accumulate=64)
    refusals.check_network(options, TASK, None, with_data=False)
    with pytest.raises(BadReference, match="64"):
        refusals.check_network(options, TASK, None, with_data=True)
