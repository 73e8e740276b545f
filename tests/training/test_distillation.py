"""One network learns from the averaged outputs of several."""

import pytest
import torch
from torch import nn

from netwright.core import seeds
from netwright.core.errors import BadReference, NetwrightError
from netwright.core.records import IO
from netwright.core.shapes import Classes, Numbers, Vector
from netwright.spaces.residual import ResidualSpace
from netwright.training import checkpoint, distillation
from netwright.training.descent import Descent
from netwright.training.distillation import Averaged, Teacher, Trained

SPACE, IMAGES = ResidualSpace(), IO(1, 8, 8, 3)


class Shift(nn.Module):
    """Adds a number to one output."""

    def __init__(self, number, place):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))
        with torch.no_grad():
            self.weight[place] = number

    def forward(self, inputs):
        return inputs + self.weight


class Labels:
    io = IO(Vector(3), Classes(3))

    def loss(self, outputs, targets):
        return nn.functional.cross_entropy(outputs, targets)


def test_probabilities_are_averaged():
    inputs = torch.randn(5, 3)
    networks = [Shift(1.0, 0), Shift(2.0, 1)]
    expected = torch.stack([network(inputs).softmax(1) for network in networks]).mean(0)
    averaged = Averaged(networks)
    assert torch.allclose(averaged(inputs).exp(), expected)
    assert not any(each.requires_grad for each in averaged.parameters())
    averaged.train()


def test_a_network_learns_what_its_teachers_say_rather_than_the_labels():
    torch.manual_seed(0)
    student, inputs, labels = Shift(0.0, 0), torch.zeros(8, 3), torch.zeros(8, dtype=torch.int64)
    teacher = Teacher(Averaged([Shift(9.0, 2)]), 0.9)
    optimizer = torch.optim.SGD(student.parameters(), 1.0)
    descent = Descent(student, Labels(), optimizer, steps=40, teacher=teacher)
    for step in range(40):
        descent(inputs, labels, step, 8)
    found = student(inputs)[0].softmax(0).detach()
    assert found[2] == pytest.approx(0.9, abs=0.03)
    assert found[0] == pytest.approx(0.1, abs=0.03)


def test_weights_of_examples_weigh_what_teachers_say():
    logits, inputs = torch.randn(4, 3), torch.randn(4, 3)
    teacher = Teacher(Averaged([Shift(1.0, 0)]), 0.5)
    weights, zero = torch.tensor([4.0, 0.0, 0.0, 0.0]), torch.zeros(())
    one = Teacher(teacher.network, 0.5).mixed(zero, logits[:1], inputs[:1])
    assert torch.allclose(teacher.mixed(zero, logits, inputs, weights), one)


def test_teachers_are_read_as_they_were_trained(tmp_path):
    network = SPACE.build((4, 1), IMAGES, seeds.rng_for(7, seeds.BUILD))
    path = tmp_path / "weights.safetensors"
    checkpoint.write_weights(path, network)
    for _ in range(2):  # again, as a resume does
        distillation.write(tmp_path / "teachers", [Trained((4, 1), 7, path), Trained((4, 1), 7, path)])
    images = torch.randn(2, 1, 8, 8)
    found = distillation.read(tmp_path / "teachers", SPACE, IMAGES)
    assert torch.allclose(found(images), network.eval()(images).log_softmax(1), atol=1e-5)
    assert sorted(each.name for each in (tmp_path / "teachers").iterdir()) == [
        "1.safetensors",
        "2.safetensors",
        "teachers.json",
    ]


@pytest.mark.parametrize("name", ["1.safetensors", "teachers.json"])
def test_damaged_teachers_are_one_sentence(tmp_path, name):
    path = tmp_path / "weights.safetensors"
    checkpoint.write_weights(path, SPACE.build((4, 1), IMAGES, seeds.rng_for(7, seeds.BUILD)))
    distillation.write(tmp_path, [Trained((4, 1), 7, path)])
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes().replace(b"4", b"5"))
    with pytest.raises(NetwrightError, match="train them again") as error:
        distillation.read(tmp_path, SPACE, IMAGES)
    assert "\n" not in str(error.value)
    (tmp_path / name).unlink()
    with pytest.raises(NetwrightError, match="train them again"):
        distillation.read(tmp_path, SPACE, IMAGES)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("x", 0.0, 1, IMAGES), "evaluator.distill is 0.0 and evaluator.teachers 'x'"),
        (("", 0.5, 1, IMAGES), "evaluator.distill is 0.5"),
        (("x", 1.0, 1, IMAGES), "evaluator.distill is 1.0"),
        (("x", 0.5, 2, IMAGES), "set evaluator.processes to 1"),
        (("x", 0.5, 1, IO(Vector(2), Numbers(1))), "for tasks of classes"),
    ],
)
def test_what_does_not_go_together_is_refused(given, message):
    with pytest.raises(BadReference, match=message):
        distillation.check(*given)
    distillation.check("", 0.0, 2, IMAGES)
