"""A short training of a network alone before it is scored: what it does, and what it leaves alone."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch

from netwright.core.errors import PutBack
from netwright.core.vocabulary import Vocabulary
from netwright.data.corpus import Corpus
from netwright.data.language import LanguageModeling, RowLayout
from netwright.spaces.nao import NaoSpace
from netwright.spaces.nats import NatsTopology
from netwright.spaces.rnn import RnnSpace
from netwright.tasks.digits import digits
from netwright.training import schedules, tuning
from netwright.training import settings as step_settings
from netwright.training.descent import Descent
from netwright.training.loop import Diverged, Stopped
from netwright.training.shared_programs import PROGRAMS, UNNAMED
from netwright.training.supernet import SharedWeights
from netwright.training.tuning import Tuning

SPACE, TASK, CPU = NatsTopology(channels=4, repeats=1), digits(train_limit=100), torch.device("cpu")
STEPS = replace(UNNAMED.steps, batch=40)
PROGRAM = replace(UNNAMED, steps=STEPS, tuning_steps=5, tuning_lr=0.1)
CELL = (1, 2, 3, 1, 3, 2)


@dataclass
class Asking:
    """A context that is asked, and told."""

    stops: bool = False
    goes_on: bool = True
    told: list = field(default_factory=list)

    def should_stop(self):
        return self.stops

    def report(self, step, metrics):
        self.told.append((step, metrics))
        return self.goes_on


def _tuned(genotype=CELL, program=PROGRAM, space=SPACE, task=TASK, context=None, seed=1, **options):
    weights = SharedWeights(space, task.io, 3)
    before = {name: tensor.detach().clone() for name, tensor in weights.tensors.items()}
    found = Tuning(task, program, seed, CPU).tuned(weights, genotype, context or Asking(), **options)
    assert all(torch.equal(weights.tensors[name], before[name]) for name in before), "the shared weights stay"
    return weights, found


def test_it_takes_the_steps_of_any_training_of_the_copied_weights():
    """100 images in batches of 40 are two batches, so that there are three passes."""
    weights, found = _tuned()
    alone = weights.child(CELL, alone=True)
    alone.to(memory_format=torch.channels_last)
    settings = replace(STEPS, lr=0.1, nesterov=True)
    descent = Descent(alone, TASK, step_settings.optimizer(settings, alone), settings, steps=5)
    batches = [
        batch
        for epoch in range(3)
        for batch in list(TASK.batches("train", 40, tuning.seeds.rng_for(1, tuning.seeds.TRAIN, epoch)))[:2]
    ]
    alone.train()
    for step, (images, labels) in enumerate(batches[:5]):
        descent.set_rate(schedules.cosine(step, 5))
        descent(images, labels, step, 40)
    for one, other in zip(found.parameters(), alone.parameters(), strict=True):
        assert torch.equal(one, other)
    state = weights.copied(CELL)
    assert any(not torch.equal(each, state[name]) for name, each in found.named_parameters())


def test_it_is_a_function_of_weights_network_and_seed():
    (_, one), (_, again), (_, other) = _tuned(), _tuned(), _tuned(seed=2)
    same = [torch.equal(a, b) for a, b in zip(one.parameters(), again.parameters(), strict=True)]
    assert all(same)
    assert not all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_averages_begin_anew_after_the_last_step():
    _, found = _tuned(averages=True)
    norms = [each for each in found.modules() if isinstance(each, torch.nn.BatchNorm2d)]
    assert norms and all(int(each.num_batches_tracked) == 0 for each in norms)
    assert all(not each.running_mean.any() for each in norms)


def test_weights_that_are_cut_out_of_shared_ones_are_its_own():
    """NAO's closing convolution is made of blocks, and its auxiliary head and drop path train too."""
    space = NaoSpace(channels=4, repeats=1, operations="small")
    program = replace(PROGRAMS["pt1"], tuning_steps=2, steps=replace(PROGRAMS["pt1"].steps, batch=40))
    genotype = space.sample(np.random.default_rng(0))
    weights, found = _tuned(genotype, program, space)
    state = weights.copied(genotype)
    names = dict(found.named_parameters())
    assert names.keys() <= state.keys() and len(names) == len(list(weights.child(genotype, alone=True).parameters()))
    assert len(names) > len(list(weights.child(genotype).parameters())), "cut ones are no parameters of a path"


def test_recurrent_networks_of_a_text():
    parts = {split: np.random.default_rng(0).integers(0, 5, 400) for split in ("train", "valid", "test")}
    task = LanguageModeling(lambda: Corpus(Vocabulary(tuple("abcde"), "characters"), parts), RowLayout(5, valid_rows=4))
    program = PROGRAMS["tf-ws-rnn"]
    program = replace(program, steps=replace(program.steps, batch=8), tuning_steps=12)
    space = RnnSpace(width=6, nodes=3)
    genotype = space.sample(np.random.default_rng(1))
    (weights, one), (_, again) = (_tuned(genotype, program, space, task) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), again.parameters(), strict=True))
    state = weights.copied(genotype)
    assert all(not torch.equal(each, state[name]) for name, each in one.named_parameters() if "bias" not in name)
    settings = tuning.settings_of(program)
    assert (settings.momentum, settings.nesterov, settings.lr, settings.clip) == (0.0, False, 0.02, 10.0)


def test_it_stops_where_it_is_told_to(monkeypatch):
    with pytest.raises(PutBack, match="stopped at step 1 of the training of a network before it is scored"):
        _tuned(context=Asking(stops=True))
    monkeypatch.setattr(tuning, "REPORT_EVERY", -1.0)
    with pytest.raises(Stopped, match="stopped at step"):
        _tuned(context=Asking(goes_on=False))
    _tuned(context=(context := Asking()))
    assert context.told[-1][0] == 5 and context.told[-1][1]["train_loss"] > 0


def test_a_loss_that_is_not_finite_is_said():
    with pytest.raises(Diverged, match="the loss is nan at step"):
        _tuned(program=replace(PROGRAM, tuning_lr=1e20, steps=replace(STEPS, clip=0.0)))
