"""A network that carries a state: begun anew at each pass, left as found by a measurement, held by checkpoints."""

import math

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from netwright.core import seeds
from netwright.core.errors import MissingCapability
from netwright.core.protocols import CarriesState
from netwright.core.records import Proposal, Trial
from netwright.evaluators.training import Training
from netwright.stores.memory import MemoryStore
from netwright.training import carrying, loop
from netwright.training.descent import Descent
from netwright.training.loop import Passes, Schedule
from netwright.training.settings import StepSettings
from netwright.worker import WorkerContext
from tests.carries import HIDDEN, VOCABULARY, Space, Text

TRIAL = Trial(1, Proposal((0,)), "key", 7, "running")


class Killed(BaseException):
    """As a kill would: not caught on the way."""


def _built():
    return Space().build((0,), Text.io, seeds.rng_for(0, seeds.BUILD))


def _moments(network, steps):
    descent = Descent(network, Text(), torch.optim.SGD(network.parameters(), 0.1), steps=steps)
    return loop.steps(Passes(Text(), "train", 4, lambda epoch: None), descent, Schedule(steps))


def test_the_state_goes_from_batch_to_batch_and_begins_anew_at_each_pass():
    network, inputs, seen = _built(), [], []
    network.register_forward_pre_hook(lambda module, given: inputs.append(module.state))
    assert isinstance(network, CarriesState)
    for at in _moments(network, 45):
        if not at.ends_pass:
            seen.append(network.state)
            assert not network.state.requires_grad
    assert [step for step, state in enumerate(inputs) if state is None] == [0, 20, 40]
    assert all(inputs[step + 1] is seen[step] for step in range(44) if step + 1 not in (20, 40))
    assert network.begun == 3


def test_a_measurement_begins_anew_and_leaves_the_state_of_the_training_as_it_was():
    network = _built()
    assert loop.measure(network, Text(), "valid") == loop.measure(_built(), Text(), "valid")
    assert carrying.carried(network) == {}
    *_, _end = _moments(network, 20)
    before = network.state.clone()
    one, other = (loop.measure(network, Text(), "valid") for _ in range(2))
    assert one == other
    assert torch.equal(network.state, before)
    assert not network.state.is_inference(), "a step can go on from it"


class Counter(nn.Module):
    """Keeps its state in one place."""

    def __init__(self):
        super().__init__()
        self.count = torch.zeros(1)

    def forward(self, x):
        return x + self.count.add_(1)

    def carried(self):
        return {"count": self.count}

    def carry(self, state):
        self.count.copy_(state["count"]) if state else self.count.zero_()


def test_a_network_that_changes_its_state_in_place_is_left_as_found_too():
    network = Counter()
    assert network(network(torch.zeros(1))).item() == 3
    with carrying.left_as_found(network), torch.inference_mode():
        assert network(torch.zeros(1)).item() == 1
    assert network.count.item() == 2


def test_a_metric_of_each_token_is_summed_as_the_task_says():
    network = _built()
    with torch.no_grad():
        for weight in network.parameters():
            weight.zero_()
    assert loop.measure(network, Text(), "valid") == {"perplexity": pytest.approx(VOCABULARY)}


def _evaluate(folder, space=None, on_report=lambda step, metrics: True, **settings):
    evaluator = Training(space or Space(), Text(), **{"batch": 4, "lr": 0.5, "steps": 45, "save": True, **settings})
    return evaluator.evaluate(TRIAL, WorkerContext(MemoryStore(), folder, 1, on_report=on_report))


def _exact(result):
    return {n: v for n, v in result.metrics.items() if "second" not in n and "memory" not in n}, result.curve


@pytest.mark.parametrize("kill_at", [1, 7, 20, 21, 33, 47])
def test_a_killed_training_carries_on_what_it_carried_bit_for_bit(tmp_path, kill_at):
    """Reports: one after each of 45 steps, as checkpoints are written, and one after each pass."""
    settings = {"curve_every": 1, "label_smoothing": 0.1}
    whole = _evaluate(tmp_path / "whole", **settings)
    said = []

    def kill(step, metrics):
        said.append(step)
        if len(said) == kill_at:
            raise Killed
        return True

    with pytest.raises(Killed):
        _evaluate(tmp_path / "cut", on_report=kill, checkpoint_minutes=1e-9, **settings)
    held = load_file(tmp_path / "cut" / "000001" / "checkpoint.safetensors")
    assert held["state.hidden"].shape == (1, 4, HIDDEN)
    space = Space()
    result = _evaluate(tmp_path / "cut", space, checkpoint_minutes=1e-9, **settings)
    assert _exact(result) == _exact(whole)
    files = [tmp_path / part / "000001" / "weights.safetensors" for part in ("whole", "cut")]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert "state.hidden" not in load_file(files[0])


class Forgetful(Space):
    """Networks that begin anew at each batch."""

    def build(self, genotype, io, rng):
        network = super().build(genotype, io, rng)
        network.register_forward_pre_hook(lambda module, given: module.carry(None))
        return network


def test_what_is_carried_is_learned_from(tmp_path):
    """The first token of a batch is determined by the last two of the batch before."""
    carried, forgotten = (
        _evaluate(tmp_path / space.__name__, space(), lr=0.1, steps=400) for space in (Space, Forgetful)
    )
    assert math.isclose(carried.curve[-1][1], carried.metrics["valid_perplexity"])
    assert carried.metrics["valid_perplexity"] < 1.5 < forgotten.metrics["valid_perplexity"]


@pytest.mark.parametrize("settings", [{"accumulate": 2}, {"accumulate": 4}])
def test_parts_of_a_batch_cannot_carry_a_state(settings):
    network = _built()
    with pytest.raises(
        MissingCapability, match=r"each must be whole; set evaluator.processes and evaluator.accumulate"
    ):
        Descent(network, Text(), torch.optim.SGD(network.parameters(), 0.1), StepSettings(**settings), steps=1)
