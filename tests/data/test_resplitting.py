"""Training and validation images divided anew."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from netwright.core.errors import BadReference
from netwright.core.protocols import Resplits
from netwright.data import cache
from netwright.data.resplitting import redivided
from netwright.tasks.digits import digits
from netwright.tasks.image_folder import image_folder
from tests.tiny_data import photos


@st.composite
def divisions(draw):
    """Labels, training and validation positions, every class in both, and groups of positions."""
    sizes = draw(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 5)), min_size=1, max_size=4))
    labels = np.repeat(np.arange(len(sizes)), [train + valid for train, valid in sizes])
    places = np.array(draw(st.permutations(range(len(labels)))))
    labels, is_valid = labels[places], np.zeros(len(labels), bool)
    for label, (_, valid) in enumerate(sizes):
        is_valid[np.flatnonzero(labels == label)[:valid]] = True
    numbers = st.integers(0, len(labels) - 1)
    groups = draw(st.lists(st.lists(numbers, min_size=2, max_size=4, unique=True), max_size=3))
    return labels, np.flatnonzero(~is_valid), np.flatnonzero(is_valid), groups


@given(divisions(), st.integers(1, 8))
def test_every_division_has_the_same_images_and_as_many_of_each_class(given_first, count):
    labels, train, valid, _ = given_first
    times = np.zeros(len(labels), int)
    for index in range(count):
        training, validating = redivided(train, valid, labels, (), index)
        assert sorted([*training, *validating]) == sorted([*train, *valid])
        assert (np.diff(training) > 0).all()
        assert (np.diff(validating) > 0).all()
        assert (np.bincount(labels[validating]) == np.bincount(labels[valid])).all()
        times[validating] += 1
    for label in np.unique(labels):  # as disjoint as the sizes allow
        of_class = times[labels == label]
        assert of_class.max() - of_class.min() <= 1


@given(divisions(), st.integers(1, 4))
def test_groups_are_not_parted_and_every_class_stays_on_both_sides(given_first, index):
    labels, train, valid, groups = given_first
    training, validating = redivided(train, valid, labels, groups, index)
    assert sorted([*training, *validating]) == sorted([*train, *valid])
    for positions in (training, validating):
        assert set(labels[positions]) == set(labels)
    counts, first = (np.bincount(labels[each]) for each in (validating, valid))
    assert (counts <= first).all()
    lead = list(range(len(labels)))
    for group in groups:
        for one in group:
            lead = [lead[group[0]] if each == lead[one] else each for each in lead]
    is_now, was = np.isin(np.arange(len(labels)), validating), np.isin(np.arange(len(labels)), valid)
    for each in set(lead):
        members = np.flatnonzero(np.array(lead) == each)
        if len(set(labels[members])) > 1:
            assert (is_now[members] == was[members]).all()
        elif len(set(is_now[members])) > 1:  # only a class that would not validate else
            own = labels == labels[members[0]]
            assert (is_now[own] == was[own]).all()


def test_digits_can_be_divided_anew_and_what_tests_stays():
    task = digits()
    assert isinstance(task, Resplits)
    parts = [task.resplit(index, 3) for index in range(3)]
    held = [set(part.data.positions["valid"].tolist()) for part in parts]
    assert sum(map(len, held)) == len(set.union(*held)) == 3 * 360
    assert (parts[0].data.positions["valid"] == task.data.positions["valid"]).all()
    for part in parts:
        assert part.data.pixels is task.data.pixels
        assert part.fingerprint() == task.fingerprint()
        assert part.preprocessing() == task.preprocessing()
        assert np.array_equal(part.data.positions["test"], task.data.positions["test"])
        assert np.array_equal(part.data.positions["train+valid"], task.data.positions["train+valid"])
        assert not set(part.data.positions["train"].tolist()) & set(part.data.positions["valid"].tolist())
        assert part.class_counts("valid") == task.class_counts("valid")
    again = parts[2].resplit(1, 3).data.positions["valid"]
    assert np.array_equal(again, parts[1].data.positions["valid"])
    assert np.array_equal(parts[2].resplit(0, 3).data.positions["valid"], task.data.positions["valid"])
    assert next(parts[1].batches("valid", 8, None))[1].tolist() != next(task.batches("valid", 8, None))[1].tolist()
    tuned = parts[1].tuned({"cutout": 1}).measuring(["macro_f1"])
    assert np.array_equal(tuned.data.positions["valid"], parts[1].data.positions["valid"])
    for index, count in ((4, 4), (-1, 4), (0, 0)):
        with pytest.raises(BadReference, match=f"division {index} of {count} of the images was asked for"):
            task.resplit(index, count)


def test_copies_in_a_folder_stay_together_and_nothing_is_decoded_again(tmp_path, monkeypatch):
    folder = photos(tmp_path / "photos", images=30)
    for name in ("dark", "light"):
        for n in range(0, 10, 2):  # pairs that a first division leaves on one side
            Image.open(folder / name / f"{n:03d}.png").save(folder / name / f"{n:03d}-again.bmp")
    task = image_folder(str(folder), 8, cache=str(tmp_path / "cache"))
    data = task.data
    monkeypatch.setattr(cache, "open_or_build", None)
    assert data.together
    sides = {}
    for index in range(4):
        part = task.resplit(index, 4).data
        for split in ("train", "valid"):
            for place in part.positions[split].tolist():
                sides[index, data.names(place)] = split
    pairs = [
        (f"{name}/{n:03d}.png", f"{name}/{n:03d}-again.bmp") for name in ("dark", "light") for n in range(0, 10, 2)
    ]
    compared = [
        (sides[index, one], sides[index, other])
        for index in range(4)
        for one, other in pairs
        if (index, one) in sides and (index, other) in sides
    ]
    assert len(compared) >= 8
    assert all(one == other for one, other in compared)
    assert ("valid", "valid") in compared
