import numpy as np

from netwright.data.outcome import Outcome
from netwright.report.examples import confusion
from netwright.report.examples.confusion import Confusion


def outcome(targets, predictions, classes):
    nothing = np.zeros((0, 8, 8, 1), np.uint8)
    arrays = (np.array(targets), np.array(predictions), np.zeros(len(targets), np.float32))
    return Outcome(*arrays, nothing, np.zeros(0, np.int64), (), tuple(classes))


# class c has no images
KNOWN = outcome([0, 0, 0, 0, 1, 1], [0, 0, 1, 2, 1, 0], "abc")


def test_rows_are_true_and_columns_predicted_classes():
    matrix = confusion.counts(KNOWN)
    np.testing.assert_array_equal(matrix, [[2, 1, 1], [1, 1, 0], [0, 0, 0]])
    np.testing.assert_allclose(confusion.shares(matrix), [[0.5, 0.25, 0.25], [0.5, 0.5, 0], [0, 0, 0]])
    np.testing.assert_allclose(confusion.accuracies(matrix), [0.5, 0.5, np.nan])


def test_confusions_come_by_images_then_by_share():
    matrix = np.array([[90, 3, 5], [3, 7, 0], [0, 1, 99]])
    assert confusion.most_frequent(matrix, 10) == [
        Confusion(0, 2, 5, 98),
        Confusion(1, 0, 3, 10),
        Confusion(0, 1, 3, 98),
        Confusion(2, 1, 1, 100),
    ]
    assert confusion.most_frequent(matrix, 1) == [Confusion(0, 2, 5, 98)]
    assert confusion.most_frequent(np.diag([4, 5]), 10) == []


def test_no_images_are_no_error():
    matrix = confusion.counts(outcome(np.zeros(0, np.int64), np.zeros(0, np.int64), "ab"))
    assert matrix.shape == (2, 2) and not matrix.any()
    assert np.isnan(confusion.accuracies(matrix)).all()
