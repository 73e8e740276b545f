"""What ships beside the reference, with an interval, on the same test examples."""

import math
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwright.core import left
from netwright.core.finals import PLAIN, SEARCHED, Final, Repetition
from netwright.core.objectives import Objective
from netwright.core.records import Proposal, Result
from netwright.core.refs import Reference
from netwright.data import outcome
from netwright.runs import run_folder
from netwright.runs.timed import verdict
from tests.tiny_data import outcome as any_outcome

ACCURACY = Objective("test_accuracy", shown="share")
BALANCED = Objective("test_balanced_accuracy", shown="share")


def final(folder, answers, targets, objective=ACCURACY, label=SEARCHED):
    """A network whose trainings, one for each row of answers, left these answers."""
    folder.mkdir(parents=True)
    answers, kept, listed = np.atleast_2d(answers), any_outcome(), []
    with closing(run_folder.open_table(folder, "write")) as store:
        for number, row in enumerate(answers, 1):
            right = row == targets
            classes = [right[targets == each].mean() for each in np.unique(targets)]
            value = float(right.mean() if objective == ACCURACY else np.mean(classes))
            listed.append(Repetition(number, 100, value))
            store.add(Proposal((0,)), "key", number)
            store.claim("w")
            store.finish(number, Result({objective.name: value}))
            place = folder / "trials" / f"{number:06d}"
            place.mkdir(parents=True)
            made = replace(kept, targets=targets, predictions=row, losses=np.zeros(len(targets), np.float32))
            made = replace(made, classes=tuple(f"class {n}" for n in range(int(targets.max()) + 2)))
            left.write(place, {outcome.OUTCOME: outcome.to_bytes(made)}, number)
    mean = float(np.mean([each.value for each in listed]))
    first = folder / "trials" / "000001"
    space = Reference("residual")
    return Final(
        label, 1, space, (0,), "", objective, 100, mean, None, len(listed), folder=first, repetitions=tuple(listed)
    )


def answered(targets, wrong):
    """Right answers, but for those at some places."""
    answers = targets.copy()
    answers[list(wrong)] = targets.max() + 1
    return answers


def test_a_clear_difference_is_said_with_its_interval(tmp_path):
    targets = np.arange(1000) % 4
    ours = final(tmp_path / "a", answered(targets, range(216)), targets)
    theirs = final(tmp_path / "b", answered(targets, range(249)), targets, label=PLAIN)
    told = verdict.sentence(ours, theirs, "image")
    assert told == (
        "searched network 78.4 % against 75.1 % of the plain residual network on 1,000 test images: 3.3 points better "
        "(95 % interval 2.2 to 4.4, over test images, not over seeds)"
    )
    assert verdict.sentence(theirs, ours, "image").endswith(
        "3.3 points worse (95 % interval -4.4 to -2.2, over test images, not over seeds)"
    )


def test_what_may_be_chance_is_no_better(tmp_path):
    """The same accuracies on other images: the pairs, not the means, say how sure the difference is."""
    targets = np.arange(1000) % 4
    ours = final(tmp_path / "a", answered(targets, range(216)), targets)
    theirs = final(tmp_path / "b", answered(targets, range(216, 465)), targets, label=PLAIN)
    told = verdict.sentence(ours, theirs, "image")
    assert "no better than it (3.3 points, 95 % interval -0.9 to 7.5, over test images, not over seeds)" in told
    same = verdict.sentence(ours, replace(ours, label=PLAIN), "image")
    assert "no better than it (0.0 points, 95 % interval -0.3 to 0.3, over test images, not over seeds)" in same


def test_a_balanced_accuracy_counts_classes_alike(tmp_path):
    targets = np.array([0] * 900 + [1] * 100)
    ours = final(tmp_path / "a", answered(targets, range(900, 920)), targets, BALANCED)
    theirs = final(tmp_path / "b", answered(targets, range(900, 960)), targets, BALANCED, PLAIN)
    found = verdict.difference(ours, theirs)
    assert found.value == pytest.approx(0.2)
    expected = 1.96 * math.sqrt(0.24 / 100) / 2  # of the small class alone; the other agrees everywhere
    assert found.high - found.value == pytest.approx(expected, rel=0.05)
    assert "searched network 90.0 % balanced accuracy against 70.0 %" in verdict.sentence(ours, theirs)


def test_seeds_widen_the_interval(tmp_path):
    targets = np.arange(400) % 4
    wrong = [range(40), range(80), range(10)]
    ours = final(tmp_path / "a", [answered(targets, each) for each in wrong], targets)
    theirs = final(tmp_path / "b", [answered(targets, range(100))] * 3, targets, label=PLAIN)
    found = verdict.difference(ours, theirs)
    error = np.std([0.9, 0.8, 0.975], ddof=1) / math.sqrt(3)
    assert found.high - found.low > 2 * 3.5 * error, "of three seeds, not the 1.96 of many"
    assert "over test images and 3 seeds)" in verdict.sentence(ours, theirs, "image")


def test_seeds_that_agree_leave_the_chance_of_the_examples(tmp_path):
    targets = np.arange(400) % 4
    ours, once = (final(tmp_path / n, [answered(targets, range(40))] * m, targets) for n, m in (("a", 3), ("c", 1)))
    assert verdict.alone(ours).high == pytest.approx(verdict.alone(once).high)
    error = verdict.alone(once).high - once.mean
    assert error == pytest.approx(1.966 * math.sqrt(0.09 / 400), rel=0.02), "of 400 images: next to normal"
    assert verdict.of_reference(ours).count("over test examples and 3 seeds") == 1


def test_answers_that_were_changed_since_give_no_interval(tmp_path):
    targets = np.arange(40) % 4
    ours = final(tmp_path / "a", answered(targets, [1]), targets)
    theirs = final(tmp_path / "b", answered(targets, [1, 2, 3]), targets, label=PLAIN)
    path = tmp_path / "b" / "trials" / "000001" / outcome.OUTCOME
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    told = verdict.sentence(ours, theirs)
    assert "interval" not in told
    assert "nothing says how much of it is chance" in told


def test_the_reference_alone(tmp_path):
    targets = np.arange(1000) % 4
    found = final(tmp_path / "a", answered(targets, range(249)), targets, label=PLAIN)
    assert verdict.of_reference(found, "image", "it was better") == (
        "the plain residual network ships: 75.1 % on 1,000 test images (95 % interval 72.4 to 77.8, over test images, "
        "not over seeds); it was better"
    )


@pytest.mark.parametrize("objective", [ACCURACY, BALANCED])
def test_no_interval_of_shares_goes_beyond_them(tmp_path, objective):
    targets = np.arange(12) % 4
    ours = final(tmp_path / "a", targets, targets, objective)
    theirs = final(tmp_path / "b", answered(targets, range(12)), targets, objective, PLAIN)
    assert "100.0 %" in verdict.of_reference(ours) and "to 100.0, over" in verdict.of_reference(ours)
    assert "(95 % interval 0.0 to" in verdict.of_reference(theirs)
    assert verdict.difference(ours, theirs).high == 1 and verdict.difference(theirs, ours).low == -1


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=60), st.booleans())
def test_the_interval_holds_the_difference_and_turns_with_the_sides(pairs, is_balanced):
    values = np.array([float(a) - float(b) for a, b in pairs])
    half = max(1, len(values) // 2)
    strata = [np.arange(half), np.arange(half, len(values))] if is_balanced else [np.arange(len(values))]
    one, other = (verdict._variance(each, strata, verdict.ON_EITHER_SIDE) for each in (values, -values))
    assert one == pytest.approx(other)
    assert one > 0, "few examples that agree do not pass for certainty"
