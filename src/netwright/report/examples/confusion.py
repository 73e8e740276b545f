"""What predictions on a split say about the classes: the numbers behind the confusion matrix. Numpy only.

A matrix of counts, shape (classes, classes), has a row for each true class and a column for each predicted one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from netwright.data.outcome import Outcome


@dataclass(frozen=True)
class Confusion:
    """`images` of the `total` images of class number `true` were taken for class number `predicted`."""

    true: int
    predicted: int
    images: int
    total: int


def counts(outcome: Outcome) -> np.ndarray:
    """Images by true and predicted class, shape (classes, classes), int64."""
    classes = len(outcome.classes)
    pairs = outcome.targets * classes + outcome.predictions
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def shares(matrix: np.ndarray) -> np.ndarray:
    """Each row of counts divided by its sum, shape of `matrix`, float64; 0 in the row of a class without images."""
    return matrix / np.maximum(matrix.sum(1, keepdims=True), 1)


def accuracies(matrix: np.ndarray) -> np.ndarray:
    """Share of each class that was recognized, shape (classes,), float64; NaN for a class without images."""
    return np.where(matrix.sum(1) > 0, np.diag(shares(matrix)), np.nan)


def most_frequent(matrix: np.ndarray, most: int) -> list[Confusion]:
    """At most `most` pairs of classes, most confused images first; of equal counts the larger share first."""
    wrong = matrix * ~np.eye(len(matrix), dtype=bool)
    order = np.lexsort((-shares(wrong).ravel(), -wrong.ravel()))[:most]
    totals = matrix.sum(1)
    return [
        Confusion(int(true), int(predicted), int(wrong[true, predicted]), int(totals[true]))
        for true, predicted in zip(*np.unravel_index(order, wrong.shape), strict=True)
        if wrong[true, predicted]
    ]
