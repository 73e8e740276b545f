"""Which network an export takes of several; that it is read from a folder is seen in `tests/cli`."""

from pathlib import Path

import pytest

from netwright.core.contest import ContestRecord
from netwright.core.errors import StoreError
from netwright.core.finals import BEST, PLAIN, Final
from netwright.core.objectives import Objective
from netwright.core.refs import Reference
from netwright.core.trust import Trust
from netwright.runs import exportable

RUN = Path("run")


def final(genotype, trial=None, reference=False, n=1):
    label = PLAIN if reference else BEST
    return Final(label, trial, Reference("flat"), genotype, "", Objective("test_accuracy"), 9, 0.5, None, n, reference)


@pytest.fixture
def last(monkeypatch):
    """Gives what is exported of these trainings, oldest first; models stand for themselves."""
    trained = {
        "train-a": [final((1,), trial=1), final((2,), trial=2)],
        "train-b": [final((3,), trial=3, n=2), final((0,), reference=True)],
        "train-c": [final((0,), reference=True)],
        "train-d": [],  # stopped before its first test
    }
    monkeypatch.setattr(exportable.run_folder, "trainings", lambda folder: [folder / name for name in trained])
    monkeypatch.setattr(
        exportable, "_tested", lambda place, *_: [(each, each.genotype) for each in trained[place.name]]
    )
    return lambda **which: exportable.last(RUN, Trust(), **which)


def test_the_last_one_that_is_no_reference(last):
    found = last()
    assert (found.model, found.folder) == ((3,), RUN / "train-b")
    assert found.told.endswith("(the first of 2 trainings)")


def test_that_of_a_trial_or_of_a_folder(last):
    assert last(trial=2).model == (2,)
    assert last(training="train-a").model == (1,)
    assert "trainings" not in last(trial=2).told


def test_what_ships_may_be_the_reference(last):
    ships = ContestRecord(trainings="train-b", genotype=(0,), shipped="reference")
    assert last(contest=ships).final.reference
    assert last(contest=ContestRecord(trainings="train-b", genotype=(3,), shipped="searched")).model == (3,)


@pytest.mark.parametrize(
    ("which", "named", "command"),
    [
        ({"trial": 9}, " of trial 9;", "run --trial 9"),
        ({"training": "train-c"}, " in train-c;", "train run"),
        ({"training": "train-d"}, " in train-d;", "train run"),
        ({"training": "elsewhere"}, " in elsewhere;", "train run"),
        ({"contest": ContestRecord(trainings="train-c", genotype=(3,))}, "network;", "train run"),
    ],
)
def test_where_there_is_none_it_says_how_to_get_it(last, which, named, command):
    with pytest.raises(StoreError) as refused:
        last(**which)
    assert named in str(refused.value)
    assert command in str(refused.value)
