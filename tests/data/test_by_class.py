"""Metrics of all classes alike: those of scikit-learn, exactly; and what naming one class always gives."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from netwright.core.errors import NetwrightError
from netwright.core.objectives import Objective
from netwright.data import by_class
from netwright.data.by_class import AUC, BALANCED, F1, TOP5, ClassMeasures

ALL = (BALANCED, F1, AUC)


def gathered(outputs, targets, batch=7, names=ALL):
    found = ClassMeasures(outputs.shape[1], names)
    for start in range(0, len(targets), batch):
        found.add(torch.from_numpy(outputs[start : start + batch]), torch.from_numpy(targets[start : start + batch]))
    return found.metrics()


def expected(outputs, targets):
    present, answers = np.unique(targets), outputs.argmax(1)
    logs = torch.from_numpy(outputs).double().log_softmax(1).float().numpy()
    return {
        BALANCED: metrics.recall_score(targets, answers, labels=present, average="macro", zero_division=0),
        F1: metrics.f1_score(targets, answers, labels=present, average="macro", zero_division=0),
        AUC: np.mean([metrics.roc_auc_score(targets == label, logs[:, label]) for label in present]),
    }


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 6), st.integers(2, 40), st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 30]))
def test_they_are_those_of_scikit_learn(classes, count, seed, levels):
    rng = np.random.default_rng(seed)
    outputs = np.round(rng.normal(size=(count, classes)) * levels).astype(np.float32)  # with many equal scores
    targets = rng.integers(classes, size=count)
    targets[:2] = 0, 1
    assert gathered(outputs, targets) == pytest.approx(expected(outputs, targets), abs=1e-9)


def test_two_classes_have_the_area_of_one_and_the_multiclass_one_is_macro_one_against_rest():
    rng = np.random.default_rng(0)
    outputs, targets = rng.normal(size=(50, 2)).astype(np.float32), rng.integers(2, size=50)
    area = metrics.roc_auc_score(targets, outputs[:, 1] - outputs[:, 0])
    assert gathered(outputs, targets)[AUC] == pytest.approx(area, abs=1e-9)
    outputs, targets = rng.normal(size=(60, 3)).astype(np.float32), rng.integers(3, size=60)
    shares = torch.from_numpy(outputs).double().softmax(1).numpy()
    area = metrics.roc_auc_score(targets, shares, multi_class="ovr", average="macro")
    assert gathered(outputs, targets)[AUC] == pytest.approx(area, abs=1e-6)


def test_scores_beyond_the_limit_of_memory_go_to_a_file(monkeypatch):
    rng = np.random.default_rng(1)
    outputs, targets = rng.normal(size=(90, 5)).astype(np.float32), rng.integers(5, size=90)
    held = gathered(outputs, targets)
    monkeypatch.setattr(by_class, "HELD", 500)
    assert gathered(outputs, targets) == held


def test_one_class_has_no_area():
    with pytest.raises(NetwrightError, match="needs examples of two classes"):
        gathered(np.zeros((3, 2), np.float32), np.zeros(3, np.int64))


def test_top_five():
    outputs = torch.arange(7.0).expand(3, 7)
    assert by_class.top5(outputs, torch.tensor([0, 2, 6])).tolist() == [0, 1, 1]


def test_weights_make_classes_count_alike():
    weights = by_class.class_weights([90, 10, 0])
    assert weights.tolist() == pytest.approx([100 / 180, 5, 0])
    assert float(weights @ torch.tensor([0.9, 0.1, 0])) == pytest.approx(1), "the mean over the examples"


MEASURES = (Objective("accuracy", shown="share"), Objective("loss", -1), *by_class.OFFERED, Objective("mine"))


def test_a_constant_answer_measures_what_is_stated():
    counts = (45, 5, 0)
    outputs = np.log(np.maximum(np.array(counts, np.float32) / 50, 1e-9))[None].repeat(50, 0)
    targets = np.repeat(np.arange(3), counts)
    found = {each.name: each for each in by_class.baselines(counts, MEASURES)}
    assert {name: found[name].value for name in ALL} == pytest.approx(gathered(outputs, targets))
    assert found["accuracy"].value == 0.9
    assert found["loss"].value == pytest.approx(-0.9 * math.log(0.9) - 0.1 * math.log(0.1))
    assert found[TOP5].value == pytest.approx(1)
    assert "mine" not in found
    assert found["accuracy"].words == "the largest class is 90.00 % of it"


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ((36,) * 10, "chance 10.00 %"),
        ((37, 36, 35), "the largest class is 34.26 % of it"),
        ((54, 46), "the largest class is 54.00 % of it"),
        ((60, 40), "the largest class is 60.00 % of it"),
        ((5400, 4600), "the largest class is 54.00 % of it"),
    ],
)
def test_equal_classes_are_told_in_few_words(counts, words):
    [found] = by_class.baselines(counts, MEASURES[:1])
    assert found.words == words
    assert found.value == max(counts) / sum(counts), "what is said is what a result is held against"


def test_a_split_without_images_has_none():
    assert by_class.baselines((0, 0), MEASURES) == ()


@pytest.mark.parametrize(
    ("counts", "is_even"), [([5, 5], True), ([10, 5], True), ([11, 5], False), ([90, 10], False), ([3, 0], False)]
)
def test_classes_are_balanced_up_to_twice_the_images_of_the_smallest(counts, is_even):
    assert by_class.is_balanced(counts) is is_even
    assert by_class.default_objective(counts) == ("valid_accuracy" if is_even else "valid_balanced_accuracy")
    assert by_class.default_objective(counts, "test") == ("test_accuracy" if is_even else "test_balanced_accuracy")
