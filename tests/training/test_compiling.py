"""Networks that are compiled, and those that are not."""

from functools import partial

import pytest
import torch
from torch import nn

from netwright.training import compiling
from netwright.training.compiling import BREAK_EVEN, Compiled
from netwright.training.host_side import HostSide

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("wanted", "device", "steps", "expected"),
    [
        ("auto", GPU, BREAK_EVEN, True),
        ("auto", GPU, BREAK_EVEN - 1, False),
        ("auto", CPU, 10**9, False),
        ("always", CPU, 1, True),
        ("never", GPU, 10**9, False),
    ],
)
def test_long_trainings_on_a_gpu_pay(wanted, device, steps, expected):
    assert compiling.pays(wanted, device, steps) == expected
    assert compiling.pays(wanted, device, steps, is_paced=True) == (wanted == "always")


class Double(nn.Module):
    def forward(self, x, more=0):
        return 2 * x + more


def test_one_shape_is_compiled_and_others_run_plainly():
    seen = []

    def compile(module):
        def run(x, *more):
            seen.append(len(x))
            return module(x, *more)

        return run

    module = Compiled(Double(), compile)
    for size in (4, 4, 3, 4):
        assert torch.equal(module(torch.ones(size), 1), torch.full((size,), 3.0))
    assert seen == [4, 4, 4]
    assert module.why_plain == ""


def test_what_is_noted_runs_plainly_and_is_compiled_afterwards():
    """Within a step that is noted torch compiles nothing, and it would not do so again."""
    ran = []

    def backend(graph, _):
        return lambda *given: ran.append(1) or graph.forward(*given)

    network = nn.Linear(2, 2)
    module = Compiled(network, lambda module: torch.compile(module, dynamic=False, backend=backend))
    host = HostSide(network, device=CPU)
    for is_noted, runs in ((False, 1), (True, 1), (True, 1), (False, 2)):
        step = partial(module, torch.ones(1, 2))
        (host.noted(step) if is_noted else step)()
        assert len(ran) == runs


def test_what_cannot_be_compiled_runs_plainly_and_says_why():
    calls = []

    def compile(module):
        def run(x):
            calls.append(x)
            raise RuntimeError("no compiler\nwas found")

        return run

    module = Compiled(Double(), compile)
    for _ in range(2):
        assert torch.equal(module(torch.ones(2)), torch.full((2,), 2.0))
    assert len(calls) == 1
    assert module.why_plain == "the compiler failed: no compiler"


def test_every_training_of_a_process_is_compiled(monkeypatch):
    """However many there are: torch itself stops at the eighth form of one forward function."""
    compiled = []

    def backend(graph, _inputs):
        compiled.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    for width in range(1, 11):
        network = Compiled(nn.Sequential(nn.Linear(2, width)))
        assert network(torch.ones(1, 2)).shape == (1, width)
        assert network.why_plain == ""
    assert len(compiled) == 10
