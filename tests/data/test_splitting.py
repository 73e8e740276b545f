import numpy as np
import pytest

from netwright.core.errors import BadReference
from netwright.data.options import check_limit, checked_shares
from netwright.data.splitting import SplitParts, completed, limited, once

LABELS = np.repeat([0, 1, 2], [100, 10, 3])
CLASSES = ("a", "b", "c")
SHARES = {"valid": 0.2, "test": 0.2}


def _counts(positions, labels=LABELS):
    return np.bincount(labels[positions], minlength=3).tolist()


def test_every_class_is_cut_in_proportion_and_in_every_split():
    parts = completed({"train": np.arange(113)}, LABELS, CLASSES, SHARES, 0)
    assert [_counts(p) for p in (parts.train, parts.valid, parts.test)] == [[60, 6, 1], [20, 2, 1], [20, 2, 1]]
    assert parts.chosen.tolist() == list(range(113))


@pytest.mark.parametrize("share", [0.01, 0.45, 0.49])
def test_large_and_small_shares_leave_one_of_each(share):
    parts = completed({"train": np.arange(113)}, LABELS, CLASSES, {"valid": share, "test": share}, 0)
    assert min(min(_counts(p)) for p in (parts.train, parts.valid, parts.test)) >= 1


def test_what_is_given_is_kept():
    given = {"train": np.arange(0, 113, 2), "test": np.arange(1, 113, 2)}
    parts = completed(given, LABELS, CLASSES, SHARES, 0)
    assert np.array_equal(parts.test, given["test"])
    assert np.array_equal(np.sort(np.concatenate((parts.train, parts.valid))), given["train"])
    assert _counts(parts.valid) == [10, 1, 1]
    assert not parts.is_valid_given


def test_that_validation_images_were_given_stays_known():
    thirds = {split: np.arange(start, 113, 3) for start, split in enumerate(("train", "valid", "test"))}
    parts = completed(thirds, LABELS, CLASSES, SHARES, 0)
    few = limited(parts, LABELS, 30, 0)
    assert parts.is_valid_given and few.is_valid_given and once(few, [[0, 1]]).is_valid_given
    assert len(few.train) == 30


def test_the_seed_says_which():
    def tests(seed):
        return completed({"train": np.arange(113)}, LABELS, CLASSES, SHARES, seed).test.tolist()

    assert tests(1) == tests(1) != tests(2)


def test_too_few_to_split():
    with pytest.raises(BadReference, match="class 'c' has 2 training images; it needs at least 3"):
        completed({"train": np.arange(112)}, LABELS, CLASSES, SHARES, 0)
    with pytest.raises(BadReference, match="class 'c' has 1 training image; it needs at least 2"):
        completed({"train": np.arange(111), "test": np.arange(112, 113)}, LABELS, CLASSES, SHARES, 0)
    each, names = np.arange(30), tuple(map(str, range(30)))
    with pytest.raises(BadReference) as refused:
        completed({"train": each}, each, names, SHARES, 0)
    assert str(refused.value) == (
        "class '0' has 1 training image; it needs at least 3, one for each split that is cut from them, as do 29 other "
        "classes that have fewer; add some or remove these classes"
    )


@pytest.mark.parametrize("limit", [15, 30, 100])
def test_a_limit_keeps_every_class_and_the_proportions(limit):
    labels = np.repeat([0, 1, 2], [1000, 100, 10])
    parts = completed({"train": np.arange(1110)}, labels, CLASSES, SHARES, 0)
    few = limited(parts, labels, limit, 0)
    assert [len(p) for p in (few.train, few.valid, few.test)] == [limit, limit // 5, limit // 5]
    for part, whole in ((few.train, parts.train), (few.valid, parts.valid), (few.test, parts.test)):
        assert set(part) <= set(whole)
        counts = _counts(part, labels)
        assert min(counts) >= 1
        assert counts[0] == pytest.approx(0.9 * len(part), abs=2)
    assert limited(parts, labels, None, 0) == parts


def test_copies_are_in_one_part_only():
    parts = SplitParts(np.arange(6), np.array([6, 7, 8]), np.array([9, 10]))
    found = once(parts, [[0, 6], [1, 2], [7, 8], [3, 8, 9], [4, 10]])
    assert (found.train.tolist(), found.valid.tolist(), found.test.tolist()) == ([1, 2, 5], [6, 7], [9, 10])
    assert once(parts, []).chosen.tolist() == parts.chosen.tolist()


def test_options_out_of_range():
    with pytest.raises(BadReference, match=r"task\.train_limit is 14; it must be at least 15, five images per class"):
        check_limit(14, 3)
    with pytest.raises(BadReference, match=r"task\.test is 0"):
        checked_shares(0.2, 0)
    with pytest.raises(BadReference, match="their sum must be below 1"):
        checked_shares(0.5, 0.5)


def test_parts_are_joined_in_order():
    assert SplitParts(np.array([5, 6]), np.array([1]), np.array([3])).chosen.tolist() == [1, 3, 5, 6]
