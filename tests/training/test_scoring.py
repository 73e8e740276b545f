"""Scores of networks on shared weights: which validation batches, and by whose statistics."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from netwright.core import seeds
from netwright.core.errors import BadReference
from netwright.core.records import IO
from netwright.tasks.digits import digits
from netwright.training import scoring
from netwright.training.scoring import Scoring, ScoringBatches
from netwright.training.shared_programs import UNNAMED

TASK, CPU = digits(train_limit=100), torch.device("cpu")
PROGRAM = replace(UNNAMED, valid_batch=100, batches=2, recalibration=3)


def _batches(**changed):
    program = replace(PROGRAM, **changed)
    found = ScoringBatches(TASK, program, CPU)
    return [[x for x, *_ in found.of(number, seed)] for number, seed in ((0, 5), (1, 6), (0, 5))]


def _shuffled(part=0):
    """Three whole batches of the 360 images, in the order in which all networks meet them."""
    whole = torch.cat([batch[part] for batch in TASK.batches("valid", 60, None)])
    order = torch.from_numpy(seeds.rng_for(0, seeds.SPLIT).permutation(360))
    return list(whole[order[:300]].split(100))


def test_the_same_batches_are_the_first_ones_of_all_in_a_fixed_order():
    for found in _batches(scored_on="same"):
        assert all(torch.equal(a, b) for a, b in zip(found, _shuffled()[:2], strict=True))


class Sorted:
    """A task whose validation examples lie class by class, as files of folders do."""

    io = IO(1, 1, 1, 8)

    def examples(self, _split):
        return 160

    def batches(self, _split, size, _rng):
        labels = torch.arange(8).repeat_interleave(20)
        for part in torch.arange(160).split(size):
            yield part[:, None, None, None].float(), labels[part]


@pytest.mark.parametrize("scored_on", ["same", "next", "drawn"])
def test_no_network_is_scored_on_some_classes_alone(scored_on):
    batches = ScoringBatches(Sorted(), replace(PROGRAM, valid_batch=40, batches=1, scored_on=scored_on), CPU)
    seen = set()
    for number in range(4):
        [(inputs, targets, count)] = batches.of(number, number)
        assert count == len(targets) == 40 and len(targets.unique()) >= 7
        assert torch.equal(inputs.flatten() // 20, targets), "each with its own"
        seen |= set(inputs.flatten().tolist())
    assert len(seen) == {"same": 40, "next": 160}.get(scored_on, len(seen))


def test_the_next_batches_go_round():
    found, plain = _batches(scored_on="next"), _shuffled()
    assert [[next(n for n, p in enumerate(plain) if torch.equal(x, p)) for x in each] for each in found] == [
        [0, 1],
        [2, 0],
        [0, 1],
    ]


def test_drawn_batches_are_of_any_images_each_once():
    one, other, again = _batches(scored_on="drawn")
    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
    assert not torch.equal(one[0], other[0])
    rows = {image.numpy().tobytes() for image in torch.cat(_shuffled())}
    found = [image.numpy().tobytes() for image in torch.cat(one)]
    assert rows >= set(found) and len(set(found)) == len(found) == 200


def _network(**norm):
    torch.manual_seed(0)
    return nn.Sequential(nn.BatchNorm2d(1, affine=False, **norm), nn.Flatten(), nn.Linear(64, 10))


def test_statistics_of_a_batch_and_recalibrated_ones():
    network, rng = _network(track_running_stats=False), np.random.default_rng(0)
    scores = Scoring(TASK, replace(PROGRAM, statistics="batch"), CPU, rng)
    assert not scores.recalibrates
    by_batch = scores.of(network, 0, 0)
    with torch.no_grad():
        logits = torch.cat([network(x) for x in _shuffled()[:2]])
    labels = torch.cat(_shuffled(1)[:2])
    assert by_batch["loss"] == pytest.approx(float(TASK.loss(logits, labels)), rel=1e-5)

    network = _network(momentum=None)
    scores = Scoring(TASK, replace(PROGRAM, steps=replace(PROGRAM.steps, batch=20)), CPU, np.random.default_rng(0))
    assert scores.recalibrates
    by_training = scores.of(network, 0, 0)
    seen = [x for x, _ in TASK.batches("train", 20, np.random.default_rng(0))][:3]
    assert float(network[0].running_mean) == pytest.approx(
        float(torch.stack([x.mean() for x in seen]).mean()), abs=1e-6
    )
    assert int(network[0].num_batches_tracked) == 3
    assert by_training["loss"] != by_batch["loss"]
    assert scores.of(_network(momentum=None), 0, 0) == by_training


def test_too_few_validation_examples_are_refused():
    with pytest.raises(BadReference, match="360 images to validate on, too few for a score by a batch of 500; give"):
        scoring.check(replace(PROGRAM, valid_batch=500, batches=1), TASK)
    with pytest.raises(BadReference, match="too few for a score by 4 batches of 100"):
        scoring.check(replace(PROGRAM, batches=4), TASK)
    scoring.check(replace(PROGRAM, batches=3), TASK)
