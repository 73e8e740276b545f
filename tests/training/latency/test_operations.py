import numpy as np
import pytest
import torch

from netwright.core.records import IO
from netwright.core.shapes import Tokens, Vector, Weights
from netwright.plans.ops.pointwise import Relu
from netwright.plans.plan import AUXILIARY, PlanWriter
from netwright.spaces.rnn import RnnSpace
from netwright.training.latency.operations import Occurrence, occurring, seconds
from tests.training.latency.test_whole import GENES, SHAPE, SPACE, Ticking


def test_what_acts_in_training_only_does_not_occur():
    writer = PlanWriter(IO(3, 8, 8, 10))
    x = writer.drop_path(writer.relu(writer.conv(writer.image, 4)), 0.5)
    with writer.scope(AUXILIARY):
        writer.linear(writer.mean(x), 10)
    writer.linear(writer.dropout(writer.mean(x)), 10)
    assert [each.op.name for each in occurring(writer.plan())] == ["conv", "relu", "mean", "linear"]


def test_equal_operations_on_equal_shapes_are_one_and_kinds_of_shapes_are_not():
    occurrences = list(occurring(SPACE.plan(GENES, SHAPE)))
    assert len(set(occurrences)) < len(occurrences)
    assert len({each.text for each in occurrences}) == len(set(occurrences))
    vector, tokens = (Occurrence(Relu(), (shape,), (type(shape),)) for shape in (Vector(3), Tokens(3, 2)))
    assert vector != tokens and vector.text != tokens.text


def test_every_operation_of_a_network_is_measured_without_gradients(monkeypatch):
    grown = []
    measure = torch.nn.Conv2d.forward
    monkeypatch.setattr(
        torch.nn.Conv2d, "forward", lambda self, x: grown.append((self.training, x.shape[0])) or measure(self, x)
    )
    for each in set(occurring(SPACE.plan(GENES, SHAPE))):
        found = seconds(each, 2, torch.device("cpu"), torch.channels_last, Ticking())
        assert found == pytest.approx(1.0)
    assert set(grown) == {(False, 2)} and np.isfinite(found)


def test_operations_on_words_and_on_tables_of_weights_are_measured_too():
    space, texts = RnnSpace(width=6, nodes=2), IO(Tokens(9, 4), Tokens(9, 4))
    genotype = space.sample(np.random.default_rng(0))
    found = set(occurring(space.plan(genotype, texts)))
    assert any(isinstance(shape, Weights) for each in found for shape in each.shapes)
    for each in found:
        assert seconds(each, 2, torch.device("cpu"), torch.contiguous_format, Ticking()) == pytest.approx(1.0)
