import math

import numpy as np
import pytest

from netwright.core.objectives import Objective
from netwright.runs.timed.choice import Contender, best_first, standard_error

ACCURACY = Objective("valid_accuracy", shown="share")


def _first(objective, images, *found):
    return best_first([Contender(*each) for each in found], objective, images)[0]


def test_where_accuracy_does_not_tell_networks_apart_the_loss_does():
    found = (0.73, 0.75), (0.72, 0.70), (0.65, 0.60)
    assert standard_error(0.73, 240) == pytest.approx(0.0287, abs=1e-4)
    assert best_first([Contender(*each) for each in found], ACCURACY, 240) == [1, 0, 2]
    assert best_first([Contender(*each) for each in found], ACCURACY, 24_000) == [0, 1, 2]


def test_losses_decide_nothing_beside_other_objectives_and_where_some_is_not_known():
    for objective in (Objective("valid_balanced_accuracy"), Objective("valid_loss", -1), Objective("")):
        assert _first(objective, 240, (0.73, 0.75), (0.72, 0.70)) == 0
    assert _first(ACCURACY, 240, (0.73, 0.75), (0.72, None)) == 0
    assert _first(ACCURACY, 0, (0.73, 0.75), (0.72, 0.70)) == 0


def test_losses_of_networks_that_were_trained_otherwise_are_not_compared():
    best, other = Contender(0.73, 0.75, {"mixing": 0.2}), Contender(0.72, 0.60, {"mixing": 0.0})
    alike = Contender(0.71, 0.70, {"mixing": 0.2})
    assert best_first([best, other, alike], ACCURACY, 240) == [2, 0, 1]


def test_where_accuracies_are_exact_equals_stay_in_their_order():
    for score, images in ((1.0, 240), (0.8, 0)):
        assert best_first([Contender(score, 0.6), Contender(score, 0.5)], ACCURACY, images) == [0, 1]


def test_of_equals_the_first_comes_first():
    assert best_first([Contender(0.7, 0.5)] * 3, ACCURACY, 100) == [0, 1, 2]
    assert best_first([], ACCURACY, 100) == []


def test_the_loss_finds_better_networks_than_accuracy_on_few_images():
    """Seven networks of which each image is right by the probability that the network gives it: calibrated ones."""
    rng, gained = np.random.default_rng(0), []
    for _ in range(300):
        truth = rng.uniform(0.70, 0.76, 7)
        sure = np.clip(truth[:, None] + rng.normal(0, 0.15, (7, 240)), 0.02, 0.98)
        right = rng.random((7, 240)) < sure
        losses = -np.where(right, np.log(sure), np.log((1 - sure) / 3)).mean(1)
        found = [Contender(float(r.mean()), float(loss)) for r, loss in zip(right, losses, strict=True)]
        by_accuracy = max(range(7), key=lambda place: found[place].score)
        gained.append(truth[best_first(found, ACCURACY, 240)[0]] - truth[by_accuracy])
    assert np.mean(gained) > 2 * np.std(gained) / math.sqrt(len(gained))
