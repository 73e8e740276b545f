"""What a run's folder holds: the table with the run in it, and a format that alone is read."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from netwright.core import run_file
from netwright.core.errors import StoreError
from netwright.runs import run_folder
from tests.runs.test_ownership import RUN, begun


def test_the_table_holds_the_run_and_its_format(tmp_path):
    begun(tmp_path)
    with closing(run_folder.open_table(tmp_path, "read")) as store:
        stored = run_folder.stored_run(store, tmp_path)
        assert store.recall("format") == str(run_folder.FORMAT)
    assert stored.threads_per_trial, "fixed when the run begins"
    assert replace(stored, threads_per_trial=None) == RUN
    assert run_file.from_toml((tmp_path / "run.toml").read_text()) == stored == run_folder.settings_in(tmp_path)


def test_a_table_that_was_made_and_never_written_to_is_a_new_one(tmp_path):
    """As a kill leaves it, between making it and the first fact."""
    run_folder.open_table(tmp_path, "write").close()
    with (
        pytest.raises(StoreError, match="its search never started"),
        closing(run_folder.open_table(tmp_path, "read")) as store,
    ):
        run_folder.stored_run(store, tmp_path)
    assert run_folder.settings_in(begun(tmp_path)) is not None


@pytest.mark.parametrize("number", ["2", "one"])
def test_any_other_number_is_another_format(tmp_path, number):
    with pytest.raises(StoreError, match=f"has format {number}, of a newer netwright"):
        run_folder.refuse_format(tmp_path, number)
    with pytest.raises(StoreError, match=r"has format 9{20}, of a newer netwright"):
        run_folder.refuse_format(tmp_path, "9" * 5000)
    for earlier in ("0", None):
        with pytest.raises(StoreError, match="written by an earlier netwright"):
            run_folder.refuse_format(tmp_path, earlier)
    run_folder.refuse_format(tmp_path, "1")


def test_a_run_of_no_format_in_which_nothing_was_asked_can_begin(tmp_path):
    """As a kill of an earlier release leaves it: there is nothing to misread."""
    forget_format(begun(tmp_path))
    forget_format(begun(tmp_path, trials=1))
    with pytest.raises(StoreError, match="was written by an earlier netwright"):
        begun(tmp_path)


def forget_format(folder):
    with closing(sqlite3.connect(folder / run_folder.TABLE)) as db, db:
        db.executescript("DELETE FROM facts WHERE name = 'format'; DELETE FROM fact_sums WHERE name = 'format'")
