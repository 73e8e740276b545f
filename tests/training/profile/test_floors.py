"""The least that a step can take: counted by hand for small plans, and ceilings measured by a clock that is made up."""

import numpy as np
import pytest
import torch

from netwright.core.records import IO, Counts
from netwright.core.shapes import Numbers, Vector
from netwright.plans.plan import PlanWriter
from netwright.spaces.nasnet import NasnetSpace
from netwright.spaces.residual import ResidualSpace
from netwright.training.profile import floors
from netwright.training.profile.floors import Ceilings, Demand
from netwright.training.settings import StepSettings

IMAGES = IO(3, 8, 8, 10)


def two_linear():
    """8 numbers to 4 to 2, with biases: 36 + 10 weights."""
    writer = PlanWriter(IO(Vector(8), Numbers(2)))
    writer.linear(writer.linear(writer.image, 4), 2)
    return writer.plan()


def test_demands_of_two_layers():
    found = floors.of_plan(two_linear(), StepSettings(batch=10), "float32")
    assert found["forward"] == [Demand(20 * 32, 4 * (80 + 40 + 36)), Demand(20 * 8, 4 * (40 + 20 + 10))]
    # nothing before the first layer learns; of the second, the gradient of its inputs is needed too
    assert found["backward"] == [
        Demand(20 * 32, 4 * (40 + 80 + 36)),
        Demand(2 * 20 * 8, 4 * (20 + 40 + 10 + 40 + 10)),
    ]
    assert found["optimizer"] == [Demand(0, 4 * 46 * 5)]  # weights, gradients and momenta read, two of them written


def test_half_the_width_moves_half_the_bytes_but_for_the_optimizer():
    plan = ResidualSpace().plan((4, 1), IMAGES)
    whole, half = (floors.of_plan(plan, StepSettings(), precision) for precision in ("float32", "bfloat16"))
    for name in ("forward", "backward"):
        assert [each.operations for each in whole[name]] == [each.operations for each in half[name]]
        assert [each.bytes for each in whole[name]] == [2 * each.bytes for each in half[name]]
    assert whole["optimizer"] == half["optimizer"]


def test_operations_are_those_that_are_counted():
    space = ResidualSpace()
    demands = floors.of_plan(space.plan((4, 1), IMAGES), StepSettings(batch=3), "float32")
    counts = space.count((4, 1), IMAGES)
    assert sum(each.operations for each in demands["forward"]) == 2 * 3 * counts.multiply_adds
    bare = floors.of_counts(counts, StepSettings(batch=3))
    assert bare["forward"] == [Demand(2 * 3 * counts.multiply_adds)]
    assert bare["optimizer"] == demands["optimizer"]


def test_an_auxiliary_head_counts_where_it_is_trained():
    space = NasnetSpace(channels=4, repeats=1, auxiliary=True)
    plan = space.plan(space.sample(np.random.default_rng(0)), IO(3, 32, 32, 10))
    without, with_head = (
        sum(each.operations for each in floors.of_plan(plan, StepSettings(auxiliary=weight), "float32")["forward"])
        for weight in (0.0, 0.4)
    )
    assert 0 < without < with_head


def test_a_floor_is_the_higher_ceiling_of_each_layer():
    ceilings = Ceilings(operations=100.0, bytes=10.0)
    found = floors.floor([Demand(200, 5), Demand(10, 40)], ceilings)
    assert found.seconds == pytest.approx(2 + 4) and found.bound == "memory"
    assert floors.floor([Demand(500, 5)], ceilings).bound == "operations"
    assert floors.floor([], ceilings).bound == ""


def test_joined_layers_take_no_longer():
    plan, options = ResidualSpace().plan((4, 2), IMAGES), StepSettings()
    for ceilings in (Ceilings(1e9, 1e12), Ceilings(1e15, 1e9)):
        demands = floors.of_plan(plan, options, "float32")
        apart = sum(floors.floor(demands[name], ceilings).seconds for name in ("forward", "backward"))
        assert 0 < floors.fused(plan, options, "float32", ceilings) <= apart


def test_ceilings_are_the_best_of_what_was_measured():
    rounds = [*[9, 2, 2, 3, 2, 2], *[99, 16, 8, 16, 16, 16], *[1, 8, 8, 8, 8, 8], *[10] * 6]  # the first do not count
    now = iter([moment for seconds in rounds for moment in (0, seconds)])
    found = floors.measured(torch.device("cpu"), "float32", 2**20, lambda: next(now))
    assert found.operations == 2 * 1024**3 / 8  # the small product did half as many
    assert found.bytes == 2**28 / 8  # of the large copy; the small ones did 20 times 2**20 in 10 seconds
    assert next(now, None) is None


def test_rounds_go_on_for_a_while():
    now = iter([moment for _ in range(1000) for moment in (0, floors.PATIENCE / 10)])
    calls = []
    assert floors._quickest(lambda: calls.append(1), torch.device("cpu"), 2, lambda: next(now)) > 0
    assert 20 <= len(calls) <= 24


def test_usual_bytes():
    assert floors.usual_bytes([Demand(0, 2**20), Demand(0, 3 * 2**20)]) == 2**21
    assert floors.usual_bytes([Demand(5, 0)]) == 2**16
    assert floors.of_counts(Counts(5, 7), StepSettings(batch=1))["backward"] == [Demand(28)]
