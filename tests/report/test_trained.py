import numpy as np
import pytest

from netwright.core.finals import BEST, RESIDUAL, Final
from netwright.core.objectives import Objective
from netwright.core.refs import Reference
from netwright.data import outcome
from netwright.data.outcome import Outcome
from netwright.report import trained

ACCURACY, LOSS = Objective("test_accuracy", shown="share"), Objective("test_loss", -1)


def final(mean, sd=None, n=1, label=BEST, **settings):
    fields = {"trial_id": 7, "setting": "30 epochs, channels 16", "objective": ACCURACY, "params": 50_000}
    return Final(label, space=Reference("flat"), genotype=(0,), mean=mean, sd=sd, n=n, **{**fields, **settings})


def rival(mean, sd=None, n=1, **settings):
    fields = {"label": RESIDUAL, "setting": "30 epochs", "params": 51_000, "trial_id": None, "reference": True}
    return final(mean, sd, n, **{**fields, **settings})


def keep(folder, images):
    """An outcome of so many images of two classes, all right."""
    folder.mkdir()
    targets = np.zeros(images, np.int64)
    worst = np.zeros((0, 8, 8, 1), np.uint8)
    kept = Outcome(targets, targets, np.zeros(images, np.float32), worst, np.zeros(0, np.int64), (), ("a", "b"))
    (folder / outcome.OUTCOME).write_bytes(outcome.to_bytes(kept))
    return folder


def test_a_clear_gain_is_said_to_have_paid(tmp_path):
    text = trained.verdict([final(0.92, folder=keep(tmp_path / "1", 10_000)), rival(0.9)])
    assert text == (
        "The search paid: best of the search has 92.00 % test accuracy (50,000 parameters), the plain residual network "
        "of similar size trained the same way 90.00 % (51,000). That is 2.00 points more. "
        "Trained once only: another seed may change this."
    )


def test_a_loss_is_said_not_to_have_paid():
    text = trained.verdict([final(0.9, 0.001, 3), rival(0.92, 0.001, 3)])
    assert text.startswith("The search did not pay: ") and text.endswith("That is 2.00 points less.")


def test_a_small_difference_may_be_chance(tmp_path):
    """0.9 and 0.91 of 1,000 images: two standard errors of the difference are 2.62 points."""
    text = trained.verdict([final(0.91, folder=keep(tmp_path / "1", 1000)), rival(0.9)])
    assert text.startswith("Whether the search paid is open: ")
    assert "1.00 points more; a difference this small may be chance (two standard errors: 2.62 points)" in text


def test_several_trainings_count_by_their_deviation():
    """0.01 over 4 trainings each: two standard errors of the difference are 1.41 points."""
    for gain, opening in ((0.014, "Whether the search paid is open"), (0.015, "The search paid")):
        text = trained.verdict([final(0.9 + gain, 0.01, 4), rival(0.9, 0.01, 4)])
        assert text.startswith(opening) and "once" not in text


def test_a_metric_to_minimize_is_compared_the_other_way():
    pair = [final(0.3, 0.01, 3, objective=LOSS), rival(0.5, 0.01, 3, objective=LOSS)]
    assert trained.verdict(pair).startswith("The search paid: best of the search has 0.3000 test loss")
    assert trained.verdict(pair).endswith("That is 0.2000 less.")


def test_equal_networks_leave_it_open():
    assert "no difference. Trained once" in trained.verdict([final(0.9), rival(0.9)])


@pytest.mark.parametrize(
    "other",
    [
        rival(0.8, params=200_000),
        rival(0.8, way="another"),
        rival(0.8, objective=ACCURACY.moved_to("valid")),
        rival(0.8, label="best of the first random population"),
        rival(0.8, reference=False),
    ],
    ids=["size", "way", "metric", "label", "kind"],
)
def test_only_a_plain_network_of_similar_size_trained_the_same_way_is_compared(other):
    assert trained.verdict([final(0.9), other]).startswith("Nothing of similar size was trained the same way")


def test_the_first_network_is_compared_with_the_reference_of_its_size():
    small, large = rival(0.7), rival(0.8, params=790_000)
    found = [final(0.85, params=800_000, setting="30 epochs, channels 64"), final(0.95), small, large]
    assert "85.00 % test accuracy (800,000 parameters)" in trained.verdict(found)
    assert "80.00 % (790,000)" in trained.verdict(found)
    assert trained.verdict([]) == ""
