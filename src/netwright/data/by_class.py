"""Metrics of a classification that are no means over examples: balanced accuracy, macro F1, area under the ROC curve.

Only classes with examples in the split count. All three are those of scikit-learn (`balanced_accuracy_score`, and
`f1_score` and `roc_auc_score` averaged over these classes).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from typing import IO, Final

import numpy as np
import torch
from torch import Tensor

from netwright.core.baselines import Baseline
from netwright.core.errors import NetwrightError
from netwright.core.objectives import Objective

TOP: Final = 5
BALANCED, F1, AUC, TOP5 = "balanced_accuracy", "macro_f1", "auc", "top5"
OFFERED: Final = tuple(Objective(name, shown="share") for name in (BALANCED, F1, AUC, TOP5))
EVEN: Final = 2  # times the images of the smallest class that the largest may have where classes are balanced
HELD = 2**26  # bytes of scores that are held in memory; more are written to a file


class ClassMeasures:
    """Gathers what these metrics need over a pass.

    Counts of classes are held, and for the area all scores: in memory up to 64 MB, beyond that in a temporary file that
    is read some classes at a time, so that the area is exact and memory grows by a few numbers per example only.

    Args:
        classes: Number of classes.
        names: Which metrics: some of BALANCED, F1 and AUC.
    """

    def __init__(self, classes: int, names: Sequence[str]) -> None:
        self._classes, self._names = classes, names
        self._true = np.zeros(classes, np.int64)  # examples of each class
        self._found = np.zeros(classes, np.int64)  # of these, those that were recognized
        self._named = np.zeros(classes, np.int64)  # how often each class was the answer
        self._targets: list[np.ndarray] = []
        self._scores = _Scores(classes)

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Logits (B, classes) and targets (B,) of the next batch."""
        wanted, answers = targets.cpu().numpy(), outputs.argmax(1).cpu().numpy()
        self._true += np.bincount(wanted, minlength=self._classes)
        self._named += np.bincount(answers, minlength=self._classes)
        self._found += np.bincount(wanted[wanted == answers], minlength=self._classes)
        if AUC in self._names:
            self._targets.append(wanted)
            self._scores.add(outputs.float().cpu().double().log_softmax(1).float().numpy())

    def metrics(self) -> dict[str, float]:
        """The metrics, shares of 1. Raises NetwrightError for an area where there is only one class."""
        made = {BALANCED: self._balanced, F1: self._macro_f1, AUC: self._area}
        return {name: made[name]() for name in self._names}

    def _balanced(self) -> float:
        present = self._true > 0
        return float((self._found[present] / self._true[present]).mean())

    def _macro_f1(self) -> float:
        present = self._true > 0
        return float((2 * self._found[present] / (self._true[present] + self._named[present])).mean())

    def _area(self) -> float:
        """Mean over the classes of the area of each against the rest."""
        if (self._true > 0).sum() < 2:
            raise NetwrightError("the area under the ROC curve needs examples of two classes; the split has one class")
        targets = np.concatenate(self._targets)
        columns = self._scores.columns()
        return float(np.mean([area(scores, targets == n) for n, scores in columns if self._true[n]]))


class _Scores:
    """Rows of `width` scores, in memory while they are few, else in a file that vanishes with this object."""

    def __init__(self, width: int) -> None:
        self._width, self._held, self._size = width, list[np.ndarray](), 0
        self._file: IO[bytes] | None = None

    def add(self, rows: np.ndarray) -> None:
        """Take in more rows, float32, shape (B, width)."""
        self._held.append(rows)
        self._size += len(rows)
        if sum(each.nbytes for each in self._held) > HELD:
            self._file = self._file or tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as this object
            self._file.writelines(np.ascontiguousarray(each).data for each in self._held)
            self._held = []

    def columns(self) -> Iterator[tuple[int, np.ndarray]]:
        """Number and scores (N,) of every column in turn."""
        rows = np.concatenate([*self._held, np.zeros((0, self._width), np.float32)])
        if self._file is not None:
            self._file.writelines([np.ascontiguousarray(rows).data])
            self._file.flush()
            self._held = []
            rows = np.memmap(self._file, np.float32, "r", shape=(self._size, self._width))
        step = max(1, HELD // (4 * max(1, self._size)))
        for start in range(0, self._width, step):
            part = np.ascontiguousarray(rows[:, start : start + step].T)
            yield from enumerate(part, start)


def area(scores: np.ndarray, is_wanted: np.ndarray) -> float:
    """The area under the ROC curve: how often a wanted example has the higher score; equal scores count half.

    Args:
        scores: Shape (N,).
        is_wanted: Which examples are wanted, shape (N,); some and not all.
    """
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2  # the mean rank of equal scores, from 1
    wanted = int(is_wanted.sum())
    total = float(ranks[place[is_wanted]].sum())
    return (total - wanted * (wanted + 1) / 2) / (wanted * (len(scores) - wanted))


def top5(outputs: Tensor, targets: Tensor) -> Tensor:
    """Whether the target is among the five highest outputs, 0 or 1, shape (B,)."""
    return (outputs.topk(TOP, 1).indices == targets.unsqueeze(1)).any(1).float()


def class_weights(counts: Sequence[int]) -> Tensor:
    """Weights of the classes by which all count alike, float32 (classes,): their mean over the examples is 1."""
    found = torch.tensor(counts, dtype=torch.float32)
    present = int((found > 0).sum())
    return torch.where(found > 0, found.sum() / (present * found.clamp(min=1)), 0.0)


def log_shares(counts: Sequence[int]) -> Tensor:
    """Logarithms of the shares that the classes have of all examples, float32 (classes,); their exponentials sum to 1.

    A class without examples gets the share of the largest: nothing else would keep its logit down.
    """
    found = torch.tensor(counts, dtype=torch.float32)
    return torch.log_softmax(torch.log(torch.where(found > 0, found, found.max())), 0)


def is_balanced(counts: Sequence[int]) -> bool:
    """Whether the largest class has at most EVEN times the images of the smallest, so that accuracy does not mislead.

    Args:
        counts: Images of each class, best those that train: splits are cut by class.
    """
    return max(counts) <= EVEN * min(counts)


def default_objective(counts: Sequence[int], split: str = "valid") -> str:
    """What to maximize where nobody says: accuracy, or where classes are not balanced, balanced accuracy.

    Args:
        counts: Images of each class; see `is_balanced`.
        split: The split that is measured.
    """
    return f"{split}_accuracy" if is_balanced(counts) else f"{split}_{BALANCED}"


def baselines(counts: Sequence[int], measures: Sequence[Objective]) -> tuple[Baseline, ...]:
    """What is measured of naming the largest class always, and for the loss of giving the shares of the classes.

    Args:
        counts: Examples of each class in the split.
        measures: The measures that are asked for; others than those known here are left out.
    """
    found = np.array(counts, np.float64)
    total, present = found.sum(), int((found > 0).sum())
    if not total:
        return ()
    shares = np.sort(found[found > 0])[::-1] / total
    largest, is_even = float(shares[0]), shares[0] == shares[-1]
    accuracy = ("the largest class is {} of it", "no better than naming it always")
    chance, that = ("chance {}", "no better than chance"), "no better than that"
    known = {
        "accuracy": (largest, *(chance if is_even else accuracy)),
        "loss": (
            float(-(shares * np.log(shares)).sum()),
            "the shares of the classes alone give {}",
            "no better than these",
        ),
        BALANCED: (1 / present, *chance),
        F1: (2 * largest / (1 + largest) / present, "naming the largest class always gives {}", that),
        AUC: (0.5, *chance),
        TOP5: (float(shares[:TOP].sum()), "naming the five largest classes always gives {}", that),
    }
    return tuple(
        Baseline(measure.name, value, words.format(measure.text(value)), verdict)
        for measure in measures
        if measure.name in known
        for value, words, verdict in [known[measure.name]]
    )
