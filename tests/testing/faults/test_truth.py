"""What a table must hold is looked at closely enough to find what is wrong with it."""

import signal
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from netwright.controller import Search
from netwright.core import building, refs, run_file
from netwright.core.records import Result
from netwright.core.run_file import Limits, RunFile
from netwright.executors.inline import Inline
from netwright.stores.sqlite import SqliteStore
from netwright.testing import chaos
from netwright.testing.chaos import INLINE, TWO, Case
from netwright.testing.faults import truth
from netwright.testing.faults.clocks import ClockJumps
from netwright.testing.faults.killing import Signaled
from netwright.testing.faults.searching import Scene

TRIALS = 20


def searched(folder, *, spoiled=None, seed=3):
    """The table of a search in this process; `spoiled` changes the result of a trial as it is written."""
    parts = ("space", "task", "strategy")
    named = {part: refs.parse(getattr(INLINE, part)) for part in parts}
    run = RunFile(**named, evaluator=refs.parse(INLINE.quick), executor=refs.parse("inline"), seed=seed)
    built = building.build(run)
    run = building.resolved(run, built.measures)
    store = SqliteStore(str(folder / "trials.sqlite"))
    store.remember("run", run_file.to_toml(run))
    finish = store.finish
    if spoiled is not None:
        store.finish = lambda trial_id, result, *rest: finish(trial_id, spoiled(trial_id, result), *rest)
    Search(
        *(built.space, built.strategy, store, Inline(built.evaluator)),
        objectives=run.objectives,
        limits=Limits(trials=TRIALS),
        seed=seed,
        folder=folder,
    ).run()
    return store


def changed(folder, *statements):
    with closing(sqlite3.connect(folder / "trials.sqlite")) as db:
        for statement in statements:
            db.execute(statement)
        db.commit()


@pytest.mark.parametrize("subject", [INLINE, TWO])
def test_a_whole_table_is_found_to_be_one(tmp_path, subject):
    searched(tmp_path).close()
    found = truth.examined(tmp_path, subject, TRIALS)
    assert found == truth.Accounted(TRIALS, TRIALS, 0, 0, ())


@pytest.mark.parametrize(
    ("fault", "is_wrong"), [(None, True), (ClockJumps(), True), (Signaled("worker", signal.SIGKILL), False)]
)
def test_losses_where_nothing_was_done_to_a_worker(tmp_path, fault, is_wrong):
    place = Scene(tmp_path, "nobody")
    place.run.mkdir(parents=True)
    searched(place.run).close()
    changed(place.run, "UPDATE trials SET losses = 2 WHERE id = 5")
    wrong = chaos._judged(Case(fault, TWO, 0), place, TRIALS).wrong
    assert ("rows of workers that were there all the time were taken for lost 2 times" in wrong) == is_wrong


def test_a_result_that_is_not_what_the_evaluator_measures(tmp_path):
    def spoiled(trial_id, result):
        return replace(result, metrics={**result.metrics, "number": 1.0}) if trial_id == 7 else result

    searched(tmp_path, spoiled=spoiled).close()
    [sentence] = truth.examined(tmp_path, TWO, TRIALS).wrong
    assert sentence.startswith("trial 7 measured")


def test_a_table_that_another_search_would_have_made(tmp_path):
    searched(tmp_path, seed=4).close()
    with closing(SqliteStore(str(tmp_path / "trials.sqlite"))) as store:
        store.remember("run", (store.recall("run") or "").replace("seed = 4", "seed = 3"))
    wrong = truth.examined(tmp_path, TWO, TRIALS).wrong
    assert "a strategy that is told the table does not propose trial 1" in wrong[0]


def test_rows_that_failed_or_have_not_finished(tmp_path):
    store = searched(tmp_path, spoiled=lambda n, result: Result(failure="lost", message="gone") if n == 3 else result)
    store.add(replace(store.finished()[0].proposal), "key", 1)
    store.close()
    found = truth.examined(tmp_path, INLINE, TRIALS)
    assert (found.asked, found.final, found.doubled) == (TRIALS + 1, TRIALS, 1)
    assert found.wrong[:2] == (f"trial {TRIALS + 1} is pending", "trial 3 failed: lost gone")


def test_results_that_count_twice(tmp_path):
    """A late finish took a place of its own: the table has a gap where the first one was."""
    searched(tmp_path).close()
    changed(tmp_path, f"UPDATE trials SET finish = {TRIALS + 1} WHERE finish = 5")
    found = truth.examined(tmp_path, INLINE, TRIALS)
    assert found.doubled == 1
    assert found.wrong


def test_damage(tmp_path):
    searched(tmp_path).close()
    changed(tmp_path, "UPDATE trials SET metrics = replace(metrics, ':0.', ':1.') WHERE id = 4")
    assert any("trial 4 is damaged" in sentence for sentence in truth.examined(tmp_path, INLINE, TRIALS).wrong)
