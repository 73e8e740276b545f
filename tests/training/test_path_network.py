"""A module that runs networks on shared weights in turn: each step is what the network by itself would do."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from netwright.core.vocabulary import Vocabulary
from netwright.data.corpus import Corpus
from netwright.data.language import LanguageModeling, RowLayout
from netwright.plans import network
from netwright.plans.regularization import Regularization
from netwright.spaces.nao import NaoSpace
from netwright.spaces.nats import NatsTopology
from netwright.spaces.rnn import RnnSpace
from netwright.tasks.digits import digits
from netwright.training import checkpoint, path_network
from netwright.training import settings as step_settings
from netwright.training.descent import Descent
from netwright.training.settings import StepSettings
from netwright.training.supernet import SharedWeights

SPACE, TASK = NatsTopology(channels=4, repeats=1), digits(train_limit=100)
ONE, OTHER = (1, 2, 3, 1, 3, 2), (3, 3, 3, 2, 1, 4)
SETTINGS = StepSettings(batch=20, lr=0.1, momentum=0.0, weight_decay=1e-3)


def _batch():
    return next(iter(TASK.batches("train", 20, np.random.default_rng(0))))


def _shared(first, space=SPACE, io=TASK.io, settings=SETTINGS, task=TASK):
    weights = SharedWeights(space, io, 3)
    made = path_network.made(weights, first)
    return weights, made, Descent(made, task, step_settings.optimizer(settings, made), settings, steps=10, seed=5)


def _alone(weights, genotype):
    plan = SPACE.shared_plan(genotype, TASK.io)
    found = network.made(plan)
    found.load_state_dict(weights.copied(genotype))
    return found


def test_steps_of_networks_in_turn_are_those_of_each_by_itself():
    """Weights that both have in common are handed on from one to the other."""
    images, labels = _batch()
    weights, made, descent = _shared([ONE])
    for step, genotype in enumerate((ONE, OTHER, ONE)):
        alone = _alone(weights, genotype)
        made.follow([genotype])
        loss = descent(images, labels, step, 20)
        single = Descent(alone, TASK, step_settings.optimizer(SETTINGS, alone), SETTINGS, steps=10, seed=5)
        assert float(loss) == pytest.approx(float(single(images, labels, step, 20)), rel=1e-6)
        after = weights.copied(genotype)
        for name, value in alone.named_parameters():
            assert torch.allclose(after[name], value, atol=1e-6), name


def test_networks_that_share_a_step_each_have_their_part_of_the_batch():
    images, labels = _batch()
    weights, _made, descent = _shared([ONE, OTHER], settings=replace(SETTINGS, accumulate=2))
    one, other = _alone(weights, ONE), _alone(weights, OTHER)
    losses = [
        TASK.loss(each(x), y) for each, x, y in zip((one, other), images.split(10), labels.split(10), strict=True)
    ]
    sum(losses).div(2).backward()
    name = "stem.conv1.weight"
    assert name in weights.tensors
    attribute = next(
        each for each, share in SPACE.shares(ONE, SPACE.shared_plan(ONE, TASK.io)).items() if share.name == name
    )
    gradient = one.get_parameter(attribute).grad + other.get_parameter(attribute).grad
    before = weights.tensors[name].detach().clone()
    loss = descent(images, labels, 0, 20)
    assert float(loss) == pytest.approx(float(sum(losses).detach()) / 2, rel=1e-6)
    moved = (before - weights.tensors[name].detach()) / 0.1 - 1e-3 * before
    assert torch.allclose(moved, gradient, atol=1e-5)


def test_what_is_dropped_is_drawn_for_the_network_that_loses_it():
    """Networks with different numbers of branches that can be dropped, in one step."""
    space = NaoSpace(nodes=2, operations="small", channels=4, repeats=1, flavor="tensorflow")
    rng = np.random.default_rng(0)
    first, *others = (space.sample(rng) for _ in range(20))
    weights = SharedWeights(space, TASK.io, 0)
    forms = {}
    for genotype in (first, *others):  # identities are not dropped there
        made = path_network.made(weights, [genotype])
        drawn = made.draws(Regularization(0.5, "v3"), 1.0, torch.Generator(), slice(0, 10), 20)
        forms.setdefault(drawn[0].shape, genotype)
    pair = list(forms.values())[:2]
    assert len(pair) == 2
    settings = replace(SETTINGS, accumulate=2, drop_path_keep=0.5)
    _, _, descent = _shared(pair, space, settings=settings)
    images, labels = _batch()
    assert float(descent(images, labels, 9, 20)) > 0


def _text(words=400):
    rng = np.random.default_rng(0)
    parts = {split: rng.integers(0, 5, words) for split in ("train", "valid", "test")}
    return LanguageModeling(lambda: Corpus(Vocabulary(tuple("abcde"), "characters"), parts), RowLayout(5, valid_rows=4))


def test_a_recurrent_network_goes_on_from_the_state_that_another_left(tmp_path):
    space, task, rng = RnnSpace(width=6, nodes=3), _text(), np.random.default_rng(1)
    one, other = space.sample(rng), space.sample(rng)
    settings = replace(SETTINGS, temporal_penalty=1e-3, dropout_output=0.2)
    _, made, descent = _shared([one], space, task.io, settings, task)
    tokens, targets = next(iter(task.batches("train", 4, np.random.default_rng(0))))
    assert made.carried() == {}
    descent(tokens, targets, 0, 4)
    left = made.carried()
    made.follow([other])
    assert left and all(torch.equal(made.carried()[name], value) for name, value in left.items())
    descent(tokens, targets, 1, 4)
    checkpoint.write(tmp_path / "file", made, descent.optimizer, {})
    _, again, later = _shared([one], space, task.io, settings, task)
    checkpoint.restore((tmp_path / "file").read_bytes(), again, later.optimizer)
    again.follow([other])
    assert float(descent(tokens, targets, 2, 4)) == float(later(tokens, targets, 2, 4))
    made.carry(None)
    made.follow([one])
    assert made.carried() == {}
