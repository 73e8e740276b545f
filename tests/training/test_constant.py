"""What a constant answer gives is known of any task of classes or numbers, without a word from the task."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from netwright.core.objectives import Objective
from netwright.core.records import IO
from netwright.core.shapes import Classes, Numbers, Vector
from netwright.tasks.digits import digits
from netwright.training import constant


@dataclass(frozen=True)
class Given:
    """A split with these targets."""

    targets: torch.Tensor
    io: IO
    measures: ClassVar[tuple[Objective, ...]] = (Objective("loss", -1), Objective("accuracy", shown="share"))

    def batches(self, split, size, rng):
        for part in self.targets.split(3):
            yield torch.zeros(len(part), 2), part

    def metrics(self, outputs, targets):
        assert outputs.shape == (len(targets), *outputs.shape[1:])
        if targets.is_floating_point():
            return {"loss": (outputs - targets).square().mean(1)}
        hit = (outputs.argmax(1) == targets).float()
        return {"loss": F.cross_entropy(outputs, targets, reduction="none"), "accuracy": hit}


def test_numbers_are_compared_with_their_mean():
    targets = torch.from_numpy(np.random.default_rng(0).normal(3, 2, size=(20, 2)).astype(np.float32))
    [found] = constant.baselines(Given(targets, IO(Vector(2), Numbers(2))), "valid")
    assert found.value == pytest.approx(float(targets.var(0, correction=0).mean()), rel=1e-5)
    assert found.words.startswith("always answering the mean gives ")


def test_classes_are_compared_with_their_shares():
    targets = torch.tensor([0] * 18 + [2] * 2)
    loss, accuracy = constant.baselines(Given(targets, IO(Vector(2), Classes(3))), "valid")
    assert accuracy.value == pytest.approx(0.9)
    assert accuracy.words == "the shares of the classes alone give 90.00 %"
    assert loss.value == pytest.approx(-0.9 * np.log(0.9) - 0.1 * np.log(0.1), rel=1e-5)


@pytest.mark.parametrize("targets", [torch.zeros(0, 2), torch.zeros(4, 3), torch.zeros(4, dtype=torch.int64)])
def test_targets_of_another_form_tell_of_none(targets):
    assert constant.baselines(Given(targets, IO(Vector(2), Numbers(2))), "valid") == ()


def test_a_task_that_knows_is_asked():
    found = {each.name: each for each in constant.baselines(digits(), "valid")}
    assert found["accuracy"].words == "the largest class is 10.28 % of it"
