"""What a network made of each image may come from a stranger: it can be shown, or is refused."""

from dataclasses import replace

import numpy as np
import pytest
from safetensors import SafetensorError

from netwright.data import outcome
from tests import tiny_data

GOOD = tiny_data.outcome()


def _read(found, folder):
    (folder / outcome.OUTCOME).write_bytes(outcome.to_bytes(found))
    return outcome.read(folder / outcome.OUTCOME)


@pytest.mark.parametrize("worst", [2, 0])
def test_an_outcome_is_read_as_it_was_written(tmp_path, worst):
    given = replace(GOOD, worst=GOOD.worst[:worst], worst_positions=np.arange(worst), worst_names=("x",) * worst)
    found = _read(given, tmp_path)
    assert all(np.array_equal(getattr(found, name), value) for name, value in vars(given).items())


@pytest.mark.parametrize(
    "changes",
    [
        {"targets": np.arange(6)},
        {"targets": np.full(6, -1)},
        {"predictions": np.arange(5) % 2},
        {"predictions": np.zeros(6, np.float32)},
        {"losses": np.ones((6, 1), np.float32)},
        {"worst": np.zeros((2, 0, 8, 3), np.uint8)},
        {"worst": np.zeros((2, 8, 8), np.uint8)},
        {"worst": np.zeros((3, 8, 8, 3), np.uint8)},
        {"worst_positions": np.array([0, 6])},
        {"worst_names": ("x",)},
        {"worst_names": ("x", 3)},
        {"classes": (None, "b")},
        {"classes": ("a",)},
        {"classes": ()},
    ],
)
def test_what_does_not_fit_together_is_refused(tmp_path, changes):
    with pytest.raises(SafetensorError):
        _read(replace(GOOD, **changes), tmp_path)
