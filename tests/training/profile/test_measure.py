"""Profiles of real steps of small networks."""

import numpy as np
import pytest
import torch

from netwright.core.records import IO
from netwright.plans import network
from netwright.spaces.residual import ResidualSpace
from netwright.tasks.digits import digits
from netwright.training.pace import Noise
from netwright.training.profile import floors
from netwright.training.profile.floors import Ceilings
from netwright.training.profile.laps import PHASES
from netwright.training.profile.measure import step_profile
from netwright.training.settings import StepSettings

SPACE, IMAGES = ResidualSpace(), IO(3, 8, 8, 10)


@pytest.fixture
def ceilings(monkeypatch):
    monkeypatch.setattr(floors, "measured", lambda *_: Ceilings(1e12, 1e11))


def profiled(task, device="cpu", plan=True, **options):
    written = SPACE.plan((4, 1), task.io)
    return step_profile(
        network.build(written, np.random.default_rng(0)),
        task,
        StepSettings(batch=16, **options),
        plan=written if plan else None,
        counts=SPACE.count((4, 1), task.io),
        device=torch.device(device),
        steps=4,
    )


def test_a_profile_of_real_steps(ceilings):
    found = profiled(Noise(IMAGES))
    assert [phase.name for phase in found.phases] == list(PHASES)
    assert sum(phase.seconds for phase in found.phases) == pytest.approx(found.seconds)
    assert all(phase.seconds > 0 and phase.seconds == phase.host_seconds for phase in found.phases)
    assert 0 < found.quickest <= found.seconds <= found.slowest
    assert found.examples_per_second == pytest.approx(16 / found.seconds)
    assert [phase.name for phase in found.phases if phase.floor] == ["forward", "backward", "optimizer"]
    assert found.device == "cpu, 1 thread" and not found.is_gpu
    calls = {kernel.name: kernel.calls for kernel in found.work.kernels}
    convolutions = sum(layer.op.name == "conv" for layer in SPACE.plan((4, 1), IMAGES))
    assert calls["convolution_backward"] == convolutions > 0
    assert found.idle_seconds == found.work.launch_seconds > 0


def test_the_batches_of_a_task_through_the_end_of_a_pass(ceilings):
    task = digits()
    of_pass = task.examples("train") // 16
    found = step_profile(
        network.build(SPACE.plan((4, 1), task.io), np.random.default_rng(0)),
        task,
        StepSettings(batch=16),
        counts=SPACE.count((4, 1), task.io),
        steps=of_pass + 2,
    )
    assert found.steps == of_pass + 2
    assert found.examples_per_second == pytest.approx(16 / found.seconds)
    assert found.fused is None and found.floor > 0  # without a plan, operations alone are known


def test_a_batch_of_more_examples_than_there_are_is_all_of_them(ceilings):
    task = digits()
    plan = SPACE.plan((4, 1), task.io)
    found = step_profile(
        network.build(plan, np.random.default_rng(0)), task, StepSettings(batch=5000), plan=plan, steps=1
    )
    assert found.batch == task.examples("train")
    assert found.examples_per_second == pytest.approx(found.batch / found.seconds)


def test_measuring_trains_next_to_nothing(ceilings):
    plan = SPACE.plan((4, 1), IMAGES)
    net = network.build(plan, np.random.default_rng(0))
    before = {name: weight.clone() for name, weight in net.named_parameters()}
    step_profile(net, Noise(IMAGES), StepSettings(batch=8), plan=plan, steps=2)
    for name, weight in net.named_parameters():
        torch.testing.assert_close(weight.contiguous(), before[name], atol=1e-4, rtol=0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_a_profile_on_a_gpu(precision):
    found = profiled(Noise(IMAGES), "cuda", precision=precision)
    assert found.is_gpu and found.work.launches > 10
    assert sum(phase.seconds for phase in found.phases) == pytest.approx(found.seconds)
    assert found.floor < found.seconds
    if found.work.busy_seconds is not None:  # where the driver lets a profiler see kernels
        assert found.work.busy_seconds > 0 and found.work.kernels
    assert found.ceilings.operations > 1e12 and found.ceilings.bytes > 1e11
