"""Which folders of trials stay for those that continue them, and which go."""

import sqlite3
from contextlib import closing

import pytest

from netwright.core import trial_folders
from netwright.core.records import Proposal, Result
from netwright.stores.memory import MemoryStore
from netwright.stores.sqlite import SqliteStore


@pytest.mark.parametrize("leaves", [True, False])
def test_what_killed_workers_could_not_clear_is_swept(tmp_path, leaves):
    """Trial 2 goes on from trial 1, and trial 3 may be gone on from; trial 4 has not finished."""

    class Leaving:
        def evaluate(self, trial, context):
            raise AssertionError("nothing is evaluated here")

        def leaves_state(self, trial):
            return leaves and trial.proposal.budget != 2

    store = MemoryStore()
    for proposal in (Proposal((0,), budget=1), Proposal((0,), budget=2, continues=1), Proposal((1,), budget=1)):
        store.add(proposal, "key", 1, Result({"x": 1.0}))
    store.add(Proposal((2,), budget=1), "key", 1)
    for name in ("000001", "000002", "000003", "000004", "of a person"):
        (tmp_path / name).mkdir()
    trial_folders.sweep(store, tmp_path, Leaving())
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == [*(["000003"] if leaves else []), "000004", "of a person"]
    trial_folders.sweep(store, tmp_path / "none", Leaving())


@pytest.mark.parametrize("keep", [True, False])
def test_the_folder_of_a_trial_whose_row_was_lost_is_no_later_trials(tmp_path, keep):
    """Trial 2 is gone from within the table, and 4 from its end: both numbers are asked again, maybe for others."""
    store = SqliteStore(str(tmp_path / "trials.sqlite"))
    for number in range(3):
        store.add(Proposal((number,)), str(number), number, Result({"x": 1.0}))
    store.close()
    with closing(sqlite3.connect(tmp_path / "trials.sqlite")) as db:
        db.execute("DELETE FROM trials WHERE id = 2")
        db.commit()
    for name in ("000001", "000002", "000004", "lost-1-000004"):
        (tmp_path / "trials" / name).mkdir(parents=True)
    with closing(SqliteStore(str(tmp_path / "trials.sqlite"))) as store:
        said = trial_folders.make_room(store, tmp_path / "trials", keep=keep)
    left = sorted(path.name for path in (tmp_path / "trials").iterdir())
    assert left == [
        "000001",
        *(["lost-1-000002"] if keep else []),
        "lost-1-000004",
        *(["lost-2-000004"] if keep else []),
    ]
    assert len(said) == (2 if keep else 0)
