"""What every observer must bear. Call `check_observer` from a test of your own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import MappingProxyType

from netwright.core.protocols import Observed, Observer
from netwright.core.records import Proposal, Result, Trial

# a search as its observers see it; the third trial measures something new, the second fails
SETTINGS = MappingProxyType({"space": {"ref": "netwright.testing.toys:ToySpace", "length": 2}, "seed": 3})
OBJECTIVES = ("valid_accuracy",)
TRIALS = (
    Trial(
        *(1, Proposal((0, 3), budget=2), "a", 11, "done"),
        *(Result({"valid_accuracy": 0.5, "params": 7.0}, ((1, 0.25), (2, 0.5)), 1.5), (0.5,), 1),
    ),
    Trial(2, Proposal((1, 1), (1,), budget=2), "b", 12, "failed", Result(failure="diverged", message="NaN"), None, 2),
    Trial(
        *(3, Proposal((2, 0), (1,), budget=2), "c", 13, "done"),
        *(Result({"valid_accuracy": 0.75, "params": 9.0, "epochs": 2.0}, ((2, 0.75),), 2.5), (0.75,), 3),
    ),
    Trial(
        *(4, Proposal((2, 1), (3,), budget=2), "d", 14, "done"),
        *(Result({"valid_accuracy": 0.625, "params": 8.0}, ((2, 0.625),), 2.0), (0.625,), 4),
    ),
)


def observed(folder: Path, earlier: Sequence[Trial] = ()) -> Observed:
    """The search of TRIALS, as it begins or goes on after some of them."""
    return Observed(folder, SETTINGS, OBJECTIVES, len(earlier), lambda: earlier)


def check_observer(make: Callable[[], Observer], folder: Path) -> None:
    """Show a search to an observer, stop it, and go on with it, while another observer is one more process's.

    The first process is gone after two trials and the steps of a third; of the third trial only the second process
    hears, as of one that finished earlier. Nothing may be raised.

    Args:
        make: Makes an observer, as each process does.
        folder: An empty folder, the run's.
    """
    first = make()
    first.on_begin(observed(folder))
    first.on_step(1, 1, 2, {"train_loss": 0.5})
    first.on_step(1, 2, None, {})
    first.on_trial(TRIALS[0])
    first.on_trial(TRIALS[1])
    first.on_step(3, 1, 2, {"train_loss": 0.25})
    first.on_end({"ending": "drained", "trials": 2, "best": 1})
    second = make()
    second.on_begin(observed(folder, TRIALS[:3]))
    second.on_step(4, 1, 2, {"train_loss": 0.125})
    second.on_trial(TRIALS[3])
    second.on_end({"ending": "trials", "trials": 4, "best": 3})
