from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from netwright.core import genes, seeds
from netwright.core.genes import Choice
from netwright.surrogates import joint_training
from netwright.surrogates.encoder_predictor_decoder import EncoderPredictorDecoder, Flavor, TokenChoices
from netwright.surrogates.joint_training import JointSettings

GENES = tuple(Choice(f"g{n}", ("a", "b", "c"), "op") for n in range(6))
SMALL = Flavor(16, 16, 1, 16, 0.1, 0.0, 2)


def task(count=60):
    """Sequences whose score is the share of the last option."""
    streams = seeds.Streams(0)
    sequences = torch.tensor(
        [genes.to_tokens(GENES, genes.sample(GENES, streams.rng(seeds.ASK, n))) for n in range(count)]
    )
    return sequences, (sequences == 3).float().mean(1)


def controller(seed=0):
    return EncoderPredictorDecoder(TokenChoices.of(GENES), SMALL, torch.Generator().manual_seed(seed))


def test_training_learns_to_predict_and_to_spell():
    sequences, scores = task()
    learner = controller()
    before = joint_training.quality(learner, sequences, scores.numpy())
    settings = JointSettings(epochs=250, batch=20, lr=1e-2)
    error, entropy = joint_training.train(
        learner, sequences.unsqueeze(1), scores, settings, torch.Generator().manual_seed(0)
    )
    after = joint_training.quality(learner, sequences, scores.numpy())
    assert error < 0.01 and entropy < 0.1
    assert after.hamming < 0.2 < before.hamming
    assert after.kendall_tau > 0.85 > before.kendall_tau


def test_training_depends_on_its_arguments_alone():
    sequences, scores = task()
    state = torch.random.get_rng_state()
    weights = []
    for seed in (0, 0, 1):
        learner = controller()
        joint_training.train(
            learner,
            sequences.unsqueeze(1),
            scores,
            JointSettings(epochs=3, batch=20),
            torch.Generator().manual_seed(seed),
        )
        weights.append(learner.decoder.out.weight.detach())
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert torch.equal(state, torch.random.get_rng_state())


def test_every_spelling_is_learned():
    """Two spellings of each network whose scores could not be told from the first alone."""
    sequences, scores = task()
    other = sequences.flip(1)
    learner = controller()
    settings = JointSettings(epochs=250, batch=20, lr=1e-2)
    joint_training.train(
        learner, torch.stack([sequences, other], 1), scores, settings, torch.Generator().manual_seed(0)
    )
    assert joint_training.quality(learner, other, scores.numpy()).hamming < 0.3


@pytest.mark.parametrize("framework", ["pytorch", "tensorflow"])
@pytest.mark.parametrize("clip", [1e9, 1e-12])  # the latter so small that Adam's epsilon is what counts
def test_where_weights_decay(framework, clip):
    """Adam's decay comes behind the clipping; TensorFlow's, of the loss, is clipped with the rest."""
    sequences, scores = task()
    flavor = replace(SMALL, weight_decay=1e6, framework=framework, dropout=0.0)
    learner = EncoderPredictorDecoder(TokenChoices.of(GENES), flavor, torch.Generator().manual_seed(0))
    settings = JointSettings(lr=1e-3, clip=clip)
    before = learner.decoder.out.weight.detach().clone()
    optimizer = joint_training.optimizer_of(learner, settings)
    joint_training.train_step(learner, optimizer, sequences, scores, settings, None)
    shrunk = (before - learner.decoder.out.weight.detach()) * before.sign()
    is_clipped = framework == "tensorflow" and clip < 1
    assert shrunk.mean().item() == pytest.approx(0.0, abs=1e-6) if is_clipped else shrunk.mean() > 9e-4


def test_a_step_drops_units_of_the_encoder():
    sequences, scores = task()
    flavor = replace(SMALL, dropout=0.0, encoder_dropout=0.5)
    found = [
        joint_training.train_step(
            learner := EncoderPredictorDecoder(TokenChoices.of(GENES), flavor, torch.Generator().manual_seed(0)),
            joint_training.optimizer_of(learner, JointSettings()),
            *(sequences, scores, JointSettings()),
            generator,
        )
        for generator in (None, torch.Generator().manual_seed(0))
    ]
    assert found[0] != found[1]


def test_training_stops_when_told():
    sequences, scores = task()
    asked = iter([False, False, True])
    with pytest.raises(joint_training.LearningStopped):
        joint_training.train(
            controller(), sequences.unsqueeze(1), scores, JointSettings(), torch.Generator(), lambda: next(asked)
        )
    assert next(asked, None) is None


def test_ranks_spread_what_one_bad_score_squeezes():
    scores = [10.0, 90.0, 91.0, 92.0]
    assert joint_training.normalized(scores)[1] > 0.9
    assert joint_training.normalized(scores, "ranks").tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert joint_training.normalized([1.0, 1.0], "ranks").tolist() == [0.5, 0.5]


@pytest.mark.parametrize("scale", ["minmax", "ranks"])
def test_scores_of_any_size_but_none_that_is_no_number(scale):
    largest = np.finfo(float).max
    assert joint_training.normalized([-largest, 0.0, largest], scale).tolist() == [0.0, 0.5, 1.0]
    for bad in (np.nan, np.inf, -np.inf):
        with pytest.raises(ValueError, match=f"score 1 is {bad}; scores to learn from must be finite"):
            joint_training.normalized([0.5, bad], scale)


@pytest.mark.parametrize("name", ["epochs", "batch"])
def test_a_training_without_a_step_is_refused(name):
    with pytest.raises(ValueError, match=f"{name} is 0; a controller's training needs at least 1"):
        JointSettings(**{name: 0})


def test_pairwise_accuracy_by_hand():
    """Of the pairs of (1, 2, 3) and (1, 3, 2) the last is wrong; a tie counts as at least."""
    assert joint_training.pairwise_accuracy(np.array([1, 2, 3]), np.array([1, 3, 2])) == pytest.approx(2 / 3)
    assert joint_training.pairwise_accuracy(np.array([1, 1]), np.array([1, 2])) == 0.0
    assert joint_training.pairwise_accuracy(np.array([1, 1]), np.array([2, 1])) == 1.0
    assert joint_training.pairwise_accuracy(np.array([1]), np.array([1])) is None


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=8))
def test_pairwise_accuracy_is_the_authors(pairs):
    a, b = (np.array(side) for side in zip(*pairs, strict=True))
    right = [
        (a[i] >= a[j] and b[i] >= b[j]) or (a[i] < a[j] and b[i] < b[j])
        for i in range(len(a))
        for j in range(i + 1, len(a))
    ]
    assert joint_training.pairwise_accuracy(a, b) == pytest.approx(np.mean(right))


def test_tau_of_a_constant_is_unknown():
    assert joint_training.kendall_tau(np.array([1, 2, 3]), np.array([1, 2, 4])) == pytest.approx(1)
    assert joint_training.kendall_tau(np.array([1, 2, 3]), np.array([1, 1, 1])) is None
    assert joint_training.kendall_tau(np.array([1]), np.array([1])) is None
